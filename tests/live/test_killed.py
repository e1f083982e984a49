"""A process that is killed in the middle of something: its last iteration is charged to what it was in, as if that had ended with it."""
import os
import re
import signal
import sqlite3
import subprocess
import time

import pytest

from conftest import PROGRAM as AWAITSCOPE
from attached import WHY_NOT

SENSORS = ["agent", pytest.param("auto", marks=pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)))]
HELD_MS = 300  # from the call's beginning to the kill, at least
PARTS = ["cpu", "cpu_user", "cpu_kernel", "gc", "gil", "runq", *(f"blocked_{c}" for c in "sleep network file subprocess dns "
                                                                  "database lock fault other".split()), "unknown"]

# The killer is another process, started before: nothing in the program runs when its time has come.
PROGRAM = """\
import asyncio, concurrent.futures, os, select, socket, subprocess, sys, threading, time, urllib.request

def sleeps():
    time.sleep(60)

def receives():
    a, b = socket.socketpair()
    a.recv(1)

def fetches():
    server = socket.create_server(("127.0.0.1", 0))
    urllib.request.urlopen("http://127.0.0.1:%d/" % server.getsockname()[1])

def locks():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def child():
    subprocess.run(["cat"], stdin=pipe)

def result():
    concurrent.futures.Future().result()

def computes():
    while True:
        sum(range(1000))

def starved():
    threading.Thread(target=lambda: sum(range(10**12)), name="hog", daemon=True).start()
    while True:
        pass

async def main():
    await asyncio.sleep(0.05)
    time.sleep(0.01)  # a call before it, which has ended
    os.write(ready, b"x")
    print("now", flush=True)
    globals()[sys.argv[1]]()

pipe = os.pipe()[0]
told, ready = os.pipe()
me = os.getpid()
if not os.fork():
    os.close(ready)
    os.read(told, 1)
    select.select([], [], [], float(sys.argv[2]))
    os.kill(me, 9)
    os._exit(0)
asyncio.run(main())
"""

CALLS = [  # what it does, the class, the call's name, text of its line; of these some with the kernel's help too
    ("sleeps", "sleep", "time.sleep(60)", "time.sleep(60)"),
    ("receives", "network", "a.recv(1)", "a.recv(1)"),
    ("fetches", "network", "urllib.request.urlopen", "urlopen("),
    ("locks", "lock", "lock.acquire()", None),
    ("child", "subprocess", "subprocess.run", "subprocess.run("),
    ("result", "lock", "concurrent.futures.Future.result", "Future().result()"),
]


def killed(awaitscope, tmp_path, sensor, what):
    (tmp_path / "app.py").write_text(PROGRAM)
    ended = awaitscope("run", "--sensor", sensor, "-o", "t.db", "--", "/usr/bin/python3", "app.py", what, HELD_MS / 1000)
    assert ended.status == 128 + 9, ended
    sql = sqlite3.connect(tmp_path / "t.db")
    sql.row_factory = sqlite3.Row
    last = sql.execute("SELECT * FROM iteration ORDER BY begin_ns DESC LIMIT 1").fetchone()
    assert last["busy_ns"] >= HELD_MS * 1e6, dict(last)
    assert sum(last[f"{part}_ns"] for part in PARTS) == last["busy_ns"]
    assert sql.execute("SELECT iterations FROM loop").fetchone()[0] >= 2
    return ended.err, sql, last


@pytest.mark.parametrize("what, kind, call, text, sensor",
                         [(*c, "agent") for c in CALLS] + [pytest.param(*CALLS[i], "auto", marks=SENSORS[1].marks) for i in (1, 2, 4)])
def test_call_in_which_it_was_killed(awaitscope, report, tmp_path, what, kind, call, text, sensor):
    told, sql, last = killed(awaitscope, tmp_path, sensor, what)
    row, = sql.execute("SELECT * FROM blocking_call WHERE unfinished").fetchall()
    lines = PROGRAM.splitlines()
    assert (row["call"], row["class"], row["function"]) == (call, kind, what), dict(row)
    assert row["file"].endswith("app.py") and (text or call) in lines[row["line"] - 1], dict(row)
    assert (last["function"], last["line"]) == (what, row["line"]), dict(last)
    # a busy machine keeps it from its call for a while, and from the CPU when it is killed
    assert 0.3 * HELD_MS * 1e6 <= row["duration_ns"] <= last["busy_ns"] - row["cpu_ns"], (dict(row), dict(last))
    assert last[f"blocked_{kind}_ns"] + last["runq_ns"] >= 0.9 * row["duration_ns"], (dict(row), dict(last))
    assert sensor == "agent" or last["unknown_ns"] <= 0.02 * last["busy_ns"], dict(last)
    assert row["task"] == sql.execute("SELECT id FROM task WHERE name = 'Task-1'").fetchone()[0]
    assert re.search(re.escape(f"{call} in {what}, app.py:{row['line']},") + r"( twice,)?( the last of)? which had not returned yet\.", told), told
    site = max(report("t.db")["blocking_sites"], key=lambda s: s["total_ms"])
    assert site["call"] == call and site["unfinished"] == 1, site


