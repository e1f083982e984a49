"""Tasks that wait for each other for ever are told, who waits for what and where it took its lock; those that something may still end are not."""
import pytest

from attached import PYTHONS, WHY_NOT, running

PROGRAM = """\
import asyncio, os, signal, sys

async def transfer(source, target):
    async with source:
        await asyncio.sleep(0.01)
        async with target:
            pass

async def again(lock):
    async with lock:
        async with lock:
            pass

async def member(lock):
    async with lock:
        pass

async def group(lock):
    async with lock:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(member(lock))

async def left():
    return await tasks["right"]

async def right():
    return await asyncio.gather(asyncio.sleep(0.01), tasks["left"])

# what ends these: a timeout, another task, whoever has the lock
async def hurried(source, target):
    async with source:
        await asyncio.sleep(0.01)
        await asyncio.wait_for(target.acquire(), 60)

async def one_of(others):
    await asyncio.wait([tasks[name] for name in others], return_when=asyncio.FIRST_COMPLETED)

async def other():
    await tasks["one_of"]

async def busy(lock):
    while True:
        async with lock:
            await asyncio.sleep(0.002)

tasks = {}

async def main():
    print("ready", flush=True)
    watched = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    lock = [asyncio.Lock() for _ in range(7)]
    for name, coroutine in {"right": right(), "left": left(), "other": other(), "sleep": asyncio.sleep(60),
                            "one_of": one_of(["other", "sleep"])}.items():
        tasks[name] = asyncio.ensure_future(coroutine)
    others = [asyncio.ensure_future(one) for one in (transfer(lock[0], lock[1]), transfer(lock[1], lock[0]), again(lock[2]), busy(lock[3]),
                                                     busy(lock[3]), hurried(lock[4], lock[5]), transfer(lock[5], lock[4]))]
    if sys.version_info >= (3, 11):
        others.append(asyncio.ensure_future(group(lock[6])))
    if not watched:
        asyncio.get_running_loop().call_later(0.8, os.kill, os.getpid(), signal.SIGKILL)
    await asyncio.wait([*tasks.values(), *others])

asyncio.run(main())
"""


def check(report, python):
    found = [finding for finding in report("t.db")["findings"] if finding["rule"] == "AS212"]
    circles = {frozenset(one["evidence"]["cycle"].split(" waits for ")): one for one in found}
    expected = {frozenset(["transfer"]): (2, 2), frozenset(["again", "itself"]): (1, 1), frozenset(["left", "right"]): (2, 0)}
    if python.minor >= 11:
        expected[frozenset(["group", "member"])] = 2, 1
    assert len(found) == len(circles) == len(expected), found
    assert {names: (one["evidence"]["tasks"], one["evidence"]["locks"]) for names, one in circles.items()} == expected
    assert all(one["severity"] == "error" for one in found)
    assert circles[frozenset(["transfer"])]["message"].count("holds a lock taken in app.py:4 and waits in app.py:6 for the lock of") == 2
    assert "holds a lock taken in app.py:10 and waits in app.py:11 for it again" in circles[frozenset(["again", "itself"])]["message"]


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
def test_attach_tells_deadlocks(python, awaitscope, report, tmp_path):
    with running(PROGRAM, tmp_path, python.path) as child:
        child.stdin.write("\n")
        child.stdin.flush()
        ended = awaitscope("attach", "-o", "t.db", "--duration", "0.6s", str(child.pid))
        assert ended.status == 0, ended
    check(report, python)


@pytest.mark.parametrize("python", PYTHONS, ids=lambda one: one.name)
def test_run_tells_deadlocks(python, awaitscope, report, tmp_path):
    """Of a program that is killed while it waits."""
    (tmp_path / "app.py").write_text(PROGRAM)
    ended = awaitscope("run", "--sensor", "agent", "-o", "t.db", "--", python.path, "app.py")
    assert ended.status == 128 + 9, ended
    check(report, python)
