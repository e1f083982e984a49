"""Where `run` may use the kernel beside the agent, both see the same program: what each tells is matched, and they agree."""
import shutil
import sqlite3
import subprocess
import pytest

from conftest import PROGRAM
from interpreters import DEBIAN
from attached import WHY_NOT

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

TAPE = PROGRAM.parent.parent / "tests/tape"
PARTS = ["cpu", "gc", "gil", "runq", *(f"blocked_{c}" for c in "sleep network file subprocess dns database lock fault other".split()),
         "unknown"]

MIXTURE = """\
import asyncio, gc, os, socket, sqlite3, subprocess, tempfile, threading, time

def burn(s):
    end = time.perf_counter() + s
    while time.perf_counter() < end:
        pass

def later(s, what, *args):
    threading.Timer(s, what, args).start()

def sleeps():
    time.sleep(0.03)

def network():
    a, b = socket.socketpair()
    later(0.03, b.send, b"x")
    a.recv(1)
    a.close(), b.close()

def file():
    r, w = os.pipe()
    later(0.03, os.write, w, b"x")
    os.read(r, 1)
    os.close(r), os.close(w)

def lock():
    held = threading.Lock()
    held.acquire()
    later(0.03, held.release)
    held.acquire()

def child():
    subprocess.run(["sleep", "0.02"])

def name():
    socket.getaddrinfo("localhost", 80)

def database():
    with tempfile.NamedTemporaryFile() as file:
        ours, theirs = (sqlite3.connect(file.name, isolation_level=None, check_same_thread=False) for _ in "ab")
        theirs.execute("BEGIN EXCLUSIVE")
        later(0.03, theirs.execute, "COMMIT")
        ours.execute("CREATE TABLE t(x)")

def collects():
    kept = [[i] for i in range(100_000)]
    gc.collect()

def starved():
    stop = threading.Event()
    hog = threading.Thread(target=lambda: [sum(range(1000)) for _ in iter(stop.is_set, True)])
    hog.start()
    burn(0.06)
    stop.set()
    hog.join()

def mixture():
    burn(0.005), sleeps(), network(), collects(), lock(), burn(0.005)

async def main():
    for phase in [sleeps, network, file, lock, child, name, database, lambda: burn(0.03), collects, starved, mixture] * 4:
        phase()
        await asyncio.sleep(0.001)

asyncio.run(main())
"""


