"""Interpreters that are not served run untouched: their output and status, and one line of ours that says why there is no trace."""
import sqlite3
import subprocess

import pytest

import interpreters
from conftest import PROGRAM, TOP, run_program

SCRIPT = """
import os, sys
print(sys.version_info[:2], sorted(k for k in os.environ if k == "LANG"))
sys.stderr.write("to stderr\\n")
sys.exit(7)
"""

FREE_THREADED = "3.14.0 free-threading build (main, Oct  7 2025, 10:00:00) [GCC 14.2.0]"


def untraced(argv, folder):
    """Run it bare and traced; the line that was added on stderr."""
    bare = run_program(argv, cwd=folder)
    ended = run_program([PROGRAM, "run", "-o", "trace.db", "--", *argv], cwd=folder)
    assert bare.status == ended.status == 7, ended
    assert ended.out == bare.out
    assert ended.err.startswith(bare.err)
    added = ended.err[len(bare.err):].splitlines()
    assert len(added) == 1, ended
    db = sqlite3.connect(folder / "trace.db")
    (note,) = [detail for detail, in db.execute("SELECT detail FROM coverage WHERE what = 'note'") if "not traced" in detail]
    db.close()
    assert added == [f"awaitscope: {note}; the trace is empty"]
    return added[0]


def why(python):
    if python.why in ("PyPy", "free-threaded"):
        return {"PyPy": "PyPy is not CPython", "free-threaded": "free-threaded builds of CPython are not supported"}[python.why]
    older = python.version.startswith("2.") or python.minor < 8
    return f"Python {python.version} is {'older than CPython 3.8' if older else 'newer than CPython 3.14'}"


@pytest.mark.parametrize("python", interpreters.refused() or [pytest.param(None, marks=pytest.mark.skip(
    reason="no interpreter is here that is not served (Python 2, 3.7, PyPy, free-threaded)"))], ids=str)
def test_interpreter_is_left_alone(python, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    assert why(python) in untraced([python.path, "script.py"], tmp_path)


def fake(folder, name, version):
    path = folder / name
    subprocess.run(["gcc", "-rdynamic", f'-DVERSION="{version}"', "-o", path, TOP / "tests/live/targets/fake_python.c"], check=True)
    return path


@pytest.mark.parametrize("name, version, reason", [
    ("python3.14t", FREE_THREADED, "free-threaded builds of CPython are not supported"),
    ("python3.13t", "3.13.0 experimental free-threading build (main)", "free-threaded builds of CPython are not supported"),
    ("python3.15", "3.15.0a1 (main)", "Python 3.15.0a1 is newer than CPython 3.14"),
    ("python", "4.0.0 (main)", "Python 4.0.0 is newer than CPython 3.14"),
    ("python2", "2.7.18 (default)", "Python 2.7.18 is older than CPython 3.8"),
    ("pypy3", "3.11.13 (x) [PyPy 7.3.20 with GCC 10.2.1]", "PyPy is not CPython"),
])
def test_build_is_told_by_its_version(tmp_path, name, version, reason):
    assert reason in untraced([fake(tmp_path, name, version)], tmp_path)


def test_many_are_one_line(tmp_path):
    fake(tmp_path, "python2", "2.7.18")
    ended = run_program([PROGRAM, "run", "-o", "trace.db", "--", "sh", "-c", "for i in 1 2 3; do ./python2; done; exit 4"], cwd=tmp_path)
    assert ended.status == 4 and ended.out == "ran\n" * 3
    assert len(ended.err.splitlines()) == 1 and "(and 2 more) is not traced: Python 2.7.18" in ended.err


def test_beside_one_that_is_traced(tmp_path):
    """The line stands before the verdict on what was traced."""
    fake(tmp_path, "python2", "2.7.18")
    command = f"./python2; {interpreters.DEBIAN} -c 'import asyncio; asyncio.run(asyncio.sleep(0.01))'"
    ended = run_program([PROGRAM, "run", "-o", "trace.db", "--", "sh", "-c", command], cwd=tmp_path)
    lines = ended.err.splitlines()
    assert ended.status == 0 and len(lines) == 4
    assert "is not traced: Python 2.7.18 is older than CPython 3.8" in lines[0] and "empty" not in lines[0]
    assert "trace.db" in lines[3]


def test_program_that_only_has_a_python_in_it_is_not_mentioned(tmp_path):
    ended = run_program([PROGRAM, "run", "-o", "trace.db", "--", fake(tmp_path, "editor", "2.7.18")], cwd=tmp_path)
    assert ended.status == 7 and "2.7.18" not in ended.err
