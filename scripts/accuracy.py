#!/usr/bin/env python3
"""What awaitscope reports against what was true.

    accuracy.py [--program build/bin/awaitscope] [--python PY] [--sensor NAME]... [--only TEXT] [--rounds N] [--write FILE] [-v]
                [--results FILE [--for SECONDS]]

Runs the programs of tests/accuracy under `awaitscope run` with the agent alone (agent), the same with the kernel's help (run, as
root), and beside `awaitscope attach` (attach, as root: the program is started, attached to, then told to begin). Each program holds
its loop in a known way, act by act, and writes what its own clocks say; every act is compared with the iteration of the trace it
lies in, and the JSON report with the sum of those. An act that the hypervisor disturbed is dropped and counted.
Then the same programs run under other tools, fetched from PyPI into an environment of their own; what cannot be had is named. Needs
only the standard library. On a quiet machine: about 12 minutes; with --results it can be done in pieces: what FILE has is not
measured again, and after --for nothing more is begun (status 75: there is more to do)."""
import argparse
import json
import os
import platform
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ACTS = os.path.join(HERE, "..", "tests", "accuracy")
sys.path.insert(0, ACTS)
from beside import TOOLS, Environment, lines_of, said_of  # noqa: E402

RUNS = (  # program, loop, only
    ("waits.py", "asyncio", ""), ("burns.py", "asyncio", ""), ("faults.py", "asyncio", ""),
    ("waits.py", "uvloop", "20 ms"), ("burns.py", "uvloop", "mixture"),
    ("waits.py", "thread", "20 ms"), ("burns.py", "thread", "mixture"),
)
CAUSES = ("cpu", "gc", "gil", "runq", "blocked_sleep", "blocked_network", "blocked_file", "blocked_subprocess", "blocked_dns",
          "blocked_database", "blocked_lock", "blocked_fault", "blocked_other")
PARTS = ("cpu_user", "cpu_kernel")  # of cpu, by the kernel's sensor
ROWS = """
SELECT i.begin_ns + (SELECT value FROM meta WHERE key = 't0_ns') AS begin_ns, i.busy_ns, p.pid, t.tid,
	i.cpu_ns + i.cpu_user_ns + i.cpu_kernel_ns AS cpu, i.cpu_user_ns AS cpu_user, i.cpu_kernel_ns AS cpu_kernel, %s,
	i.unknown_ns AS unknown,
	(SELECT total(c.duration_ns) FROM cpu_taken c WHERE c.loop = i.loop AND c.begin_ns = i.begin_ns AND c.pid = 0) AS stolen
FROM iteration i JOIN loop l ON l.id = i.loop JOIN thread t ON t.id = l.thread JOIN process p ON p.id = l.process
""" % ", ".join("i.%s_ns AS %s" % (c, c) for c in CAUSES[1:])
NS = 1e6
QUIET_LOAD = 0.5
MORE = 75  # EX_TEMPFAIL
CLOCKS_MS = 0.02  # what the programs' own clocks may be off by around a turn


class Sensor:
    """A way to look, and how near to the truth it shall come."""

    def __init__(self, name, head, exact, busy_share, cause_share, cause_ms, unknown_share):
        self.name, self.head, self.exact = name, head, exact
        self.busy_share, self.cause_share, self.cause_ms, self.unknown_share = busy_share, cause_share, cause_ms, unknown_share


SENSORS = (
    Sensor("agent", "run, agent alone", False, 0.005, 0.02, 0.5, 0.01),
    Sensor("run", "run as root", True, 0.001, 0.01, 0.2, 0.001),
    Sensor("attach", "attach", True, 0.001, 0.01, 0.2, 0.001),
)
REASONS = {  # (sensor, beginning of the act's name): what is known to miss, and why
    ("agent", "page fault answered after 20 ms"):
    "userfaultfd's faults count as minor ones; from inside, such a wait cannot be told from a "
    "call nobody hooked. Samples from outside tell it, and they begin where a turn is 20 ms old: below that it is unknown, not guessed.",
}
GIL = ("Probably: the thread that lets the loop go on was put off CPU while it held the GIL; the program's own clocks take that for the lock's "
       "wait.")
