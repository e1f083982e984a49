"""What attach tells of a program is what the program counted and timed itself, on each interpreter found and by each source of what is known of it."""
import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from conftest import PROGRAM
from interpreters import DEBIAN, traced
from attached import GOES, WHY_NOT, rows, running, watched
from twins import with_library

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

TARGET = Path(__file__).with_name("targets") / "attached.py"
BLOCKS = {"naps": ("time.sleep(SECONDS)", "sleep"), "reads": ("os.read(end, 1)", "file"), "locks": ("lock.acquire()", "lock")}
LAYOUTS = {"shipped": "the shipped list", "published": "offsets that the interpreter publishes", "dwarf": "debug information"}
POINTS = {"symbols": "symbols", "recovered": "relocations and unwind tables"}
UNAVAILABLE = "its files have no debug information|it publishes no debug offsets|neither its file nor a debug file has symbols"

TASKS = """
SELECT count(*) AS tasks, count(parent) AS children, coalesce(sum(steps), 0) AS steps, sum(state = 'done') AS done,
	sum(state = 'cancelled') AS cancelled, sum(state = 'failed') AS failed, sum(state IN ('pending', 'destroyed')) AS pending
FROM task"""
STACK = "(WITH RECURSIVE up(at, depth) AS (SELECT {}, 0 UNION ALL SELECT s.parent, depth + 1 FROM up JOIN stack s ON s.id = at" \
        " WHERE s.parent IS NOT NULL) SELECT group_concat(f.file || ':' || f.line || ' ' || f.function, ' < ')" \
        " FROM up JOIN stack s ON s.id = at JOIN frame f ON f.id = s.frame)"


