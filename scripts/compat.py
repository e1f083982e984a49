#!/usr/bin/env python3
"""CPython's own tests, bare and recorded: every test must end the same way with awaitscope as without it.

    compat.py [--program build/bin/awaitscope] [--python PY]... [--only MODULE]... [--short] [--beside] [--plain] [--markdown FILE]
    compat.py --join FILE...      tables that --markdown has written, as one

Each module runs twice in processes of its own, `python -m test` and `awaitscope run -- python -m test`, after the
process has imported asyncio and run one loop, so that every hook is placed on the thread that runs the tests (--plain:
without that). What each single test came to is read from regrtest's JUnit file. Where a test differs, its class runs again,
--retries times each way: what then differs in most recorded runs and in no bare one differs; else the test is called flaky, and
named with its counts. --python: default every CPython 3.8 to 3.14 found on PATH, in /usr/bin and among pyenv's. --short: the
modules that CI has time for; --beside: a module's two runs at the same time. Exit status: 0 the same; 1 something differs;
2 wrong usage; 77 no interpreter has its test package."""
import argparse
import collections
import concurrent.futures
import glob
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

MODULES = {  # name: CI has time for it
    "test_asyncio": True,
    "test_threading": True,
    "test_threading_local": True,
    "test_thread": False,
    "test_threadsignals": False,
    "test_subprocess": True,
    "test_socket": True,
    "test_signal": True,
    "test_audit": True,
    "test_select": True,
    "test_selectors": False,
    "test_poll": False,
    "test_epoll": True,
    "test_gc": True,
    "test_coroutines": True,
    "test_asyncgen": True,
    "test_contextlib_async": True,
    "test_warnings": True,
    "test_context": True,
    "test_sqlite": True,   # up to 3.10
    "test_sqlite3": True,  # from 3.11 on
    "test_concurrent_futures": False,
    "test_queue": False,
    "test_fork1": False,
    "test_wait3": False,
    "test_wait4": False,
    "test_atexit": True,
    "test_sys": False,
    "test_os": False,
    "test_posix": False,
    "test_embed": False,
    "test_interpreters": False,
    "test_faulthandler": False,
    "test_sys_settrace": False,
    "test_sys_setprofile": False,
    "test_httpservers": False,
    "test_urllib2_localnet": False,
    "test_ssl": False,
    "test_multiprocessing_fork": False,
}
IGNORED = {  # module: patterns of tests that hang bare, and why
    "test_socket": ["ThreadedVSOCKSocketStreamTest"],  # virtual machines whose vsock takes a connection and never answers
}
ABOUT = """
import json, platform, sys, sysconfig
from importlib.util import find_spec
def tests(name):
    try:
        return bool(find_spec("test." + name))
    except Exception:
        return False
print(json.dumps({"version": platform.python_version(), "exe": sys.executable, "base": sys.base_prefix,
                  "kind": platform.python_implementation(), "free": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
                  "regrtest": tests("libregrtest") and tests("test_asyncio"),
                  "modules": [m for m in sys.argv[1:] if tests(m)]}))
"""
# argv: arguments of `-m test`
MAIN = """
import asyncio, runpy
loop = asyncio.new_event_loop()
loop.run_until_complete(asyncio.sleep(0))
loop.close()
del loop
runpy.run_module("test", run_name="__main__", alter_sys=True)
"""
SKIPPED = 77
VERSIONS = range(8, 15)
MODULE_S = 600  # a module that takes longer hangs: regrtest prints its stacks and ends, else we end it


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- interpreters ----


