#!/usr/bin/env python3
"""What recording costs, measured, on a machine that does nothing else.

    bench.py overhead [--program build/bin/awaitscope] [--python PY]... [--only NAME] [--pairs 30] [--keep FILE] [--write docs/overhead.md]
    bench.py attach [--program ...] [--python PY] [--only NAME] [--pairs 30] [--write docs/attach.md]
    bench.py ingest [--program build/bin/awaitscope] [--bench build-test/tests/ingest_bench] [--write docs/ingest.md]

overhead: each workload runs bare, recorded (`awaitscope run --sensor agent`) and under asyncio's debug mode, one after the other, --pairs
times over. A run's figure is the CPU time its own process used between the workload's begin and end; a ratio is
recorded/bare of one round. The table gives the median ratio with a 95 % bootstrap interval of the median. A target is met if the
interval's upper end is at or under it, missed if the lower end is over it, else undecided. Needs only the standard
library; workloads that an interpreter cannot run (no uvloop, no aiohttp) are named and left out. About 4 minutes for an interpreter; with
--keep one can be measured after the other, and the page tells them all.

attach: the same of programs that are attached to, bare and attached in turns; and how soon it is ready, what the recorder uses,
how long the trace gets. As root. About 4 minutes.

ingest: what the collector sustains on one core, from the ring to the closed trace, and how long the reports of such a trace take.
tests/tools/ingest_bench.c makes the records. About a minute."""
import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

from bench import attach
from bench.measure import footer, has_module, load_now, median_interval, python_version, table, verdict

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
""", 200_000, 1.05, None),
    "create+await": (PRELUDE + """
async def leaf():
    return 1
async def main():
    for _ in range(N):
        await asyncio.create_task(leaf())
measure(main)
""", 80_000, 1.20, None),
    "streams echo": (PRELUDE + ECHO + "measure(main)\n", 8_000, 1.03, None),
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
""", 1_600, 1.03, "aiohttp"),
    "uvloop echo": (PRELUDE + ECHO + """
import uvloop
def run(coro):
    loop = uvloop.new_event_loop()
    try:
        return loop.run_until_complete(coro)
    finally:
        loop.close()
measure(main, run)
""", 20_000, 1.03, "uvloop"),
}
MODES = ("bare", "recorded", "debug")
DEBUG_PART = 10  # debug mode is slow: it does so much less
HERE = os.path.dirname(os.path.abspath(__file__))
OVERHEAD_INTRO = """# What recording costs

Made by `scripts/bench.py overhead`: CPU time of the program's own process between the workload's begin and end, as a ratio to the
same program run bare just before or after, with the agent as the sensor, as for a user without privileges. The recorder is another
process on another core and is not in it. A target is met if the interval's upper end is at or under it, missed if its lower end is
over it, else undecided.

"""
BESIDE_MARK = "## As root, with the kernel's side\n"
BESIDE_INTRO = """

Made by `scripts/bench.py overhead --sensor auto`: the same, where `run` may use the kernel beside the agent. What a loop's thread spends in the
kernel on being watched (each of its system calls and switches, whatever the iteration's length) is CPU time of the program.

Each system call is seen at the kernel's two tracepoints of system calls, and for these the kernel takes a slower way through every call. In a
loop of calls that do nothing, one took 0.13 µs bare, 0.28 µs with programs that do nothing, 0.36 µs with ours (least of several runs each,
2026-11-21). Programs at the functions behind the calls (fentry) would not need that way, but are not used: the kernel this was measured on
refuses them to root too (EPERM), so neither what they cost nor that they miss nothing could be tried. Nor has its virtual machine counters of
cycles in user code.

"""
REASONS = {
    "sleep(0)": "A turn does nothing but begin and end. Half of what is left of the cost are four readings of the time-stamp counter "
    "(10 ns each in the virtual machine where this was measured; the kernel's clock takes 23), the other half two records, for the turn "
    "and the step, and the way through the hooks.",
    "create+await": "A creation tells the stack it happened on and the names; both are in the trace of every task.",
    "streams echo": "Every recv() and send() is timed, since nothing tells beforehand which one will wait.",
    "aiohttp": "Two tasks are made for each request, and four turns taken; every recv() and send() is timed. The agent's own code is "
    "1.2 % of the program's CPU time (perf, 3.11.2 and 3.13.0); beside it there is the thread's CPU clock, a system call (0.6 µs "
    "here) every 200 µs and at the end of each turn of 100 µs and more, and the machine's own variation.",
    "uvloop echo": "uvloop spends little of its own, and every read and write is timed, since nothing tells beforehand which one will wait.",
}
BESIDE_TRACED = (
    "Time in the kernel is told exactly from time in user code, for which each system call is seen at its beginning and at its end. ")
