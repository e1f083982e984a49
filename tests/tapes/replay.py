#!/usr/bin/env python3
"""Replays a tape into a trace and compares what the trace and its report say with what the tape's own comments say.

    replay.py --tape TOOL --awaitscope PROGRAM NAME.tape [--keep TRACE]

A tape is described in collector/tape.h. Lines that begin with '# ' are for people. These are expectations and settings:

    #set min_step_ns=0             an option of the model (t0_ns, stall_ns, min_step_ns, min_block_ns, max_bytes, end_ns);
                                   the defaults are those of `awaitscope run`, the trace ends with its last record
    #end 4711 9                    process 4711 ended, with this wait status, at the end
    #refused 7: no such kind ...   the tool must refuse the tape with this line and reason
    #sql SELECT idx, status FROM cell
    #+ ORDER BY idx                the query goes on
    #= 0|ok                        one expected row, columns by '|', NULL as null; none: no row may come
    #with --all                    options of `report` for the lines that follow; alone: none
    #report 1 stall of 1.2 s       the text report has a line with this in it; runs of blanks count as one
    #!report leaked                it has none
    #live Task-3 worker            a line of what `live` prints has this in it
    #!live Task-4                  none has
    #json .stalls[0].duration_ms == 1200
    #json .cells | length >= 2     a path, perhaps its length; == != < <= > >= ~ (within 1 %) in; a JSON value;
                                   a key that is no word: .causes_ms["blocked:sleep"]

What every trace must keep is checked for each tape without being asked: PROMISES below.
"""
import argparse
import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile

os.environ.pop("COLUMNS", None)  # what is printed is as wide as it is by itself
PROMISES = [  # what, a query that must give no row
    ("the file is whole", "SELECT * FROM pragma_integrity_check WHERE integrity_check != 'ok'"),
    ("every reference has its row", "SELECT * FROM pragma_foreign_key_check"),
    ("the causes of an iteration sum to its busy time",
     """SELECT id, busy_ns FROM iteration WHERE busy_ns != cpu_ns + cpu_user_ns + cpu_kernel_ns + gc_ns + gil_ns + runq_ns
        + blocked_sleep_ns + blocked_network_ns + blocked_file_ns + blocked_subprocess_ns + blocked_dns_ns + blocked_database_ns
        + blocked_lock_ns + blocked_fault_ns + blocked_other_ns + unknown_ns"""),
    ("no cause is negative",
     """SELECT id FROM iteration WHERE min(cpu_ns, cpu_user_ns, cpu_kernel_ns, gc_ns, gil_ns, runq_ns, blocked_sleep_ns,
        blocked_network_ns, blocked_file_ns, blocked_subprocess_ns, blocked_dns_ns, blocked_database_ns, blocked_lock_ns,
        blocked_fault_ns, blocked_other_ns, unknown_ns) < 0"""),
    ("the trace says that it is complete", "SELECT 1 WHERE (SELECT value FROM meta WHERE key = 'complete') IS NOT 1"),
    ("a loop counts all its iterations",
     """SELECT l.id, l.iterations FROM loop l WHERE iterations != (SELECT count(*) FROM iteration i WHERE i.loop = l.id)
        + (SELECT coalesce(sum(count), 0) FROM iteration_total t WHERE t.loop = l.id)"""),
    ("the totals of timers hold the late ones",
     """SELECT loop FROM late_timer l GROUP BY loop
        HAVING count(*) > (SELECT coalesce(sum(count), 0) FROM timer_total t WHERE t.loop = l.loop)"""),
    ("no wait ends before what ended it", 'SELECT id FROM "await" WHERE set_ns > begin_ns + duration_ns'),
    ("no job begins before it was given", "SELECT id FROM executor_job WHERE began_ns < given_ns OR ended_ns < began_ns"),
]

COMPARE = {
    "==": lambda a, b: same(a, b),
    "!=": lambda a, b: not same(a, b),
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "~": lambda a, b: abs(a - b) <= abs(b) / 100,
    "in": lambda a, b: a in b,
}


class Mismatch(Exception):
    """An expectation that does not hold; its text is what a person needs to see."""


def same(a, b):
    """Equal, with numbers of the report compared to a millionth of a millisecond."""
    if isinstance(a, float) or isinstance(b, float):
        return isinstance(a, (int, float)) and isinstance(b, (int, float)) and abs(a - b) < 1e-6
    return a == b


def parse(path):
    """The expectations of a tape: (line number, word, text); a query's further lines and rows are joined to it."""
    found = []
    with open(path, encoding="utf-8", errors="surrogateescape") as tape:
        for number, line in enumerate(tape, 1):
            match = re.match(r"#(!?[a-z]+|[+=])(?: (.*))?$", line.rstrip("\n"))
            if not match:
                if line.startswith("#") and line.strip() != "#" and not line.startswith("# "):
                    raise Mismatch(f"{path}:{number}: neither a comment ('# ...') nor an expectation")
                continue
            word, text = match.group(1), (match.group(2) or "").rstrip()
            if word in "+=":
                if not found or found[-1][1] != "sql":
                    raise Mismatch(f"{path}:{number}: '#{word}' belongs below a #sql")
                query, rows = found[-1][2]
                found[-1] = (found[-1][0], "sql", (query + "\n" + text, rows) if word == "+" else (query, rows + [text]))
            elif word == "sql":
                found.append((number, word, (text, [])))
            elif word in ("set", "end", "refused", "with", "report", "!report", "live", "!live", "json"):
                found.append((number, word, text))
            else:
                raise Mismatch(f"{path}:{number}: no such expectation: #{word}")
    return found