def about(python):
    """What an interpreter says of itself; None where it does not run."""
    try:
        told = subprocess.run([python, "-I", "-c", ABOUT, *MODULES], capture_output=True, text=True, timeout=60)
        return json.loads(told.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def interpreters(asked):
    """[about] of each interpreter with its tests, oldest first; the others are named."""
    names = [f"python3.{minor}" for minor in VERSIONS] + ["python3"]
    folders = ["/usr/bin", *os.environ.get("PATH", "").split(os.pathsep)]
    found = asked or [os.path.join(folder, name) for folder in folders for name in names]
    found += [] if asked else glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python3"))
    each = {}
    for python in found:
        told = about(python)
        if told and asked:
            told["exe"] = python  # which may run its interpreter elsewhere (scripts/suite_python.sh)
        if told:
            each.setdefault((told["base"], told["version"]), told)
        elif asked:
            sys.exit(f"compat: {python} does not run")
    chosen = []
    for told in sorted(each.values(), key=lambda a: [int(n) for n in a["version"].split(".")[:2]]):
        minor = int(told["version"].split(".")[1])
        if told["kind"] != "CPython" or told["free"] or minor not in VERSIONS:
            say(f"compat: {told['exe']}: left out, it is {told['kind']} {told['version']}{', free-threaded' * told['free']}")
        elif not told["regrtest"]:
            say(f"compat: {told['exe']}: left out, {told['version']} is here without its test package")
        else:
            chosen.append(dict(told, ignored=dict(IGNORED)))
    return chosen


# ---- one run ----


class Run:
    """One module, run once. tests: {id: outcome}, an outcome being what its lines in the JUnit file say."""

    def __init__(self, status, tests, seconds, said):
        self.status, self.tests, self.seconds, self.said = status, tests, seconds, said

    def count(self, outcome):
        return sum(told.count(outcome) for told in self.tests.values())

    def hung_in(self):
        """The test that did not end, from the stacks that regrtest prints then; None: all did."""
        main_thread = self.said.rpartition("most recent call first")[2]
        at = re.findall(r'^  File ".*", line \d+ in (test_\w+)$', main_thread, re.MULTILINE)
        return at[-1] if at and not self.tests else None

    def end(self):
        return f"status {self.status}" + (f" in {self.hung_in()}" if self.hung_in() else "")

    def counts(self):
        run = sum(len(told) for told in self.tests.values())
        return (run, self.count("failure"), self.count("error"), self.count("skipped"))


def outcomes(path):
    """{test: ["ok" | "failure" | "error" | "skipped" | ...]}, sorted where one name stands for several."""
    tests = collections.defaultdict(list)
    try:
        cases = xml.etree.ElementTree.parse(path).iter("testcase")
    except (OSError, xml.etree.ElementTree.ParseError):
        return {}  # it crashed: the status tells
    for case in cases:
        told = [child.tag for child in case if not child.tag.startswith("system-")]
        tests[case.get("name")].append(told[0] if told else "ok")
    return {name: sorted(told) for name, told in tests.items()}


def run_to_end(command, cwd, seconds):
    """Status and output; whatever is still there of its session after that is ended."""
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
                                 start_new_session=True)
        try:
            status = child.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            status = None
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
        out.seek(0)
        return status, out.read().decode(errors="replace")


def run_module(options, python, module, recorded, match=()):
    with tempfile.TemporaryDirectory(prefix="compat-") as folder:
        junit = os.path.join(folder, "junit.xml")
        command = [python["exe"], *(["-m", "test"] if options.plain else ["-c", MAIN]), "--junit-xml", junit,
                   "--fail-env-changed", "--timeout", str(MODULE_S)]
        command += [word for pattern in match for word in ("-m", pattern)]
        command += [word for pattern in python["ignored"].get(module, ()) for word in ("-i", pattern)]
        if recorded:
            command = [options.program, "run", "-q", "-o", os.path.join(folder, "trace.db"), "--", *command]
        began = time.monotonic()
        status, said = run_to_end([*command, module], folder, MODULE_S + 60)
        run = Run(status, outcomes(junit), time.monotonic() - began, said)
        if recorded:
            run.trace = trace_of(options, os.path.join(folder, "trace.db"))
        return run


