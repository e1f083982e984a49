"""Programs that count their own tasks: counts.py PROGRAM [ARG...] runs one and prints what it counted as a line of JSON.
Here are the kinds of tasks and where they run; counted_waits.py has what they wait for."""
import asyncio


class Before(asyncio.Task):
    """Made before the agent can have placed a hook: no audit event has come since asyncio was imported."""


class BeforeInit(Before):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.mine = True


class BeforeBoth(BeforeInit):
    def __del__(self):
        super().__del__()


import collections.abc  # noqa: E402
import contextlib  # noqa: E402
import functools  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402

import counted_waits  # noqa: E402,F401: its programs are registered
from counting import PROGRAMS, counted, current, extra, fails, family, library, mixed, own, program, run, turns, unstarted  # noqa: E402


@program()
def c_tasks():
    asyncio.run(own(mixed(100)))
    made = 2 if sys.version_info >= (3, 9) else 1  # shutdown_asyncgens(), shutdown_default_executor()
    library(made, made)


@program()
def debug_mode():
    loop = asyncio.new_event_loop()
    loop.set_debug(True)
    run(mixed(5), loop)


@program(module="nest_asyncio")
def nest_asyncio():
    import nest_asyncio
    loop = asyncio.new_event_loop()
    nest_asyncio.apply(loop)
    assert asyncio.Task is asyncio.tasks._PyTask

    async def inner(depth):
        await turns(depth)
        if depth:
            return loop.run_until_complete(own(inner(depth - 1)))

    async def main():
        await mixed(20)
        await asyncio.gather(*[own(inner(3)) for _ in range(4)])
    asyncio.set_event_loop(loop)
    loop.run_until_complete(own(main()))


@program()
def py_tasks():
    """The pure-Python Task, also in classes below it."""
    class Below(asyncio.tasks._PyTask):
        pass

    class BelowInit(Below):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    loop = asyncio.new_event_loop()
    kinds = [asyncio.tasks._PyTask, Below, BelowInit]

    def factory(loop, coro, **kwargs):
        kinds.append(kinds.pop(0))
        return kinds[0](coro, loop=loop, **kwargs)
    loop.set_task_factory(factory)
    run(mixed(30), loop)


async def eager_work(eager=True):
    loop = asyncio.get_running_loop()
    for n in range(50):
        tasks = [asyncio.create_task(own(turns(n % 4))), asyncio.create_task(own(fails(n % 3))),
                 asyncio.create_task(own(family(3, 1)))]
        if not eager:
            unstarted()
        tasks[0].cancel()  # does nothing to a task that is done
        await asyncio.gather(*tasks, return_exceptions=True)

        async def cancels_itself():
            current().cancel()
            await asyncio.sleep(0)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.create_task(own(cancels_itself()))
        ready = loop.create_future()
        ready.set_result(None)

        async def waits():
            await ready
            await asyncio.sleep(0.0001)
        await asyncio.create_task(own(waits()))


class Foreign(collections.abc.Coroutine):
    """A coroutine that is no native one, as Cython makes them."""

    def __init__(self, coro):
        self.coro = coro

    def __await__(self):
        return self.coro.__await__()

    def send(self, value):
        return self.coro.send(value)

    def throw(self, *error):
        return self.coro.throw(*error)

    def close(self):
        self.coro.close()


async def foreign_work(n):
    for i in range(n):
        tasks = [asyncio.ensure_future(Foreign(own(work(i % 3)))) for work in (turns, fails)]
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(TypeError):
            asyncio.Task(turns)  # no coroutine, and no task


@program()
def foreign_coroutines():
    run(foreign_work(50))


@program(minor=12)
def eager_tasks():
    loop = asyncio.new_event_loop()

    class Eager(asyncio.Task):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)

    # no loop runs: they start as any other
    late = [asyncio.Task(coro, loop=loop, eager_start=True) for coro in (own(turns(2)), Foreign(own(turns(2))))]

    async def raises(error):
        raise error

    async def main():
        await asyncio.gather(*late)
        for factory in asyncio.eager_task_factory, asyncio.create_eager_task_factory(Eager), None:
            loop.set_task_factory(factory)
            await eager_work(eager=factory is not None)
            await foreign_work(50)
        await asyncio.Task(own(turns(1)), loop=loop, eager_start=1)
        loop.set_exception_handler(lambda *_: None)  # "exception was never retrieved"
        for error in KeyboardInterrupt, SystemExit:
            with contextlib.suppress(error):  # out of Task() itself
                asyncio.Task(own(raises(error)), loop=loop, eager_start=True)
        with contextlib.suppress(TypeError):
            asyncio.Task(turns, loop=loop, eager_start=True)
    run(main(), loop)


@program(minor=12)
def eager_py_tasks():
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.create_eager_task_factory(asyncio.tasks._PyTask))

    async def main():
        await eager_work()
        await foreign_work(50)
        with contextlib.suppress(TypeError):
            asyncio.create_task(turns)
        loop.set_task_factory(None)
        asyncio.tasks._PyTask(own(turns(1)), loop=loop, eager_start=True)
        await turns(2)
    late = asyncio.tasks._PyTask(own(turns(1)), loop=loop, eager_start=True)
    run(main(), loop)
    assert late.done()


