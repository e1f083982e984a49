#!/usr/bin/env python3
"""What awaitscope reports against what was true.

    accuracy.py [--program build/bin/awaitscope] [--python PY] [--only TEXT] [--rounds N] [--write FILE] [-v]

Runs the programs of tests/accuracy under `awaitscope run`. Each holds its loop in a known way, act by act, and writes what its own
clocks say; every act is compared with the iteration of the trace it lies in, and the JSON report with the sum of those. An act
that the hypervisor disturbed (steal in /proc/stat) is dropped and counted. Targets, with the agent alone: busy time within 0.5 %;
each cause within 2 % of the truth or 0.5 ms, the larger; unknown at most 1 % of busy time. Then the same programs run under other
tools, fetched from PyPI into an environment of their own; what cannot be had is named. Needs only the standard library. On a quiet
machine: about 6 minutes."""
import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile

BUSY_SHARE, CAUSE_SHARE, CAUSE_MS, UNKNOWN_SHARE = 0.005, 0.02, 0.5, 0.01
HERE = os.path.dirname(os.path.abspath(__file__))
ACTS = os.path.join(HERE, "..", "tests", "accuracy")
RUNS = (  # program, loop, only
    ("waits.py", "asyncio", ""), ("burns.py", "asyncio", ""), ("faults.py", "asyncio", ""),
    ("waits.py", "uvloop", "20 ms"), ("burns.py", "uvloop", "mixture"),
    ("waits.py", "thread", "20 ms"), ("burns.py", "thread", "mixture"),
)
CAUSES = ("cpu", "gc", "gil", "runq", "blocked_sleep", "blocked_network", "blocked_file", "blocked_subprocess", "blocked_dns",
          "blocked_database", "blocked_lock", "blocked_fault", "blocked_other")
ROWS = """
SELECT i.begin_ns + (SELECT value FROM meta WHERE key = 't0_ns') AS begin_ns, i.busy_ns, p.pid, t.tid,
	i.cpu_ns + i.cpu_user_ns + i.cpu_kernel_ns AS cpu, %s, i.unknown_ns AS unknown
FROM iteration i JOIN loop l ON l.id = i.loop JOIN thread t ON t.id = l.thread JOIN process p ON p.id = l.process
""" % ", ".join("i.%s_ns AS %s" % (c, c) for c in CAUSES[1:])
NS = 1e6
REASONS = {  # what is known to miss, and why
    "page fault answered after 20 ms": "userfaultfd's faults count as minor ones; from inside, such a wait cannot be told from a "
    "call nobody hooked. Samples from outside tell it, and they begin where a turn is 20 ms old: below that it is unknown, not guessed.",
    "fsync": "So short a turn allows an error of a few microseconds, which the program's own clocks need too.",
}
GIL = ("Probably: the thread that lets the loop go on was put off CPU while it held the GIL; the program's own clocks take that for the lock's "
       "wait.")
REASONS.update(dict.fromkeys(("Future.result()", "lock released", "mixture: sleep, code, collection, lock"), GIL))
QUIET_LOAD = 0.5
BESIDE = """## Beside other tools

The same programs under other tools, each with its threshold as low as it stands, on asyncio's own loop: of how many acts it told
something, and by how many ms the median misses the turn. asyncio's debug mode and aiocop tell of the longest callback, so a turn of many
callbacks they never see as one; aiocop names the audit events it met in it. pyleak asks the loop for an answer from a thread, every 10 ms
at best. py-spy counts samples (what an act prepares counts too), which say neither how long one turn was nor what it waited for. None of
them tells what the time went to.

"""
INTRO = """# Reported against true

Made by `scripts/accuracy.py` with the agent alone. Programs under `tests/accuracy` hold their loop in a known way and write what
their own clocks say; each act is compared with its iteration in the trace. Targets: busy time within 0.5 %; each cause within 2 % of
the truth or 0.5 ms, the larger; unknown at most 1 % of busy time. N is the acts compared; acts during which the hypervisor took CPU
time away (steal in /proc/stat) are dropped and counted. On uvloop, whose selector a program cannot wrap, busy time is compared with
the act alone, and its target is not judged.

"""