def trace_of(options, path):
    """What the report says of the trace: it must be readable whatever the tests did."""
    told = subprocess.run([options.program, "report", "--format", "json", path], capture_output=True, text=True)
    try:
        report = json.loads(told.stdout)
    except ValueError:
        return {"error": told.stderr.strip() or f"report: status {told.returncode}"}
    return {"processes": len(report["trace"]["processes"]), "lost": report["coverage"]["lost_events"] or 0}


# ---- comparing ----


def differences(bare, recorded):
    """Tests that came to something else; [None] where the module did as a whole."""
    if bool(bare.tests) != bool(recorded.tests):
        return [None]  # one of them wrote no results: it crashed
    names = sorted(set(bare.tests) | set(recorded.tests))
    found = [name for name in names if bare.tests.get(name) != recorded.tests.get(name)]
    return found if found or bare.status == recorded.status else [None]


def class_pattern(test):
    return test.rsplit(".", 1)[0] + ".*" if test and " " not in test else None


def try_again(options, python, module, tests):
    """[(test, bare outcomes, recorded outcomes)] of more runs of what differed."""
    patterns = {class_pattern(test) for test in tests}
    match = () if None in patterns else sorted(patterns)
    seen = {test: ([], []) for test in tests}
    for _ in range(options.retries):
        for recorded in False, True:
            run = run_module(options, python, module, recorded, match)
            for test in tests:
                seen[test][recorded].append(" ".join(run.tests.get(test, ["absent"])) if test else run.end())
    return seen


def told_of(seen):
    return ", ".join(f"{n} {outcome}" for outcome, n in collections.Counter(seen).most_common())


def judge(options, python, module, bare, recorded):
    """(differs, flaky): lists of sentences."""
    differs, flaky = [], []
    if not bare.tests:
        return differs, [f"{module}: not compared, bare it ends without results, {bare.end()}"]
    tests = differences(bare, recorded)
    if "error" in recorded.trace:
        differs.append(f"{module}: {recorded.trace['error']}")
    if not tests:
        return differs, flaky
    for test, (b, r) in try_again(options, python, module, tests).items():
        first = [" ".join(run.tests.get(test, ["absent"])) if test else run.end() for run in (bare, recorded)]
        b, r = [first[0], *b], [first[1], *r]
        line = f"{test or module}: bare {told_of(b)}; recorded {told_of(r)}"
        ours = set(r) - set(b)
        steady = sum(outcome in ours for outcome in r) * 2 > len(r)
        (differs if steady else flaky).append(line)
    return differs, flaky


def run_both(options, python, module):
    """(bare, recorded, tests left out since they hang bare)"""
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        recorded = beside.submit(run_module, options, python, module, True) if options.beside else None
        bare = run_module(options, python, module, False)
        left_out = []
        for _ in range(options.retries):
            if bare.tests:
                break
            say(f"{python['version']:8} {module}: bare, {bare.end()} and no results; again, without that test")
            left_out += [bare.hung_in()] if bare.hung_in() else []
            python["ignored"][module] = IGNORED.get(module, []) + left_out
            bare = run_module(options, python, module, False)
        recorded = recorded.result() if recorded and not left_out else run_module(options, python, module, True)
    return bare, recorded, left_out


def compare(options, python):
    """One interpreter. [(module, bare, recorded, differs, flaky)]"""
    rows = []
    wanted = options.only or [m for m, short in MODULES.items() if short or not options.short]
    for module in wanted:
        if module not in python["modules"]:
            continue
        bare, recorded, left_out = run_both(options, python, module)
        differs, flaky = judge(options, python, module, bare, recorded)
        flaky += [f"{module}: without {test}, which hung bare" for test in left_out]
        rows.append((module, bare, recorded, differs, flaky))
        say(f"{python['version']:8} {module:26} {bare.seconds:6.1f} s {recorded.seconds:6.1f} s  "
            f"{' '.join(map(str, bare.counts())):>16} | {' '.join(map(str, recorded.counts())):>16}  "
            f"{'DIFFERS' if differs else 'flaky' if flaky else 'same'}")
        for line in differs + flaky:
            say(f"         {line}")
        if differs and options.verbose:
            say(recorded.said[-20000:])
    return rows