def rows(trace, sql):
    db = sqlite3.connect(f"file:{trace}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def recorded(awaitscope, tmp_path, source, *options, **popen):
    script = tmp_path / "app.py"
    script.write_text(source)
    ended = awaitscope("run", "--force", "-o", "t.db", *options, "--", DEBIAN, script, **popen)
    assert ended.status == 0, ended
    return tmp_path / "t.db", ended


def partitions(trace):
    """{begin_ns: {part: ns}} of its iterations."""
    columns = ["begin_ns", "cpu_ns + cpu_user_ns + cpu_kernel_ns", *(f"{part}_ns" for part in PARTS[1:])]
    return {row[0]: dict(zip(PARTS, row[1:])) for row in rows(trace, f"SELECT {', '.join(columns)} FROM iteration")}


def agents_alone(tape, trace, t0_ns):
    """The trace that the agent's records alone make."""
    kept = [line for line in tape.read_text().splitlines(True)
            if line.split()[2:3] not in (["causes"], ["call_wait"], ["watched"])]
    alone = tape.with_suffix(".agent")
    alone.write_text("".join(kept))
    with open(alone, encoding="utf-8") as f:
        subprocess.run([TAPE, "--set", f"t0_ns={t0_ns}", trace], stdin=f, check=True)
    return trace


def test_agent_and_kernel_agree_on_each_cause(awaitscope, tmp_path, report):
    trace, _ = recorded(awaitscope, tmp_path, MIXTURE, "--tape", "t.tape")
    coverage = report(trace)["coverage"]
    assert (coverage["tasks"], coverage["syscalls"], coverage["causes"]) == ("agent", "bpf", "exact")
    kernel, agent = partitions(trace), partitions(
        agents_alone(tmp_path / "t.tape", tmp_path / "agent.db", rows(trace, "SELECT value FROM meta WHERE key = 't0_ns'")[0][0]))
    both = sorted(begin for begin in kernel.keys() & agent.keys() if sum(kernel[begin].values()) > 1_000_000)
    assert len(both) >= 36  # all but the names, which may be known at once
    stolen = dict(rows(trace, "SELECT begin_ns, sum(duration_ns) FROM cpu_taken WHERE pid = 0 GROUP BY begin_ns"))
    print("\n%-20s %10s %10s %26s" % ("cause", "kernel ms", "agent ms", "most in one iteration, ms"))
    for part in PARTS:
        apart = [abs(kernel[begin][part] - agent[begin][part]) for begin in both]
        sums = [sum(one[begin][part] for begin in both) for one in (kernel, agent)]
        print("%-20s %10.3f %10.3f %26.3f" % (part, sums[0] / 1e6, sums[1] / 1e6, max(apart) / 1e6))
    for begin in both:
        busy = sum(kernel[begin].values())
        # a wait that is no call of those an agent hooks, as for a lock of the kernel's, is nothing known to the agent
        for one in kernel[begin], agent[begin]:
            one["unknown"] += one.pop("blocked_other")
        edge = abs(busy - sum(agent[begin].values()))  # it waited for a CPU between the system call and the agent's look at the clock
        for part in agent[begin]:
            # beside others an agent takes some more of a wait for runq; a page that has to be read, and what a hypervisor took, is nothing it sees
            room = max(0.02 * busy, 2_000_000) + edge + kernel[begin]["runq"] / 5 + kernel[begin]["blocked_fault"] + stolen.get(begin, 0)
            assert abs(kernel[begin][part] - agent[begin][part]) <= room, (begin, part, kernel[begin], agent[begin])


# A call that no agent has a hook for: libffi makes it, by libc's syscall().
UNSEEN = """\
import asyncio, ctypes, struct

async def main():
    await asyncio.sleep(0)
    ctypes.CDLL(None).syscall(35, struct.pack("qq", 0, 150_000_000), None)
    await asyncio.sleep(0)

asyncio.run(main())
"""


def test_a_wait_that_no_agent_saw_is_a_row_with_the_stack_of_a_sample(awaitscope, tmp_path):
    trace, _ = recorded(awaitscope, tmp_path, UNSEEN)
    (syscall, ms, cls, line), = rows(trace, "SELECT syscall, duration_ns / 1000000, class, line FROM blocking_call")
    assert (syscall, cls, line) == ("nanosleep", "sleep", 5)
    assert 149 <= ms < 250
    assert rows(trace, "SELECT max(blocked_sleep_ns) / 1000000 >= 149 FROM iteration") == [(1,)]


FAMILY = """\
import asyncio, multiprocessing, subprocess, sys, time

async def main(level):
    time.sleep(0.03)
    if level == "parent":
        child = multiprocessing.get_context("fork").Process(target=lambda: asyncio.run(main("forked")))
        child.start()
        child.join()
        subprocess.run([sys.executable, "-c", "import os, sys; os.execv(sys.executable, sys.argv[1:])", sys.executable, sys.argv[0], "execed"])
    await asyncio.sleep(0)

asyncio.run(main((sys.argv + ["parent"])[1]))
"""


def test_processes_of_the_tree_are_covered_as_they_come(awaitscope, tmp_path):
    trace, _ = recorded(awaitscope, tmp_path, FAMILY)
    said = rows(trace, "SELECT p.id, c.what, c.sensor FROM coverage c JOIN process p ON p.id = c.process WHERE c.what IN ('causes', 'syscalls')")
    slept = rows(trace, "SELECT process, count(*), min(duration_ns) >= 20000000, max(syscall) FROM blocking_call WHERE class = 'sleep' GROUP BY process")
    assert len(slept) == 3 and {one[1:] for one in slept} == {(1, 1, "clock_nanosleep")}, slept
    for process, *_ in slept:
        assert {(process, "causes", "exact"), (process, "syscalls", "bpf")} <= set(said), said
    assert rows(trace, "SELECT count(*) FROM iteration WHERE cpu_ns > 0") == [(0,)]


SHORT = "import asyncio, time\nasync def main():\n    for _ in range(10):\n        time.sleep(0.02)\n        await asyncio.sleep(0)\nasyncio.run(main())\n"


def test_two_runs_at_once_do_not_see_each_other(tmp_path):
    script = tmp_path / "app.py"
    script.write_text(SHORT)
    runs = [subprocess.Popen([PROGRAM, "run", "-q", "-o", tmp_path / f"{i}.db", "--", DEBIAN, script]) for i in range(2)]
    assert [run.wait(60) for run in runs] == [0, 0]
    for i in range(2):
        assert rows(tmp_path / f"{i}.db", "SELECT count(*), count(DISTINCT process) FROM blocking_call WHERE class = 'sleep'") == [(10, 1)]
        assert rows(tmp_path / f"{i}.db", "SELECT sensor FROM coverage WHERE what = 'causes' AND process IS NOT NULL") == [("exact",)]


@pytest.mark.parametrize("how, said", [
    (["--sensor", "agent"], ""), (["prlimit", "--nofile=20:20"], "the agent records alone: "), (["setpriv", "--bounding-set=-sys_admin"], "")],
    ids=["told so", "no descriptors", "no capability"])
def test_an_agent_records_alone_where_the_kernel_may_not_be_asked(awaitscope, tmp_path, how, said):
    script = tmp_path / "app.py"
    script.write_text(SHORT)
    before, options = ([], how) if how[0] == "--sensor" else (how, [])
    if before and not shutil.which(before[0]):
        pytest.skip(f"there is no {before[0]}")
    ended = subprocess.run([*before, PROGRAM, "run", "-o", tmp_path / "t.db", *options, "--", DEBIAN, script], capture_output=True, text=True)
    assert ended.returncode == 0 and said in ended.stderr, ended
    assert said or "the agent records alone" not in ended.stderr
    assert rows(tmp_path / "t.db", "SELECT sensor FROM coverage WHERE what = 'causes' AND process IS NOT NULL") == [("coarse",)]
    assert rows(tmp_path / "t.db", "SELECT count(*) FROM blocking_call WHERE class = 'sleep'") == [(10,)]
