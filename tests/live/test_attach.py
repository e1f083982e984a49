"""A running program is watched from the kernel: nothing is changed in it, and what is told is true."""
import os
import re
import signal
import subprocess
import time

import pytest

from attached import GOES, HANGS, PYTHONS, STEADY, WHY_NOT, rows, running, wait_for_rows, watch_begun, watched
from conftest import PROGRAM, program_for_all
from interpreters import DEBIAN

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
def test_tasks_blocks_and_causes(python, awaitscope, report, tmp_path):
    with running(STEADY, tmp_path, python.path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "1.2s", str(child.pid))
        assert ended.status == 0, ended
        assert child.poll() is None
    told = report("t.db")
    coverage = told["coverage"]
    assert (coverage["tasks"], coverage["syscalls"], coverage["causes"]) == ("uprobe", "bpf", "exact")
    assert coverage["lost_events"] == 0
    sites = [site for site in told["blocking_sites"] if site["function"] == "blocks"]
    assert len(sites) == 1 and sites[0]["call"] == "time.sleep(0.05)" and sites[0]["line"] == 5, told["blocking_sites"]
    assert sites[0]["class"] == "sleep" and sites[0]["count"] >= 3
    # each turn is seven tasks, born and ended while we watched but at the edges
    states = dict(rows(tmp_path / "t.db", "SELECT name, group_concat(DISTINCT state) FROM task WHERE name LIKE 'quick-%' OR name = 'never'"
                       " GROUP BY name"))
    assert set(states) == {"quick-0", "quick-1", "quick-2", "never"} and "done" in states["quick-0"] and "cancelled" in states["never"]
    failed = rows(tmp_path / "t.db", "SELECT DISTINCT exception, coro FROM task WHERE state = 'failed' AND coro != ''")
    assert failed == [("ValueError", "fails")]
    whole = rows(tmp_path / "t.db", "SELECT steps, count(*) FROM task WHERE name = 'quick-1' AND state = 'done' AND file IS NOT NULL GROUP BY steps")
    assert [steps for steps, _ in whole] == [2], whole
    sums = rows(tmp_path / "t.db", "SELECT count(*) FROM iteration WHERE busy_ns != cpu_ns + cpu_user_ns + cpu_kernel_ns + gc_ns + gil_ns +"
                " runq_ns + blocked_sleep_ns + blocked_network_ns + blocked_file_ns + blocked_subprocess_ns + blocked_dns_ns +"
                " blocked_database_ns + blocked_lock_ns + blocked_fault_ns + blocked_other_ns + unknown_ns")
    assert sums == [(0,)]
    slept = [ns for ns, in rows(tmp_path / "t.db", "SELECT duration_ns FROM blocking_call WHERE function = 'blocks'")]
    whole = [ns for ns in slept if ns >= 49.5e6]  # the first and the last may have been cut, others waited for a CPU: it sleeps until a time
    assert len(whole) >= max(1, len(slept) // 2) and min(whole) < 60e6, slept


def test_stall_is_announced_while_it_lasts(tmp_path):
    source = HANGS.replace("    await asyncio.sleep(0.5)\n", GOES).replace("import ", "import os, ")
    with running(source, tmp_path) as child:
        watch = subprocess.Popen([PROGRAM, "attach", "-o", "t.db", str(child.pid)], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
        while "watching" not in watch.stderr.readline():
            assert watch.poll() is None
        (tmp_path / "go").touch()
        line = watch.stdout.readline()
        while "in score()" not in line:  # where the machine had no CPU for it, the loop may have been held before
            assert line
            line = watch.stdout.readline()
        held = re.search(r"the loop has been held for (\d+) ms, in score\(\) at app.py:4", line)
        assert held and int(held[1]) < 600, line
        stack = [watch.stdout.readline() for _ in range(2)]
        assert "app.py:4  score" in stack[0] and "app.py:11  main" in stack[1], stack
        began = time.monotonic()
        while "it goes on after" not in line:
            line = watch.stdout.readline()
        assert re.search(r"it goes on after (1\.[2-9]|[2-9]\.)", line), line
        assert time.monotonic() - began > 0.2  # it was announced long before
        watch.send_signal(signal.SIGINT)
        out, err = watch.communicate(timeout=10)
        assert watch.returncode == 0 and child.poll() is None
    lines = err.strip().splitlines()
    assert "time.sleep(1.2) in score, app.py:4" in lines[-3], err
    assert lines[-2].startswith("Seen: ") and lines[-1].startswith("Trace: t.db"), err


def test_attach_in_the_middle_of_a_stall_and_end_there(awaitscope, report, tmp_path):
    with running(HANGS.replace("1.2", "30").replace("sleep(0.5)", "sleep(0.01)"), tmp_path) as child:
        time.sleep(0.8)  # its first sleep has ended for sure: what follows lasts 30 s
        ended = awaitscope("attach", "-o", "t.db", "--duration", "1s", str(child.pid))
        assert ended.status == 0, ended
    assert "app.py:4  score" in ended.out
    told = report("t.db")
    assert [(site["call"], site["class"]) for site in told["blocking_sites"]] == [("time.sleep(30)", "sleep")]
    stall, = told["stalls"]
    assert stall["causes_ms"]["blocked:sleep"] > 0.95 * stall["duration_ms"] > 600


def test_end_of_the_program_ends_the_recording(awaitscope, tmp_path):
    with running(STEADY, tmp_path) as child:
        watch = watch_begun(child, tmp_path)
        child.kill()
        err = watch.communicate(timeout=10)[1]
        assert watch.returncode == 0, err
    assert "has ended" in err and "Trace: t.db" in err
    assert rows(tmp_path / "t.db", "SELECT value FROM meta WHERE key = 'complete'") == [(1,)]


@pytest.mark.parametrize("args, status, said", [
    (["{sleep}"], 3, "cannot be watched"),
    (["999999999"], 3, "there is no process"),
    (["2"], 3, "has no program in it: it is a part of the kernel"),
    (["nobody"], 2, "no process id"),
    (["1", "2"], 2, "one process at a time"),
    (["--sensor", "agent", "{sleep}"], 3, "awaitscope run"),
])
def test_what_cannot_be_watched_says_why(args, status, said, awaitscope):
    with subprocess.Popen(["sleep", "60"]) as sleep:
        try:
            ended = awaitscope("attach", *[arg.format(sleep=sleep.pid) for arg in args])
        finally:
            sleep.kill()
    assert ended.status == status and said in ended.err, ended


def test_without_privileges_the_line_to_run_is_told(tmp_path):
    with running(STEADY, tmp_path) as child:
        done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", program_for_all(), "attach", "-o", "a b.db",
                               str(child.pid)], capture_output=True, text=True, cwd="/", timeout=20)
    assert done.returncode == 3 and re.search(rf"run it so: sudo /\S+/awaitscope attach -o 'a b.db' {child.pid}", done.stderr), done


