"""What dies, stops or goes away at a bad moment: the trace holds what came before, and the program is not disturbed.

Programs tell how far they got on a board, a shared mapping that outlives them. Moments are random: the seed is printed with a
failure, AWAITSCOPE_SEED repeats it. AWAITSCOPE_KILLS and AWAITSCOPE_FULL_S make the long ones longer or shorter."""
import contextlib
import ctypes
import json
import mmap
import os
import random
import shutil
import signal
import sqlite3
import statistics
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import PROGRAM, run_program

KILLS = int(os.environ.get("AWAITSCOPE_KILLS", 100))
FULL_S = float(os.environ.get("AWAITSCOPE_FULL_S", 3))
SEED = int(os.environ.get("AWAITSCOPE_SEED", time.time_ns() % 1_000_000_000))
AT_ONCE = 8  # programs under test, most of the time asleep
BATCH_S = 1.0  # a batch is committed four times as often; the rest is room for a busy machine

# The first words of every program below.
BOARD = """
import mmap, os, sys
with open(sys.argv[1], "r+b") as f:
    board = memoryview(mmap.mmap(f.fileno(), 0)).cast("Q")
board[0] = os.getpid()
"""


class Board:
    """64-bit words shared with a program; word 0 is its pid, once it runs."""

    def __init__(self, path, words=64):
        path.write_bytes(bytes(8 * words))
        self.path = path
        with open(path, "r+b") as f:
            self.words = memoryview(mmap.mmap(f.fileno(), 0)).cast("Q")

    def __getitem__(self, at):
        return self.words[at]

    def __setitem__(self, at, value):
        self.words[at] = value

    def wait(self, at, least=1, timeout=60):
        until(lambda: self.words[at] >= least, timeout, lambda: f"word {at} is {self.words[at]}, not {least}")
        return self.words[at]


def until(happened, timeout=60, what=lambda: "nothing happened"):
    end = time.monotonic() + timeout
    while not happened():
        assert time.monotonic() < end, what()
        time.sleep(0.002)


def start(args, cwd, out=subprocess.PIPE):
    return subprocess.Popen([str(a) for a in (PROGRAM, "run", *args)], cwd=cwd, text=True, stdin=subprocess.DEVNULL,
                            stdout=out, stderr=subprocess.PIPE, start_new_session=True)


def ended(child, timeout=60):
    """Its status and stderr."""
    try:
        _, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        raise
    return child.returncode, err


def ask(trace, query):
    with contextlib.closing(sqlite3.connect(trace)) as db:
        return db.execute(query).fetchone()


def read_report(trace):
    told = run_program([PROGRAM, "report", "--format", "json", trace], cwd=trace.parent)
    assert told.status == 0, told
    return json.loads(told.out)


def session_of(pid):
    """The session folder of a traced process."""
    for word in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
        if word.startswith(b"AWAITSCOPE_SESSION="):
            return Path(os.fsdecode(word.partition(b"=")[2]))
    raise AssertionError(f"{pid} is not traced")


def at_random_moments(tmp_path, once, longest_s):
    """KILLS times once(folder, after_s)."""
    print(f"AWAITSCOPE_SEED={SEED}")
    moments = random.Random(SEED)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = []
        for n in range(KILLS):
            folder = tmp_path / str(n)
            folder.mkdir()
            jobs.append(pool.submit(once, folder, moments.uniform(0, longest_s)))
        for job in jobs:
            job.result()


# ---- the target is killed ----

# Words: 1 tasks created, 2 steps begun, 3 tasks awaited to their end, 4 waits on the loop's thread that are over. Not by time.sleep():
# that waits until a time (3.11), and a thread that loses the CPU just before it does not wait at all.
WORKER = BOARD + """
import asyncio, select
def count(at):
    board[at] += 1
async def job():
    count(2)
    await asyncio.sleep(0)
    count(2)
    await asyncio.sleep(0)
    count(2)
async def main():
    count(2)
    while True:
        for _ in range(20):
            task = asyncio.create_task(job())
            count(1)
            await task
            count(2)
            count(3)
        select.select([], [], [], 0.002)
        count(4)
asyncio.run(main())
"""


