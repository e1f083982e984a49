"""The pending tasks of a live process and its loops' threads, read from outside, on every interpreter found."""
import json
import os
import subprocess
from pathlib import Path

import pytest

from interpreters import traced

PEEK = Path(os.environ.get("AWAITSCOPE", Path(__file__).resolve().parents[2] / "build-test/bin/awaitscope")).parents[1] / "tests/peek"
PYTHONS = traced()
MANY = """\
import asyncio, sys, threading

async def inner(event, number):
    if number % 2:
        await asyncio.sleep(1000)
    else:
        await event.wait()

async def outer(event, number):
    await inner(event, number)

async def ticks():
    while True:
        await asyncio.sleep(500)
        yield

async def listens():
    async for tick in ticks():
        pass

async def restless():
    while True:
        await asyncio.sleep(0)

async def main(restless_too):
    event = asyncio.Event()
    tasks = [asyncio.ensure_future(outer(event, number)) for number in range(1000)]
    tasks.append(asyncio.ensure_future(listens()))
    tasks.append(asyncio.tasks._PyTask(outer(event, 1), name="a Python task"))
    finished = [asyncio.ensure_future(asyncio.sleep(0)) for number in range(10)]
    await asyncio.wait(finished)
    if hasattr(asyncio, "eager_task_factory"):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        tasks.append(asyncio.create_task(outer(event, 1), name="eager"))
    if restless_too:
        tasks.append(asyncio.ensure_future(restless()))
    print(flush=True)
    await asyncio.wait(tasks)

async def elsewhere(runs):
    runs.set()
    await asyncio.sleep(1000)

if "thread" in sys.argv:
    runs = threading.Event()
    threading.Thread(target=asyncio.run, args=[elsewhere(runs)], daemon=True, name="Fäden").start()
    runs.wait()
asyncio.run(main("restless" in sys.argv))
"""


