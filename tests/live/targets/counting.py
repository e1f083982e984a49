"""How a program counts its own tasks, their steps and their ends.

A step is one time that a task's coroutine is resumed: own() puts an awaitable around a coroutine that sees each of them. What
asyncio makes by itself (and a task that is cancelled before it ever ran) has steps that follow from asyncio's source: library()."""
import asyncio
import contextlib
import sys

PROGRAMS = {}  # name: function, with what it needs: .minor (Python 3.minor), .module
jobs = []      # one a coroutine of own(); list.append() is atomic
running = {}   # task -> its job, while it has not ended
extra = dict(tasks=0, children=0, steps=0, done=0, cancelled=0, failed=0, pending=0)


def current():
    """The task whose step this is, or None. From 3.14 on, asyncio.current_task() knows no pure-Python ones."""
    try:
        task = asyncio.current_task()
        return task if task or sys.version_info < (3, 14) else asyncio.tasks._py_current_task()
    except RuntimeError:  # no running loop
        return None


class Job:
    __slots__ = "child", "steps", "end"

    def __init__(self, child):
        self.child = child
        self.steps = 0
        self.end = "pending"


class Resumed:
    """Awaits a coroutine and counts how often it is resumed."""

    def __init__(self, job, coro):
        self.job, self.coro = job, coro

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        return self.send(None)

    def send(self, value):
        self.job.steps += 1
        return self.coro.send(value)

    def throw(self, *error):
        self.job.steps += 1
        return self.coro.throw(error[1] if len(error) > 1 and error[1] is not None else error[0])

    def close(self):
        self.coro.close()


async def root(job, coro):
    task = current()
    if task in running:  # awaited by a task, as wait_for() does from 3.12 on: no task of its own, its steps are that task's
        jobs.remove(job)
        return await coro
    running[task] = job
    try:
        result = await Resumed(job, coro)
    except asyncio.CancelledError:
        job.end = "cancelled"
        raise
    except GeneratorExit:
        raise
    except BaseException:
        job.end = "failed"
        raise
    else:
        job.end = "done"
        return result
    finally:
        del running[task]


def own(coro, elsewhere=False):
    """A coroutine that is to be a task and counts for itself. The task is made now, or elsewhere: in a callback."""
    job = Job(not elsewhere and current() is not None)
    jobs.append(job)
    return root(job, coro)


def library(tasks, steps, children=0):
    """Tasks that are not own()'s, their steps in sum, how many of them other tasks made. All get done."""
    extra["tasks"] += tasks
    extra["steps"] += steps
    extra["children"] += children
    extra["done"] += tasks


def unstarted(n=1):
    """own() coroutines that were cancelled before they ran: one step each, that throws into them."""
    extra["steps"] += n
    extra["cancelled"] += n
    extra["pending"] -= n


def counted():
    told = dict(extra)
    for job in jobs:
        told["tasks"] += 1
        if "children" in told:
            told["children"] += job.child
        told["steps"] += job.steps
        told[job.end] += 1
    return told


def run(coro, loop=None):
    """asyncio.run() with every task its own."""
    loop = loop or asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(own(coro))
    finally:
        loop.run_until_complete(own(loop.shutdown_asyncgens()))
        if sys.version_info >= (3, 9):
            loop.run_until_complete(own(loop.shutdown_default_executor()))
        asyncio.set_event_loop(None)
        loop.close()


def program(minor=8, module=None):
    def register(function):
        function.minor, function.module = minor, module
        PROGRAMS[function.__name__] = function
        return function
    return register


# ---- work to be counted

async def turns(n):
    for _ in range(n):
        await asyncio.sleep(0)
    return n


async def fails(n):
    await turns(n)
    raise ValueError("row %d" % n)


async def family(width, depth):
    """Tasks that make tasks, some of which fail."""
    if not depth:
        return await turns(width)
    children = [asyncio.ensure_future(own(family(i, depth - 1))) for i in range(width)]
    children += [asyncio.get_running_loop().create_task(own(fails(i))) for i in range(3)]
    for child in children:
        with contextlib.suppress(ValueError):
            await child


async def mixed(n):
    for _ in range(n):
        await family(3, 2)
