#!/usr/bin/env python3
"""What recording costs, measured.

    bench.py overhead [--program build/bin/awaitscope] [--python PY]... [--only NAME] [--pairs 30] [--markdown FILE]

overhead: each workload runs bare, recorded (`awaitscope run`) and under asyncio's debug mode, one after the other, --pairs
times over. A run's figure is the CPU time its own process used between the workload's begin and end; a ratio is
recorded/bare of one round. The table gives the median ratio with a 95 % bootstrap interval of the median. A target is met if the
interval's upper end is at or under it, missed if the lower end is over it, else undecided. Needs only the standard
library; workloads that an interpreter cannot run (no uvloop, no aiohttp) are named and left out."""
import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile

PRELUDE = """
import asyncio, json, os, sys, time
N = int(sys.argv[1])
def measure(main, runner=asyncio.run):
    async def timed():
        t = time.process_time_ns()
        await main()
        return time.process_time_ns() - t
    ns = runner(timed())
    with open(sys.argv[2], "w") as f:
        json.dump({"cpu_ns": ns}, f)
"""
ECHO = """
async def main():
    async def serve(r, w):
        try:
            while True:
                w.write(await r.readexactly(64))
                await w.drain()
        except asyncio.IncompleteReadError:
            w.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    r, w = await asyncio.open_connection(*server.sockets[0].getsockname())
    for _ in range(N):
        w.write(b"x" * 64)
        await r.readexactly(64)
    w.close()
    server.close()
"""
WORKLOADS = {  # name: (program, N, target ratio, module it needs)
    "sleep(0)": (PRELUDE + """
async def main():
    for _ in range(N):
        await asyncio.sleep(0)
measure(main)
""", 60_000, 1.05, None),
    "create+await": (PRELUDE + """
async def leaf():
    return 1
async def main():
    for _ in range(N):
        await asyncio.create_task(leaf())
measure(main)
""", 30_000, 1.20, None),
    "streams echo": (PRELUDE + ECHO + "measure(main)\n", 6_000, 1.03, None),
    "aiohttp": (PRELUDE + """
import aiohttp
from aiohttp import web
async def main():
    async def hello(request):
        return web.Response(text="hello")
    app = web.Application()
    app.router.add_get("/", hello)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = "http://127.0.0.1:%d/" % site._server.sockets[0].getsockname()[1]
    async with aiohttp.ClientSession() as session:
        for _ in range(N):
            async with session.get(url) as r:
                await r.text()
    await runner.cleanup()
measure(main)
""", 800, 1.03, "aiohttp"),
    "uvloop echo": (PRELUDE + ECHO + """
import uvloop
def run(coro):
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(coro)
    finally:
        loop.close()
measure(main, run)
""", 8_000, 1.03, "uvloop"),
}
MODES = ("bare", "recorded", "debug")


def run_once(mode, python, program, n, awaitscope):
    with tempfile.TemporaryDirectory(prefix="awaitscope-bench-") as tmp:
        script, out = os.path.join(tmp, "work.py"), os.path.join(tmp, "out.json")
        with open(script, "w", encoding="utf-8") as f:
            f.write(program)
        argv = [python, script, str(n), out]
        if mode == "recorded":
            argv = [awaitscope, "run", "-q", "-o", os.path.join(tmp, "t.db"), "--"] + argv
        env = dict(os.environ, PYTHONASYNCIODEBUG="1" if mode == "debug" else "")
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit("bench.py: %s run of %s failed: %s" % (mode, python, done.stderr[-600:]))
        with open(out, encoding="utf-8") as f:
            return json.load(f)["cpu_ns"]


def median_interval(values, rounds=4000):
    rng = random.Random(len(values))
    medians = sorted(statistics.median(rng.choices(values, k=len(values))) for _ in range(rounds))
    return statistics.median(values), medians[int(0.025 * rounds)], medians[int(0.975 * rounds) - 1]


def verdict(low, high, target):
    return "met" if high <= target else "missed" if low > target else "undecided"


def has_module(python, module):
    return module is None or subprocess.run([python, "-c", "import " + module], capture_output=True).returncode == 0


def python_version(python):
    return subprocess.run([python, "-c", "import platform; print(platform.python_version())"],
                          capture_output=True, text=True, check=True).stdout.strip()


def machine_line():
    model = "unknown CPU"
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), model)
    except OSError:
        pass
    return "%s, %d CPUs, Linux %s" % (model, os.cpu_count() or 0, platform.release())


def overhead(args):
    rows, left_out = [], []
    for python in args.python:
        version = python_version(python)
        for name, (program, n, target, module) in WORKLOADS.items():
            if args.only and args.only not in name:
                continue
            if not has_module(python, module):
                left_out.append("%s on %s: no %s" % (name, version, module))
                continue
            ratios = {mode: [] for mode in MODES[1:]}
            bare_ns = []
            for k in range(args.pairs):
                got = {}
                for mode in random.sample(MODES, len(MODES)) if k % args.debug_every == 0 else random.sample(MODES[:2], 2):
                    got[mode] = run_once(mode, python, program, n, args.program)
                bare_ns.append(got["bare"] / n)
                for mode in MODES[1:]:
                    if mode in got:
                        ratios[mode].append(got[mode] / got["bare"])
                print("\r%s, Python %s: round %d of %d " % (name, version, k + 1, args.pairs), end="", file=sys.stderr)
            print(file=sys.stderr)
            middle, low, high = median_interval(ratios["recorded"])
            rows.append((name, version, "%.2f µs" % (statistics.median(bare_ns) / 1e3), "%.3f" % middle,
                         "%.3f–%.3f" % (low, high), "%.2f" % target, verdict(low, high, target),
                         "%.1f" % statistics.median(ratios["debug"])))
    head = ("workload", "Python", "bare, per turn", "recorded/bare", "95 % interval", "target", "", "debug mode/bare")
    lines = ["| " + " | ".join(r) + " |" for r in [head, ("---",) * len(head)] + rows]
    lines += ["", "%d pairs each; %s; %s." % (args.pairs, machine_line(), args.date)]
    lines += ["Left out: " + "; ".join(left_out) + "."] if left_out else []
    text = "\n".join(lines)
    print(text)
    if args.markdown:
        with open(args.markdown, "w", encoding="utf-8") as f:
            f.write("# What recording costs\n\nMade by `scripts/bench.py overhead`. CPU time of the traced process, "
                    "ratio to bare.\n\n" + text + "\n")


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = p.add_subparsers(dest="what", required=True)
    o = sub.add_parser("overhead", help="CPU time of recorded programs against bare ones")
    o.add_argument("--program", default=os.path.join(here, "..", "build", "bin", "awaitscope"))
    o.add_argument("--python", action="append", help="interpreters to try (default /usr/bin/python3)")
    o.add_argument("--only", help="workloads whose name contains this")
    o.add_argument("--pairs", type=int, default=30)
    o.add_argument("--debug-every", type=int, default=5, help="debug mode in every k-th round (it is slow)")
    o.add_argument("--date", default=subprocess.run(["date", "-I"], capture_output=True, text=True).stdout.strip())
    o.add_argument("--markdown", metavar="FILE", help="write the table here too")
    args = p.parse_args()
    args.program = os.path.abspath(args.program)
    args.python = args.python or ["/usr/bin/python3"]
    overhead(args)


if __name__ == "__main__":
    main()