@program()
def threads():
    """Loops in several threads at once, that also make tasks on each other's loop."""
    loops, ready, over = [], threading.Barrier(6), threading.Barrier(6)

    async def main(number):
        loop = asyncio.get_running_loop()
        loops.append(loop)
        await loop.run_in_executor(None, ready.wait)
        for i in range(30):
            other = loops[(number + i) % len(loops)]
            if other is not loop:
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(own(turns(3), elsewhere=True), other))
            await mixed(1)
        await loop.run_in_executor(None, over.wait)

    started = [threading.Thread(target=run, args=(main(i),)) for i in range(6)]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()


@program()
def subclasses():
    class After(asyncio.Task):
        pass

    class AfterInit(Before):
        def __init__(self, coro, *, loop, **kwargs):
            super().__init__(coro, loop=loop, **kwargs)

    class AfterDel(BeforeBoth):
        def __del__(self):
            super().__del__()

    async def main():
        loop = asyncio.get_running_loop()
        for n in range(100):
            for kind in Before, BeforeInit, BeforeBoth, After, AfterInit, AfterDel, asyncio.Task:
                await kind(own(turns(n % 3)), loop=loop)

        class Within(After):
            pass
        await Within(own(mixed(2)), loop=loop)
    run(main())


@program()
def task_factories():
    def plain(loop, coro, **kwargs):
        return asyncio.Task(coro, loop=loop, **kwargs)

    def wraps(loop, coro, **kwargs):
        async def wrapped():
            return await coro
        return asyncio.Task(wrapped(), loop=loop, **kwargs)

    class Named(asyncio.Task):
        def __init__(self, coro, *, loop, **kwargs):
            kwargs["name"] = "of the factory"
            super().__init__(coro, loop=loop, **kwargs)

    def named(loop, coro, **kwargs):
        return Named(coro, loop=loop, **kwargs)

    async def main():
        for factory in plain, wraps, named, functools.partial(plain), None:
            asyncio.get_running_loop().set_task_factory(factory)
            await mixed(10)
    run(main())


@program(module="uvloop")
def uvloop():
    import uvloop
    run(mixed(50), uvloop.new_event_loop())


@program(module="greenlet")
def greenlets():
    """A step leaves its stack for a greenlet's and comes back, with await in between, as SQLAlchemy does it."""
    import greenlet

    def await_only(awaitable):
        return greenlet.getcurrent().parent.switch(awaitable)

    def synchronous(n):
        def deep(depth):
            if depth:
                return deep(depth - 1)
            return await_only(turns(n % 3))
        for i in range(n):
            deep(20 + i)
        task = await_only(asyncio.sleep(0, asyncio.ensure_future(own(turns(1)))))
        return await_only(task)

    async def spawn(n):
        child = greenlet.greenlet(synchronous)
        result = child.switch(n)
        while not child.dead:
            try:
                value = await result
            except BaseException as error:
                result = child.throw(error)
            else:
                result = child.switch(value)
        return result

    async def main():
        await asyncio.gather(*[own(spawn(i % 7)) for i in range(200)])
    run(main())


@program(module="greenlet")
def greenlet_loops():
    """Two loops on two stacks of one thread: each leaves its steps open for the other."""
    import greenlet
    stacks = []

    def other():
        """To the other loop and back, in the middle of a step."""
        loop, task = asyncio._get_running_loop(), asyncio.current_task()
        if sys.version_info >= (3, 14):
            asyncio.tasks._swap_current_task(loop, None)
        asyncio._set_running_loop(None)
        here = greenlet.getcurrent()
        there = stacks[1] if here is stacks[0] else stacks[0]
        if not there.dead:
            there.switch()
        asyncio._set_running_loop(loop)
        if sys.version_info >= (3, 14):
            asyncio.tasks._swap_current_task(loop, task)

    async def hops(n):
        loop = asyncio.get_running_loop()
        for i in range(n):
            loop.call_soon(lambda: loop.create_task(own(turns(1)), name="of a callback"))
            other()
            await asyncio.sleep(0)
            asyncio.ensure_future(own(turns(1)))
            other()
            await asyncio.sleep(0.0001 if i % 5 == 0 else 0)

    async def main():
        await asyncio.gather(*[own(hops(20)) for _ in range(5)])
        await turns(3)

    def stack():
        loop = asyncio.new_event_loop()
        loop.run_until_complete(own(main()))
        loop.close()

    stacks[:] = greenlet.greenlet(stack), greenlet.greenlet(stack)
    for one in stacks:
        while not one.dead:
            one.switch()
    del extra["children"]  # where stacks cross, a parent is not always known


@program()
def short_threads(n="2000"):
    """Threads that end at once: each makes a task on the main thread's loop, each tenth runs a loop of its own."""
    async def main():
        loop = asyncio.get_running_loop()

        def to_main():
            asyncio.run_coroutine_threadsafe(own(turns(1)), loop)

        def of_its_own():
            mine = asyncio.new_event_loop()
            mine.run_until_complete(own(turns(1)))
            mine.close()
        for _ in range(int(n) // 10):
            started = [threading.Thread(target=to_main if i else of_its_own) for i in range(10)]
            for thread in started:
                thread.start()
            for thread in started:
                thread.join()
            await asyncio.sleep(0)
        await turns(2)
    run(main())


if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
    print(json.dumps(counted()), flush=True)
    if sys.argv[1] == "pending":
        os._exit(0)
