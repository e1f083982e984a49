"""Programs of counts.py whose tasks wait for each other, and for everything else that asyncio has."""
import asyncio
import contextlib
import gc
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from counting import current, extra, fails, library, own, program, run, turns, unstarted


@program(minor=11)
def task_group():
    async def main():
        for n in range(50):
            async with asyncio.TaskGroup() as group:
                for i in range(5):
                    group.create_task(own(turns(i)))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(own(fails(n % 4)))
                    group.create_task(own(asyncio.sleep(60)))
                    async with asyncio.TaskGroup() as below:
                        below.create_task(own(asyncio.sleep(60)))
            except BaseException as errors:
                assert type(errors).__name__ == "ExceptionGroup", errors
        await turns(2)
    run(main())


@program()
def gather():
    async def main():
        for n in range(50):
            assert await asyncio.gather() == []
            await asyncio.gather(own(turns(n % 5)), own(turns(2)), asyncio.ensure_future(own(turns(1))))
            await asyncio.gather(own(fails(1)), own(turns(3)), own(fails(2)), return_exceptions=True)
            with contextlib.suppress(ValueError):
                await asyncio.gather(own(fails(1)), own(turns(5)))
            outer = asyncio.gather(own(asyncio.sleep(60)), own(asyncio.sleep(60)))
            await turns(2)
            outer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await outer
            same = asyncio.ensure_future(own(turns(2)))
            await asyncio.gather(same, same, same)
        await turns(6)
    run(main())


@program()
def waits():
    """wait(), as_completed(), and what sets the futures that tasks wait for."""
    async def main():
        for n in range(30):
            tasks = [asyncio.ensure_future(own(turns(i))) for i in range(6)]
            _, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait(left, timeout=10)
            for one in asyncio.as_completed([own(turns(i)) for i in range(4)]):
                await one
            queue, lock, event = asyncio.Queue(2), asyncio.Lock(), asyncio.Event()

            async def worker():
                await event.wait()
                for _ in range(4):
                    async with lock:
                        await asyncio.sleep(0)
                        await queue.put(n)
            workers = [asyncio.ensure_future(own(worker())) for _ in range(5)]
            event.set()
            for _ in range(20):
                await queue.get()
            await asyncio.wait(workers)
    run(main())


@program()
def wait_for():
    async def main():
        for n in range(40):
            await asyncio.wait_for(own(turns(3)), 60)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(own(asyncio.sleep(60)), 0.001)
            with contextlib.suppress(ValueError):
                await asyncio.wait_for(own(fails(2)), None)
            await asyncio.wait_for(asyncio.ensure_future(own(turns(2))), 60)
            if hasattr(asyncio, "timeout"):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.001):
                        await own_task()
    async def own_task():
        await asyncio.ensure_future(own(asyncio.sleep(60)))
    run(main())


