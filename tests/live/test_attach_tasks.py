"""What attach tells of a running program's tasks: those that were there before, what they wait for, who wakes them."""
import pytest

from attached import GOES, PYTHONS, WHY_NOT, rows, running, wait_for_rows, watch_begun, watched
from interpreters import DEBIAN

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

PENDING = """\
import asyncio

async def takes(queue):
    await queue.get()

async def rests():
    await asyncio.sleep(1000)

async def main():
    queue = asyncio.Queue()
    tasks = [asyncio.create_task(takes(queue), name=f"takes-{i}") for i in range(900)]
    tasks += [asyncio.create_task(rests(), name=f"rests-{i}") for i in range(100)]
    await asyncio.sleep(0)
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
def test_tasks_that_were_pending_before_are_listed(python, awaitscope, tmp_path):
    with running(PENDING, tmp_path, python.path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "0.2s", str(child.pid))
        assert ended.status == 0, ended
    listed = rows(tmp_path / "t.db", "SELECT coro, state, await_line, count(*), count(DISTINCT name) FROM task WHERE coro != 'main' GROUP BY 1, 2, 3")
    assert listed == [("rests", "pending", 7, 100, 100), ("takes", "pending", 4, 900, 900)]
    awaiting = {coro: what for coro, what in rows(tmp_path / "t.db", "SELECT DISTINCT coro, awaiting FROM task")}
    assert awaiting["rests"] == "asyncio.sleep" and awaiting["takes"] in ("Queue.get", "asyncio.queues.get")


BEGINS_TO_WAIT = """\
import asyncio, sys

async def takes(queue):
    return await queue.get()

async def locks(lock):
    async with lock:
        pass

async def listens(event):
    await event.wait()

async def outer(inner):
    await inner

async def ticks():
    while True:
        await asyncio.sleep(0)
        await asyncio.sleep(0.02)

async def main():
    lock = asyncio.Lock()
    await lock.acquire()
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    tasks = [asyncio.ensure_future(outer(one)) for one in (takes(asyncio.Queue()), locks(lock), listens(asyncio.Event()))]
    tasks.append(asyncio.ensure_future(ticks()))
    await asyncio.wait(tasks)

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
def test_what_tasks_wait_for_is_known_while_they_wait(python, tmp_path):
    with running(BEGINS_TO_WAIT, tmp_path, python.path) as child:
        watch = watch_begun(child, tmp_path)
        child.stdin.write("\n")
        child.stdin.flush()
        wait_for_rows(tmp_path / "t.db", "SELECT coro, await_line FROM task WHERE coro = 'outer' ORDER BY await_line",
                      [("outer", line) for line in (4, 7, 11)])
        child.kill()
        err = watch.communicate(timeout=10)[1]
        assert watch.returncode == 0, err
    told = rows(tmp_path / "t.db", "SELECT state, await_line, awaiting FROM task WHERE coro = 'outer' ORDER BY await_line")
    assert [row[:2] for row in told] == [("pending", 4), ("pending", 7), ("pending", 11)]
    assert [row[2].rpartition(".")[2] for row in told] == ["get", "acquire", "wait"], told


LOCKED = """\
import asyncio, os

async def holds(lock, wanted):
    async with lock:
        await wanted.wait()
        await asyncio.sleep(0.2)

async def wants(lock):
    async with lock:
        pass

async def main():
    print("ready", flush=True)
""" + GOES + """\
    lock, wanted, answer = asyncio.Lock(), asyncio.Event(), asyncio.get_running_loop().create_future()
    holder = asyncio.create_task(holds(lock, wanted), name="holder")
    await asyncio.sleep(0.05)
    wanting = asyncio.create_task(wants(lock), name="wanting")
    await asyncio.sleep(0)
    wanted.set()
    asyncio.get_running_loop().call_later(0.1, answer.set_result, None)
    await answer
    await asyncio.gather(holder, wanting)
    await asyncio.sleep(0.05)
    print("done", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
def test_who_woke_whom(python, awaitscope, report, tmp_path):
    with running(LOCKED, tmp_path, python.path) as child, watched(child, tmp_path):
        assert child.stdout.readline() == "done\n"
    waits = rows(tmp_path / "t.db", "SELECT t.name, woken_how, w.name, a.begin_ns, a.begin_ns + a.duration_ns, set_ns FROM \"await\" a"
                 " JOIN task t ON t.id = a.task LEFT JOIN task w ON w.id = woken_by WHERE a.duration_ns > 20000000 ORDER BY a.begin_ns")
    woken = [(name, how, by) for name, how, by, *_ in waits]
    assert ("wanting", "result", "holder") in woken, waits
    assert ("holder", "timer", None) in woken and ("Task-1", "timer", None) in woken, waits
    assert ("Task-1", "result", None) in woken, "by a callback, in no task"
    for name, how, by, begin, end, set_ns in waits:
        assert how == "task" or begin < set_ns <= end, waits
    assert min(end - set_ns for name, how, by, begin, end, set_ns in waits if how != "task") < 20e6, waits
    if python.minor >= 11:  # before, a code object does not know that its acquire() is a lock's
        finding, = [one for one in report("t.db")["findings"] if one["rule"] == "AS402"]
        assert "held by a task of holds" in finding["message"]


ASKS = """
import asyncio, os, sqlite3, subprocess

async def child():
    await asyncio.sleep(0)

def of_python(loop, coro, **options):
    return asyncio.tasks._PyTask(coro, loop=loop, **options)

async def main():
    print("ready", flush=True)
""" + GOES + """\
    for _ in range(3):
        subprocess.run(["true"])
        sqlite3.connect(":memory:").close()
        await asyncio.sleep(0.02)
    loop = asyncio.get_running_loop()
    loop.set_task_factory(of_python)
    for _ in range(40):
        await loop.create_task(child())
    loop.set_task_factory(None)
    print("done", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
def test_audit_events_and_tasks_of_python_code(python, awaitscope, report, tmp_path):
    with running(ASKS, tmp_path, python.path) as child, watched(child, tmp_path):
        assert child.stdout.readline() == "done\n"
    counted = [what for what, in rows(tmp_path / "t.db", "SELECT detail FROM coverage WHERE what = 'hook:tasks of Python code'")]
    assert counted == ["40 were made in asyncio's Python code, whose steps have no probes"]
    asked = rows(tmp_path / "t.db", "SELECT event, detail, count(*) FROM audit_event WHERE event != 'open' GROUP BY 1, 2 ORDER BY 1")
    placed = rows(tmp_path / "t.db", "SELECT sensor FROM coverage WHERE what = 'hook:audit'") == [("placed",)]
    assert placed or python.path != DEBIAN  # whose build has USDT
    assert asked == ([("sqlite3.connect", ":memory:", 3), ("subprocess.Popen", "true", 3)] if placed else [])
