"""Targets that are hard to watch: elsewhere, somebody else's, ending, switching stacks; and what is left of a watcher that is killed."""
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

import interpreters
from conftest import PROGRAM
from interpreters import DEBIAN
from attached import STEADY, WHY_NOT, rows, running
from test_tasks_outside import APART

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

PEEK = PROGRAM.parents[1] / "tests/peek"
GREENLETS = Path(__file__).with_name("targets") / "greenlets.py"


def test_another_users_process_in_namespaces_of_its_own(awaitscope, report, tmp_path):
    """Its user, pids and mounts are its own, and its asyncio is a file that nobody else sees."""
    shared = Path(tempfile.mkdtemp(prefix="awaitscope-test-"))  # pytest's folders are its user's alone
    shared.chmod(0o755)
    script = shared / "app.py"
    script.write_text(STEADY)
    folder = os.path.dirname(subprocess.run([DEBIAN, "-c", "import _asyncio; print(_asyncio.__file__)"], capture_output=True, text=True,
                                            check=True).stdout.strip())
    child = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--", "unshare", "--user", "--map-root-user",
                              "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", APART, "sh", folder, DEBIAN, script],
                             stdout=subprocess.PIPE, text=True, cwd="/")
    if child.stdout.readline() != "ready\n":
        child.communicate()
        pytest.skip("a user's namespaces cannot be made here")
    try:
        pid = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()[0])
        ended = awaitscope("attach", "-o", "t.db", "--duration", "0.6s", str(pid))
        assert ended.status == 0, ended
    finally:
        child.kill()
        child.communicate()
        shutil.rmtree(shared)
    told = report("t.db")
    assert told["coverage"]["tasks"] == "uprobe" and told["coverage"]["lost_events"] == 0
    site, = [site for site in told["blocking_sites"] if site["function"] == "blocks"]
    assert site["call"] == "time.sleep(0.05)" and site["count"] >= 2 and 45 < site["max_ms"] < 150
    states = dict(rows(tmp_path / "t.db", "SELECT name, count(*) FROM task WHERE state = 'done' AND name LIKE 'quick-%' GROUP BY 1"))
    assert set(states) == {"quick-0", "quick-1", "quick-2"} and min(states.values()) >= 2
    assert (tmp_path / "t.db").stat().st_uid == 65534


FORKS = STEADY.replace("await turn(n)", """await turn(n)
        if not os.fork():
            asyncio.events._set_running_loop(None)
            asyncio.new_event_loop().run_until_complete(asyncio.sleep(0.01))
            os._exit(0)
        os.wait()""").replace("import asyncio,", "import asyncio, os,")


def test_forks_of_the_program_are_not_taken_for_it(awaitscope, report, tmp_path):
    with running(FORKS, tmp_path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "1s", str(child.pid))
        assert ended.status == 0 and child.poll() is None, ended
    assert len(report("t.db")["loops"]) == 1
    steps = rows(tmp_path / "t.db", "SELECT DISTINCT steps FROM task WHERE name = 'quick-1' AND state = 'done' AND file IS NOT NULL")
    assert steps == [(2,)]


def test_a_program_that_ends_while_it_is_attached_to(tmp_path):
    for delay in 0.01, 0.06, 0.12:
        with running(STEADY, tmp_path) as child:
            watch = subprocess.Popen([PROGRAM, "attach", "--force", "-o", "t.db", str(child.pid)], cwd=tmp_path, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            time.sleep(delay)
            child.kill()
            _, err = watch.communicate(timeout=20)
        assert (watch.returncode == 0 and "Trace: " in err) or (watch.returncode == 3 and "process " in err), err


def mapped(line, point):
    """Where the point's semaphore is, if this line of a maps file has it."""
    span, access, offset, _, _, *name = line
    begin, end = (int(number, 16) for number in span.split("-"))
    at = begin + point["semaphore"] - int(offset, 16)
    return at if name == [point["name"]] and "w" in access and begin <= at < end else None


def places(pid):
    """(file, offset, address) of what an attach changes: instructions and semaphores."""
    told = subprocess.run([PEEK, "points", str(pid), "11", "any"], capture_output=True, text=True, check=True).stdout
    maps = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    for point in map(json.loads, told.splitlines()):
        if point.get("kind") in ("step", "step end", "task creation", "gc start", "gc done"):
            yield point["path"], point["offset"], point["address"], 1
        if point.get("semaphore") and point["kind"].startswith("gc"):
            yield None, 0, next(filter(None, (mapped(line, point) for line in maps))), 2


def changed(pid, watched):
    """Those of them that are not as in the file, or zero."""
    with open(f"/proc/{pid}/mem", "rb") as memory:
        for path, offset, address, size in watched:
            memory.seek(address)
            there = memory.read(size)
            if path is None:
                if there != bytes(size):
                    yield address
                continue
            with open(path, "rb") as file:
                file.seek(offset)
                if there != file.read(size):
                    yield address


def test_nothing_is_left_of_a_watcher_that_is_killed(tmp_path):
    with running(STEADY, tmp_path) as child:
        watched = list(places(child.pid))
        assert len(watched) >= 5 and not list(changed(child.pid, watched))
        watch = subprocess.Popen([PROGRAM, "attach", "-o", "t.db", str(child.pid)], cwd=tmp_path, text=True, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE)
        while "watching" not in watch.stderr.readline():
            assert watch.poll() is None
        during = len(list(changed(child.pid, watched)))
        watch.kill()
        watch.communicate()
        assert during == len(watched), "each of them is looked at where it is"
        end = time.monotonic() + 5
        while list(changed(child.pid, watched)):  # the kernel may put it off for a moment
            assert time.monotonic() < end
            time.sleep(0.02)
        assert child.poll() is None


@pytest.mark.parametrize("python", interpreters.refused() or [pytest.param(None, marks=pytest.mark.skip(reason="every interpreter here is served"))],
                         ids=repr)
def test_interpreters_that_are_not_served_say_so(python, awaitscope):
    with subprocess.Popen([python.path, "-c", "import os, time; os.write(1, b'ready'); time.sleep(60)"], stdout=subprocess.PIPE) as child:
        assert child.stdout.read(5) == b"ready"
        ended = awaitscope("attach", str(child.pid))
        child.kill()
    assert ended.status == 3 and f"process {child.pid} cannot be watched" in ended.err and "CPython 3.8 to 3.14" in ended.err, ended


def test_steps_that_switch_stacks_go_on(awaitscope, tmp_path):
    """For ten minutes by hand: docs/attach.md."""
    if subprocess.run([DEBIAN, "-c", "import greenlet"], capture_output=True).returncode:
        pytest.skip("greenlet (python3-greenlet) is not installed")
    child = subprocess.Popen([DEBIAN, GREENLETS, "3"], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    ended = awaitscope("attach", "-o", "t.db", "--max-size", "64M", str(child.pid))
    out, _ = child.communicate()
    assert ended.status == 0 and child.returncode == 0 and int(out) > 20, (ended, out)
    seen, = rows(tmp_path / "t.db", "SELECT count(*) FROM task WHERE coro = 'switches' AND state = 'done'")[0]
    assert 10 < seen <= int(out)