HOLDS = """\
import asyncio, contextlib, json, sys

async def nap():
    await asyncio.sleep(0.01)

async def order(first, second):
    for turn in range(2):
        async with first as nothing:
            await nap()
            try:
                async with second:
                    pass
            finally:
                pass

@contextlib.asynccontextmanager
async def guarded(lock):
    async with lock:
        yield

async def by_generator(first, second):
    async with guarded(first):
        await nap()
        async with guarded(second):
            pass

async def by_hand(first, second):
    await first.acquire()
    await nap()
    async with second:
        pass

async def by_condition(condition, event):
    async with condition:
        await event.wait()

async def lets_go(lock, condition):
    async with lock:
        async with condition:
            await condition.wait()

async def released(lock, event):
    async with lock:
        lock.release()
        await event.wait()

async def bounded(lock, event, seconds):
    async with lock:
        await asyncio.wait_for(event.wait(), seconds)

async def gathers(event):
    await asyncio.gather(event.wait(), event.wait(), asyncio.sleep(1000))

async def waits(event, **how):
    await asyncio.wait([asyncio.ensure_future(event.wait()) for i in range(2)], **how)

class Own(asyncio.Lock):
    pass

async def main():
    event, free, own = asyncio.Event(), asyncio.Condition(), Own()
    lock = [asyncio.Lock() for i in range(10)]
    cond, waiting = asyncio.Condition(lock[8]), asyncio.Condition(lock[9])
    lock += [asyncio.Lock() for i in range(5)]
    jobs = {"a": order(lock[0], lock[1]), "b": order(lock[1], lock[0]), "c": by_generator(lock[2], lock[3]), "d": by_generator(lock[3], lock[2]),
            "e": by_hand(lock[4], lock[5]), "f": by_hand(lock[5], lock[4]), "g": by_condition(cond, event), "h": lets_go(lock[6], waiting),
            "i": released(lock[7], event), "j": bounded(lock[10], event, 1000), "k": bounded(lock[11], event, None), "l": gathers(event),
            "m": waits(event), "n": waits(event, return_when=asyncio.FIRST_COMPLETED), "o": waits(event, timeout=1000), "p": by_condition(own, event),
            "q": order(lock[14], lock[14])}
    tasks = [asyncio.get_running_loop().create_task(job) for job in jobs.values()]
    for task, name in zip(tasks, jobs):
        task.set_name(name)
    await asyncio.sleep(0.1)
    print(json.dumps({id(one): i for i, one in enumerate(lock)}), flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""
# name: (the lock it waits for, those it holds with the line that took each, how many futures it waits for (-n: for the
# first of them), whether a timeout will end it)
HELD = {"a": (1, [(0, 8)], 0, False), "b": (0, [(1, 8)], 0, False), "c": (3, [(2, 22)], 0, False), "d": (2, [(3, 22)], 0, False),
        "e": (5, [], 0, False), "f": (4, [], 0, False), "g": (None, [(8, 34)], 0, False), "h": (None, [(6, 38)], 0, False),
        "i": (None, [], 0, False), "j": (None, [(10, 48)], 0, True), "k": (None, [(11, 48)], 0, False), "l": (None, [], 3, False),
        "m": (None, [], 2, False), "n": (None, [], -2, False), "o": (None, [], 2, True), "p": (None, [], 0, False),
        "q": (14, [(14, 8)], 0, False)}


@pytest.fixture(params=PYTHONS, ids=repr)
def python(request):
    return request.param


@pytest.fixture
def start(tmp_path):
    """start(python, argument...): MANY, running, its tasks made."""
    children = []

    def run(python, *argv):
        program = tmp_path / "many.py"
        program.write_text(MANY)
        child = subprocess.Popen([python, program, *argv], stdout=subprocess.PIPE)
        children.append(child)
        child.stdout.readline()
        return child

    yield run
    for child in children:
        child.kill()
        child.communicate()


def peek(what, pid, layout="any"):
    told = subprocess.run([PEEK, f"--layout={layout}", what, str(pid)], capture_output=True, text=True, timeout=60)
    if told.returncode == 3 and "No data available" in told.stderr:
        return None
    if "not permitted" in told.stderr:
        pytest.skip(told.stderr.strip())
    assert told.returncode == 0, told.stderr
    return [json.loads(line) for line in told.stdout.splitlines()]


def short(frames):
    return [(os.path.basename(file), function) for file, line, function in frames]


def test_each_pending_task_is_found_with_its_await_chain(python, start):
    pid = start(python.path).pid
    *tasks, told = peek("tasks", pid)
    eager = [task for task in tasks if task["name"] == "eager"]
    assert told.pop("done") in (0, 10), "3.14 lists no task that is done"
    assert told == {"read": 1003 + len(eager), "unread": 0, "whole": True}
    assert len(eager) == (python.minor >= 12)
    outer = [task for task in tasks if task["coro"] == "outer" and not task["python"]]
    assert len(outer) == 1000 + len(eager) and len({task["task"] for task in tasks}) == len(tasks)
    for task in outer:
        assert short(task["frames"])[-2:] == [("many.py", "inner"), ("many.py", "outer")], task
        assert task["frames"][-1][1] == 10 and task["waits_type"] == "_asyncio.Future"
    assert sum(task["frames"][0][2].endswith("sleep") for task in outer) == 500 + len(eager)
    assert sum(task["frames"][-2][1] == 5 for task in outer) == 500 + len(eager), "the line of each await"
    listens, = (task for task in tasks if task["coro"] == "listens")
    assert short(listens["frames"])[-2:] == [("many.py", "ticks"), ("many.py", "listens")]
    by_hand, = (task for task in tasks if task["python"])
    assert by_hand["name"] == "a Python task" and short(by_hand["frames"])[-1] == ("many.py", "outer")
    assert {task["name"] for task in outer} >= {"Task-2", "Task-1001"}


def test_what_ties_tasks_to_others_is_found(python, tmp_path):
    program = tmp_path / "holds.py"
    program.write_text(HOLDS)
    with subprocess.Popen([python.path, program], stdout=subprocess.PIPE, text=True) as child:
        try:
            lock = {int(address): i for address, i in json.loads(child.stdout.readline()).items()}
            told = {task["name"]: task["bonds"] for task in peek("tasks", child.pid)[:-1]}
        finally:
            child.kill()
    found = {name: (lock.get(told[name]["lock"]), [(lock[one], place[1]) for one, place in told[name]["held"]], len(told[name]["members"]) * (-1 if told[name]["one"] else 1),
                    told[name]["due"] > 0) for name in HELD}
    assert found == HELD


def test_every_source_of_the_layout_gives_the_same(python, start):
    pid = start(python.path, "thread").pid
    shipped = [peek(what, pid, "shipped") for what in ("tasks", "threads")]
    assert len(shipped[0]) > 1000 and all(thread["stack"] for thread in shipped[1])
    for layout in "published", "dwarf":
        told = [peek(what, pid, layout) for what in ("tasks", "threads")]
        assert told in (shipped, [None, None]), layout
        assert told[0] or layout == "dwarf" or python.minor < 13


def test_layouts_are_what_the_interpreters_say():
    """Every member of the list, against debug information and published offsets of what is here."""
    told = subprocess.run(["/usr/bin/python3", "-B", Path(__file__).resolve().parents[2] / "scripts/gen_layout.py"],
                          capture_output=True, text=True, timeout=120)
    assert told.returncode == 0, told.stdout + told.stderr


def test_loops_stand_with_their_threads(python, start):
    child = start(python.path, "thread")
    threads = peek("threads", child.pid)
    assert [thread["loop_type"] for thread in threads] == ["_UnixSelectorEventLoop"] * 2
    assert {thread["tid"] for thread in threads} == {int(tid) for tid in os.listdir(f"/proc/{child.pid}/task")}
    assert {thread["name"]: thread["tid"] == child.pid for thread in threads} == {"MainThread": True, "Fäden": False}
    assert peek("tasks", child.pid)[-1]["whole"]


def test_a_task_that_never_rests_is_told_right_or_counted(start):
    """Torn readings are tried again; what stays torn is counted, and never a wrong chain."""
    child = start("/usr/bin/python3", "restless")
    for attempt in range(3):
        *tasks, told = peek("tasks", child.pid)
        eager = sum(task["name"] == "eager" for task in tasks)  # from 3.12 on
        assert told["read"] + told["unread"] == 1004 + eager
        assert told["unread"] <= 1 and told["whole"]
        for task in tasks:
            if task["coro"] == "outer" and not task["python"]:
                assert short(task["frames"])[-2:] == [("many.py", "inner"), ("many.py", "outer")]


def test_uvloop_is_a_loop(tmp_path):
    uvloop = [python.with_module("uvloop") for python in PYTHONS if python.path == "/usr/bin/python3"]
    if not uvloop or not uvloop[0]:
        pytest.skip("no interpreter with uvloop")
    program = "import asyncio, uvloop; uvloop.install()\nasync def main():\n print(flush=True)\n await asyncio.sleep(1000)\nasyncio.run(main())"
    child = subprocess.Popen([uvloop[0], "-c", program], stdout=subprocess.PIPE)
    child.stdout.readline()
    try:
        assert [thread["loop_type"] for thread in peek("threads", child.pid)] == ["uvloop.loop.Loop"]
        task, told = peek("tasks", child.pid)
        assert task["coro"] == "main" and told["whole"]
    finally:
        child.kill()
        child.communicate()


def test_a_process_without_asyncio_is_told_so():
    child = subprocess.Popen(["/usr/bin/python3", "-c", "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    told = subprocess.run([PEEK, "tasks", str(child.pid)], capture_output=True, text=True)
    child.communicate(b"\n")
    assert told.returncode == 3 and "asyncio is not imported" in told.stderr


APART = """\
set -e
mount -t tmpfs none /mnt
cp -r "$1" /mnt/lib
mount --bind /mnt/lib "$1"
exec "$2" "$3" thread
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces are made as root")
@pytest.mark.parametrize("apart", [one for one in PYTHONS if one.path == "/usr/bin/python3" or one.minor == 8], ids=repr)
def test_other_namespaces_are_no_wall(apart, tmp_path):
    """Its asyncio is a file that only it sees, its pids are its own: points, threads and tasks are found all the same."""
    program = tmp_path / "many.py"
    program.write_text(MANY)
    folder = os.path.dirname(subprocess.run([apart.path, "-c", "import _asyncio; print(_asyncio.__file__)"],
                                            capture_output=True, text=True, check=True).stdout.strip())
    child = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", APART, "sh", folder,
                              apart.path, program], stdout=subprocess.PIPE)
    if not child.stdout.readline():
        child.communicate()
        pytest.skip("namespaces cannot be made here")
    try:
        pid = int(Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()[0])
        assert peek("tasks", pid)[-1]["read"] >= 1003
        threads = peek("threads", pid)
        assert {thread["tid"] for thread in threads} == {1, max(thread["tid"] for thread in threads)} and len(threads) == 2
        assert [thread["loop_type"] for thread in threads] == ["_UnixSelectorEventLoop"] * 2
        told = subprocess.run([PEEK, "points", str(pid), str(apart.minor), "any"], capture_output=True, text=True)
        points = [json.loads(line) for line in told.stdout.splitlines()]
        paths = {point["path"] for point in points if point.get("kind") == "step"}
        its, = (os.stat(path) for path in paths)
        here = [os.stat(file) for file in Path(folder).glob("_asyncio.*")]
        assert (its.st_dev, its.st_ino) not in [(file.st_dev, file.st_ino) for file in here]
    finally:
        child.kill()
        child.communicate()
