"""What the programs here have in common: they do one thing at a time in one turn of a loop, and write down by their own clocks
how long that took and what the loop's thread did meanwhile. One JSON object a line, times in ns of CLOCK_MONOTONIC.

    NAME.py OUT [--loop asyncio|uvloop|thread] [--only TEXT] [--rounds N] [--watch TOOL] [--wait]

A line's "busy" is the turn: from the return of the loop's selector to its next call (uvloop, whose selector cannot be wrapped:
only the act itself). "causes" is what the time went to:
  cpu     thread CPU time, outside collections
  kernel  of that, what was in system calls, where an act says so
  gc      thread CPU time of collections
  runq    the scheduler's own count of run-queue wait; where an act is free of system calls, wall less CPU time
  others  wall time around the act, less CPU time and run-queue wait in it
  gil     too, where other threads run Python: what is off CPU outside of all those, where nothing else is waited for
A wait in which the thread was switched out more often than once may have been one for the GIL too, and no clock of the program's tells
them apart: "merged" are those causes, to be judged together with gil. The CPU time of waits for the GIL counts as such, and cannot be told
from the rest here: "gil_cpu" is twice what so many waits for a lock take.
Of a program with one thread the clocks know what is none of those. Where the thread went off its CPU by itself, outside of its
waits, it was for a page: blocked_fault. Where it did not, it was kept from a CPU that the scheduler has not counted, by the
hypervisor above all: runq, "stolen" of it.
Acts during which the hypervisor took CPU time away (steal in /proc/stat, which is told in ticks of 10 ms) are marked where
the clocks do not tell it from waits.
Between the clocks and the selector's system call there is Python code, in which a thread can be interrupted, put off its CPU or
wait for the GIL: "edges" is how much longer than "busy" the turn can have been for that."""
import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import math
import os
import resource
import subprocess
import sys
import threading
import time

from watchers import WATCHERS, watch

ON_CPU = ("gc", "kernel")  # parts that are no waits
ELSEWHERE_NS = 20_000  # less is between the clocks
ACTS = []  # (label, rounds, coroutine function)

# PyDLL: the GIL is kept, so that reading a clock cannot lose it
pread = ctypes.PyDLL(None).pread
pread.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_long]


def act(label, rounds=20):
    def add(function):
        ACTS.append((label, rounds, function))
        return function
    return add


def steal():
    with open("/proc/stat", encoding="ascii") as f:
        return int(f.readline().split()[8])


def switches():
    """How often this thread went off its CPU by itself."""
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw


def edge(timeout, called, returned, switched):
    """What a call of the selector can have been longer than the system call in it."""
    on_cpu_or_queued = returned[1] - called[1] + returned[2] - called[2]
    if timeout is None or switched <= (timeout > 0):  # the system call waited, and nothing else
        return on_cpu_or_queued
    beyond = returned[0] - called[0] - math.ceil(timeout * 1e3) * 1_000_000
    return beyond if beyond >= 0 else on_cpu_or_queued


