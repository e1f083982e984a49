"""bench.py attach: what it costs a running program to be watched from the kernel, and what it costs the recorder.

One process a workload does the same amount of work again and again, told by a line on its stdin, and answers with the CPU time it
used. Between two such turns `awaitscope attach` comes or goes, so each pair is one process bare and attached."""
import json
import os
import random
import re
import signal
import statistics
import subprocess
import tempfile
import time

from bench.measure import footer, has_module, load_now, median_interval, python_version, table, verdict

PRELUDE = """
import asyncio, os, sys, time

async def told():
    loop, line = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(0, line.set)
    await line.wait()
    loop.remove_reader(0)
    return int(os.read(0, 64) or 0)

async def serve(work, *more):
    print("ready", flush=True)
    while n := await told():
        began = time.process_time_ns()
        await work(n, *more)
        print(time.process_time_ns() - began, flush=True)
"""
WORKLOADS = {  # name: (program, turns, steps a turn, target, module it needs)
    "sleep(0)": (PRELUDE + """
async def work(n):
    for _ in range(n):
        await asyncio.sleep(0)
asyncio.run(serve(work))
""", 150_000, 1, 1.8, None),
    "streams echo": (PRELUDE + """
async def echo(r, w):
    while data := await r.read(64):
        w.write(data)
        await w.drain()
    w.close()
async def work(n, r, w):
    for _ in range(n):
        w.write(b"x" * 64)
        await r.readexactly(64)
async def main():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname())
    await serve(work, r, w)
asyncio.run(main())
""", 6_000, 2, 1.08, None),
    "aiohttp": (PRELUDE + """
import aiohttp
from aiohttp import web
async def hello(request):
    return web.Response(text="hello")
async def work(n, session, url):
    for _ in range(n):
        async with session.get(url) as r:
            await r.text()
async def main():
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    async with aiohttp.ClientSession() as session:
        await serve(work, session, "http://127.0.0.1:%d/" % site._server.sockets[0].getsockname()[1])
asyncio.run(main())
""", 1_200, 5, 1.08, "aiohttp"),
    "20 µs of work": (PRELUDE + """
async def work(n):
    for _ in range(n):
        spin(ROUNDS)
        await asyncio.sleep(0)
def spin(rounds):
    for _ in range(rounds):
        pass
def spun(rounds):
    began = time.process_time_ns()
    spin(rounds)
    return time.process_time_ns() - began
ROUNDS = int(20_000 * 100_000 / min(spun(100_000) for _ in range(20)))
asyncio.run(serve(work))
""", 15_000, 1, 1.03, None),
}
PRICES = (
    "Each step has two probes, and each is a trap into the kernel: 0.57 µs in a loop of nothing else where this was developed, some 0.75 µs with what "
    "it drives out of the caches. A system call is seen at its beginning and its end, without which time in the kernel could not be told exactly from "
    "time in user code: 0.15 µs in such a loop, 0.3 µs in a loop of asyncio. ")
TRAPS = PRICES + "With programs in the kernel that do nothing "
REASONS = {
    "sleep(0)": TRAPS + "a turn, which is two traps and a system call, takes 2.1 times as long already.",
    "streams echo": TRAPS + "a turn takes 1.18 times as long already: it has two steps, two futures that are set, each another trap, and 14 system calls.",
    "aiohttp": PRICES + "The 14 traps and 18 system calls of a request take 16 µs by these prices. The programs themselves take some 20 µs, 9 of them for the "
    "two tasks that it makes, whose stacks of some 30 frames are walked; the rest, by elimination, is what both drive out of the caches.",
    "20 µs of work": TRAPS + "a turn takes 1.09 times as long already.",
}
WAITS = (
    "A wait of `--min-block` or longer is told with its Python stack, its native stack and what it touched: some 25 µs of the program's CPU time each (a turn with "
    "time.sleep(0.0012) in it, taken beside other load, 2026-11-21).")
SECTION = "## What it costs\n"
INTRO = """
Made by `scripts/bench.py attach`: one process does the same work again and again, attached to and left in turns; CPU time of that process
as a ratio of neighbouring turns, the median and its 95 % interval. A target is met if the interval's upper end is at or under it, missed
if its lower end is over it, else undecided. The recorder's own CPU time is on another core.

"""


