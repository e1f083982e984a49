"""Busy loops are read from outside while they are busy, beside an agent alone: right lines, on every interpreter found, and no harm."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

import pytest

COMPUTES = """\
import asyncio, time

def square(k):
    return k * k % 7

def score(seconds):
    total = 0
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        for k in range(200):
            total += square(k)
    return total

async def main():
    await asyncio.sleep(0.05)
    score(0.5)
    await asyncio.sleep(0.01)

asyncio.run(main())
"""
SCORE_LINES = range(4, 12)


def interpreters():
    """Every CPython 3.8+ there is: the system's, and those of pyenv."""
    found = {}
    for path in [Path("/usr/bin/python3"), *sorted(Path.home().glob(".pyenv/versions/3.*/bin/python3"))]:
        if not path.exists():
            continue
        version = subprocess.run([path, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"],
                                 capture_output=True, text=True).stdout.strip()
        if version and tuple(map(int, version.split(".")[:2])) >= (3, 8):
            found.setdefault(version, path)
    return found


PYTHONS = interpreters()


@pytest.fixture(params=PYTHONS.values(), ids=PYTHONS.keys())
def python(request):
    return request.param


def longest(report):
    return max(report["stalls"], key=lambda stall: stall["duration_ms"])


def skip_unless_sampled(report):
    """Some sandboxes forbid reading a child's memory, and the report then says so."""
    for note in report["coverage"]["notes"]:
        if "stacks of busy loops" in note:
            pytest.skip(note)


def test_computing_step_shows_its_lines(awaitscope, report, tmp_path, python):
    program = tmp_path / "app.py"
    program.write_text(COMPUTES)
    ended = awaitscope("run", "--sensor", "agent", "-o", "t.db", "--", python, program)
    assert ended.status == 0, ended
    told = report("t.db")
    skip_unless_sampled(told)
    stall = longest(told)
    total = sum(sample["count"] for sample in stall["samples"])
    right = sum(sample["count"] for sample in stall["samples"]
                if sample["file"] == str(program) and sample["line"] in SCORE_LINES)
    # where others have the CPU the stall is longer, and the recorder comes as often as what it looks at
    assert total >= 20, stall
    assert right >= 0.8 * total, stall
    assert stall["file"] == str(program) and stall["line"] in SCORE_LINES, stall
    assert stall["function"] in ("score", "square"), stall


STARVES = """\
import asyncio, threading, time

def churn():
    x = 0
    while not over:
        x = x * 31 % 1000003

def idle():
    while not over:
        time.sleep(0.001)

def step(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

async def main():
    await asyncio.sleep(0.05)
    for target in (idle, churn, idle):
        threading.Thread(target=target, name="the " + target.__name__).start()
    await asyncio.sleep(0.02)
    step(0.25)
    await asyncio.sleep(0.2)

over = False
asyncio.run(main())
over = True
"""


def test_who_has_the_gil_is_seen(awaitscope, report, tmp_path, python):
    program = tmp_path / "app.py"
    program.write_text(STARVES)
    ended = awaitscope("run", "--sensor", "agent", "-o", "t.db", "--", python, program)
    assert ended.status == 0, ended
    told = report("t.db")
    skip_unless_sampled(told)
    stall = max(told["stalls"], key=lambda s: s["causes_ms"].get("gil", 0))
    assert stall["causes_ms"]["gil"] >= 100, stall
    holder = stall["gil_holder"]
    assert holder, told["stalls"]
    assert (holder["thread"], holder["file"], holder["function"]) == ("the churn", str(program), "churn"), stall
    assert holder["line"] in (5, 6), stall


def test_hang_in_a_call_shows_its_line_while_it_lasts(awaitscope, report, tmp_path):
    """The program is ended by the line that tells of its hang, so that line came while it lasted."""
    program = tmp_path / "hang.py"
    program.write_text("import asyncio, os, time\n"
                       "print(os.getpid(), flush=True)\n"
                       "def fetch():\n"
                       "    time.sleep(3600)\n"
                       "async def main():\n"
                       "    await asyncio.sleep(0.05)\n"
                       "    fetch()\n"
                       "asyncio.run(main())\n")
    from conftest import PROGRAM
    recording = [PROGRAM, "run", "--sensor", "agent", "-v", "-o", "t.db"]
    child = subprocess.Popen([*recording, "--", "/usr/bin/python3", program], cwd=tmp_path, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    timer = threading.Timer(60, child.kill)
    timer.start()
    pid = int(child.stdout.readline())
    said = []
    for line in child.stderr:
        said.append(line)
        if "held for" in line or "not permitted" in line:
            os.kill(pid, 9)
    timer.cancel()
    assert child.wait() == 128 + 9, said
    told = report("t.db")
    skip_unless_sampled(told)
    assert any(re.search(r"held for .* in fetch\(\) at hang\.py:4", line) for line in said), said
    stall = longest(told)
    assert (stall["file"], stall["line"], stall["function"]) == (str(program), 4, "fetch"), stall
    assert stall["duration_ms"] >= 900, stall
    assert {sample["kind"] for sample in stall["samples"]} == {"unknown"}, stall  # it was off CPU


NOBODY = 65534


@pytest.fixture
def as_nobody(awaitscope):
    """as_nobody("run", ...): the same without any privilege, in a folder of its own."""
    if os.geteuid() != 0:
        yield awaitscope
        return
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    os.chown(folder, NOBODY, NOBODY)
    options = {"user": NOBODY, "group": NOBODY, "extra_groups": [], "cwd": folder}
    yield lambda *args: awaitscope(*args, env=dict(os.environ, HOME=str(folder)), **options)
    shutil.rmtree(folder)


HELD = "import asyncio, time\nasync def main():\n    await asyncio.sleep(0.01)\n    time.sleep(0.3)\nasyncio.run(main())\n"


def samples_of(as_nobody, trace):
    told = json.loads(as_nobody("report", "--format", "json", trace).out)
    skip_unless_sampled(told)
    return longest(told)["samples"]


def test_needs_no_privilege_also_for_grandchildren(as_nobody):
    assert as_nobody("run", "-o", "t.db", "--", "/usr/bin/python3", "-c", HELD).status == 0
    assert {sample["line"] for sample in samples_of(as_nobody, "t.db")} == {4}
    ended = as_nobody("run", "-o", "u.db", "--", "sh", "-c", 'python3=$1; shift; "$python3" "$@"; exit 0', "sh", "/usr/bin/python3",
                      "-c", HELD)
    assert ended.status == 0, ended
    assert {sample["line"] for sample in samples_of(as_nobody, "u.db")} == {4}


def test_says_what_may_not_be_read(as_nobody):
    """A process that is not dumpable (setuid once, or by its own wish) keeps its memory to itself."""
    ended = as_nobody("run", "-o", "t.db", "--", "/usr/bin/python3", "-c", "import ctypes; ctypes.CDLL(None).prctl(4, 0)\n" + HELD)
    assert ended.status == 0, ended
    told = json.loads(as_nobody("report", "--format", "json", "t.db").out)
    assert [note for note in told["coverage"]["notes"] if "stacks of busy loops: reading its memory is not permitted" in note], told
    assert longest(told)["samples"] == []
    assert not told["coverage"]["lost_events"]


def test_programs_may_end_at_any_moment_of_a_sample(awaitscope, report, tmp_path):
    """Short-lived children, ending in every way while their loop is busy."""
    program = tmp_path / "many.py"
    program.write_text("import asyncio, os, subprocess, sys, time\n"
                       "def burn(seconds):\n"
                       "    end = time.perf_counter() + seconds\n"
                       "    while time.perf_counter() < end:\n"
                       "        sum(range(50))\n"
                       "async def main(how, seconds):\n"
                       "    await asyncio.sleep(0)\n"
                       "    burn(seconds)\n"
                       "    if how == 'kill':\n"
                       "        os.kill(os.getpid(), 9)\n"
                       "    if how == 'exit':\n"
                       "        os._exit(3)\n"
                       "    if how == 'exec':\n"
                       "        os.execv(sys.executable, [sys.executable, __file__, 'return', '0.05'])\n"
                       "    if how == 'fork' and not os.fork():\n"
                       "        burn(0.03)\n"
                       "        os._exit(0)\n"
                       "if len(sys.argv) > 1:\n"
                       "    asyncio.run(main(sys.argv[1], float(sys.argv[2])))\n"
                       "else:\n"
                       "    for i in range(20):\n"
                       "        how = ('kill', 'exit', 'exec', 'fork', 'return')[i % 5]\n"
                       "        subprocess.run([sys.executable, __file__, how, str(0.02 + i * 0.003)])\n"
                       "    print('done')\n")
    ended = awaitscope("run", "--sensor", "agent", "-o", "t.db", "--", "/usr/bin/python3", program)
    assert ended.status == 0 and ended.out == "done\n", ended
    told = report("t.db")
    assert not told["coverage"]["lost_events"], told["coverage"]


def test_recursion_deeper_than_is_told(awaitscope, report, tmp_path, python):
    program = tmp_path / "deep.py"
    program.write_text("import asyncio, sys, time\n"
                       "sys.setrecursionlimit(5000)\n"
                       "def down(n):\n"
                       "    if n:\n"
                       "        return down(n - 1)\n"
                       "    end = time.thread_time() + 0.4\n"
                       "    while time.thread_time() < end:\n"
                       "        pass\n"
                       "async def main():\n"
                       "    down(1500)\n"
                       "asyncio.run(main())\n")
    ended = awaitscope("run", "--sensor", "agent", "-o", "t.db", "--", python, program)
    assert ended.status == 0, ended
    told = report("t.db")
    skip_unless_sampled(told)
    stall = longest(told)
    assert (stall["file"], stall["function"]) == (str(program), "down") and stall["line"] in (7, 8), stall


def test_cell_that_another_follows_at_the_same_address(awaitscope, report, make_notebook):
    """CPython gives the code of one cell the memory of the last: a sample must name its own."""
    sources = [f"import time as t{n}\n" + "\n" * n + f"end = t{n}.thread_time() + 0.3\n"
               f"while t{n}.thread_time() < end: pass" for n in range(6)]
    ended = awaitscope("run", "--sensor", "agent", "-o", "t.db", make_notebook("cells", *sources), timeout=120)
    assert ended.status == 0, ended
    told = report("t.db")
    skip_unless_sampled(told)
    for n, cell in enumerate(told["cells"]):
        samples = [sample for stall in told["stalls"] if stall["cell"] == n for sample in stall["samples"]]
        assert samples and {(s["file"], s["line"]) for s in samples if "/ipykernel_" in s["file"]} \
            <= {(cell["filename"], line) for line in (1, n + 2, n + 3)}, (n, samples)