BESIDE_REASONS = {
    "sleep(0)": BESIDE_TRACED + "Interleaved runs of the same day, least of 9 each: agent alone 1.06; with programs in the kernel that do nothing 1.27, 0.33 µs for a turn "
    "that is one such call. Of what ours add to that two readings of the kernel's clock are more than half.",
    "create+await": BESIDE_TRACED + "Interleaved runs of the same day, least of 8 each: agent alone 1.12; with programs in the kernel that do nothing 1.34. "
    "Each creation and its wait are three calls: two polls, and a getpid() that asyncio itself makes up to Python 3.11.",
    "streams echo": BESIDE_TRACED + "A turn has 14 calls, each of which takes 0.3 µs more with programs in the kernel that do nothing, and 0.08 µs more with ours.",
    "aiohttp": BESIDE_TRACED + "A request has 18 calls, each of which takes 0.3 µs more with programs in the kernel that do nothing, and 0.08 µs more with ours; the agent's "
    "part is told above.",
    "uvloop echo": BESIDE_TRACED + "Interleaved runs of the same day, medians of 6 each: agent alone 1.04; with programs in the kernel that do nothing 1.13. "
    "uvloop spends little of its own between its calls.",
}
SPEED_VARIES = 1.25  # from there on the longest bare turn over the shortest is told
INGEST_INTRO = """# What the recorder sustains

Made by `scripts/bench.py ingest`: records of a busy service (tasks that come and go, waits, wakeups, timers, a stall now and then) go
through a ring file, the checks, the model and into the closed trace, on one core, the writing of the ring included. Then `report` reads
the trace of 10 million records.

"""


def run_once(mode, python, program, n, awaitscope, sensor):
    with tempfile.TemporaryDirectory(prefix="awaitscope-bench-") as tmp:
        script, out = os.path.join(tmp, "work.py"), os.path.join(tmp, "out.json")
        with open(script, "w", encoding="utf-8") as f:
            f.write(program)
        argv = [python, script, str(n), out]
        if mode == "recorded":
            argv = [awaitscope, "run", "-q", "--sensor", sensor, "-o", os.path.join(tmp, "t.db"), "--"] + argv
        env = dict(os.environ, PYTHONASYNCIODEBUG="1" if mode == "debug" else "", PYTHONHASHSEED="0")
        done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit("bench.py: %s run of %s failed: %s" % (mode, python, done.stderr[-600:]))
        with open(out, encoding="utf-8") as f:
            return json.load(f)["cpu_ns"]


def rounds_of(args, python, name):
    """The workload's bare CPU time in ns a turn, and its ratios by mode."""
    program, n = WORKLOADS[name][:2]
    bare, ratios = [], {mode: [] for mode in MODES[1:]}
    for k in range(args.pairs):
        modes = MODES if k % args.debug_every == 0 else MODES[:2]
        got = {}
        for mode in random.sample(modes, len(modes)):
            turns = n // DEBUG_PART if mode == "debug" else n
            got[mode] = run_once(mode, python, program, turns, args.program, args.sensor) / turns
        bare.append(got["bare"])
        for mode in modes[1:]:
            ratios[mode].append(got[mode] / got["bare"])
        print("\r%s, %s: round %d of %d " % (name, python, k + 1, args.pairs), end="", file=sys.stderr)
    print(file=sys.stderr)
    return bare, ratios


def finish(args, intro, foot, text, notes, load):
    text += "\n\n" + footer(notes, load, args.date)
    print(text)
    if args.write:
        with open(args.write, "w", encoding="utf-8") as f:
            f.write(intro + text + foot)


def measure(args, kept):
    """Adds what is measured now to `kept`: by "workload/version", or a reason why there is none."""
    load = load_now()
    for python in args.python or ["/usr/bin/python3"]:
        version = python_version(python)
        for name, (_, _, _, module) in WORKLOADS.items():
            if args.only and args.only not in name:
                continue
            key = "%s/%s" % (name, version)
            if not has_module(python, module):
                kept[key] = {"left_out": "%s on %s, which has no %s" % (name, version, module)}
                continue
            bare, ratios = rounds_of(args, python, name)
            kept[key] = {"bare": bare, "ratios": ratios, "load": load}
            if args.keep:
                with open(args.keep, "w", encoding="utf-8") as f:
                    json.dump(kept, f)


