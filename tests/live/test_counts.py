"""Exact counts: tasks, steps and ends in the trace are what the program counted itself, for every kind of task and interpreter.

One table: the programs of targets/counts.py by the interpreters found. A cell that an interpreter cannot have is skipped by name."""
import importlib
import json
import os
import sqlite3
import sys

import pytest

import interpreters
from conftest import PROGRAM, TOP, run_program

TARGETS = TOP / "tests/live/targets"
sys.path.insert(0, str(TARGETS))
PROGRAMS = importlib.import_module("counts").PROGRAMS

# 50,000 threads once; elsewhere a tenth, which reuses every ring and slot of a thread as well and takes a second.
THREADS, THREADS_ELSEWHERE = 50_000, int(os.environ.get("AWAITSCOPE_THREADS", 5_000))

COUNTS = """
SELECT count(*) AS tasks, count(parent) AS children, coalesce(sum(steps), 0) AS steps, sum(state = 'done') AS done,
	sum(state = 'cancelled') AS cancelled, sum(state = 'failed') AS failed, sum(state IN ('pending', 'destroyed')) AS pending
FROM task"""
# No task has a parent that was over by then, nor one that a callback made outside of every step.
ORPHANS = "SELECT count(*) FROM task t JOIN task p ON p.id = t.parent WHERE p.ended_ns < t.created_ns OR t.name = 'of a callback'"
REFUSED = "SELECT what, detail FROM coverage WHERE sensor = 'refused'"
# uvloop has no Python methods that could be wrapped; what its tasks do is counted all the same.
NOT_ASYNCIO = "a loop runs that is not asyncio's"


def recorded(trace):
    db = sqlite3.connect(trace)
    db.row_factory = sqlite3.Row
    try:
        return dict(db.execute(COUNTS).fetchone()), [tuple(row) for row in db.execute("SELECT what, count FROM lost")], \
            [tuple(row) for row in db.execute(REFUSED)], db.execute(ORPHANS).fetchone()[0]
    finally:
        db.close()


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("python", interpreters.traced(), ids=str)
def test_counts(python, program, tmp_path):
    needs, path = PROGRAMS[program], python.path
    if python.minor < needs.minor:
        pytest.skip(f"{program} needs Python 3.{needs.minor}, this is {python}")
    if needs.module:
        path = python.with_module(needs.module)
        if not path:
            pytest.skip(f"{program}: {needs.module} cannot be had for {python}")
    argv = [path, "-B", "-W", "ignore", TARGETS / "counts.py", program]
    if program == "short_threads":
        argv.append(THREADS if python.path == interpreters.DEBIAN else THREADS_ELSEWHERE)
    ended = run_program([PROGRAM, "run", "--sensor", "agent", "-q", "-o", "trace.db", "--", *argv], cwd=tmp_path, timeout=300,
                        env=dict(os.environ, PYTHONPATH=""))
    assert ended.status == 0 and not ended.err, ended
    counted = json.loads(ended.out)
    found, lost, refused, orphans = recorded(tmp_path / "trace.db")
    assert {name: found[name] for name in counted} == counted
    assert counted["steps"] >= counted["tasks"] > 0
    assert not lost and not orphans
    assert [why for what, why in refused if program != "uvloop" or why != NOT_ASYNCIO] == []


def test_interpreters_found(capsys):
    """Says what the table was made with; Debian's own interpreter is the least."""
    with capsys.disabled():
        for one in interpreters.everything():
            print(f"\n{one}: {one.path}, {one.linked}, {one.why or 'traced'}", end="")
    assert interpreters.DEBIAN in [one.path for one in interpreters.traced()]