class Truth:
    """The clocks of one loop's thread, and the act that is open on it."""

    def __init__(self, loop, out):
        self.loop, self.out = loop, out
        self.schedstat = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self.text = ctypes.create_string_buffer(64)
        self.returned = self.open = self.label = None
        self.edge = 0
        self.cost = self.wait_cost()
        selector = getattr(loop, "_selector", None)
        if selector:
            self.select = selector.select
            selector.select = self.turn

    def run_delay(self):
        n = pread(self.schedstat, self.text, 63, 0)
        return int(self.text.raw[:n].split()[1])

    def begin_clocks(self):
        return time.monotonic_ns(), time.thread_time_ns(), self.run_delay()

    def end_clocks(self):
        delay, cpu = self.run_delay(), time.thread_time_ns()
        return time.monotonic_ns(), cpu, delay

    def clocks(self):
        """All of one moment: the thread was not put off its CPU between them."""
        while True:
            now = self.end_clocks()
            if self.run_delay() == now[2]:
                return now

    def wait_cost(self):
        """CPU time of a wait for a lock that is not had."""
        lock, rounds = threading.Lock(), 40
        lock.acquire()
        begin = time.thread_time_ns()
        for _ in range(rounds):
            lock.acquire(timeout=0.001)
        return (time.thread_time_ns() - begin) // rounds

    def turn(self, timeout=None):
        switched, called = switches(), self.end_clocks()
        ends = self.open and "end" in self.open and "left" not in self.open
        events = self.select(timeout)
        self.returned = self.begin_clocks()
        self.edge = edge(timeout, called, self.returned, switches() - switched)
        if ends:
            self.open["left"], self.open["after"] = called, self.edge
        return events

    async def ready(self, label=None):
        """The next thing done is alone in its turn of the loop."""
        self.label = label or self.label
        self.steal = steal()
        await asyncio.sleep(0.004)

    def begin(self):
        self.open = {"parts": {}, "switched": -switches(), "begin": self.begin_clocks()}
        if self.returned:
            self.open["came"], self.open["before"] = self.returned, self.edge

    def end(self):
        self.open["end"] = self.end_clocks()
        self.open["switched"] += switches()

    def elsewhere(self, line, causes, off):
        """What no clock explains. True: it was stolen."""
        if line["switched"] > 0:
            causes["blocked_fault"] = causes.get("blocked_fault", 0) + off
        return line["switched"] <= 0

    async def done(self, starved=False):
        """Closes the turn. starved: nothing in it waited, so what was not on CPU was run-queue wait."""
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        line, self.open = self.open, None
        came, left = line.get("came", line["begin"]), line.get("left", line["end"])
        causes = dict(line["parts"])
        causes["cpu"] = left[1] - came[1] - causes.get("gc", 0)
        off = left[0] - came[0] - (left[1] - came[1]) - (left[2] - came[2]) - sum(ns for c, ns in line["parts"].items() if c not in ON_CPU)
        stolen = 0
        if threading.active_count() > 1:
            line["gil_cpu"] = line.get("gil_cpu", 0) + 2 * max(0, line["switched"]) * self.cost
            causes["gil"] = causes.get("gil", 0) + max(0, off)
        elif off > ELSEWHERE_NS and not starved:
            stolen = off * self.elsewhere(line, causes, off)
        causes["runq"] = left[0] - came[0] - (left[1] - came[1]) if starved else left[2] - came[2] + stolen
        # waits hide what was stolen
        mixed = threading.active_count() > 1 or line["switched"] > 0 or any(c not in ON_CPU for c in line["parts"])
        row = {"label": self.label, "begin": line["begin"][0], "end": line["end"][0], "busy": left[0] - came[0], "causes": causes,
               "edges": line.get("before", 0) + line.get("after", 0), "stolen": stolen, "merged": line.get("merged", []),
               "gil_cpu": line.get("gil_cpu", 0), "disturbed": mixed and steal() != self.steal, "tid": threading.get_native_id(),
               "pid": os.getpid()}
        self.out.write(json.dumps(row) + "\n")

    def part(self, cause, ns):
        self.open["parts"][cause] = self.open["parts"].get(cause, 0) + ns

    @contextlib.contextmanager
    def act(self):
        self.begin()
        yield
        self.end()

    @contextlib.contextmanager
    def waits(self, cause):
        """Off CPU in here is `cause`; of it, what the scheduler calls run-queue wait is that."""
        switched, a = switches(), self.clocks()
        yield
        b, switched = self.clocks(), switches() - switched
        self.open["switched"] -= switched
        self.part(cause, b[0] - a[0] - (b[1] - a[1]) - (b[2] - a[2]))
        if cause == "gil" or switched > 1:
            self.open["gil_cpu"] = self.open.get("gil_cpu", 0) + 2 * switched * self.cost
        if cause != "gil" and switched > 1:
            self.open.setdefault("merged", []).append(cause)

    def collect(self):
        """No Python code runs between the clocks and the collection: there the GIL is given to who asked for it meanwhile."""
        begin, _, end = map(type(gc.collect).__call__, (time.thread_time_ns, gc.collect, time.thread_time_ns))
        self.part("gc", end - begin)

    @contextlib.contextmanager
    def calls(self):
        """CPU time in here is the kernel's, but for what calling it costs."""
        a = time.thread_time_ns()
        yield
        self.part("kernel", time.thread_time_ns() - a)


class Answerer:
    """Another process that does something some ms after it was told to."""

    PROGRAM = """
import os, sys, time
for line in sys.stdin:
    what, ms, where = line.split(maxsplit=2)
    where = where.strip()
    if what == "lock":
        import sqlite3
        db = sqlite3.connect(where, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        print("locked", flush=True)
    time.sleep(float(ms) / 1000)
    if what == "write":
        os.write(int(where), b"x")
    elif what == "open":
        os.close(os.open(where, os.O_WRONLY))
    else:
        db.execute("COMMIT")
        db.close()
"""

    def __init__(self, fds=()):
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        self.process = subprocess.Popen([sys.executable, "-c", self.PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        pass_fds=fds, env=env)

    def tell(self, what, ms, where):
        os.write(self.process.stdin.fileno(), ("%s %s %s\n" % (what, ms, where)).encode())

    def hear(self):
        return self.process.stdout.readline()

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


async def told_to_begin():
    """Says so when the loop runs, and lets it run until somebody has looked."""
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


async def play(args, out):
    loop = asyncio.get_running_loop()
    if args.wait:
        await told_to_begin()
    truth = Truth(loop, out)
    gc.disable()  # collections are acts of their own
    async with watch(args.watch, loop, out):
        for label, rounds, function in ACTS:
            if args.only and args.only not in label:
                continue
            truth.label = label
            await function(truth, min(rounds, args.rounds or rounds))


def uvloop_run(coroutine):
    import uvloop
    loop = uvloop.new_event_loop()
    try:
        loop.run_until_complete(coroutine)
    finally:
        loop.close()


def thread_run(coroutine):
    """The loop runs in a thread; another thread runs a loop that does little."""
    async def tick():
        while not over.is_set():
            await asyncio.sleep(0.01)

    over = threading.Event()
    threads = [threading.Thread(target=asyncio.run, args=(coroutine,)), threading.Thread(target=asyncio.run, args=(tick(),))]
    for t in threads:
        t.start()
    threads[0].join()
    over.set()
    threads[1].join()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("out")
    p.add_argument("--loop", choices=("asyncio", "uvloop", "thread"), default="asyncio")
    p.add_argument("--only")
    p.add_argument("--rounds", type=int)
    p.add_argument("--wait", action="store_true", help="for a line on the standard input")
    p.add_argument("--watch", choices=WATCHERS, help="another tool, told to report what it sees")
    args = p.parse_args()
    run = {"asyncio": asyncio.run, "uvloop": uvloop_run, "thread": thread_run}[args.loop]
    with open(args.out, "w", encoding="ascii") as out:
        run(play(args, out))