def version_key(version):
    return [int(part) for part in version.split(".") if part.isdigit()]


def overhead(args):
    kept = {}
    if args.keep and os.path.exists(args.keep):
        with open(args.keep, encoding="utf-8") as f:
            kept = json.load(f)
    measure(args, kept)
    rows, missed, pairs = [("workload", "Python", "bare, a turn", "recorded/bare", "95 % interval", "target", "", "debug mode/bare")], {}, set()
    varied = []
    versions = sorted({key.rsplit("/", 1)[1] for key in kept}, key=version_key)
    for name, (_, _, target, _) in WORKLOADS.items():
        for version in versions:
            got = kept.get("%s/%s" % (name, version), {})
            if "bare" not in got:
                continue
            middle, low, high = median_interval(got["ratios"]["recorded"])
            said = verdict(low, high, target)
            pairs.add(len(got["bare"]))
            least, most = min(got["bare"]) / 1e3, max(got["bare"]) / 1e3
            if most > SPEED_VARIES * least:
                varied.append("%s on %s %.2f to %.2f µs" % (name, version, least, most))
            rows.append((name, version, "%.2f µs" % (statistics.median(got["bare"]) / 1e3), "%.3f" % middle, "%.3f–%.3f" % (low, high),
                         "%.2f" % target, said, "%.1f" % statistics.median(got["ratios"]["debug"])))
            if said != "met":
                missed.setdefault(name, []).append(version)
    reasons = REASONS if args.sensor == "agent" else BESIDE_REASONS
    notes = ["Missed or undecided: %s on %s. %s" % (name, ", ".join(on), reasons[name]) for name, on in missed.items()]
    left_out = [kept[key]["left_out"] for key in sorted(kept) if "left_out" in kept[key]]
    notes += ["Left out: " + "; ".join(left_out) + "."] if left_out else []
    notes += ["The machine's own speed varied meanwhile; a bare turn took: %s." % "; ".join(varied)] if varied else []
    notes.append("%s pairs each." % "–".join(str(n) for n in sorted(pairs)))
    finish(args, *overhead_page(args), table(rows), notes, max(got.get("load", 0) for got in kept.values()))


def overhead_page(args):
    """The page's head and foot: each sensor's run writes its own part and keeps the other's."""
    kept = ""
    if args.write and os.path.exists(args.write):
        with open(args.write, encoding="utf-8") as f:
            kept = f.read()
    agent, mark, beside = kept.partition("\n" + BESIDE_MARK)
    if args.sensor == "agent":
        return OVERHEAD_INTRO, mark + beside
    return agent + "\n" + BESIDE_MARK + BESIDE_INTRO, ""


# ---- ingest ----

CASES = (  # name, --min-step in ns, records, target in records a second
    ("default folding", 100_000, 4_000_000, 1_000_000), ("default folding", 100_000, 10_000_000, 1_000_000),
    ("default folding", 100_000, 20_000_000, 1_000_000),
    ("every step a row", 0, 4_000_000, 300_000), ("every step a row", 0, 10_000_000, 300_000),
)
REPORTED = 10_000_000
DAY = 10_000_000
MEMORY_MIB, REPORT_S, REPORTS = 64, 1.0, 5


def report_seconds(args, trace, form):
    took = []
    for _ in range(REPORTS):
        begin = time.monotonic()
        subprocess.run([args.program, "report", "--format", form, trace], stdout=subprocess.DEVNULL, check=True)
        took.append(time.monotonic() - begin)
    return statistics.median(took)


