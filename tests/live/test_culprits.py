"""Who kept a loop waiting is named, with what they did: those that had the GIL, each for as long as it had it, the thread that let go
of a lock, and the program that had the CPU."""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from conftest import PROGRAM
from interpreters import DEBIAN
from attached import WHY_NOT

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

# Two threads take turns at keeping the GIL, in calls that do not let go of it, three times as long in one as in the other.
HOGS = """\
import asyncio, ctypes, functools, json, operator, sys, threading, time

PARTS = {"long": 0.03, "short": 0.01}
used = dict.fromkeys(PARTS, 0.0)
turns = {name: threading.Semaphore(0) for name in PARTS}
on = True
keep = ctypes.PyDLL(None).usleep

def burn(name):
    # in one go, so that the GIL cannot change hands between the clocks
    begin, _, end = map(operator.call, (time.monotonic, functools.partial(keep, int(PARTS[name] * 1e6)), time.monotonic))
    used[name] += end - begin

def long():
    hog("long", "short")

def short():
    hog("short", "long")

def hog(name, other):
    while True:
        turns[name].acquire()
        if not on:
            return
        burn(name)
        turns[other].release()

def hold():
    global on
    end = time.monotonic() + 1
    while time.monotonic() < end:
        for i in range(2000):
            pass
    on = False

async def main():
    for f in (long, short):
        threading.Thread(target=f, daemon=True, name=f.__name__).start()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    turns["long"].release()
    hold()
    print(json.dumps(used), flush=True)

asyncio.run(main())
"""

ENDS = """\
import asyncio, concurrent.futures, queue, sys, threading, time

lock, items, over = threading.Lock(), queue.Queue(), threading.Event()

def lets_go():
    time.sleep(0.15)
    lock.release()
    over.wait()

def puts():
    time.sleep(0.15)
    items.put(1)
    over.wait()

def answers():
    time.sleep(0.15)
    return 1

def in_thread(f):
    threading.Thread(target=f, name=f.__name__).start()

def wants_lock():
    in_thread(lets_go)
    lock.acquire()

def wants_item():
    in_thread(puts)
    items.get()

def wants_result(pool):
    pool.submit(answers).result()

async def main():
    lock.acquire()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        wants_result(pool)
        await asyncio.sleep(0.01)
        wants_lock()
        await asyncio.sleep(0.01)
        wants_item()
        await asyncio.sleep(0.3)  # a thread's name is read while it lives
    over.set()
    await asyncio.sleep(0.01)

asyncio.run(main())
"""


# Other processes end waits, a thread of its own does at a pipe, and a timeout, which is nobody.
PROCESSES = """\
import asyncio, multiprocessing, os, sys, threading, time

fork = multiprocessing.get_context("fork")
items, (near, far), event = fork.Queue(), fork.Pipe(), fork.Event()
(reads, writes), over = os.pipe(), threading.Event()

def put():
    time.sleep(0.15)
    items.put(1)

def post():
    time.sleep(0.15)
    event.set()

def leave():
    time.sleep(0.15)

def write():
    time.sleep(0.15)
    os.write(writes, b"x")
    over.wait()  # its name is read while it lives

def wants_item(started):
    items.get()

def wants_event(started):
    event.wait()

def wants_end(started):
    started.join()

def wants_byte(started):
    os.read(reads, 1)

def wants_in_vain(started):
    near.poll(0.15)

async def main():
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for wants, ends in (wants_byte, write), (wants_item, put), (wants_event, post), (wants_end, leave), (wants_in_vain, None):
        started = ends and (threading.Thread if ends is write else fork.Process)(target=ends, name=ends.__name__)
        if started:
            started.start()
        wants(started)
        if started and ends is not write:
            started.join()
        await asyncio.sleep(0.01)
    over.set()

asyncio.run(main())
"""