class Skip(Exception):
    """A run that cannot be made here, and why."""


class Tool:
    """Another tool: the package it comes in (None: asyncio's own), its name in watchers.py (None: from outside), and how its
    reports of one act become one number."""

    def __init__(self, name, package, watch, of_act, head):
        self.name, self.package, self.watch, self.of_act, self.head = name, package, watch, of_act, head


SPY_HZ = 100
TOOLS = (
    Tool("debug mode", None, "debug", max, "asyncio's debug mode, 1 ms"), Tool("pyleak", "pyleak", "pyleak", sum, "pyleak, 10 ms"),
    Tool("aiocop", "aiocop", "aiocop", max, "aiocop, 1 ms"), Tool("py-spy", "py-spy", None, None, "py-spy at %d Hz" % SPY_HZ),
)


class Line:
    """One row of the first table, and what the second needs of it."""

    def __init__(self, program, loop, label, acts, dropped):
        self.program, self.loop, self.label = program, loop, label
        seen = [a for a in acts if a.row is not None]
        self.seen = "%d of %d, %.3f" % (len(seen), len(acts), statistics.median(abs(a.busy_error) for a in seen)) if seen else "0 of %d" % len(acts)
        self.cells, _ = line_of(label, loop, acts, dropped)
        self.cause = self.cells[5] or "–"


class Act:
    """One act: the program's line, and the iteration the trace has for it."""

    def __init__(self, truth, row):
        self.label = truth["label"]
        self.true_busy = truth["busy"] / NS
        self.row = row
        if row is None:
            return
        self.busy_error = row["busy_ns"] / NS - self.true_busy
        self.unknown = row["unknown"] / NS
        self.error = {c: (row[c] - truth["causes"].get(c, 0)) / NS for c in CAUSES}
        self.allowed = {c: max(CAUSE_MS, CAUSE_SHARE * truth["causes"].get(c, 0) / NS) for c in CAUSES}
        self.true = {c: truth["causes"].get(c, 0) / NS for c in CAUSES}
        self.worst = max(CAUSES, key=lambda c: abs(self.error[c]) / self.allowed[c])

    def misses(self, uvloop):
        out = []
        if self.row is None:
            return ["no iteration"]
        if not uvloop and abs(self.busy_error) > BUSY_SHARE * self.true_busy:
            out.append("busy")
        out += [c for c in CAUSES if abs(self.error[c]) > self.allowed[c]]
        return out


def lines_of(path):
    with open(path, encoding="ascii") as f:
        return [json.loads(line) for line in f]


def row_of(rows, truth):
    """The iteration that holds most of the act."""
    def overlap(r):
        return min(r["begin_ns"] + r["busy_ns"], truth["end"]) - max(r["begin_ns"], truth["begin"])
    mine = [r for r in rows if r["pid"] == truth["pid"] and r["tid"] == truth["tid"]]
    best = max(mine, key=overlap, default=None)
    return best if best is not None and overlap(best) > 0 else None


def report_discrepancy(awaitscope, trace, db):
    """Largest difference in ms between a loop's causes in the JSON report and the sum of its rows; and of their sum from busy_ms."""
    done = subprocess.run([awaitscope, "report", "--format", "json", trace], capture_output=True, text=True, check=True)
    worst = 0.0
    for loop in json.loads(done.stdout)["loops"]:
        causes = loop["causes_ms"]
        worst = max(worst, abs(sum(causes.values()) - loop["busy_ms"]))
        for name in ("gc", "gil", "runq") + CAUSES[4:]:
            ns = db.execute("SELECT coalesce(sum(%s_ns), 0) FROM iteration WHERE loop = ?" % name, (loop["id"],)).fetchone()[0]
            worst = max(worst, abs(causes.get(name.replace("_", ":"), 0.0) - ns / NS))
    return worst