def show(value):
    if value is None:
        return "null"
    return value.hex() if isinstance(value, bytes) else str(value)


def check_sql(trace, expected):
    query, rows = expected
    try:
        got = ["|".join(show(v) for v in row) for row in trace.execute(query)]
    except sqlite3.Error as error:
        raise Mismatch(f"{query}\n{error}") from None
    if got != rows:
        raise Mismatch("\n".join([query, "wanted:"] + [f"#= {r}" for r in rows] + ["got:"] + [f"#= {r}" for r in got]))


def walk(value, path):
    """The value that a path such as .a[0]["b c"].d leads to."""
    rest = path
    while rest and rest != ".":
        match = re.match(r'\.(\w+)|\.?\[(-?\d+)\]|\.?\["([^"]*)"\]', rest)
        if not match:
            raise Mismatch(f"{path}: cannot read the path from {rest!r}")
        name, index, quoted = match.groups()
        try:
            value = value[int(index)] if index is not None else value[name if name is not None else quoted]
        except (KeyError, IndexError, TypeError):
            raise Mismatch(f"{path}: nothing at {match.group(0)}, only {json.dumps(value)[:300]}") from None
        rest = rest[match.end():]
    return value


def check_json(report, text):
    match = re.match(r"(\S+?)\s*(\|\s*length)?\s+(==|!=|<=|>=|<|>|~|in)\s+(.*)$", text)
    if not match:
        raise Mismatch(f"not PATH OPERATOR VALUE: {text}")
    path, length, operator, wanted = match.groups()
    got = walk(report, path)
    got = len(got) if length else got
    try:
        holds = COMPARE[operator](got, json.loads(wanted))
    except (TypeError, ValueError) as error:
        raise Mismatch(f"{text}: {error}; it is {json.dumps(got)}") from None
    if not holds:
        raise Mismatch(f"{text}\nit is {json.dumps(got)}")


def check_report(report, fragment, wanted):
    squeezed = " ".join(fragment.split())
    found = any(squeezed in " ".join(line.split()) for line in report.splitlines())
    if found != wanted:
        raise Mismatch(f"the report has {'no' if wanted else 'a'} line with: {fragment}\n{report}")


class Replay:
    def __init__(self, args, expectations, folder):
        self.args = args
        self.expectations = expectations
        self.path = args.keep or os.path.join(folder, "trace.db")
        self.options = []
        self.reports = {}

    def words(self, word):
        return [text for _, w, text in self.expectations if w == word]

    def record(self):
        """The tape becomes a trace; or is refused, and should be."""
        command = [self.args.tape]
        for text in self.words("set"):
            command += ["--set", text]
        for text in self.words("end"):
            command += ["--end", "=".join(text.split())]
        with open(self.args.name, "rb") as tape:
            done = subprocess.run(command + [self.path], stdin=tape, capture_output=True, text=True, timeout=100)
        for text in self.words("refused"):
            if done.returncode != 1 or f"line {text}" not in done.stderr:
                raise Mismatch(f"not refused so: {text}\nexit status {done.returncode}, {done.stderr}")
            return
        if done.returncode or done.stderr:
            raise Mismatch(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")

    def output(self, *words):
        command = [self.args.awaitscope, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=100)
        if done.returncode or done.stderr:
            raise Mismatch(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr}")
        return done.stdout

    def report(self, form):
        key = (form, *self.options)
        if key not in self.reports:
            text = self.output("report", "--format", form, *self.options, self.path)
            self.reports[key] = json.loads(text) if form == "json" else text
        return self.reports[key]

    def live(self):
        if "live" not in self.reports:
            self.reports["live"] = self.output("live", self.path)
        return self.reports["live"]

    def check(self, trace, word, text):
        if word == "sql":
            check_sql(trace, text)
        elif word == "with":
            self.options = text.split()
        elif word == "json":
            check_json(self.report("json"), text)
        elif word in ("report", "!report"):
            check_report(self.report("text"), text, word == "report")
        elif word in ("live", "!live"):
            check_report(self.live(), text, word == "live")

    def run(self):
        """The number of expectations that do not hold; each was printed."""
        failed = 0
        self.record()
        if self.words("refused"):
            return 0
        trace = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)
        checks = self.expectations + [(0, "sql", (query, [])) for _, query in PROMISES]
        for index, (number, word, text) in enumerate(checks):
            try:
                self.check(trace, word, text)
            except Mismatch as mismatch:
                failed += 1
                promise = "" if number else f"broken: {PROMISES[index - len(checks)][0]}\n"
                print(f"{self.args.name}:{number}: {promise}{mismatch}\n", file=sys.stderr)
        for form in ("text", "json"):
            self.report(form)
        trace.close()
        return failed


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tape", required=True, help="the tape tool")
    parser.add_argument("--awaitscope", required=True)
    parser.add_argument("--keep", help="make the trace here, and leave it there to be looked at")
    parser.add_argument("name", help="the tape")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="tape-") as folder:
        try:
            return 1 if Replay(args, parse(args.name), folder).run() else 0
        except Mismatch as mismatch:
            print(f"{args.name}: {mismatch}", file=sys.stderr)
            return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
