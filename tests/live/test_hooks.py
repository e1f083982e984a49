"""What each hook must not do to objects and memory that are not its own, each with the program that it would hit.

As test_hazards.py: scripts/mutants.sh takes the remedies out one by one and shows that these tests notice."""
import os

import pytest

from conftest import run_program
from test_hazards import rows, tasks_in
from twins import DEBIAN, every_python, extension, same

DEBUG_MEMORY = dict(os.environ, PYTHONMALLOC="debug")  # what is freed reads as no address


# ---- awaits -----------------------------------------------------------------------------------------------------------

# An object of 16 bytes: what lies behind it is the next one's reference count.
NAMESAKES = """
import asyncio
def namesake(name):
    def step(self):
        if futures:
            raise StopIteration
        futures.append(asyncio.get_running_loop().create_future())
        asyncio.get_running_loop().call_soon(futures[0].set_result, None)
        futures[0]._asyncio_future_blocking = True
        return futures[0]
    return type(name, (), {"__slots__": (), "__await__": lambda self: self, "__iter__": lambda self: self, "__next__": step})
async def main():
    for name in "coroutine_wrapper", "anext_awaitable", "async_generator_asend":
        crowd = [namesake(name)() for _ in range(100)]
        for one in crowd:
            futures.clear()
            await one
    for name in "set", "frozenset":
        tasks = [asyncio.ensure_future(asyncio.sleep(0.001))]
        crowd = type(name, (), {"__len__": lambda self: 1, "__iter__": lambda self: iter(tasks)})()
        await asyncio.tasks._wait(crowd, None, asyncio.ALL_COMPLETED, asyncio.get_running_loop())
    for one in [type("cell", (), {"__slots__": ()})() for _ in range(100)]:
        try:
            asyncio.run(one)
        except RuntimeError as e:
            assert "running event loop" in str(e)
futures = []
asyncio.run(main())
print("done")
"""


@every_python
def test_class_that_is_called_as_one_of_the_interpreters(python, tmp_path):
    trace, _ = same([python, "-c", NAMESAKES], tmp_path)
    assert tasks_in(trace, "main")


# ---- who woke whom ----------------------------------------------------------------------------------------------------

# Every call_soon_threadsafe() is left in its middle for another stack, which writes over where it stood.
ASKERS = """
import asyncio, greenlet
def deep(n):
    return n and max([n], key=lambda _: deep(n - 1))
class Loop(asyncio.SelectorEventLoop):
    def _write_to_self(self):
        main.switch()
        super()._write_to_self()
def asks(future):
    loop.call_soon_threadsafe(future.set_result, 5)
async def waits(future):
    return await future
async def leaves():
    for _ in range(20):
        future = loop.create_future()
        waiter = asyncio.ensure_future(waits(future))
        await asyncio.sleep(0)
        asker = greenlet.greenlet(asks)
        asker.switch(future)
        deep(100)
        print(await waiter, end=" ")
        asker.switch()
loop = Loop()
main = greenlet.getcurrent()
loop.run_until_complete(leaves())
"""


def test_asker_whose_stack_is_moved_away(tmp_path):
    if run_program([DEBIAN, "-c", "import greenlet"], cwd=tmp_path).status:
        pytest.skip("python3-greenlet is not installed")
    _, bare = same([DEBIAN, "-c", ASKERS], tmp_path)
    assert bare.out == "5 " * 20, bare


# In batches, each when the recorder has read most of the one before: heads and tails of the rings, as in probe/ring.h.
WAITERS = """
import asyncio, glob, os, struct
def behind():
    for path in glob.glob(os.environ.get("AWAITSCOPE_SESSION", "/none") + "/ring-%d" % os.getpid()):
        with open(path, "rb") as f:
            for at in range(4096, os.path.getsize(path), 4096 + (4 << 20)):
                f.seek(at)
                words = struct.unpack("9Q", f.read(72))
                if words[0] - words[8] > 1 << 20:
                    return True
    return False
async def rest():
    await asyncio.sleep(0.005)
    while behind():
        await asyncio.sleep(0.005)
async def waiter(future):
    await future
async def main():
    tasks, futures = [], []
    for _ in range(40):
        futures += [asyncio.get_running_loop().create_future() for _ in range(1000)]
        tasks += [asyncio.ensure_future(waiter(future)) for future in futures[-1000:]]
        await rest()
    for n in range(0, 40000, 1000):
        for future in futures[n:n + 1000]:
            future.set_result(None)
        await rest()
    await asyncio.wait(tasks)
asyncio.run(main())
print("done")
"""


