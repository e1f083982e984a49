"""attach --follow stays with a program through its restarts, and an attach waits for an asyncio that is not there yet."""
import re
import signal
import subprocess

import pytest

from conftest import PROGRAM
from interpreters import DEBIAN
from attached import WHY_NOT, rows, wait_for_rows

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

# Each step waits for a line: import asyncio, run some tasks, become another process.
APP = """\
import os, sys
step = os.environ.get("STEP", "first")
if step == "first":
    print("ready", flush=True)
    sys.stdin.readline()
import asyncio

async def work():
    await asyncio.sleep(0.01)

async def main():
    await asyncio.to_thread(sys.stdin.readline)
    for i in range(10):
        await asyncio.create_task(work(), name=f"{step}-{i}")
    print("worked", flush=True)
    await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
if step == "first":
    os.environ["STEP"] = "second"
    os.execv(sys.executable, [sys.executable, *sys.argv])
"""


class Watch:
    """A running attach and its lines."""

    def __init__(self, folder, *args):
        self.child = subprocess.Popen([PROGRAM, "attach", "-o", "t.db", *map(str, args)], cwd=folder, text=True, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        self.told = ""

    def until(self, text):
        while text not in self.told.rpartition("\n\n")[2]:
            line = self.child.stdout.readline()
            assert line, self.told
            self.told += line
        self.told += "\n\n"

    def end(self):
        self.child.send_signal(signal.SIGINT)
        out, _ = self.child.communicate(timeout=20)
        return self.child.returncode, out


def start(folder, **environment):
    return subprocess.Popen([DEBIAN, "app.py"], cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            env={"PATH": "/usr/bin:/bin", **environment})


def say(child, line):
    child.stdin.write(f"{line}\n")
    child.stdin.flush()


def work(child):
    say(child, "work")
    assert child.stdout.readline() == "worked\n"


def test_a_program_is_followed_from_before_asyncio_through_exec_and_restart(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    with start(tmp_path) as child:
        assert child.stdout.readline() == "ready\n"
        watch = Watch(tmp_path, "--follow", child.pid)
        watch.until("has not imported asyncio")
        say(child, "import it")
        watch.until("watching process")
        work(child)
        say(child, "become yourself")
        watch.until(f"process {child.pid} has become another program; waiting for the next start of app.py")
        watch.until(f"it has been started again, as process {child.pid}")
        watch.until("watching process")
        work(child)
        child.kill()
        watch.until("has ended; waiting for the next start of app.py")
    with start(tmp_path, STEP="third") as child:
        watch.until(f"it has been started again, as process {child.pid}")
        watch.until("watching process")
        work(child)
        status, out = watch.end()
        child.kill()
    assert status == 0 and "Trace: t.db" in out, out
    seen = dict(rows(tmp_path / "t.db", "SELECT h.process, group_concat(DISTINCT substr(t.name, 1, instr(t.name, '-') - 1)) FROM task t"
                     " JOIN thread h ON h.id = t.thread WHERE t.name GLOB '*-[0-9]' AND coro = 'work' GROUP BY 1"))
    assert seen == {1: "first", 2: "second", 3: "third"}
    assert rows(tmp_path / "t.db", "SELECT count(*), count(DISTINCT pid) FROM process") == [(3, 2)]


KERNEL = """\
import sys
from jupyter_client import KernelManager
manager = KernelManager(kernel_name="python3")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready()
for line in sys.stdin:
    if line == "run\\n":
        client.execute_interactive("import asyncio, time\\nawait asyncio.sleep(0.01)\\ntime.sleep(0.15)", timeout=30)
    if line == "restart\\n":
        manager.restart_kernel(now=True)
        client.wait_for_ready()
    print(manager.provisioner.pid, flush=True)
manager.shutdown_kernel(now=True)
"""


def test_a_kernel_is_followed_through_a_restart(report, tmp_path):
    with subprocess.Popen([DEBIAN, "-c", KERNEL], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path) as driver:
        def ask(what):
            say(driver, what)
            return int(driver.stdout.readline())

        first = ask("ready?")
        watch = Watch(tmp_path, "--follow", first)
        watch.until("watching process")
        ask("run")
        # while it lives: what a kernel was doing is looked up in its memory
        wait_for_rows(tmp_path / "t.db", "SELECT count(*) FROM blocking_call WHERE cell IS NOT NULL AND duration_ns > 140000000", [(1,)])
        second = ask("restart")
        watch.until(f"process {first} has ended; waiting for the next start of")
        watch.until("watching process")
        ask("run")
        status, out = watch.end()
        driver.stdin.close()
    assert status == 0, out
    told = report("t.db")
    assert [process["pid"] for process in told["trace"]["processes"]] == [first, second]
    cells = [(cell["pid"], cell["execution_count"], cell["blocking_ms"] > 140) for cell in told["cells"]]
    assert cells == [(first, 1, True), (second, 1, True)], told["cells"]
    assert not re.search(r"not a number|\?", watch.told), watch.told