class Worker:
    """A workload's process."""

    def __init__(self, python, program, folder):
        script = os.path.join(folder, "work.py")
        with open(script, "w", encoding="utf-8") as f:
            f.write(program)
        self.child = subprocess.Popen([python, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder,
                                      env=dict(os.environ, PYTHONHASHSEED="0"))
        self.child.stdout.readline()

    def work(self, turns):
        print(turns, file=self.child.stdin, flush=True)
        return int(self.child.stdout.readline())

    def end(self):
        self.child.stdin.close()
        self.child.wait()
        self.child.stdout.close()


def cpu_clock(pid):
    return time.clock_gettime_ns((~pid << 3) | 2)  # CPUCLOCK_SCHED of a process (linux/posix-timers.h)


class Attached:
    """An attach: ready_ms once it is, then lost, recorder_ns, wall_ns and bytes of what happened in it."""

    def __init__(self, args, pid, folder):
        self.args, self.trace = args, os.path.join(folder, "t.db")
        began = time.monotonic()
        self.child = subprocess.Popen([args.program, "attach", "--force", "-o", self.trace, str(pid)], cwd=folder, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        line = self.child.stderr.readline()
        self.ready_ms = (time.monotonic() - began) * 1e3
        if "watching process" not in line:
            raise SystemExit("bench.py: %s" % (line + self.child.stderr.read()))
        self.began_ns, self.cpu_ns = time.monotonic_ns(), cpu_clock(self.child.pid)

    def worked(self):
        """To be called when the work is done: what it took the recorder until then."""
        self.wall_ns, self.recorder_ns = time.monotonic_ns() - self.began_ns, cpu_clock(self.child.pid) - self.cpu_ns

    def end(self):
        self.child.send_signal(signal.SIGINT)
        self.child.communicate()
        self.bytes = os.path.getsize(self.trace)
        told = subprocess.run([self.args.program, "report", "--format", "json", self.trace], capture_output=True, text=True, check=True)
        self.lost = json.loads(told.stdout)["coverage"]["lost_events"]


def pairs_of(args, name, python):
    """Ratios, CPU ns of a bare turn, and the Attached of each pair."""
    program, turns = WORKLOADS[name][:2]
    with tempfile.TemporaryDirectory(prefix="awaitscope-bench-", dir=args.folder) as folder:
        worker = Worker(python, program, folder)
        worker.work(turns)
        ratios, bare, attached = [], [], []
        for k in range(args.pairs):
            order = random.sample((False, True), 2)
            got = {}
            for watched in order:
                if not watched:
                    got[False] = worker.work(turns)
                    continue
                a = Attached(args, worker.child.pid, folder)
                got[True] = worker.work(turns)
                a.worked()
                a.end()
                attached.append(a)
            ratios.append(got[True] / got[False])
            bare.append(got[False] / turns)
            print("\r%s: pair %d of %d " % (name, k + 1, args.pairs), end="", file=args.progress)
        # what a trace is without any work is not counted to the steps
        a = Attached(args, worker.child.pid, folder)
        a.end()
        empty = a.bytes
        worker.end()
    print(file=args.progress)
    return ratios, bare, attached, empty


def measure(args, python, name):
    """The workload's row, and how long each attach took until it was ready."""
    _, turns, per_turn, target, _ = WORKLOADS[name]
    ratios, bare, attached, empty = pairs_of(args, name, python)
    middle, low, high = median_interval(ratios)
    steps = turns * per_turn
    row = (name, "%.2f µs" % (statistics.median(bare) / 1e3), "%.3f" % middle, "%.3f–%.3f" % (low, high), "%.2f" % target,
           verdict(low, high, target), "%.1f" % (statistics.median(a.bytes - empty for a in attached) / steps),
           "%.0f %%" % (statistics.median(a.recorder_ns / a.wall_ns for a in attached) * 100),
           "%.0f" % (statistics.median(a.recorder_ns for a in attached) / steps),
           "%.2f %%" % (statistics.median(a.lost for a in attached) / steps * 100))
    return row, [a.ready_ms for a in attached]


def attach(args):
    load, python = load_now(), (args.python or ["/usr/bin/python3"])[0]
    rows = [("workload", "bare, a turn", "attached/bare", "95 % interval", "target", "", "trace, bytes a step", "recorder, of a core",
             "recorder, ns a step", "left out")]
    notes, ready = [], []
    for name, (_, _, _, target, module) in WORKLOADS.items():
        if args.only and args.only not in name:
            continue
        if not has_module(python, module):
            notes.append("Left out: %s, since %s has no %s." % (name, python, module))
            continue
        row, took = measure(args, python, name)
        rows.append(row)
        ready += took
        if row[5] != "met" and name in REASONS:
            notes.append("Not met: %s. %s" % (name, REASONS[name]))
        print("  ".join(row), file=args.progress)
    ready.sort()
    notes.append(WAITS)
    notes.append("Ready after %.0f ms (median), %.0f ms (95 %% of all), %.0f ms (worst of %d)." % (
        statistics.median(ready), ready[int(0.95 * (len(ready) - 1))], ready[-1], len(ready)))
    notes.append("CPython %s, %d pairs each." % (python_version(python), args.pairs))
    text = table(rows) + "\n\n" + footer(notes, load, args.date)
    print(text)
    if args.write:
        write(args.write, INTRO + text)


def write(path, text):
    """The page's section, in its place or at its end."""
    page = ""
    if os.path.exists(path):
        with open(path, encoding="utf-8") as f:
            page = f.read()
    if SECTION not in page:
        page += "\n" + SECTION
    page = re.sub("(?s)(%s).*?(?=^## |\\Z)" % re.escape(SECTION), lambda m: m.group(1) + text, page, flags=re.M)
    with open(path, "w", encoding="utf-8") as f:
        f.write(page)