@program()
def shield():
    async def main():
        for n in range(50):
            inner = asyncio.ensure_future(own(turns(4)))

            async def outer():
                await asyncio.shield(inner)
            task = asyncio.ensure_future(own(outer()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await inner
            await asyncio.shield(own(turns(1)))
    run(main())


@program()
def async_generators():
    async def numbers(n):
        try:
            for i in range(n):
                await asyncio.sleep(0)
                yield i
        finally:
            await asyncio.sleep(0)

    async def uses(n):
        assert [i async for i in numbers(n)] == list(range(n))
        generator = numbers(n)
        async for i in generator:
            if i == 1:
                break
        await generator.aclose()

    async def leaves():
        async for i in numbers(5):
            if i == 2:
                return  # the loop's finalizer makes a task of aclose(), which sleeps once
    kept = []

    async def main():
        for n in range(20):
            await asyncio.gather(own(uses(n % 5 + 3)), own(leaves()))
            library(1, 2)
            await turns(4)
        for _ in range(10):  # left open for shutdown_asyncgens(), which gathers their aclose()
            generator = numbers(3)
            await generator.__anext__()
            kept.append(generator)
        library(10, 20, children=10)
    run(main())


@program()
def executor():
    async def main():
        loop = asyncio.get_running_loop()

        async def job(i):
            if i % 3 == 0 and hasattr(asyncio, "to_thread"):
                return await asyncio.to_thread(time.sleep, 0.0001)
            return await loop.run_in_executor(None if i % 2 else pool, time.sleep, 0.0001)
        with ThreadPoolExecutor(4) as pool:
            await asyncio.gather(*[own(job(i)) for i in range(300)])
    run(main())


@program()
def call_later():
    async def main():
        loop = asyncio.get_running_loop()

        async def waits(future):
            await future
            await turns(1)
        for n in range(100):
            future = loop.create_future()
            task = asyncio.ensure_future(own(waits(future)))
            loop.call_later(0.0002 * (n % 3), future.set_result, None)
            made = loop.create_future()
            loop.call_at(loop.time(), lambda: made.set_result(loop.create_task(own(turns(2)))))
            loop.call_soon(lambda: loop.create_task(own(turns(0)), name="of a callback"))
            await task
            await (await made)
    run(main())


@program()
def add_reader():
    async def main():
        loop = asyncio.get_running_loop()
        pairs = [socket.socketpair() for _ in range(20)]
        for pair in pairs:
            for end in pair:
                end.setblocking(False)

        async def reads(end, n):
            for _ in range(n):
                future = loop.create_future()
                loop.add_reader(end, future.set_result, None)
                await future
                loop.remove_reader(end)
                assert end.recv(1) == b"x"

        async def writes(end, n):
            for _ in range(n):
                future = loop.create_future()
                loop.add_writer(end, future.set_result, None)
                await future
                loop.remove_writer(end)
                end.send(b"x")
                await asyncio.sleep(0)

        async def echo():
            async def serve(reader, writer):  # the task that start_server() makes of it
                writer.write(await reader.readexactly(4))
                await writer.drain()
                writer.close()
            server = await asyncio.start_server(lambda r, w: asyncio.ensure_future(own(serve(r, w))), "127.0.0.1", 0)
            for _ in range(10):
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(b"ping")
                assert await reader.readexactly(4) == b"ping"
                writer.close()
            server.close()
            library(1, 1, children=1)  # start_server() gathers one address
            library(10, 20)            # _accept_connection2(), waits once
        await asyncio.gather(own(echo()), *[own(reads(a, 20)) for a, _ in pairs], *[own(writes(b, 20)) for _, b in pairs])
    run(main())


@program()
def cancellation():
    async def swallows():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await turns(2)

    async def cleans_up():
        try:
            await asyncio.sleep(60)
        finally:
            await turns(3)

    async def cancels_itself():
        current().cancel()
        await asyncio.sleep(60)

    async def ends_cancelled():
        current().cancel()  # it returns all the same; the task is cancelled, its coroutine is done
        extra["cancelled"] += 1
        extra["done"] -= 1

    async def raises_at_cancel():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise KeyError("at cancel")

    async def main():
        for n in range(50):
            never = asyncio.ensure_future(own(turns(1)))
            never.cancel()
            unstarted()
            kinds = [swallows, cleans_up, cancels_itself, ends_cancelled, raises_at_cancel]
            tasks = [asyncio.ensure_future(own(kind())) for kind in kinds]
            await turns(n % 3 + 1)
            for task in tasks:
                task.cancel()
                task.cancel()
            await asyncio.gather(never, *tasks, return_exceptions=True)
            tasks[0].cancel()

            async def chain(depth):
                if depth:
                    return await asyncio.ensure_future(own(chain(depth - 1)))
                await asyncio.sleep(60)
            deep = asyncio.ensure_future(own(chain(5)))
            await turns(8)
            deep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await deep
    run(main())


@program()
def pending():
    """Tasks that never end: some are destroyed, some are there when the program ends."""

    async def waits(future):
        await future
    keep = []

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # "Task was destroyed but it is pending!"
        for _ in range(50):
            asyncio.ensure_future(own(waits(loop.create_future())))
        for _ in range(50):
            future = loop.create_future()
            keep.append((future, asyncio.ensure_future(own(waits(future)))))
        await turns(2)
        gc.collect()
    run(main())


@program()
def interrupted():
    """KeyboardInterrupt and SystemExit go through the task and the loop."""
    for error in KeyboardInterrupt, SystemExit:
        for n in range(5):
            async def main():
                asyncio.ensure_future(own(turns(3)))
                await turns(5)
                raise error
            with contextlib.suppress(error):
                run(main())