KERNEL = """\
import subprocess, sys
from jupyter_client import KernelManager
program, trace = sys.argv[1:]
manager = KernelManager(kernel_name="python3")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready()

def run(source):
    client.execute_interactive(source, timeout=30)

run("import asyncio, time")
watch = subprocess.Popen([program, "attach", "-o", trace, str(manager.provisioner.pid)], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
while "watching" not in watch.stderr.readline():
    assert watch.poll() is None
run("def slow():\\n    time.sleep(0.15)\\n\\nasync def stays():\\n    while True:\\n        await asyncio.sleep(0.05)")
run("task = asyncio.create_task(stays())\\nawait asyncio.sleep(0.1)")
run("slow()\\nawait asyncio.sleep(0.1)")
watch.terminate()
watch.stderr.read()
manager.shutdown_kernel(now=True)
sys.exit(watch.wait())
"""


def test_cells_of_a_kernel(report, tmp_path):
    done = subprocess.run([DEBIAN, "-c", KERNEL, PROGRAM, "t.db"], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    told = report("t.db")
    assert told["coverage"]["cells"] == "iopub"
    cells = {cell["execution_count"]: cell for cell in told["cells"]}
    assert [cells[n]["source"].split("\n")[0] for n in (2, 3, 4)] == ["def slow():", "task = asyncio.create_task(stays())", "slow()"]
    assert cells[4]["blocking_ms"] > 140
    site, = [site for site in told["blocking_sites"] if site["function"] == "slow"]
    assert (site["execution_count"], site["line"], site["class"]) == (4, 2, "sleep")
    leaked, = told["leaked_tasks"]
    assert leaked["coro"] == "stays" and leaked["execution_count"] == 3
    assert leaked["created_at"]["line"] == 1 and leaked["awaiting"]["what"] == "asyncio.sleep"


GENERATES = """\
import asyncio, os, time

def compute(handle):
    end = time.thread_time() + 0.1
    while time.thread_time() < end:
        sum(i * i for i in range(20000))

async def main():
    print("ready", flush=True)
""" + GOES + """    for i in range(6):
        asyncio.create_task(asyncio.sleep(0)).add_done_callback(compute)
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
def test_a_turn_is_told_though_its_stack_is_torn_when_it_is_looked_at(python, awaitscope, tmp_path):
    """A generator that has yielded meanwhile has no caller: its frame alone looks like a thread that is in no loop."""
    with running(GENERATES, tmp_path, python.path) as child:
        with watched(child, tmp_path):
            child.wait(30)
    # others may be as long where the machine had no CPU for them
    assert rows(tmp_path / "t.db", "SELECT count(*) FROM iteration WHERE cpu_user_ns + cpu_kernel_ns >= 95000000") == [(6,)]


BETWEEN = """\
import asyncio, time

async def short():
    await asyncio.sleep(0.01)

def computes(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(200):
            pass

loop = asyncio.new_event_loop()
print("ready", flush=True)
while True:
    loop.run_until_complete(short())
    time.sleep(0.25)
    loop.run_until_complete(short())
    computes(0.25)
    asyncio.run(short())
"""


def test_what_lies_between_two_runs_of_a_loop_is_not_the_loops(awaitscope, report, tmp_path):
    with running(BETWEEN, tmp_path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "1.2s", str(child.pid))
        assert ended.status == 0 and "computes" not in ended.out, ended
    told = report("t.db")
    assert told["blocking_sites"] == [] and sum(loop["iterations"] for loop in told["loops"]) > 5
    for loop in told["loops"]:  # held it may be where the machine had no CPU for it, but not by these
        causes = loop["causes_ms"]
        assert causes.get("blocked:sleep", 0) < 1 and causes.get("cpu_user", 0) < 100, loop


def test_what_it_is_in_between_two_runs_as_a_recording_ends_is_not_the_loops(awaitscope, report, tmp_path):
    """For less than anybody looks where a loop's thread stands; most of these end in such a sleep."""
    with running("".join(BETWEEN.partition("while True:")[:2]) + "\n    loop.run_until_complete(short())\n    time.sleep(0.019)\n", tmp_path) as child:
        for name in "abc":
            ended = awaitscope("attach", "-o", name, "--duration", "0.2s", str(child.pid))
            assert ended.status == 0, ended
            assert report(name)["blocking_sites"] == []


def test_two_at_once_and_one_that_is_killed(awaitscope, tmp_path):
    with running(STEADY, tmp_path) as child:
        killed = subprocess.Popen([PROGRAM, "attach", "-o", "killed.db", str(child.pid)], cwd=tmp_path, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.PIPE, text=True)
        while "watching" not in killed.stderr.readline():
            assert killed.poll() is None
        ended = awaitscope("attach", "-o", "other.db", "--duration", "0.5s", str(child.pid))
        assert ended.status == 0, ended
        wait_for_rows(tmp_path / "killed.db", "SELECT count(*) > 0 FROM task WHERE state = 'done'", [(1,)])
        killed.kill()
        killed.communicate()
        assert child.poll() is None
        # what it left behind is whole, and the program can be watched again
        assert awaitscope("attach", "-o", "again.db", "--duration", "0.5s", str(child.pid)).status == 0
    for name in "killed", "other", "again":
        assert rows(tmp_path / f"{name}.db", "SELECT count(*) > 0 FROM task WHERE state = 'done'") == [(1,)], name


def test_exec_ends_the_recording(tmp_path):
    source = "import asyncio, os\nasync def main():\n    print('ready', flush=True)\n" + GOES + \
             "    os.execv('/bin/sleep', ['sleep', '60'])\nasyncio.run(main())\n"
    with running(source, tmp_path) as child:
        watch = watch_begun(child, tmp_path)
        (tmp_path / "go").touch()
        err = watch.communicate(timeout=20)[1]
        assert watch.returncode == 0 and "has become another program" in err, err
        assert child.poll() is None


def test_trace_belongs_to_the_programs_owner(awaitscope, tmp_path):
    tmp_path.chmod(0o755)
    script = tmp_path / "app.py"
    script.write_text(STEADY)
    child = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", DEBIAN, "-c", STEADY],
                             stdout=subprocess.PIPE, text=True, cwd="/")
    try:
        assert child.stdout.readline() == "ready\n"
        env = {name: value for name, value in os.environ.items() if not name.startswith("SUDO_")}
        assert awaitscope("attach", "-o", "t.db", "--duration", "0.3s", str(child.pid), env=env).status == 0
    finally:
        child.kill()
        child.communicate()
    told = (tmp_path / "t.db").stat()
    assert (told.st_uid, told.st_gid, told.st_mode & 0o777) == (65534, 65534, 0o600)


STORM = """\
import asyncio, os, time

async def main():
    print("ready", flush=True)
""" + GOES + """\
    turns, end = 0, time.monotonic() + 5
    while turns < 100_000 and time.monotonic() < end:
        await asyncio.sleep(0)
        turns += 1
        if turns % 10_000 == 0:
            time.sleep(0.002)
    print(turns, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_records_thin_out_and_say_so_before_any_is_lost(report, tmp_path):
    """The recorder does not get to its work while a loop turns as fast as it can: the short is summed or left out, by number, the long stays."""
    with running(STORM, tmp_path) as child:
        watch = watch_begun(child, tmp_path)
        watch.send_signal(signal.SIGSTOP)
        (tmp_path / "go").touch()
        turns = int(child.stdout.readline())
        watch.send_signal(signal.SIGCONT)
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=20)
    lost = dict(rows(tmp_path / "t.db", "SELECT what, sum(count) FROM lost GROUP BY 1"))
    left_out = lost.pop("short steps left out: the kernel's ring was more than half full", 0)
    assert not lost, "nothing but short steps"
    loop, = report("t.db")["loops"]
    steps, = rows(tmp_path / "t.db", "SELECT sum(steps) FROM task")[0]
    assert loop["iterations"] <= turns + 1000, "those before it began are few"
    assert steps + left_out > 0.8 * loop["iterations"], "iterations are seen a moment earlier than steps"
    assert report("t.db")["coverage"]["lost_events"] == left_out
    if turns > 90_000:  # 8 MiB of iterations and steps are half of the ring
        assert left_out and loop["iterations"] > 0.5 * turns
    slept = rows(tmp_path / "t.db", "SELECT count(*) FROM blocking_call WHERE duration_ns >= 1900000")[0][0]
    assert slept >= loop["iterations"] // 10_000 - 1, "the long ones are there"


COLLECTS = """\
import asyncio, gc

class Row:
    pass

async def main():
    rows = [Row() for _ in range(150_000)]
    for row in rows:
        row.it = [row]
    print("ready", flush=True)
    while True:
        gc.collect()
        await asyncio.sleep(0.1)

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS[:2], ids=lambda one: one.name)
def test_collections_are_judged_where_the_interpreter_tells_of_them(python, awaitscope, report, tmp_path):
    with running(COLLECTS, tmp_path, python.path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--stall", "10ms", "--duration", "0.7s", str(child.pid))
        assert ended.status == 0, ended
    told = report("t.db")
    unchecked = {one["rule"]: one["needs"] for one in told["coverage"]["not_checked"]}
    if python.path == DEBIAN:  # built with USDT
        found = [one["evidence"]["longest_ms"] for one in told["findings"] if one["rule"] == "AS109"]
        assert found and min(found) > 5 and "AS109" not in unchecked  # a long one has been sampled, and has a place of its own
    elif any("gc start" in note for note in told["coverage"]["notes"]):
        assert "AS109" in unchecked and not [one for one in told["findings"] if one["rule"] == "AS109"]


RETRIES = """
import asyncio, os, sqlite3, sys, threading, time

async def main():
    print("ready", flush=True)
""" + GOES + """\
    ours, theirs = (sqlite3.connect("app.sqlite", isolation_level=None, check_same_thread=False) for _ in "ab")
    ours.execute("CREATE TABLE IF NOT EXISTS t(x)")
    for _ in range(5):
        theirs.execute("BEGIN EXCLUSIVE")
        threading.Timer(0.05, theirs.execute, ["COMMIT"]).start()
        await asyncio.sleep(0)
        ours.execute("INSERT INTO t VALUES (1)")
        time.sleep(0.01)
        await asyncio.sleep(0.02)

asyncio.run(main())
"""


def test_waits_too_short_for_calls_are_of_the_class_of_their_place(tmp_path):
    """sqlite sleeps again and again, 25 ms at most, until the lock is free: no call of 500 ms, and yet no sleep."""
    with running(RETRIES, tmp_path) as child:
        watch = watch_begun(child, tmp_path, "--min-block", "500ms")
        (tmp_path / "go").touch()
        err = watch.communicate(timeout=20)[1]
        assert watch.returncode == 0, err
    assert not rows(tmp_path / "t.db", "SELECT * FROM blocking_call")
    (database, sleep), = rows(tmp_path / "t.db", "SELECT sum(blocked_database_ns), sum(blocked_sleep_ns) FROM iteration")
    assert 150e6 < database and 45e6 <= sleep < 100e6, (database, sleep)