REASONS.update({("agent", name): GIL for name in ("Future.result()", "lock released", "mixture: sleep, code, collection, lock")})
REASONS.update({
    ("agent", "GIL hogs: 1 thread"): "The other thread was put off its CPU while it had the GIL's own mutex, and the loop's thread waited for that: 0.3 to 3 ms a few times in 400 "
    "acts, by a wrapper around pthread_mutex_lock() alone. No call that the agent times waits there, so it is unknown, not of another cause; the kernel's sensor tells it as gil.",
})
GIL_CPU = ("CPU time in calls about the GIL, beyond twice what so many take: what took the CPU away inside one for less than a tick, an interrupt or the "
           "hypervisor, is CPU time to the program and gil to awaitscope. The sum of both is met.")
BESIDE = """## Beside other tools

The same programs under other tools, each with its threshold as low as it stands, on asyncio's own loop: of how many acts it told
something, and by how many ms the median misses the turn. asyncio's debug mode and aiocop tell of the longest callback, so a turn of many
callbacks they never see as one; aiocop names the audit events it met in it. pyleak asks the loop for an answer from a thread, every 10 ms
at best. py-spy counts samples (what an act prepares counts too), which say neither how long one turn was nor what it waited for. None of
them tells what the time went to.

"""
INTRO = """# Reported against true

Made by `scripts/accuracy.py`. Programs under `tests/accuracy` hold their loop in a known way and write what their own clocks say; each act
is compared with its iteration in the trace: under `run` with the agent alone, under `run` as root with the kernel's help, and under
`attach`, each a run of its own and a table of its own. Where an act says so, user and system time are judged apart. N is the acts
compared. What a hypervisor takes is time without a CPU (`runq`): where nothing else was waited for, the program's clocks tell it (the thread was on no
CPU, in no queue and in no wait), and it is judged. Acts with waits or other threads during which /proc/stat counted steal are dropped and counted; where
awaitscope says that the hypervisor took less than a tick of such an act, the sum of `runq` and of its wait is judged.

The programs read their clocks in Python around the selector, and can be interrupted there, put off their CPU or wait for the GIL. How long that was
at most they tell from their clocks on both sides of the call (CPU time, run-queue wait and, where the call had a timeout, what it took beyond), so the
true length of a turn is an interval; an error is the distance from it, and computing, the GIL and the run queue are forgiven what lies within.

| | busy time | each cause, the larger of | unknown |
| --- | --- | --- | --- |
%s

Below %.0f us the programs' own clocks are no better. On uvloop, whose selector a program cannot
wrap, busy time is compared with the act alone and not judged; what is beyond it is forgiven of computing and of waits for the GIL or a CPU. Where a program's clocks cannot tell a
lock's wait from one for the GIL, or the CPU time of waits for the GIL from the rest (awaitscope counts that as `gil`), the sum is judged.

""" % ("\n".join("| %s | within %g %% | %g %% or %g ms | at most %g %% of busy time |" % (
    s.head, 100 * s.busy_share, 100 * s.cause_share, s.cause_ms, 100 * s.unknown_share) for s in SENSORS), CLOCKS_MS * 1e3)


HEAD = ("act", "N (dropped)", "true busy, ms, median", "busy error, ms: median / p95 / worst", "worst, %", "main cause",
        "its error, ms: median / p95 / worst", "worst, %", "worst of any cause, ms", "unknown, %", "")


class Skip(Exception):
    """A run that cannot be made here, and why."""