def test_waits_beyond_the_table_are_counted(tmp_path):
    """Where a place is shared by more waits than it holds, each is told with who ended it, or counted as lost; all stand as waits."""
    trace, _ = same([DEBIAN, "-c", WAITERS], tmp_path, run_options=["--min-step", "0"])
    lost = dict(rows(trace, "SELECT what, count FROM lost"))
    (waits, told), = rows(trace, 'SELECT count(*), sum(woken_how IS NOT NULL) FROM "await" a JOIN task t ON t.id = a.task'
                          " WHERE t.coro = 'waiter'")
    assert set(lost) == {"waits beyond the table"} and waits == 40000, (lost, waits)
    assert told + lost["waits beyond the table"] == 40000 > told, (lost, told)


MANY_LOOPS = """
import asyncio, threading
together = threading.Barrier(90)
async def one():
    await asyncio.sleep(0)
async def main():
    together.wait()
    for _ in range(10):
        await asyncio.gather(one(), one())
    together.wait()
threads = [threading.Thread(target=asyncio.run, args=(main(),)) for _ in range(90)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("done")
"""


def test_loops_on_more_threads_than_have_rings_are_counted(tmp_path):
    """Their tasks and steps are all there; that their iterations are not is told once a run."""
    trace, _ = same([DEBIAN, "-c", MANY_LOOPS], tmp_path)
    (lost,), = rows(trace, "SELECT count FROM lost WHERE what = 'loops on more than 63 threads at once'")
    assert 90 - 63 <= lost <= 3 * 90
    assert rows(trace, "SELECT count(*), sum(steps) FROM task WHERE coro = 'one'") == [(90 * 20, 90 * 40)]


# ---- loops ------------------------------------------------------------------------------------------------------------

# A loop whose hooks for async generators were replaced by others' goes away; then its thread polls.
GONE = """
import asyncio, gc, select, sys
loop = asyncio.new_event_loop()
sys.set_asyncgen_hooks(loop._asyncgen_firstiter_hook, loop._asyncgen_finalizer_hook)
loop._thread_id = 1
sys.set_asyncgen_hooks(lambda generator: None, lambda generator: None)
loop._thread_id = None
loop.close()
del loop
print(gc.collect() >= 0)
with select.epoll() as epoll:
    for _ in range(3):
        print(epoll.poll(0))
"""

FAKES = """
import asyncio, select, weakref
class Fake:
    @property
    def _selector(self):
        print("looked at")
    def __getattr__(self, name):
        print("asked for", name)
        raise AttributeError(name)
async def main():
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    fake = Fake()
    asyncio._set_running_loop(fake)
    with select.epoll() as epoll:
        epoll.poll(0)
    asyncio._set_running_loop(loop)
    print(weakref.getweakrefcount(fake))
    await asyncio.sleep(0)
asyncio.run(main())
print("done")
"""


@every_python
def test_running_loop_that_is_gone(python, tmp_path):
    _, bare = same([python, "-c", GONE], tmp_path, env=DEBUG_MEMORY)
    assert bare.out == "True\n[]\n[]\n[]\n", bare


@every_python
def test_running_loop_that_is_none(python, tmp_path):
    _, bare = same([python, "-c", FAKES], tmp_path)
    assert bare.out == "0\ndone\n"


# A collection at every moment of a loop's start: its finalizers start loops themselves.
COLLECTED = """
import asyncio, gc
class Late:
    def __del__(self):
        loop = asyncio.new_event_loop()
        running = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        loop.run_until_complete(asyncio.sleep(0))
        asyncio._set_running_loop(running)
        loop.close()
        made.append(1)
made = []
for threshold in range(1, 400):
    old = asyncio.new_event_loop()
    old.run_until_complete(asyncio.sleep(0))
    old.close()
    del old
    loop = asyncio.new_event_loop()
    gc.collect()
    cycle = [Late()]
    cycle.append(cycle)
    del cycle
    gc.set_threshold(threshold)
    loop.run_until_complete(asyncio.sleep(0))
    gc.set_threshold(700)
    loop.close()
print(len(made) > 300)
"""