def attached(python, tmp_path, layout=None, points=None, probes=None):
    """The program recorded from before its first task to after its last: what it printed (None: refused), what attach said."""
    env = dict(os.environ, **{name: value for name, value in (
        ("AWAITSCOPE_LAYOUT", layout), ("AWAITSCOPE_POINTS", points), ("AWAITSCOPE_UPROBES", probes)) if value})
    with subprocess.Popen([python, "-B", TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        watch = subprocess.Popen([PROGRAM, "attach", "-v", "--force", "-o", "t.db", str(child.pid)], cwd=tmp_path, text=True, env=env,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        said = ""
        while "probe points are from" not in said and watch.poll() is None:
            said += watch.stderr.readline()
        if watch.poll() is None:
            child.stdin.write("go\n")
            child.stdin.flush()
            told = child.stdout.readline()
            watch.send_signal(signal.SIGINT)
        said += watch.communicate(timeout=30)[1]
        child.kill()
    return (json.loads(told) if watch.returncode == 0 else None), said


def recorded(tmp_path):
    """Everything of the trace that two runs have in common; a call need not block each time."""
    trace = tmp_path / "t.db"
    tasks = rows(trace, f"SELECT name, coro, state, exception, steps, file, line, function, {STACK.format('t.stack')} FROM task t ORDER BY created_ns")
    calls = rows(trace, f"SELECT DISTINCT call, class, syscall, file, line, function, {STACK.format('c.stack')} FROM blocking_call c"
                 " WHERE function IN ('naps', 'reads', 'locks') ORDER BY call")
    return tasks, calls


def check_counts(counted, tmp_path):
    trace = tmp_path / "t.db"
    names = "tasks", "children", "steps", "done", "cancelled", "failed", "pending"
    assert dict(zip(names, *rows(trace, TASKS))) == {name: counted[name] for name in names}
    assert rows(trace, "SELECT * FROM lost") == []


def check_own(counted, tmp_path):
    check_counts(counted, tmp_path)
    for function, (call, kind) in BLOCKS.items():
        seen = rows(tmp_path / "t.db", f"SELECT duration_ns + cpu_ns, call, class FROM blocking_call WHERE function = '{function}' ORDER BY begin_ns")
        assert {one[1:] for one in seen} == {(call, kind)}, seen
        # where the program got its CPU too late, what the call was to wait for was there already
        seen, own = (sorted(all, reverse=True) for all in ([one[0] for one in seen], counted["blocked"][function]))
        assert 3 <= len(seen) <= len(own), (function, seen, own)
        # the program's own times have what comes around the call, as waiting for a CPU
        apart = [told - ns for ns, told in zip(seen, own)]
        assert min(apart) > 0 and min(apart) < 1e6, (function, seen, own)


@pytest.mark.parametrize("python", traced(), ids=repr)
def test_tasks_steps_and_blocks_are_the_programs_own(python, tmp_path):
    counted, said = attached(python.path, tmp_path)
    assert counted, said
    check_own(counted, tmp_path)


def test_an_interpreter_in_a_library_is_one(awaitscope, tmp_path):
    """Its program is called as it likes: attach, run and doctor find it all the same."""
    program = with_library(tmp_path)
    counted, said = attached(program, tmp_path)
    assert counted, said
    check_own(counted, tmp_path)
    for sensor in "auto", "agent":
        ended = awaitscope("run", "--force", "-o", "t.db", "--sensor", sensor, "--", program, "-B", TARGET)
        assert ended.status == 0 and "refused" not in ended.err, ended
        check_counts(json.loads(ended.out.splitlines()[1]), tmp_path)
    with subprocess.Popen([program, "-B", TARGET], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "ready\n"
        told = {one["name"]: one for one in json.loads(awaitscope("doctor", "--format", "json", str(child.pid)).out)["features"]
                if one["scope"] == "process"}
        child.kill()
    assert (told["layout"]["answer"], told["task probes"]["answer"]) == ("yes", "yes"), told


# Of these, those that have the most sources: by their own symbols and debug information, and by what 3.13 publishes.
SOURCES = [one for i, one in enumerate(traced()) if one.path == DEBIAN or
           (one.minor in (8, 13) and one.minor not in [before.minor for before in traced()[:i]])]


@pytest.mark.parametrize("python", SOURCES, ids=repr)
def test_each_source_tells_the_same_or_is_refused_by_name(python, tmp_path):
    counted, said = attached(python.path, tmp_path, "shipped", "recovered")
    assert counted and f"from {LAYOUTS['shipped']}; its probe points are from {POINTS['recovered']}" in said, said
    check_counts(counted, tmp_path)
    expected = recorded(tmp_path)
    assert {tuple(re.findall(r"attached.py:\d+ \S*?(\w+)(?= <|$)", call[6])[:3]) for call in expected[1]} == {(name, "call", "blocks") for name in BLOCKS}
    told = 1
    for name, value in [("layout", "published"), ("layout", "dwarf"), ("points", "symbols")]:
        counted, said = attached(python.path, tmp_path, **{name: value})
        if not counted:
            assert re.search(UNAVAILABLE, said), said
            continue
        assert f"from {dict(LAYOUTS, **POINTS)[value]}" in said, said
        check_counts(counted, tmp_path)
        apart = [pair for mine, theirs in zip(recorded(tmp_path), expected) for pair in zip(mine, theirs) if pair[0] != pair[1]]
        assert not apart and list(map(len, recorded(tmp_path))) == list(map(len, expected)), value
        told += 1
    assert told > 1 or (python.path == DEBIAN and python.minor < 13), "there is more than one source"


def test_probes_are_placed_one_by_one_where_a_kernel_cannot_otherwise(tmp_path):
    counted, said = attached(DEBIAN, tmp_path, probes="single")
    assert counted, said
    check_counts(counted, tmp_path)


NESTED = """\
import asyncio, os, time, nest_asyncio
apply = [nest_asyncio.apply]
if "WHEN" == "first":
    apply.pop()()

async def naps():
    time.sleep(0.02)

async def work():
    await asyncio.sleep(0.001)
    time.sleep(0.03)
    asyncio.get_event_loop().run_until_complete(naps())

async def main():
    print("ready", flush=True)
""" + GOES + """\
    while apply:
        apply.pop()()
    for _ in range(5):
        await asyncio.create_task(work())

asyncio.run(main())
"""


@pytest.mark.parametrize("when", ["first", "later"])
def test_a_loop_whose_turns_are_those_of_nest_asyncio_is_one(when, tmp_path):
    if subprocess.run([DEBIAN, "-c", "import nest_asyncio"], capture_output=True).returncode:
        pytest.skip("nest_asyncio (python3-nest-asyncio) is not installed")
    with running(NESTED.replace("WHEN", when), tmp_path) as child, watched(child, tmp_path):
        child.wait()
    seen = rows(tmp_path / "t.db", "SELECT function, call, count(*) FROM blocking_call WHERE class = 'sleep' GROUP BY 1 ORDER BY 1")
    assert seen == [("naps", "time.sleep(0.02)", 5), ("work", "time.sleep(0.03)", 5)]
    assert rows(tmp_path / "t.db", "SELECT kind, count(*) FROM loop GROUP BY 1") == [("asyncio", 1)]


def test_a_source_that_there_is_not_is_refused(awaitscope):
    for name in "AWAITSCOPE_LAYOUT", "AWAITSCOPE_POINTS":
        ended = awaitscope("attach", str(os.getpid()), env=dict(os.environ, **{name: "guess"}))
        assert ended.status == 3 and f"{name} is none of " in ended.err, ended