# ---- telling ----


def table(python, rows):
    lines = [f"## CPython {python['version']} ({python['exe']})", "",
             "| module | run | failures | errors | skipped | recorded | Python processes recorded | events lost |",
             "|---|---|---|---|---|---|---|---|"]
    for module, bare, recorded, differs, flaky in rows:
        same = "differs" if differs else "the same" + (", but for flaky ones" if flaky else "")
        trace = recorded.trace
        lines.append(f"| {module} | " + " | ".join(map(str, bare.counts()))
                     + f" | {same} | {trace.get('processes', '?')} | {trace.get('lost', '?')} |")
    total = [sum(run.counts()[i] for _, run, *_ in rows) for i in range(4)]
    lines.append("| **all** | " + " | ".join(map(str, total)) + " | | | |")
    for kind, at in ("Differs", 3), ("Flaky", 4):
        told = [line for row in rows for line in row[at]]
        lines += ["", f"{kind}:", "", *(f"* {line}" for line in told)] if told else []
    return lines


ROW = re.compile(r"^\| (test_\w+) \|" + r" (\d+) \|" * 4 + r" ([^|]*) \| (\S+) \| (\S+) \|$", re.MULTILINE)


def joined(paths):
    """One table of all interpreters: what ran in each module, and what differed."""
    found, processes, lost = {}, collections.Counter(), collections.Counter()
    for path in paths:
        for part in open(path, encoding="utf-8").read().split("## CPython ")[1:]:
            version = part.split()[0]
            rows = found[version] = {}
            for module, run, failures, errors, skipped, same, recorded, events in ROW.findall(part):
                failed = int(failures) + int(errors)
                rows[module] = run + f", {failed} failed" * bool(failed) + (f", {same}" if same != "the same" else "")
                processes[version] += int(recorded)
                lost[version] += int(events)
    versions = sorted(found, key=lambda v: [int(n) for n in v.split(".")])
    modules = [m for m in MODULES if any(m in rows for rows in found.values())]
    lines = [["module", *versions], ["---"] * (len(versions) + 1)]
    lines += [[module, *(found[v].get(module, "") for v in versions)] for module in modules]
    lines += [["**Python processes recorded**", *(str(processes[v]) for v in versions)],
              ["**events lost**", *(str(lost[v]) for v in versions)]]
    return ["| " + " | ".join(line) + " |" for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.environ.get("AWAITSCOPE", "build/bin/awaitscope"))
    parser.add_argument("--python", action="append", default=[])
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--beside", action="store_true")
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--retries", type=int, default=5)
    parser.add_argument("--markdown")
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--join", nargs="+", metavar="FILE")
    options = parser.parse_args()
    if options.join:
        print("\n".join(joined(options.join)))
        return 0
    options.program = os.path.abspath(options.program)
    if not os.access(options.program, os.X_OK):
        parser.error(f"{options.program} has not been built")
    for number in signal.SIGINT, signal.SIGQUIT, signal.SIGHUP:
        signal.signal(number, signal.SIG_DFL)  # tests interrupt themselves; a shell's background jobs ignore these
    pythons = interpreters(options.python)
    if not pythons:
        say("compat: no interpreter here has its test package (Debian: libpython3.N-testsuite)")
        return SKIPPED
    told = [f"{time.strftime('%Y-%m-%d', time.gmtime())}, {platform.machine()}, Linux {platform.release().split('-')[0]}, "
            f"{os.cpu_count()} cores, {'without' if options.plain else 'after'} a loop in the tests' own process.", ""]
    differs = 0
    for python in pythons:
        rows = compare(options, python)
        differs += sum(len(row[3]) for row in rows)
        told += [*table(python, rows), ""]
        if options.markdown:  # after each: a long matrix that is cut short keeps what it has
            with open(options.markdown, "w", encoding="utf-8") as f:
                f.write("\n".join(told))
    print("\n".join(told))
    return 1 if differs else 0


if __name__ == "__main__":
    sys.exit(main())