def test_collections_while_a_loop_starts(tmp_path):
    _, bare = same([DEBIAN, "-c", COLLECTED], tmp_path, env=DEBUG_MEMORY)
    assert bare.out == "True\n", bare


CLOSED = """
import asyncio
class Loop(asyncio.SelectorEventLoop):
    def _check_closed(self):
        print("asked", end=" ")
        super()._check_closed()
first = asyncio.new_event_loop()
first.run_until_complete(asyncio.sleep(0))
first.close()
for kind in asyncio.SelectorEventLoop, Loop:
    loop = kind()
    for closed in False, True, 0, 1, [], "closed", None:
        loop._closed = closed
        try:
            print(closed, loop.call_soon(print).cancelled(), end=" ")
        except RuntimeError as e:
            print(closed, e, e.__traceback__.tb_next is not None, end=" ")
    loop._closed = False
    loop.close()
"""


@every_python
def test_loop_says_itself_whether_it_is_closed(python, tmp_path):
    _, bare = same([python, "-W", "ignore", "-c", CLOSED], tmp_path)
    assert bare.out.count("Event loop is closed") == 6, bare


# ---- timers, queues, pools, results, generators -----------------------------------------------------------------------

# Objects of a program's own that are told whenever anybody looks at them.
TELLTALES = """
import asyncio, concurrent.futures, heapq, threading
class Tells:
    def __getattribute__(self, name):
        print("looked for", name)
        return super().__getattribute__(name)
    @property
    def __class__(self):
        print("asked for its class")
        return ValueError
    @property
    def _when(self):
        print("when?")
    _cancelled = _max_workers = _queue = _when
class Handle(asyncio.TimerHandle):
    @property
    def _when(self):
        print("when?")
        return 0.0
    @_when.setter
    def _when(self, value):
        pass
class Queue(asyncio.Queue):
    def _init(self, maxsize):
        pass
    @property
    def _queue(self):
        print("its items?")
        return []
    @property
    def _maxsize(self):
        print("how many?")
        return 7
    @_maxsize.setter
    def _maxsize(self, size):
        pass
class Growing(Queue):
    _queue = None
class Loop(asyncio.SelectorEventLoop):
    @property
    def _default_executor(self):
        print("whose pool?")
        return None
    @_default_executor.setter
    def _default_executor(self, pool):
        pass
class Workers(concurrent.futures.ThreadPoolExecutor):
    @property
    def _max_workers(self):
        print("workers?")
        return 1
    @_max_workers.setter
    def _max_workers(self, count):
        pass
class Own(asyncio.tasks._PyTask):
    state = "PENDING"
    @property
    def _state(self):
        print("its state?")
        return self.state
    @_state.setter
    def _state(self, state):
        self.state = state
async def given(value):
    await asyncio.sleep(0)
    return value
async def main():
    loop = asyncio.get_running_loop()
    queues = [asyncio.Queue(), Queue(), Growing()]
    queues[2]._queue = [1]
    heap = [Tells()]
    heapq.heappop(heap)
    heap = [Handle(1.0, print, (), loop)]
    heapq.heappop(heap)
    results = await asyncio.gather(given(Tells()), given(ValueError("as a result")), given(1), return_exceptions=True)
    print(len(results))
    await asyncio.sleep(1.1)
    queues[0].put_nowait(1)
    await asyncio.sleep(0)
    await loop.run_in_executor(None, str)
    with Workers(1) as pool:
        await loop.run_in_executor(pool, str)
    print(await Own(given(3), loop=loop))
    concurrent.futures.ThreadPoolExecutor.submit(Pool(), print)
class Pool:
    _shutdown = _broken = False
    _initializer = None
    @property
    def _max_workers(self):
        print("workers?")
        return 1
    _shutdown_lock = threading.Lock()
    class _work_queue:
        put = staticmethod(type)
    def _adjust_thread_count(self):
        print("adjusts")
    _resolve_work_item_task = staticmethod(lambda fn, args, kwargs: (fn, args, kwargs))
loop = Loop()
loop.run_until_complete(main())
loop.close()
print("done")
"""


