"""A running kernel seen from outside: in the list of what one could attach to, and its cells through its iopub channel."""
import json
import os
import queue
import re
import signal
import subprocess
import threading
import time

import pytest
from jupyter_client.manager import KernelManager

from conftest import PROGRAM

PEEK = PROGRAM.parents[1] / "tests/peek"
TIMEOUT = 30


class Kernel:
    def __init__(self):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel(env={**os.environ, "JPY_SESSION_NAME": "/somewhere/My analysis.ipynb"})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=TIMEOUT)
        self.pid = self.manager.provisioner.pid

    def run(self, source):
        return self.client.execute_interactive(source, timeout=TIMEOUT, output_hook=lambda message: None)["content"]

    def end(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@pytest.fixture(scope="module")
def kernel():
    started = Kernel()
    yield started
    started.end()


class Cells:
    """peek cells: what the subscriber tells, as it tells it; looked, once it has looked for a cell that runs."""

    def __init__(self, pid):
        self.child = subprocess.Popen([PEEK, "cells", str(pid)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.told, self.looked = queue.Queue(), threading.Event()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            told = json.loads(line)
            if "looked" in told:
                self.looked.set()
            else:
                self.told.put(told)

    def next(self):
        return self.told.get(timeout=TIMEOUT)

    def end(self):
        self.child.stdin.close()
        assert self.child.wait(timeout=TIMEOUT) == 0
        return self.next()


def subscribed(kernel):
    """A Cells that has told a whole cell: its subscription is known to the kernel."""
    cells = Cells(kernel.pid)
    for attempt in range(50):
        marker = f"'attempt {attempt}'"
        kernel.run(marker)
        end = time.monotonic() + 1
        while time.monotonic() < end:
            try:
                told = cells.told.get(timeout=0.2)
            except queue.Empty:
                continue
            if told.get("source") == marker and told["begin"]:
                ended = cells.next()
                assert "end" in ended and ended["count"] == told["count"], ended
                return cells
    raise AssertionError("no cell was told")


def test_cells_begin_and_end_where_they_did(kernel):
    cells = subscribed(kernel)
    before = time.monotonic_ns()
    first = kernel.run("import time\nblocked = time.monotonic_ns()\ntime.sleep(0.3)\nended = time.monotonic_ns()")
    second = kernel.run("import asyncio\nawait asyncio.sleep(0.1)\n'caf\\u00e9 \\U0001f600'")
    third = kernel.run("undefined_name")
    kernel.client.execute("'silent'", silent=True)
    kernel.run("print(blocked, ended)")
    after = time.monotonic_ns()
    told = [cells.next() for number in range(8)]
    assert [list(one)[0] for one in told] == ["begin", "end"] * 4
    assert [one["count"] for one in told[::2]] == [one["count"] for one in told[1::2]]
    assert told[0]["count"] == first["execution_count"] and told[2]["count"] == second["execution_count"]
    assert told[0]["source"].startswith("import time\nblocked") and "caf\\u00e9" in told[2]["source"]
    assert third["ename"] == "NameError"
    assert [one["failed"] for one in told[1::2]] == [False, False, True, False]
    assert told[5]["error"] == "NameError"
    times = [one.get("begin") or one.get("end") for one in told]
    assert before < times[0] and times == sorted(times) and times[-1] < after
    assert times[1] - times[0] >= 300e6, "a cell's record spans what it did"
    told = cells.end()
    assert told["cells"] >= 4 and told["forged"] == told["malformed"] == 0
    assert told["missed"] <= 1, "the one in which the subscription came"


def needs_memory_of(kernel):
    told = subprocess.run([PEEK, "target", str(kernel.pid)], capture_output=True, text=True)
    if "not permitted" in told.stderr:
        pytest.skip(told.stderr.strip())


class Hanging:
    """A cell that opens a pipe which nobody writes to: it runs until go_on()."""

    def __init__(self, kernel, folder, source):
        self.pipe, self.source = folder / "pipe", source.replace("PIPE", repr(str(folder / "pipe")))
        os.mkfifo(self.pipe)
        self.kernel, self.request = kernel, kernel.client.execute(self.source)
        self.wait_for(lambda message: message["msg_type"] == "stream")
        time.sleep(0.1)  # from what it prints to where it waits

    def wait_for(self, wanted):
        message = self.kernel.client.get_iopub_msg(timeout=TIMEOUT)
        while message["parent_header"].get("msg_id") != self.request or not wanted(message):
            message = self.kernel.client.get_iopub_msg(timeout=TIMEOUT)

    def go_on(self):
        self.pipe.open("w").close()
        self.wait_for(lambda message: message["content"].get("execution_state") == "idle")


SUBSCRIPTION = 0.3  # s for the kernel to know of it after peek has looked: nothing in the kernel tells


@pytest.mark.parametrize("source, error", [("print()\nopen(PIPE).read()", ""), (
    "%config\nprint()\nawait asyncio.get_running_loop().run_in_executor(None, open, PIPE)\n1 / 0", "ZeroDivisionError")])
def test_a_cell_that_was_running_before_is_told_from_then_on(kernel, tmp_path, source, error):
    """A kernel that hangs in a cell when somebody comes to look."""
    needs_memory_of(kernel)
    kernel.run("import asyncio")
    hanging = Hanging(kernel, tmp_path, source)
    cells = Cells(kernel.pid)
    begun = cells.next()
    assert cells.looked.wait(TIMEOUT)
    time.sleep(SUBSCRIPTION)
    hanging.go_on()
    ended = cells.next()
    assert begun["source"] == hanging.source and begun["begin"] == 0, "the time that it was asked for"
    assert ended["count"] == begun["count"] and ended["error"] == error and ended["failed"] == bool(error)
    kernel.run("'after it'")
    after = cells.next()
    assert after["count"] == begun["count"] + 1 and cells.next()["count"] == after["count"]
    told = cells.end()
    assert (told["cells"], told["missed"], told["malformed"]) == (2, 0, 0)


def test_what_cannot_be_told_for_certain_is_not_told(kernel, tmp_path):
    """Of a source that ends in blank lines IPython keeps another; a task that a cell left behind is no running cell; an idle kernel runs none."""
    hanging = Hanging(kernel, tmp_path, "print()\nopen(PIPE).read()\n\n")
    cells = Cells(kernel.pid)
    assert cells.looked.wait(TIMEOUT)
    time.sleep(SUBSCRIPTION)
    hanging.go_on()
    kernel.run("'after it'")
    assert "after it" in cells.next()["source"] and cells.next()
    assert cells.end()["missed"] == 1
    kernel.run("import asyncio, time\nasync def late():\n    while True:\n        time.sleep(0.05)\n        await asyncio.sleep(0)\nleft = asyncio.ensure_future(late())")
    cells = Cells(kernel.pid)
    assert cells.looked.wait(TIMEOUT)
    assert cells.told.empty()
    cells.end()
    kernel.run("left.cancel()")


def test_nothing_changes_for_the_kernel(kernel):
    """A subscriber more or less: same outputs, same numbers."""
    count = kernel.run("1")["execution_count"]
    cells = Cells(kernel.pid)
    assert kernel.run("2")["execution_count"] == count + 1
    cells.end()
    assert kernel.run("3")["execution_count"] == count + 2


def test_what_is_no_kernel_is_told_so():
    child = subprocess.Popen(["/usr/bin/python3", "-c", "input()"], stdin=subprocess.PIPE)
    told = subprocess.run([PEEK, "cells", str(child.pid)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    child.communicate(b"\n")
    assert told.returncode == 3 and "it is no Jupyter kernel" in told.stderr


def test_the_list_names_notebook_script_and_loops(kernel, tmp_path):
    script = tmp_path / "server\x1b[31m.py"
    script.write_text("import asyncio\nasync def main():\n print(flush=True)\n await asyncio.sleep(1000)\nasyncio.run(main())")
    plain = subprocess.Popen(["/usr/bin/python3", "-X", "dev", script, "argument"], stdout=subprocess.PIPE)
    sleeper = subprocess.Popen(["/usr/bin/python3", "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    plain.stdout.readline(), sleeper.stdout.readline()
    told = subprocess.run([PEEK, "list", "0"], capture_output=True, text=True).stdout
    plain.kill(), sleeper.communicate(b"\n"), plain.communicate()
    rows = {int(line.split()[0]): line for line in told.splitlines()[1:]}
    if "needs root" in rows.get(kernel.pid, ""):
        pytest.skip("other processes cannot be read here")
    assert told.split()[:5] == ["PID", "USER", "PYTHON", "RUNS", "LOOPS"]
    assert re.search(r"notebook My analysis\.ipynb +(thread \d+, )*main", rows[kernel.pid]), told
    assert r"server\x1b[31m.py" in rows[plain.pid] and rows[plain.pid].endswith(" main"), told
    assert sleeper.pid not in rows, "no loop, nothing to attach to"


def test_a_kernel_whose_notebook_is_not_known_is_listed_by_its_folder(tmp_path, monkeypatch):
    folder = tmp_path / "a rather long name of a folder" / "notebooks"
    folder.mkdir(parents=True)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(folder))
    try:
        told = json.loads(subprocess.run([PROGRAM, "doctor", "--format", "json", str(manager.provisioner.pid)],
                                         capture_output=True, text=True).stdout)
    finally:
        manager.shutdown_kernel(now=True)
    assert [one["found"] for one in told["features"] if one["name"] == "process"][0].startswith("ipykernel in .../notebooks, of user ")


def test_a_kernel_that_hangs_is_understood_by_whoever_comes_to_look(kernel, awaitscope, report, tmp_path):
    can = json.loads(awaitscope("doctor", "--format", "json", str(kernel.pid)).out)
    if not can["attach"]:
        pytest.skip(can["verdict"])
    hanging = Hanging(kernel, tmp_path, "print()\nopen(PIPE).read()")
    with open(tmp_path / "told", "w+", encoding="utf-8") as out:
        watch = subprocess.Popen([PROGRAM, "attach", "-o", "t.db", str(kernel.pid)], cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=subprocess.PIPE, text=True)
        while "watching" not in watch.stderr.readline():
            assert watch.poll() is None
        time.sleep(1.3)
        hanging.go_on()
        watch.send_signal(signal.SIGINT)
        err = watch.communicate(timeout=TIMEOUT)[1]
        out.seek(0)
        printed = out.read()
    assert watch.returncode == 0 and re.search(r"at In \[\d+\]:2\n", printed), (printed, err)
    told = report("t.db")
    cell, = told["cells"]
    assert cell["source"] == hanging.source and cell["status"] == "ok" and cell["busy_ms"] > 1000
    site = max(told["blocking_sites"], key=lambda site: site["total_ms"])  # on a slow machine others take 1 ms, too
    assert site["total_ms"] > 1000
    assert (site["line"], site["cell"], site["execution_count"]) == (2, cell["index"], cell["execution_count"])
    assert told["coverage"]["cells"] == "iopub"