# Many loops want the GIL at once, and a call keeps it.
MANY = """\
import asyncio, ctypes, sys, threading, time

keep = ctypes.PyDLL(None).usleep
go, over = threading.Event(), threading.Event()

async def turns():
    while not go.is_set():
        await asyncio.sleep(0.02)
    for _ in range(20):
        await asyncio.sleep(0.005)

def hold():
    print(time.monotonic_ns(), flush=True)
    keep(400000)
    go.set()
    over.wait()  # its name is read while it lives

loops = [threading.Thread(target=lambda: asyncio.run(turns())) for _ in range(40)]
for thread in loops:
    thread.start()
print("ready", flush=True)
sys.stdin.readline()
time.sleep(0.1)
threading.Thread(target=hold, name="hold").start()
for thread in loops:
    thread.join()
time.sleep(0.3)
over.set()
"""


STARVED = """\
import asyncio, sys, time

def burn():
    end = time.thread_time() + 0.15
    while time.thread_time() < end:
        for _ in range(300):
            pass

async def main():
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for _ in range(3):
        burn()
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


def attached(source, tmp_path):
    """The program begins when it is watched. What it printed, and the report."""
    script = tmp_path / "app.py"
    script.write_text(source)
    child = subprocess.Popen([DEBIAN, str(script)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert child.stdout.readline() == "ready\n"
        watch = subprocess.Popen([PROGRAM, "attach", "-o", "t.db", str(child.pid)], cwd=tmp_path, text=True, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        while "watching" not in watch.stderr.readline():
            assert watch.poll() is None
        out, _ = child.communicate("begin\n", timeout=20)
        err = watch.communicate(timeout=20)[1]
        assert watch.returncode == 0, err
    finally:
        child.kill()
        child.wait()
    return out, err


APART = ["unshare", "--pid", "--fork", "--kill-child"]


def recorded(source, tmp_path, prefix=()):
    """The same by `run`, where the kernel tells beside the agent."""
    script = tmp_path / "app.py"
    script.write_text(source)
    run = subprocess.run([PROGRAM, "run", "-o", "t.db", "--", *prefix, DEBIAN, str(script)], cwd=tmp_path, input="begin\n", text=True, capture_output=True, timeout=40)
    assert run.returncode == 0, run.stderr
    return run.stdout.replace("ready\n", ""), run.stderr


def recorded_apart(source, tmp_path):
    """In a pid namespace of its own."""
    if subprocess.run([*APART, "true"], capture_output=True).returncode:
        pytest.skip("no pid namespace can be made here")
    return recorded(source, tmp_path, APART)


@pytest.fixture(params=[attached, recorded, recorded_apart], ids=["attach", "run", "run-in-pid-namespace"])
def watched(request):
    return request.param


def test_each_thread_has_its_share_of_the_gil(report, tmp_path, watched):
    out, err = watched(HOGS, tmp_path)
    true = json.loads(out)
    stall = max(report("t.db")["stalls"], key=lambda s: s["duration_ms"])
    first, second = stall["gil_holders"][:2]
    assert stall["gil_holder"] == first
    # on a busy machine the loop has no CPU for a part of that, each time it asks for the GIL: then it does not wait for it
    waited, starved = stall["causes_ms"]["gil"], stall["causes_ms"]["runq"]
    for one, part in (first, "long"), (second, "short"):
        assert true[part] * 900 - starved < one["share_ms"] < true[part] * 1050, (stall["gil_holders"], stall["causes_ms"], true)
    assert first["share_ms"] > second["share_ms"] * 1.5, stall["gil_holders"]
    assert sum(h["share_ms"] for h in stall["gil_holders"]) == pytest.approx(waited, rel=0.01)
    assert (first["function"], second["function"]) == ("burn", "burn"), stall["gil_holders"]
    assert (first["thread"], second["thread"]) == ("long", "short"), stall["gil_holders"]
    if waited > stall["duration_ms"] / 2: # else, on a busy machine, that is not what held it most
        assert "had it" in err and "app.py:11" in err, err


# A call that keeps the GIL for long, and what its thread does with it after that; then one that does not end.
KEEPS = """\
import asyncio, ctypes, functools, json, operator, sys, threading, time

