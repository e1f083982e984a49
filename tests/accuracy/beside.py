"""The same programs under other tools, fetched from PyPI into an environment of their own. Used by scripts/accuracy.py."""
import json
import os
import statistics
import subprocess
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
NS = 1e6
SPY_HZ = 100


class Tool:
    """Another tool: the package it comes in (None: asyncio's own), its name in watchers.py (None: from outside), and how its
    reports of one act become one number."""

    def __init__(self, name, package, watch, of_act, head):
        self.name, self.package, self.watch, self.of_act, self.head = name, package, watch, of_act, head


TOOLS = (
    Tool("debug mode", None, "debug", max, "asyncio's debug mode, 1 ms"), Tool("pyleak", "pyleak", "pyleak", sum, "pyleak, 10 ms"),
    Tool("aiocop", "aiocop", "aiocop", max, "aiocop, 1 ms"), Tool("py-spy", "py-spy", None, None, "py-spy at %d Hz" % SPY_HZ),
)
UNUSED = "blocksnoop"  # needs Austin beside it


def lines_of(path):
    with open(path, encoding="ascii") as f:
        return [json.loads(line) for line in f]


class Environment:
    """An interpreter with what PyPI has of TOOLS; made when it is first needed."""

    def __init__(self, python):
        self.base, self.folder, self.python, self.there, self.notes = python, None, None, {"debug mode"}, []

    def open(self):
        if self.python:
            return
        self.folder = tempfile.TemporaryDirectory(prefix="awaitscope-accuracy-")
        env = os.path.join(self.folder.name, "tools")
        self.python = self.base
        if subprocess.run([self.base, "-m", "venv", "--system-site-packages", env], capture_output=True, check=False).returncode:
            self.notes.append("Other tools are left out: no virtual environment could be made.")
            return
        self.python = os.path.join(env, "bin", "python")
        for package in [t.package for t in TOOLS if t.package] + [UNUSED]:
            done = subprocess.run([self.python, "-m", "pip", "install", "-q", "--disable-pip-version-check", package], capture_output=True,
                                  text=True, check=False)
            if done.returncode:
                self.notes.append("Left out: %s: pip has none for this interpreter (%s)." % (
                    package, (done.stderr.strip().splitlines() or ["?"])[-1]))
            elif package == UNUSED:
                self.notes.append("Left out: %s, which needs Austin beside it and privileges." % UNUSED)
            else:
                self.there.add(package)


def watched(args, python, program, tool, folder):
    """label: [(true busy ms, what the tool said in ms or None)] of a run with the tool inside."""
    truth = os.path.join(folder, "truth")
    argv = [python, os.path.join(HERE, program), truth, "--watch", tool.watch] + (["--only", args.only] if args.only else [])
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
    return {label: tool_says(pairs) for label, pairs in out.items()}


def tool_says(pairs):
    errors = [abs(said - true) for true, said in pairs if said is not None]
    return "%d of %d, %.2f" % (len(errors), len(pairs), statistics.median(errors)) if errors else "0 of %d" % len(pairs)


def sampled(args, python, program, labels, folder):
    """label: what py-spy's samples inside callbacks stand for, as a text; each act is a run of its own, as samples have no time."""
    out = {}
    for label in labels:
        truth, raw = os.path.join(folder, "truth"), os.path.join(folder, "raw")
        argv = [os.path.join(os.path.dirname(python), "py-spy"), "record", "-r", str(SPY_HZ), "--idle", "-f", "raw", "-o", raw, "--", python,
                os.path.join(HERE, program), truth, "--only", label, "--rounds", str(min(10, args.rounds or 10))]
        if subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False).returncode:
            continue
        with open(raw, encoding="utf-8") as f:
            stacks = [line.rsplit(" ", 1) for line in f]
        seen = sum(int(n) for stack, n in stacks if "_run (asyncio/events.py" in stack and "(%s:" % program in stack) * 1e3 / SPY_HZ
        true = sum(line["busy"] for line in lines_of(truth) if line["label"] == label) / NS
        out[label] = "%.0f of %.0f ms" % (seen, true)
    return out


def said_of(args, environment, program, tool, labels):
    """label: what the tool said of that act, as a text. Nothing where it cannot be had."""
    environment.open()
    if tool.name not in environment.there:
        return {}
    with tempfile.TemporaryDirectory(prefix="awaitscope-accuracy-") as folder:
        if tool.watch:
            return watched(args, environment.python, program, tool, folder)
        return sampled(args, environment.python, program, labels, folder)
