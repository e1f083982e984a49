"""Where a live interpreter can be probed from outside: both sources give the same places, on every interpreter found."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from interpreters import traced

PEEK = Path(os.environ.get("AWAITSCOPE", Path(__file__).resolve().parents[2] / "build-test/bin/awaitscope")).parents[1] / "tests/peek"
IDLE = "import asyncio, sys; print(flush=True); sys.stdin.read()"
PYTHONS = traced()


@pytest.fixture(params=PYTHONS, ids=repr)
def python(request):
    return request.param


@pytest.fixture
def idle(python):
    child = subprocess.Popen([python.path, "-c", IDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    yield child.pid
    child.communicate(timeout=30)


def points(pid, minor, source):
    told = subprocess.run([PEEK, "points", str(pid), str(minor), source], capture_output=True, text=True, timeout=30)
    if "may not be read" in told.stderr or "maps cannot be read" in told.stderr:
        pytest.skip(told.stderr.strip())
    assert told.returncode == 0, told.stderr
    lines = [json.loads(line) for line in told.stdout.splitlines()]
    ends_whole = next(line["ends_whole"] for line in lines if "ends_whole" in line)
    return [line for line in lines if "kind" in line], {line["missing"]: line["why"] for line in lines if "missing" in line}, ends_whole


def places(found):
    return [(p["kind"], p["path"], p["offset"], p["address"], p["semaphore"], p["arguments"]) for p in found]


def test_every_task_point_is_found_and_emulated(python, idle):
    found, missing, ends_whole = points(idle, python.minor, "any")
    kinds = {p["kind"] for p in found}
    assert {"step", "step end", "task creation", "wakeup", "future set", "Python task"} <= kinds and ends_whole, missing
    assert all(p["emulated"] for p in found), found
    assert all(p["arguments"][0][0] for p in found if p["kind"] == "step end"), "a register holds the task"


def test_both_sources_give_the_same_points(python, idle):
    by_symbols, missing, _ = points(idle, python.minor, "symbols")
    if "step" in missing:
        assert missing["step"] == "neither its file nor a debug file has symbols"
        pytest.skip(f"{python} has no symbols")
    recovered, missing, _ = points(idle, python.minor, "recovered")
    assert places(recovered) == places(by_symbols), missing


def test_what_is_not_loaded_yet_is_named(python):
    child = subprocess.Popen([python.path, "-S", "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    found, missing, _ = points(child.pid, python.minor, "any")
    child.communicate(b"\n", timeout=30)
    if "step" in missing:  # else it is built in
        assert missing["step"] == "asyncio's C code is not loaded"