@every_python
def test_nobody_looks_at_a_programs_own_objects(python, tmp_path):
    _, bare = same([python, "-W", "ignore", "-c", TELLTALES], tmp_path)
    assert bare.status == 0 and bare.out.endswith("done\n"), bare


# When each of these goes, told by weak references.
KEPT = """
import asyncio, weakref
def told(name, thing):
    goes = weakref.finalize(thing, print, name, "is gone")
    goes.atexit = False
    return goes
class Work:
    def __call__(self):
        return self
class Failure(ValueError):
    pass
async def numbers():
    for n in range(5):
        yield n
async def main():
    loop = asyncio.get_running_loop()
    generator = numbers()
    told("generator", generator)
    async for n in generator:
        break
    del generator
    for _ in range(3):
        await asyncio.sleep(0)
    print("generator done")
    work = Work()
    goes = told("work", work)
    future = loop.run_in_executor(None, work)
    del work
    await future
    del future
    for _ in range(1000):  # the worker lets go of it when it has a CPU
        if not goes.alive:
            break
        await asyncio.sleep(0.01)
    print("work done")
    queue = asyncio.Queue()
    told("queue", queue)
    queue.put_nowait(1)
    del queue
    print("queue done")
    done = loop.create_future()
    told("future", done)
    handle = loop.call_soon_threadsafe(done.set_result, 1)
    told("handle", handle)
    await done
    del done, handle
    await asyncio.sleep(0)
    print("future done")
    timer = loop.call_later(0.001, print, "timer")
    told("timer", timer)
    del timer
    await asyncio.sleep(0.02)
    both = asyncio.gather(asyncio.sleep(0, Failure(1)), return_exceptions=True)
    told("gather", both)
    told("result", (await both)[0])
    del both
    await asyncio.sleep(0)
    print("gather done")
loop = asyncio.new_event_loop()
told("loop", loop)
loop.run_until_complete(main())
loop.run_until_complete(loop.shutdown_asyncgens())
loop.close()
try:
    loop.call_soon(print)
except RuntimeError as e:
    print(e)
del loop
print("end")
"""


@every_python
def test_nothing_is_kept_alive(python, tmp_path):
    _, bare = same([python, "-W", "ignore", "-c", KEPT], tmp_path)
    assert bare.out.count("is gone") >= 7, bare


NAMED = """
import asyncio
class Name(str):
    __hash__ = str.__hash__
    def __eq__(self, other):
        raise ValueError("compared")
async def work():
    await asyncio.sleep(0)
    return "worked"
async def main():
    loop = asyncio.get_running_loop()
    for arguments in {Name("loop"): loop}, {Name("loop"): loop, Name("name"): "mine"}, {Name("other"): loop}:
        try:
            print(await asyncio.Task(work(), **arguments))
        except TypeError as e:
            print(e)
asyncio.run(main())
"""


@every_python
def test_arguments_whose_names_compare_in_their_own_way(python, tmp_path):
    same([python, "-W", "ignore", "-c", NAMED], tmp_path)


# ---- memory -----------------------------------------------------------------------------------------------------------

LONG = """
import asyncio, resource
async def fails():
    raise ValueError(text)
async def named():
    asyncio.current_task().set_name(text)
async def main():
    await asyncio.gather(fails(), named(), return_exceptions=True)
text = "\N{SNOWMAN}" * (60 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
asyncio.run(main())
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40 << 10)
"""


def test_long_texts_are_not_copied(tmp_path):
    _, bare = same([DEBIAN, "-c", LONG], tmp_path)
    assert bare.out == "True\n"


ALTERNATE = """
import asyncio, calls
async def main():
    await asyncio.sleep(0)
    print(calls.nap_on_a_small_stack(20000))
asyncio.run(main())
"""


def test_small_stack_of_a_signal_handler(tmp_path):
    """A handler on a stack of its own that holds what the handler needs, and no more."""
    extension("calls.c", tmp_path)
    _, bare = same([DEBIAN, "-c", ALTERNATE], tmp_path, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert bare.out == "1\n", bare