@pytest.mark.parametrize("sensor", SENSORS)
@pytest.mark.parametrize("what, parts", [("computes", ("cpu", "cpu_user", "cpu_kernel", "runq")), ("starved", ("gil", "runq"))])
def test_killed_in_no_call(awaitscope, tmp_path, sensor, what, parts):
    told, sql, last = killed(awaitscope, tmp_path, sensor, what)
    assert sum(last[f"{part}_ns"] for part in parts) >= 0.5 * HELD_MS * 1e6, dict(last)
    assert last["function"] == what, dict(last)
    assert not sql.execute("SELECT count(*) FROM blocking_call WHERE unfinished").fetchone()[0]
    assert "not seen" not in told, told


@pytest.mark.parametrize("sensor", SENSORS)
def test_kernel_killed_in_a_cell(awaitscope, report, make_notebook, sensor):
    """A dead kernel's last cell is named, with the line in it."""
    notebook = make_notebook("killed", "import os, socket, subprocess\na, b = socket.socketpair()\n"
                             "def fetch():\n    return a.recv(1)",
                             "killer = subprocess.Popen(['sh', '-c', 'read go; sleep 0.5; kill -9 %d' % os.getpid()], stdin=subprocess.PIPE)\n"
                             "os.write(killer.stdin.fileno(), b'go\\n')\nfetch()", "1")
    ended = awaitscope("run", "--sensor", sensor, "-o", "t.db", notebook, timeout=60)
    assert ended.status == 125, ended
    told = report("t.db")
    site = max(told["blocking_sites"], key=lambda s: s["total_ms"])
    assert (site["cell"], site["call"], site["class"], site["unfinished"]) == (1, "a.recv(1)", "network", 1), site
    assert (site["function"], site["line"]) == ("fetch", 4), site
    stall = max(told["stalls"], key=lambda s: s["duration_ms"])
    assert stall["cell"] == 1 and stall["causes_ms"]["blocked:network"] >= 0.8 * HELD_MS, stall


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
# where it computes it touches pages that probes are just being put on, and waits for whoever does it to have the CPU
@pytest.mark.parametrize("what, parts", [("result", ("blocked_lock", "runq")), ("computes", ("cpu_user", "cpu_kernel", "runq", "blocked_fault"))])
def test_killed_while_it_is_watched(tmp_path, what, parts):
    """Its memory is gone when the kernel has told: samples know the place."""
    (tmp_path / "app.py").write_text(PROGRAM)
    quiet = {"cwd": tmp_path, "stdin": subprocess.DEVNULL, "text": True}
    child = subprocess.Popen(["/usr/bin/python3", "app.py", what, "60"], stdout=subprocess.PIPE, start_new_session=True, **quiet)
    try:
        assert child.stdout.readline() == "now\n"
        watch = subprocess.Popen([AWAITSCOPE, "attach", "-o", "t.db", str(child.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **quiet)
        assert "watching" in watch.stderr.readline()
        time.sleep(HELD_MS / 1000)
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
    told = watch.communicate(timeout=20)[1]
    sql = sqlite3.connect(tmp_path / "t.db")
    sql.row_factory = sqlite3.Row
    last, = sql.execute("SELECT * FROM iteration WHERE busy_ns > 1e8").fetchall()
    assert sum(last[f"{part}_ns"] for part in parts) >= 0.9 * last["busy_ns"] >= 0.8 * HELD_MS * 1e6, dict(last)
    assert last["function"] == what, dict(last)
    if what == "result":
        row, = sql.execute("SELECT * FROM blocking_call WHERE unfinished").fetchall()
        assert (row["call"], row["class"], row["function"]) == ("concurrent.futures.Future.result", "lock", what), dict(row)
        assert f"Future.result in {what}, app.py:{row['line']}, which had not returned yet." in told, told