def run(args, program, loop, only, folder):
    truth, trace = os.path.join(folder, "truth"), os.path.join(folder, "trace.db")
    argv = [args.python, os.path.join(ACTS, program), truth, "--loop", loop]
    argv += ["--only", only] if only else []
    argv += ["--rounds", str(args.rounds)] if args.rounds else []
    done = subprocess.run([args.program, "run", "-q", "-o", trace, "--"] + argv, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    if done.returncode == 77:
        raise Skip(done.stderr.strip())
    if done.returncode:
        raise SystemExit("accuracy.py: %s failed: %s" % (" ".join(argv), done.stderr[-800:]))
    db = sqlite3.connect(trace)
    db.row_factory = sqlite3.Row
    lines = lines_of(truth)
    rows = db.execute(ROWS).fetchall()
    acts = [Act(t, row_of(rows, t)) for t in lines if not t["disturbed"]]
    broken = db.execute("SELECT count(*) FROM (" + ROWS + ") WHERE busy_ns != unknown + " + " + ".join(CAUSES)).fetchone()[0]
    off = report_discrepancy(args.program, trace, db)
    db.close()
    return acts, [t["label"] for t in lines if t["disturbed"]], broken, off


def tools_install(python, folder, notes):
    """An environment of its own with what PyPI has of TOOLS: its interpreter, and which are there."""
    env = os.path.join(folder, "tools")
    if subprocess.run([python, "-m", "venv", "--system-site-packages", env], capture_output=True, check=False).returncode:
        notes.append("Other tools are left out: no virtual environment could be made.")
        return python, {"debug mode"}
    inside, there = os.path.join(env, "bin", "python"), {"debug mode"}
    for package in [t.package for t in TOOLS if t.package] + ["blocksnoop"]:
        done = subprocess.run([inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", package], capture_output=True,
                              text=True, check=False)
        if done.returncode:
            notes.append("Left out: %s: pip has none for this interpreter (%s)." % (package, (done.stderr.strip().splitlines() or ["?"])[-1]))
        elif package == "blocksnoop":
            notes.append("Left out: blocksnoop, which needs Austin beside it and privileges.")
        else:
            there.add(package)
    return inside, there


def watched(args, python, program, tool, folder):
    """label: [(true busy ms, what the tool said in ms or None)] of a run with the tool inside."""
    truth = os.path.join(folder, "truth")
    argv = [python, os.path.join(ACTS, program), truth, "--watch", tool.watch] + (["--only", args.only] if args.only else [])
    argv += ["--rounds", str(args.rounds)] if args.rounds else []
    if subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode:
        return {}
    out, last = {}, []
    for line in lines_of(truth):
        if "log" in line:
            last.append(line)
            continue
        said = [x["log"] * 1e3 for x in last if line["begin"] <= x["time"] <= line["end"] + 5e6]
        last = []
        out.setdefault(line["label"], []).append((line["busy"] / NS, tool.of_act(said) if said else None))
    return out


def sampled(args, python, program, labels, folder):
    """label: what py-spy's samples inside callbacks stand for, as a text; each act is a run of its own, as samples have no time."""
    out = {}
    for label in labels:
        truth, raw = os.path.join(folder, "truth"), os.path.join(folder, "raw")
        argv = [os.path.join(os.path.dirname(python), "py-spy"), "record", "-r", str(SPY_HZ), "--idle", "-f", "raw", "-o", raw, "--", python,
                os.path.join(ACTS, program), truth, "--only", label, "--rounds", str(min(10, args.rounds or 10))]
        if subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode:
            continue
        with open(raw, encoding="utf-8") as f:
            stacks = [line.rsplit(" ", 1) for line in f]
        seen = sum(int(n) for stack, n in stacks if "_run (asyncio/events.py" in stack and "(%s:" % program in stack) * 1e3 / SPY_HZ
        true = sum(line["busy"] for line in lines_of(truth) if line["label"] == label) / NS
        out[label] = "%.0f of %.0f ms" % (seen, true)
    return out


def tool_says(pairs):
    errors = [abs(said - true) for true, said in pairs if said is not None]
    return "%d of %d, %.2f" % (len(errors), len(pairs), statistics.median(errors)) if errors else "0 of %d" % len(pairs) if pairs else "–"


def tools_table(args, lines):
    """The second table: what other tools say of the same acts, on asyncio's own loop."""
    notes, rows = [], []
    with tempfile.TemporaryDirectory(prefix="awaitscope-accuracy-") as folder:
        python, there = tools_install(args.python, folder, notes)
        for program in dict.fromkeys(r[0] for r in RUNS):
            mine = [line for line in lines if line.program == program and line.loop == "asyncio"]
            said = {t.name: watched(args, python, program, t, folder) for t in TOOLS if t.watch and t.name in there}
            spied = sampled(args, python, program, [line.label for line in mine], folder) if "py-spy" in there else {}
            for line in mine:
                rows.append((line.label, line.seen, line.cause) + tuple(
                    tool_says(said.get(t.name, {}).get(line.label, [])) if t.watch else spied.get(line.label, "–") for t in TOOLS))
                print("  ".join(rows[-1]), file=sys.stderr)
    head = ("act", "awaitscope: turns seen, median error in ms", "and what held it") + tuple(t.head for t in TOOLS)
    return [head] + rows, notes


def spread(errors):
    size = sorted(abs(e) for e in errors)
    return statistics.median(size), size[min(len(size) - 1, int(0.95 * len(size)))], size[-1]


def show(values, form="%.3f"):
    return " / ".join(form % v for v in values)


def percent(ms, of):
    return 100 * ms / of if of else 0.0


def line_of(label, loop, acts, dropped):
    seen = [a for a in acts if a.row is not None]
    name = label if loop == "asyncio" else label + (", uvloop" if loop == "uvloop" else ", loops in threads")
    if not seen:
        return (name, "0 (%d)" % dropped) + ("",) * 8 + ("missed",), ["no iteration"] * len(acts)
    busy = sum(a.true_busy for a in seen)
    unknown = sum(a.unknown for a in seen) / busy
    tail = max(seen, key=lambda a: abs(a.error[a.worst]))
    cause = max((c for c in CAUSES if c != "cpu"), key=lambda c: sum(a.true[c] for a in seen))
    if sum(a.true[cause] for a in seen) < 0.2 * busy:
        cause = "cpu"
    misses = [m for a in acts for m in a.misses(loop == "uvloop")]
    misses += ["unknown"] if unknown > UNKNOWN_SHARE else []
    out = sum(1 for a in acts if a.misses(loop == "uvloop"))
    verdict = "met" if not misses else "missed: %s in %d of %d" % (", ".join(sorted(set(misses))), out, len(acts))
    return (name, "%d (%d)" % (len(acts), dropped), "%.2f" % statistics.median(a.true_busy for a in seen),
            show(spread(a.busy_error for a in seen)), "%.2f" % max(percent(abs(a.busy_error), a.true_busy) for a in seen),
            cause.replace("_", ":"), show(spread(a.error[cause] for a in seen)),
            "%.2f" % max(percent(abs(a.error[cause]), a.true[cause]) for a in seen),
            "%.3f %s" % (abs(tail.error[tail.worst]), tail.worst.replace("_", ":")), "%.2f" % (100 * unknown), verdict), misses


HEAD = ("act", "N (dropped)", "true busy, ms, median", "busy error, ms: median / p95 / worst", "worst, %", "main cause",
        "its error, ms: median / p95 / worst", "worst, %", "worst of any cause, ms", "unknown, %", "")


def table(rows):
    return "\n".join("| " + " | ".join(r) + " |" for r in [rows[0], ("---",) * len(rows[0])] + rows[1:])


def machine():
    model = "unknown CPU"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        model = next((x.split(":", 1)[1].strip() for x in f if x.startswith("model name")), model)
    version = subprocess.run(["date", "-I"], capture_output=True, text=True, check=True).stdout.strip()
    return "%s, %d CPUs, Linux %s, %s" % (model, os.cpu_count() or 0, platform.release(), version)


def has_uvloop(python):
    return not subprocess.run([python, "-c", "import uvloop"], capture_output=True, check=False).returncode


def tables(args):
    lines, notes, broken, off = [], [], 0, 0.0
    for program, loop, only in RUNS:
        if loop == "uvloop" and not has_uvloop(args.python):
            notes.append("Left out: %s on uvloop, which this interpreter has not." % program)
            continue
        with tempfile.TemporaryDirectory(prefix="awaitscope-accuracy-") as folder:
            try:
                acts, dropped, bad, worst = run(args, program, loop, args.only or only, folder)
            except Skip as why:
                notes.append("Left out: %s: %s." % (program, why))
                continue
        broken, off = broken + bad, max(off, worst)
        for label in dict.fromkeys([a.label for a in acts] + dropped):
            mine = [a for a in acts if a.label == label]
            lines.append(Line(program, loop, label, mine, dropped.count(label)))
            print("  ".join(lines[-1].cells), file=sys.stderr)
            for a in mine if args.verbose else ():
                detail = "" if a.row is None else "busy %.3f %+.3f  %s  unknown %.3f" % (a.true_busy, a.busy_error, "  ".join(
                    "%s %.3f %+.3f" % (c, a.true[c], a.error[c]) for c in CAUSES if a.true[c] or a.row[c]), a.unknown)
                print("    ", detail, a.misses(loop == "uvloop"), file=sys.stderr)
    for label in dict.fromkeys(r.cells[0] for r in lines if r.cells[-1].startswith("missed")):
        why = next((why for name, why in REASONS.items() if label.startswith(name)), None)
        notes.append("Missed: %s. %s" % (label, why or "Reason not known."))
    notes.append("Iterations whose causes do not sum to their length: %d. Largest difference between the JSON report and the rows: %.4f ms."
                 % (broken, off))
    return lines, notes


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=os.path.join(HERE, "..", "build", "bin", "awaitscope"))
    p.add_argument("--python", default="/usr/bin/python3")
    p.add_argument("--only", help="acts whose name contains this")
    p.add_argument("--rounds", type=int, help="of each act, at most")
    p.add_argument("--no-tools", action="store_true", help="do not run the programs under other tools")
    p.add_argument("--write", metavar="FILE", help="write the page here")
    p.add_argument("-v", "--verbose", action="store_true", help="every act on stderr")
    args = p.parse_args()
    args.program = os.path.abspath(args.program)
    load = os.getloadavg()[0]
    lines, notes = tables(args)
    text = table([HEAD] + [line.cells for line in lines])
    if load > QUIET_LOAD:
        notes.append("**Taken beside other load**: run-queue wait is part of most acts here, and rare misses come from it.")
    text += "\n\n" + "\n\n".join(notes) + "\n"
    if not args.no_tools:
        rows, beside = tools_table(args, lines)
        text += "\n" + BESIDE + "\n\n".join([table(rows)] + beside) + "\n"
    text += "\n%s; Python %s; load at the start %.2f.\n" % (
        machine(), subprocess.run([args.python, "-V"], capture_output=True, text=True, check=True).stdout.split()[-1], load)
    print(text)
    if args.write:
        with open(args.write, "w", encoding="utf-8") as f:
            f.write(INTRO + text)


if __name__ == "__main__":
    main()