def kill_target(folder, after_s):
    board, program = Board(folder / "board"), folder / "worker.py"
    program.write_text(WORKER)
    child = start(["-o", "t.db", "--", sys.executable, program, board.path], folder)
    pid = board.wait(0)
    time.sleep(after_s)
    os.kill(pid, signal.SIGKILL)
    status, err = ended(child)
    created, begun, awaited, waits = board[1], board[2], board[3], board[4]
    told = f"after {after_s * 1e3:.1f} ms: {created} tasks, {begun} steps, {awaited} awaited, {waits} waits; {err}"
    assert status == 128 + signal.SIGKILL, told
    trace = folder / "t.db"
    assert ask(trace, "PRAGMA integrity_check") == ("ok",)
    assert ask(trace, "SELECT total(count) FROM lost") == (0,), told
    tasks, done, steps = ask(trace, "SELECT count(*), total(state = 'done'), total(steps) FROM task")
    blocks = ask(trace, "SELECT count(*) FROM blocking_call WHERE class = 'sleep'")[0]
    # main is a task too; what was under way at the kill may be in or not
    assert created + (begun > 0) <= tasks <= created + 2, f"{tasks} tasks in the trace; {told}"
    assert awaited <= done <= awaited + 1, f"{done} ends in the trace; {told}"
    assert begun - 1 <= steps <= begun, f"{steps} steps in the trace; {told}"
    assert waits <= blocks <= waits + 1, f"{blocks} waits in the trace; {told}"
    assert any(loop["iterations"] for loop in read_report(trace)["loops"]) or not awaited, told
    return begun


def test_target_killed_at_any_moment_is_recorded_up_to_there(tmp_path):
    at_random_moments(tmp_path, kill_target, 0.5)


# ---- the recorder is killed ----

# Words: 1 jobs done, from 8 on when (CLOCK_MONOTONIC). What it prints and its status come from all of its work.
STEADY = BOARD + """
import asyncio, hashlib, subprocess, time
async def job(n):
    await asyncio.sleep(0.002)
    return hashlib.sha256(b"%d" % n).hexdigest()
async def main():
    told = hashlib.sha256()
    for n in range(JOBS):
        told.update((await asyncio.create_task(job(n))).encode())
        board[8 + n] = time.monotonic_ns()
        board[1] = n + 1
    told.update(subprocess.run(["echo", "child"], capture_output=True).stdout)
    told.update((await asyncio.to_thread(str, 17)).encode())
    print(told.hexdigest())
asyncio.run(main())
sys.stderr.write("bye\\n")
sys.exit(3)
"""


JOBS = 900


def steady(folder):
    program = folder / "steady.py"
    program.write_text(STEADY.replace("JOBS", str(JOBS)))
    # the status survives the recorder, who is the one that waits for the command
    return ["sh", "-c", '"$@" >out 2>err; echo $? >status.new; mv status.new status', "sh", sys.executable, program]


def bare_results(tmp_path):
    folder = tmp_path / "bare"
    folder.mkdir()
    subprocess.run([*map(str, steady(folder)), Board(folder / "board", 1024).path], cwd=folder, check=True)
    bare = results(folder)
    assert bare[1:] == ["bye\n", "3\n"]
    return bare


def results(folder):
    return [(folder / name).read_text() for name in ("out", "err", "status")]


def kill_recorder(folder, after_s, bare):
    board = Board(folder / "board", 1024)
    child = start(["-o", "t.db", "--", *steady(folder), board.path], folder, out=subprocess.DEVNULL)
    session = session_of(board.wait(0))
    time.sleep(after_s)
    child.kill()
    killed_ns = time.monotonic_ns()
    try:
        ended(child)
        trace = folder / "t.db"
        found = read_report(trace)  # while the program is still running
        until((folder / "status").exists)
        assert results(folder) == bare
        due = sum(board[8 + n] <= killed_ns - BATCH_S * 1e9 for n in range(board[1]))
        most = sum(board[8 + n] <= killed_ns for n in range(board[1]))
        told = f"killed after {after_s:.3f} s with {most} jobs done, {due} of them {BATCH_S} s before"
        assert ask(trace, "PRAGMA integrity_check") == ("ok",), told
        done = ask(trace, "SELECT count(*) FROM task WHERE state = 'done' AND coro LIKE '%job'")[0]
        assert due <= done <= most + 1, f"{done} jobs in the trace; {told}"
        assert ask(trace, "SELECT value FROM meta WHERE key = 'complete'") == (0,), told
        assert any("not closed in good order" in note for note in found["coverage"]["notes"]), found["coverage"]
    finally:
        shutil.rmtree(session, ignore_errors=True)