def ingest(args):
    load = load_now()
    rows = [("folding", "records", "records a second", "target", "", "bytes a record", "peak memory, MiB (≤ %d)" % MEMORY_MIB, "closing, s")]
    reports = [("report of %d million records" % (REPORTED // 1_000_000), "text, s", "JSON, s", "target", "")]
    for name, min_step, records, target in CASES:
        with tempfile.TemporaryDirectory(prefix="awaitscope-bench-", dir=args.folder) as tmp:
            trace = os.path.join(tmp, "trace.db")
            done = subprocess.run([args.bench, str(records), str(min_step), trace], capture_output=True, text=True, check=True)
            got = json.loads(done.stdout)
            met = got["records_per_s"] >= target and got["peak_kib"] <= MEMORY_MIB * 1024
            rows.append((name, "%d M" % (records // 1_000_000), "%.2f M" % (got["records_per_s"] / 1e6), "%.1f M" % (target / 1e6),
                         "met" if met else "missed", "%.1f" % (got["bytes"] / got["records"]), "%.0f" % (got["peak_kib"] / 1024),
                         "%.2f" % (got["close_ns"] / 1e9)))
            if records == REPORTED:
                took = [report_seconds(args, trace, form) for form in ("text", "json")]
                judged = ("1 s", "met" if max(took) < REPORT_S else "missed") if min_step else ("", "")
                reports.append((name,) + tuple("%.2f" % t for t in took) + judged)
        print("  ".join(rows[-1]), file=sys.stderr)
    finish(args, INGEST_INTRO, "", table(rows) + "\n\n" + table(reports),
           ["Reports are the median of %d runs." % REPORTS, day_of(args)], load)


def day_of(args):
    """What is to be said of a day of a loop in many records: ingest_bench compares each sum of the trace with what was given, and memory by tenths."""
    if args.day_result:
        with open(args.day_result, encoding="ascii") as f:
            got = json.load(f)
    else:
        got = json.loads(subprocess.run([args.bench, str(args.day), "day"], capture_output=True, text=True, check=False).stdout)
    return ("**%.0f hours of a loop compressed into %d million records**, with --max-size 512M: %.0f s of CPU time, a trace of %.0f MiB; %d turns, %d steps, "
            "their busy, selector and step times in the trace: %s. The most memory in use in each tenth of the records, MiB: %s: %s; "
            "peak with the closing %.0f."
            % (got["hours"], got["records"] // 1_000_000, got["cpu_s"], got["bytes"] / 2**20, got["turns"][1], got["steps"][1],
               "each sum is exact to the ns" if got["exact"] else "**sums differ**", ", ".join("%.1f" % (kib / 1024) for kib in got["memory_kib"]),
               "flat" if got["flat"] else "**it grows**", got["peak_kib"] / 1024))


def first_of(*paths):
    found = [p for p in (os.path.join(HERE, "..", path) for path in paths) if os.path.exists(p)]
    return os.path.abspath(found[0]) if found else None


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--program", type=os.path.abspath, default=first_of("build/bin/awaitscope", "build-test/bin/awaitscope"))
    common.add_argument("--date", default=subprocess.run(["date", "-I"], capture_output=True, text=True, check=True).stdout.strip())
    common.add_argument("--write", metavar="FILE", help="write the page here too")
    sub = p.add_subparsers(dest="what", required=True)
    o = sub.add_parser("overhead", parents=[common], help="CPU time of recorded programs against bare ones")
    o.add_argument("--python", action="append", help="interpreters to try (default /usr/bin/python3)")
    o.add_argument("--only", help="workloads whose name contains this")
    o.add_argument("--keep", metavar="FILE", help="keep the measurements here, and tell those that are there too")
    o.add_argument("--pairs", type=int, default=30)
    o.add_argument("--sensor", choices=("agent", "auto"), default="agent", help="auto, as root: with the kernel's side")
    o.add_argument("--debug-every", type=int, default=5, help="debug mode in every k-th round")
    a = sub.add_parser("attach", parents=[common], help="CPU time of attached programs against bare ones; time to ready")
    a.add_argument("--python", action="append", help="interpreter to try (default /usr/bin/python3)")
    a.add_argument("--only", help="workloads whose name contains this")
    a.add_argument("--pairs", type=int, default=30)
    a.add_argument("--folder", default="/var/tmp", help="where the traces go; not a tmpfs")
    a.set_defaults(progress=sys.stderr)
    i = sub.add_parser("ingest", parents=[common], help="records a second, bytes, memory, time of reports")
    i.add_argument("--bench", default=first_of("build-test/tests/ingest_bench"))
    i.add_argument("--folder", default="/var/tmp", help="where the traces go; not a tmpfs")
    i.add_argument("--day", type=int, default=DAY, metavar="RECORDS", help="of the compressed day (1,000,000,000: 8 minutes)")
    i.add_argument("--day-result", metavar="FILE", help="what `ingest_bench RECORDS day` has printed, instead of running it")
    args = p.parse_args()
    if not args.program or (args.what == "ingest" and not args.bench):
        raise SystemExit("bench.py: build it first: scripts/build.sh default; scripts/build.sh test")
    {"overhead": overhead, "attach": attach.attach, "ingest": ingest}[args.what](args)


if __name__ == "__main__":
    main()