class Act:
    """One act: the program's line, and the iteration the trace has for it."""

    def __init__(self, truth, row, sensor, loop):
        self.label, self.loop, self.sensor = truth["label"], loop, sensor
        self.true_busy, self.stolen = truth["busy"] / NS, truth["stolen"] / NS
        self.row = row
        if row is None:
            return
        self.busy_error = row["busy_ns"] / NS - self.true_busy
        self.unknown = row["unknown"] / NS
        true = dict(truth["causes"])
        self.causes = CAUSES
        if sensor.exact and "kernel" in true:
            self.causes += PARTS
            true["cpu_kernel"], true["cpu_user"] = true["kernel"], true["cpu"] - true["kernel"]
        self.true = {c: true.get(c, 0) / NS for c in self.causes}
        self.error = {c: row[c] / NS - self.true[c] for c in self.causes}
        # what lies outside of the act, or of the program's clocks: the loop computes, or waits for the GIL or a CPU around its selector
        beyond = max(0.0, self.busy_error)
        if loop != "uvloop":
            beyond = min(beyond, truth["edges"] / NS)
            self.busy_error -= beyond
        for part in set(PARTS) & set(self.causes):
            self.error[part] -= min(beyond, max(0.0, self.error[part]))
        for cause in ("cpu", "gil", "runq"):
            part = min(beyond, max(0.0, self.error[cause]))
            self.error[cause] -= part
            beyond -= part
        merged = sorted(set(truth["merged"]), key=self.true.get)
        waits = merged[-1] if merged else "gil"  # judged for all of them
        for cause in merged[:-1] + ["gil"] * bool(merged):
            self.error[waits], self.error[cause] = self.error[waits] + self.error[cause], 0.0
        hides = waits if merged else self.hides_steal(truth)
        stolen = min(row["stolen"] / NS, max(0.0, self.error["runq"])) if hides else 0.0
        self.error["runq"] -= stolen
        self.error[hides or waits] += stolen
        left = truth["gil_cpu"] / NS
        for cause in ("cpu", "gc"):  # other threads let the GIL be asked for at a collection's end
            of_waits = min(max(0.0, self.error[waits]), max(0.0, -self.error[cause]), left)
            self.error[waits] -= of_waits
            self.error[cause] += of_waits
            left -= of_waits
        self.error["cpu + gil"], self.true["cpu + gil"] = self.error["cpu"] + self.error["gil"], self.true["cpu"] + self.true["gil"]
        self.allowed = {c: max(sensor.cause_ms, sensor.cause_share * self.true[c]) for c in self.true}
        self.worst = max(self.error, key=lambda c: abs(self.error[c]) / self.allowed[c])

    def hides_steal(self, truth):
        """The wait that the program's clocks cannot tell from what a hypervisor took; None: they can."""
        waits = [c for c in CAUSES if c not in ("cpu", "gc", "runq") and self.true[c]]
        if "gil" in truth["causes"]:  # what is none of the others
            return "gil"
        return max(waits, key=self.true.get) if waits and not truth["stolen"] else None

    def misses(self):
        if self.row is None:
            return ["no iteration"]
        busy = self.loop != "uvloop" and abs(self.busy_error) > max(CLOCKS_MS, self.sensor.busy_share * self.true_busy)
        return ["busy"] * busy + [c for c in self.error if abs(self.error[c]) > self.allowed[c]]

    def tell(self):
        if self.row is None:
            return "no iteration"
        return "busy %.3f %+.3f  %s  unknown %.3f stolen %.3f %.3f %s" % (self.true_busy, self.busy_error, "  ".join(
            "%s %.3f %+.3f" % (c, self.true[c], self.error[c]) for c in self.causes if self.true[c] or self.row[c]), self.unknown, self.stolen, self.row["stolen"] / NS, self.misses())


class Group:
    """All acts of one name on one loop by one sensor."""

    def __init__(self, sensor, loop, label, acts, dropped):
        self.sensor, self.acts, self.dropped = sensor, acts, dropped
        self.name = label + {"asyncio": "", "uvloop": ", uvloop", "thread": ", loops in threads"}[loop]
        self.seen = [a for a in acts if a.row is not None]
        self.true_busy = statistics.median(a.true_busy for a in self.seen) if self.seen else 0
        self.unknown = sum(a.unknown for a in self.seen) / sum(a.true_busy for a in self.seen) if self.seen else 0
        self.cause = self.main_cause()

    def main_cause(self):
        def share(cause):
            return sum(a.true[cause] for a in self.seen) / sum(a.true_busy for a in self.seen)
        if not self.seen:
            return "–"
        cause = max((c for c in CAUSES if c != "cpu"), key=share)
        return cause if share(cause) >= 0.2 else "cpu"

    def misses(self):
        return sorted({m for a in self.acts for m in a.misses()} | ({"unknown"} if self.unknown > self.sensor.unknown_share else set()))

    def cells(self):
        """The columns of HEAD behind the act's name."""
        count = "%d (%d)" % (len(self.acts), self.dropped)
        if not self.seen:
            return (count,) + ("–",) * 7 + ("no iteration of %d" % len(self.acts),)
        worst = max(self.seen, key=lambda a: abs(a.error[a.worst]) / a.allowed[a.worst])
        out = sum(1 for a in self.acts if a.misses())
        misses = self.misses()
        verdict = "met" if not misses else "**missed**: %s%s" % (", ".join(misses).replace("_", ":"), " in %d of %d" % (out, len(self.acts)) if out else "")
        return (count, "%.2f" % self.true_busy, *spread([(a.busy_error, a.true_busy) for a in self.seen]), self.cause.replace("_", ":"),
                *spread([(a.error[self.cause], a.true[self.cause]) for a in self.seen]),
                "%.3f %s" % (abs(worst.error[worst.worst]), worst.worst.replace("_", ":")), "%.3f" % (100 * self.unknown), verdict)