def test_recorder_killed_at_any_moment_leaves_a_trace_and_the_program_alone(tmp_path):
    bare = bare_results(tmp_path)
    at_random_moments(tmp_path, lambda folder, after_s: kill_recorder(folder, after_s, bare), 1.8)


# ---- the recorder stands still ----

# Words: 1 batches done, 2 set to end it, 3 steps, 4 set to end the tasks that wait; from 8 on four of each batch: CPU ns, CPU ns of
# as much work without tasks right after it, waits (voluntary switches), begin.
FLOOD = BOARD + """
import asyncio, resource, time
def waits():
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
async def leaf():
    await asyncio.sleep(0)
async def wait(event):
    await event.wait()
async def main():
    event = asyncio.Event()
    waiting = [asyncio.create_task(wait(event)) for _ in range(50)]
    while not board[2]:
        if board[4]:
            event.set()
        n, waited = board[1], waits()
        at = 8 + n % 4000 * 4
        board[at + 3] = time.monotonic_ns()
        began = time.thread_time_ns()
        for _ in range(500):
            await asyncio.create_task(leaf())
        done = time.thread_time_ns()
        board[at + 2] = waits() - waited
        alike = time.thread_time_ns()
        for _ in range(50_000):
            pass
        board[at] = done - began
        board[at + 1] = time.thread_time_ns() - alike
        board[3] += 500 * 3  # two of the leaf, one of our own
        board[1] = n + 1
        await asyncio.sleep(0.002)
        board[3] += 1
asyncio.run(main())
print("flooded")
"""


def dropped(session, pid):
    """Records that the rings of a process had no room for: the second word of each ring's control page (probe/ring.h)."""
    page, ring = 4096, 4 << 20
    with open(session / f"ring-{pid}", "rb") as f:
        end = f.seek(0, os.SEEK_END)
        total = 0
        for at in range(page, end, page + ring):
            f.seek(at + 8)
            total += int.from_bytes(f.read(8), "little")
        return total


def batches(board, since_ns, until_ns):
    """[(CPU ns, CPU ns without tasks, waits)] of the batches that began between."""
    found = []
    for n in range(min(board[1], 4000)):
        *told, began = (board[8 + 4 * n + i] for i in range(4))
        if since_ns <= began <= until_ns:
            found.append(told)
    return found


