"""Every kind of wakeup, refusal and leftover once. Lines that the trace must point at end in a comment with a name."""
import asyncio
import collections
import threading
import time


async def holder(lock):
    async with lock:
        await asyncio.sleep(0.02)  # timer


async def contender(lock):
    await lock.acquire()
    lock.release()


async def getter(queue):
    return await queue.get()


async def putter(queue):
    await asyncio.sleep(0.01)
    queue.put_nowait(1)  # put


async def fails():
    await asyncio.sleep(0)
    raise ValueError("row 7")


async def future_waiter(future):
    waits.set()
    return await future


async def event_waiter(event):
    waits.set()
    await event.wait()


async def pool_waiter(loop):
    await loop.run_in_executor(None, time.sleep, 0.01)  # submit


async def sleeper():
    await asyncio.sleep(60)


async def task_waiter(task):
    try:
        await task
    except ValueError as e:
        return str(e)


async def stranger(other):
    try:
        await other.create_future()
    except RuntimeError:
        return "other loop"


async def counting():
    yield 1
    yield 2


def set_later(loop, call, *args):
    def late():
        waits.wait()
        time.sleep(0.01)
        loop.call_soon_threadsafe(call, *args)  # thread

    waits.clear()
    threading.Thread(target=late, name="setter").start()


def refused(call, coro):
    try:
        call(coro)  # refused
    except RuntimeError as e:
        print(e)
    coro.close()


def reenter(loop):
    """As nest_asyncio does it."""
    asyncio._set_running_loop(loop)  # again
    loop.call_soon(print, "inner")
    loop._run_once()
    asyncio._set_running_loop(loop)


async def racer(box):
    seen = box.total  # read
    await asyncio.sleep(0.01)  # between
    box.total = seen + 1  # written


async def left_of(tasks):
    await asyncio.gather(tasks["right"], asyncio.sleep(0.01))


async def right_of(tasks):
    await asyncio.wait([tasks["left"]])


async def bounded():
    await asyncio.wait([asyncio.ensure_future(asyncio.sleep(0.02))], timeout=60)


async def main():
    loop = asyncio.get_running_loop()
    await loop.create_task(bounded())
    await asyncio.gather(racer(main), racer(main))
    loop.call_later(30, print)
    reenter(loop)
    lock, queue, event, future = asyncio.Lock(), asyncio.Queue(3), asyncio.Event(), loop.create_future()
    await asyncio.gather(holder(lock), contender(lock))
    await asyncio.gather(getter(queue), putter(queue))
    set_later(loop, future.set_result, 5)
    print(await loop.create_task(future_waiter(future)))
    set_later(loop, event.set)
    await loop.create_task(event_waiter(event))
    await loop.create_task(pool_waiter(loop))
    print(await asyncio.gather(fails(), fails(), asyncio.sleep(0.01), return_exceptions=True))
    task = loop.create_task(sleeper())
    await asyncio.sleep(0.01)
    task.cancel()  # cancel
    await asyncio.wait([task])
    print(await loop.create_task(task_waiter(loop.create_task(fails()))))
    other = asyncio.new_event_loop()
    print(await loop.create_task(stranger(other)))
    other.close()
    refused(asyncio.run, fails())
    refused(loop.run_until_complete, fails())
    refused(other.create_task, fails())
    async for _ in counting():
        break  # left
    await asyncio.sleep(0)
    queue.put_nowait(2)
    queue.put_nowait(3)
    loop.call_later(0.01, print, "late")
    time.sleep(0.05)
    tasks = {}
    tasks.update(left=loop.create_task(left_of(tasks)), right=loop.create_task(right_of(tasks)))
    await asyncio.sleep(1.1)


waits = threading.Event()
main.total = 0
asyncio.run(main())