def spread(errors):
    """Of (error, truth): median / 95 % of all / worst in ms, and the worst in percent."""
    size = sorted(abs(e) for e, _ in errors)
    share = max((abs(e) / true for e, true in errors if true), default=0)
    return "%.3f / %.3f / %.3f" % (statistics.median(size), size[(len(size) * 95 + 99) // 100 - 1], size[-1]), "%.2f" % (100 * share)


# ---- measuring

def row_of(rows, truth):
    """The iteration that holds most of the act."""
    def overlap(r):
        return min(r["begin_ns"] + r["busy_ns"], truth["end"]) - max(r["begin_ns"], truth["begin"])
    mine = [r for r in rows if r["pid"] == truth["pid"] and r["tid"] == truth["tid"]]
    best = max(mine, key=overlap, default=None)
    return dict(best) if best is not None and overlap(best) > 0 else None


def report_of(awaitscope, trace):
    done = subprocess.run([awaitscope, "report", "--format", "json", trace], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def report_difference(report, db):
    """Largest difference in ms between a loop's causes in the JSON report and the sum of its rows; and of their sum from busy_ms."""
    worst = 0.0
    for loop in report["loops"]:
        causes = loop["causes_ms"]
        worst = max(worst, abs(sum(causes.values()) - loop["busy_ms"]))
        for name in ("gc", "gil", "runq") + CAUSES[4:]:
            ns = db.execute("SELECT coalesce(sum(%s_ns), 0) FROM iteration WHERE loop = ?" % name, (loop["id"],)).fetchone()[0]
            worst = max(worst, abs(causes.get(name.replace("_", ":"), 0.0) - ns / NS))
    return worst


def failed(argv, err):
    return SystemExit("accuracy.py: %s failed: %s" % (" ".join(argv), err[-800:]))


def under_run(args, sensor, argv, trace):
    how = "agent" if sensor.name == "agent" else "auto"
    done = subprocess.run([args.program, "run", "-q", "--sensor", how, "-o", trace, "--"] + argv, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL)
    return done.returncode, done.stderr


def under_attach(args, argv, trace):
    child = subprocess.Popen(argv + ["--wait"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    child.stdout.readline()
    watch = subprocess.Popen([args.program, "attach", "-o", trace, str(child.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             text=True, stdin=subprocess.DEVNULL)
    said = []
    while not said or (said[-1] and "watching" not in said[-1]):
        said.append(watch.stderr.readline())
    out, err = child.communicate("begin\n")
    said.append(watch.communicate()[1])
    if watch.returncode:
        raise failed(watch.args, "".join(said))
    return child.returncode, err


def measure(args, sensor, program, loop, only):
    """The lines of one program under one sensor, as they go to a file of results."""
    if sensor.exact and os.geteuid():
        raise Skip("needs root")
    with tempfile.TemporaryDirectory(prefix="awaitscope-accuracy-") as folder:
        truth, trace = os.path.join(folder, "truth"), os.path.join(folder, "trace.db")
        argv = [args.python, os.path.join(ACTS, program), truth, "--loop", loop]
        argv += ["--only", only] if only else []
        argv += ["--rounds", str(args.rounds)] if args.rounds else []
        status, err = under_attach(args, argv, trace) if sensor.name == "attach" else under_run(args, sensor, argv, trace)
        if status == 77:
            raise Skip(err.strip())
        if status:
            raise failed(argv, err)
        if args.keep:
            subprocess.run(["cp", trace, args.keep], check=True)
        report, db = report_of(args.program, trace), sqlite3.connect(trace)
        coverage = report["coverage"]
        if sensor.exact and coverage["causes"] != "exact":
            raise Skip("the kernel did not help: %s" % coverage["causes"])
        db.row_factory = sqlite3.Row
        rows = db.execute(ROWS).fetchall()
        result = {"acts": [(t, None if t["disturbed"] else row_of(rows, t)) for t in lines_of(truth)],
                  "broken": sum(1 for r in rows if r["busy_ns"] != r["unknown"] + sum(r[c] for c in CAUSES)),
                  "report": report_difference(report, db), "accounted": coverage["accounted_share"],
                  "discrepancy_ms": coverage["discrepancy_ms"], "lost": coverage["lost_events"]}
        db.close()
    return result


class Results:
    """What has been measured, kept in a file between calls."""

    def __init__(self, path, seconds):
        self.path, self.until, self.of, self.more = path, time.monotonic() + seconds if seconds else None, {}, False
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                self.of = json.load(f)

    def get(self, name, take):
        """The result of that name, measured if there is none; None: not now."""
        if name not in self.of:
            if self.until and time.monotonic() > self.until:
                self.more = True
                return None
            print("-- %s" % name, file=sys.stderr)
            try:
                self.of[name] = take()
            except Skip as why:
                self.of[name] = {"skipped": str(why)}
            if self.path:
                with open(self.path, "w", encoding="utf-8") as f:
                    json.dump(self.of, f)
        return self.of[name]


# ---- the page

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


def groups_of(sensor, loop, result):
    """The groups of one result, by name, in the program's order."""
    acts = [(Act(t, row, sensor, loop), t["disturbed"]) for t, row in result["acts"]]
    return [Group(sensor, loop, label, [a for a, disturbed in acts if a.label == label and not disturbed],
                  sum(1 for a, disturbed in acts if a.label == label and disturbed))
            for label in dict.fromkeys(a.label for a, _ in acts)]


def groups_tell(args, groups):
    for g in groups:
        print("  ".join((g.name,) + g.cells()), file=sys.stderr)
        for a in g.acts if args.verbose else ():
            print("     ", a.tell(), file=sys.stderr)


def measure_all(args, results, sensors, notes):
    """{(program, loop): {sensor's name: groups}}, and a line for each sensor."""
    found, tally = {}, {s.name: [0, 0.0, 0.0, 0, 1.0] for s in sensors}
    for sensor in sensors:
        for program, loop, only in RUNS:
            if loop == "uvloop" and not has_uvloop(args.python):
                notes.append("Left out: %s on uvloop, which this interpreter has not." % program)
                continue
            fresh = "%s %s %s" % (sensor.name, program, loop) not in results.of
            result = results.get("%s %s %s" % (sensor.name, program, loop), lambda: measure(args, sensor, program, loop, args.only or only))
            if not result:
                continue
            if "skipped" in result:
                notes.append("Left out: %s, %s on %s: %s." % (sensor.head, program, loop, result["skipped"]))
                continue
            groups = groups_of(sensor, loop, result)
            if fresh:
                groups_tell(args, groups)
            found.setdefault((program, loop), {})[sensor.name] = groups
            t = tally[sensor.name]
            t[:] = [t[0] + result["broken"], max(t[1], result["report"]), max(t[2], result["discrepancy_ms"]), t[3] + result["lost"],
                    min(t[4], result["accounted"])]
    return found, tally


def rows_of(sensor, found):
    return [HEAD] + [(g.name,) + g.cells() for by_sensor in found.values() for g in by_sensor.get(sensor.name, ())]


def misses_of(sensors, found):
    for sensor in sensors:
        for by_sensor in found.values():
            for g in by_sensor.get(sensor.name, ()):
                if g.misses() or len(g.seen) < len(g.acts):
                    of_gil = GIL_CPU if set(g.misses()) <= {"cpu", "gil"} else None  # and not their sum
                    why = of_gil or next((why for (s, name), why in REASONS.items() if s == sensor.name and g.name.startswith(name)), "Reason not known.")
                    yield "Missed by %s: %s. %s" % (sensor.head, g.name, why)


def tools_table(args, results, found):
    """The second table: what other tools say of the same acts, on asyncio's own loop."""
    rows, environment = [], Environment(args.python)
    for program in dict.fromkeys(r[0] for r in RUNS):
        mine = found.get((program, "asyncio"), {}).get("agent", [])
        said = {t.name: results.get("%s %s" % (t.name, program), lambda: said_of(args, environment, program, t, [g.name for g in mine]))
                for t in TOOLS}
        for g in mine:
            error = ", %.3f" % statistics.median(abs(a.busy_error) for a in g.seen) if g.seen else ""
            rows.append((g.name, "%d of %d%s" % (len(g.seen), len(g.acts), error), g.cause.replace("_", ":")) + tuple(
                (said[t.name] or {}).get(g.name, "–") for t in TOOLS))
    head = ("act", "awaitscope: turns seen, median error in ms", "and what held it") + tuple(t.head for t in TOOLS)
    return [head] + rows, results.of.setdefault("notes", []) or results.of["notes"].extend(environment.notes) or results.of["notes"]


def busy_with_others(seconds=1):
    """How many CPUs are, now: a load average still has what was before."""
    def used():
        with open("/proc/stat", encoding="ascii") as f:
            ticks = [int(x) for x in f.readline().split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4]
    before = used()
    time.sleep(seconds)
    return (used() - before) / os.sysconf("SC_CLK_TCK") / seconds


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", default=os.path.join(HERE, "..", "build", "bin", "awaitscope"))
    p.add_argument("--python", default="/usr/bin/python3")
    p.add_argument("--sensor", action="append", choices=[s.name for s in SENSORS], help="only this one (can be repeated)")
    p.add_argument("--only", help="acts whose name contains this")
    p.add_argument("--rounds", type=int, help="of each act, at most")
    p.add_argument("--no-tools", action="store_true", help="do not run the programs under other tools")
    p.add_argument("--results", metavar="FILE", help="keep what is measured there, and measure only what it has not")
    p.add_argument("--for", dest="seconds", type=float, metavar="SECONDS", help="begin nothing more after so long")
    p.add_argument("--keep", metavar="TRACE", help="copy the last trace there")
    p.add_argument("--write", metavar="FILE", help="write the page here")
    p.add_argument("-v", "--verbose", action="store_true", help="every act on stderr")
    args = p.parse_args()
    args.program = os.path.abspath(args.program)
    sensors = [s for s in SENSORS if not args.sensor or s.name in args.sensor]
    results, notes = Results(args.results, args.seconds), []
    load = results.of["load"] if "load" in results.of else results.of.setdefault("load", busy_with_others())
    found, tally = measure_all(args, results, sensors, notes)
    text = "\n\n".join("## %s\n\n%s" % (s.head[0].upper() + s.head[1:], table(rows_of(s, found))) for s in sensors)
    notes = list(dict.fromkeys(notes)) + list(misses_of(sensors, found))
    notes += ["%s: accounted %.3f %% of busy time or more; largest discrepancy from the scheduler's accounts in one iteration %.3f ms; events lost %d; "
              "iterations whose causes do not sum to their length %d; largest difference between the JSON report and the rows %.4f ms." % (
                  s.head, 100 * tally[s.name][4], tally[s.name][2], tally[s.name][3], tally[s.name][0], tally[s.name][1]) for s in sensors]
    if load > QUIET_LOAD:
        notes.append("**Taken beside other load**: run-queue wait is part of most acts here, and rare misses come from it.")
    text += "\n\n## What was missed, and why\n\n" + "\n\n".join(notes) + "\n"
    if not args.no_tools:
        rows, beside = tools_table(args, results, found)
        text += "\n" + BESIDE + "\n\n".join([table(rows)] + beside) + "\n"
    if results.more:
        return MORE
    text += "\n%s; Python %s; CPUs busy with other things at the start: %.2f.\n" % (
        machine(), subprocess.run([args.python, "-V"], capture_output=True, text=True, check=True).stdout.split()[-1], load)
    print(text)
    if args.write:
        with open(args.write, "w", encoding="utf-8") as f:
            f.write(INTRO + text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