def test_full_ring_loses_what_it_counts_and_does_not_slow_the_program(tmp_path):
    board, program = Board(tmp_path / "board", 8 + 4 * 4000), tmp_path / "flood.py"
    program.write_text(FLOOD)
    child = start(["-o", "t.db", "--", sys.executable, program, board.path], tmp_path)
    try:
        session, pid = session_of(board.wait(0)), board[0]
        board.wait(1, 50)
        drained_ns = time.monotonic_ns()
        board.wait(1, 250)
        stopped_ns = time.monotonic_ns()
        before = batches(board, drained_ns, stopped_ns)  # the board is written over in a long run
        os.kill(child.pid, signal.SIGSTOP)
        until(lambda: dropped(session, pid) > 0)
        full_ns = time.monotonic_ns()
        board.wait(1, board[1] + 50)
        until(lambda: time.monotonic_ns() > full_ns + FULL_S * 1e9, FULL_S + 60)
        last_ns = time.monotonic_ns()
        board[4] = 1
        board.wait(1, board[1] + 3)
        os.kill(child.pid, signal.SIGCONT)
        board.wait(1, board[1] + 100)
    finally:
        board[2] = 1
        os.kill(child.pid, signal.SIGCONT)
    status, err = ended(child)
    assert status == 0, err
    found = read_report(tmp_path / "t.db")
    lost = found["coverage"]["lost_events"]
    steps, tasks = ask(tmp_path / "t.db", "SELECT total(steps), count(*) FROM task")
    told = f"{board[3]} steps made, {steps:.0f} recorded, {lost} records lost\n{err}"
    # all that is missing was counted, and the reader is told
    assert 0 < board[3] - steps <= lost, told
    assert "events lost" in err or "events were lost" in err, told
    assert any("ring full" in note for note in found["coverage"]["notes"]), found["coverage"]
    # nothing is made up from halves: those that waited have ended, and their ends are among what was lost
    assert found["leaked_tasks"] == [] and {finding["rule"] for finding in found["findings"]} <= {"AS210"}, found
    spans = ask(tmp_path / "t.db", f"""SELECT count(*) FROM await, (SELECT value AS t0 FROM meta WHERE key = 't0_ns')
        WHERE t0 + begin_ns < {full_ns} AND t0 + begin_ns + duration_ns > {last_ns}""")[0]
    assert spans == 0, "a wait that spans the gap"
    full = batches(board, full_ns, last_ns)
    assert len(before) > 50 and len(full) > 20, (len(before), len(full))
    # against work that no agent sees, since a machine that is shared changes its speed; and no time is lost but by waiting
    normal, slowed = (statistics.median(cpu / alike for cpu, alike, _ in some) for some in (before, full))
    assert slowed <= 1.25 * normal, f"beside a full ring, tasks cost {slowed:.2f} times what work without tasks does, {normal:.2f} before"
    assert sum(batch[2] for batch in full) <= len(full) * 0.1, "the program waited for something"


def test_recorder_that_stands_still_has_all_that_the_rings_hold(tmp_path):
    bare, folder = bare_results(tmp_path), tmp_path / "recorded"
    folder.mkdir()
    board = Board(folder / "board", 1024)
    child = start(["-o", "t.db", "--", *steady(folder), board.path], folder)
    try:
        board.wait(1, 10)
        os.kill(child.pid, signal.SIGSTOP)
        until((folder / "status").exists)
        assert results(folder) == bare
    finally:
        os.kill(child.pid, signal.SIGCONT)
    status, err = ended(child)
    assert status == 0 and "0 events lost" in err, err
    assert ask(folder / "t.db", "SELECT count(*) FROM task WHERE state = 'done' AND coro LIKE '%job'") == (JOBS,)
    assert ask(folder / "t.db", "SELECT count(*) FROM lost") == (0,)


# ---- the working folder goes away ----

REMOVER = """
import asyncio, os, shutil, sys
async def main():
    for n in range(100):
        await asyncio.create_task(asyncio.sleep(0.002))
        if n == 50:
            shutil.rmtree(sys.argv[1])
    print("done")
asyncio.run(main())
sys.exit(5)
"""


@pytest.mark.parametrize("trace", ["../t.db", "absolute"])
def test_trace_elsewhere_is_whole_though_the_working_folder_is_removed(tmp_path, trace):
    folder, program = tmp_path / "work", tmp_path / "remover.py"
    folder.mkdir()
    program.write_text(REMOVER)
    child = start(["-o", tmp_path / "t.db" if trace == "absolute" else trace, "--", sys.executable, program, folder], folder)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (5, "done\n"), err
    assert f"Trace: {tmp_path}/t.db" in err and "0 events lost" in err, err
    assert ask(tmp_path / "t.db", "SELECT count(*) FROM task WHERE state = 'done' AND coro LIKE '%sleep'") == (100,)


def test_trace_removed_with_the_working_folder_is_said_in_one_line(tmp_path):
    folder, program = tmp_path / "work", tmp_path / "remover.py"
    folder.mkdir()
    program.write_text(REMOVER)
    child = start(["-o", "t.db", "--", sys.executable, program, folder], folder)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (5, "done\n"), err
    assert err == "awaitscope: the trace t.db was removed while the program ran; -o TRACE puts it elsewhere\n"
    assert os.listdir(tmp_path) == ["remover.py"]