keep = ctypes.PyDLL(None).usleep
went_on = threading.Event()

def in_one_call():
    begin, _, end = map(operator.call, (time.monotonic, functools.partial(keep, 1000000), time.monotonic))
    return end - begin

def lets_go(kept):
    print(json.dumps(kept), flush=True)

def keeper():
    time.sleep(0.05)
    lets_go(in_one_call())
    went_on.wait()
    print("again", flush=True)
    never()

def never():
    keep(15000000)

async def main():
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    threading.Thread(target=keeper, name="keeper", daemon=True).start()
    for _ in range(600):
        await asyncio.sleep(0.001)
    went_on.set()
    for _ in range(10000):
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


def kept(report, true_ms):
    """Of the two stalls: who kept the GIL and where, for how long the first time; the second ends with the recording."""
    first, last = (s for s in report("t.db")["stalls"] if s["duration_ms"] > 500)
    for stall, function, line in (first, "in_one_call", 7), (last, "never", 21):
        holder, waited, starved = stall["gil_holder"], stall["causes_ms"]["gil"], stall["causes_ms"]["runq"]
        assert (holder["thread"], holder["function"], holder["line"]) == ("keeper", function, line), stall
        assert waited + starved > 0.5 * stall["duration_ms"] and holder["share_ms"] == pytest.approx(waited, rel=0.02), stall
    with sqlite3.connect("t.db") as trace:
        seen = trace.execute("SELECT sum(g.duration_ns) / 1e6, i.gil_ns / 1e6, i.runq_ns / 1e6, i.busy_ns / 1e6 FROM gil_sample g"
                             " JOIN iteration i ON i.begin_ns = g.begin_ns WHERE g.exact AND i.busy_ns > 5e8 GROUP BY g.begin_ns").fetchall()
    for told, waited, starved, busy in seen: # nothing twice, and nothing left out
        assert 0.95 * waited < told <= busy and told + starved > 0.95 * busy, seen
    # at each 5 ms timeout of its wait it needs a CPU to go on waiting
    assert true_ms * 0.95 - seen[0][2] < seen[0][0] < true_ms * 1.05, (seen, true_ms)


def test_who_keeps_the_gil_is_named_while_he_does(report, tmp_path, monkeypatch):
    script = tmp_path / "app.py"
    script.write_text(KEEPS)
    monkeypatch.chdir(tmp_path)
    child = subprocess.Popen([DEBIAN, str(script)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "ready\n"
        watch = subprocess.Popen([PROGRAM, "attach", "-o", "t.db", str(child.pid)], text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 stdin=subprocess.DEVNULL)
        while "watching" not in watch.stderr.readline():
            assert watch.poll() is None
        child.stdin.write("begin\n")
        child.stdin.flush()
        true = json.loads(child.stdout.readline())
        assert child.stdout.readline() == "again\n"
        time.sleep(1.3) # into the second call, which lasts
        watch.send_signal(signal.SIGINT)
        err = watch.communicate(timeout=20)[1]
        assert watch.returncode == 0, err
    finally:
        child.kill()
        child.wait()
    kept(report, true * 1e3)


def test_none_of_many_loops_is_forgotten(report, tmp_path, watched):
    begin_ns = int(watched(MANY, tmp_path)[0])
    with sqlite3.connect(tmp_path / "t.db") as trace:
        begin_ms = (begin_ns - trace.execute("SELECT value FROM meta WHERE key = 't0_ns'").fetchone()[0]) / 1e6
    # on a busy machine one that has the GIL may have no CPU: that is another stall
    stalls = [s for s in report("t.db")["stalls"] if s["duration_ms"] > 300 and s["causes_ms"]["gil"] > 0.5 * s["duration_ms"]
              and begin_ms - 50 < s["started_ms"] < begin_ms + 100]
    assert len({s["loop"] for s in stalls}) > 30, stalls
    assert {(s["gil_holder"]["thread"], s["gil_holder"]["function"], s["gil_holder"]["line"]) for s in stalls} == {("hold", "hold", 14)}, stalls


def test_who_let_go_of_a_lock_is_named(report, tmp_path, watched):
    watched(ENDS, tmp_path)
    told = report("t.db")
    # of each the longest wait: on a busy machine starting a thread is one, too
    ended = {site["function"]: site["ended_by"] for site in sorted(told["blocking_sites"], key=lambda s: s["max_ms"]) if site["class"] == "lock"}
    assert (ended["wants_lock"]["function"], ended["wants_lock"]["line"]) == ("lets_go", 7), told["blocking_sites"]
    assert (ended["wants_item"]["function"], ended["wants_item"]["line"]) == ("puts", 12), told["blocking_sites"]
    threads = [ended[wants]["thread"] for wants in ("wants_lock", "wants_item", "wants_result")]
    assert threads == ["lets_go", "puts", "ThreadPoolExecutor-0_0"], told["blocking_sites"]
    messages = {f["evidence"]["ended_by"]["function"]: f["message"] for f in told["findings"] if f["rule"] == "AS107" and f["evidence"].get("ended_by")}
    assert "ended the wait, in lets_go, app.py:7" in messages["lets_go"], messages


def test_which_process_ended_a_wait_is_named(report, tmp_path, watched):
    watched(PROCESSES, tmp_path)
    told = report("t.db")
    ended = {site["function"]: site["ended_by"] for site in sorted(told["blocking_sites"], key=lambda s: s["max_ms"])}
    for wants in "wants_item", "wants_event", "wants_end":
        assert ended[wants]["process"].startswith("python3 (pid "), told["blocking_sites"]
    assert (ended["wants_byte"]["thread"], ended["wants_byte"]["process"], ended["wants_in_vain"]) == ("write", None, None), told["blocking_sites"]
    assert any("; process python3 (pid " in f["message"] for f in told["findings"] if f["rule"] == "AS107"), told["findings"]


@pytest.fixture
def one_cpu_with_hogs(tmp_path):
    """This process's children share a CPU with two programs that never rest; their pids, by name."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    hogs = {name: subprocess.Popen([shutil.copy("/bin/sh", tmp_path / name), "-c", "while :; do :; done"], start_new_session=True)
            for name in ("hog", "other")}  # the scheduler shares by sessions first (autogroup)
    yield {name: child.pid for name, child in hogs.items()}
    for child in hogs.values():
        child.kill()
        child.wait()
    os.sched_setaffinity(0, before)


ROUNDED_MS = 0.0005  # at most, as a report tells it


def starved_by(report, hogs):
    """Are the hogs named as having had most of what the loop could not have, no more than that, and by all in sum?"""
    told = report("t.db")
    found, = [f for f in told["findings"] if f["rule"] == "AS111"]
    had = {taker["pid"]: taker["ms"] for taker in found["evidence"]["cpu_had_by"]}
    waited = sum(s["causes_ms"]["runq"] for s in told["stalls"])
    for name, pid in hogs.items():
        assert 0.2 * found["cost_ms"] < had[pid] and f"{name} (pid {pid})" in found["message"], found
    assert sum(had.values()) <= waited + ROUNDED_MS * (len(had) + len(told["stalls"])), found
    assert found["evidence"]["cpus"] == os.cpu_count() and 0 < found["evidence"]["machine_busy_share"] <= 1, found


def test_who_had_the_cpu_is_named_from_outside(report, tmp_path, one_cpu_with_hogs):
    attached(STARVED, tmp_path)
    starved_by(report, one_cpu_with_hogs)


def test_who_had_the_cpu_is_named_beside_an_agent(awaitscope, report, tmp_path, one_cpu_with_hogs):
    (tmp_path / "app.py").write_text(STARVED)
    ended = awaitscope("run", "-o", "t.db", "--", DEBIAN, "app.py")
    assert ended.status == 0, ended
    starved_by(report, one_cpu_with_hogs)
