"""Traces made by hand: rows in, and what `awaitscope report --format json` finds in them. Times are in ms."""
import json
import os
import re
import readline
import sqlite3
import subprocess
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
PROGRAM = os.environ.get("AWAITSCOPE", str(TOP / "build-test/bin/awaitscope"))
os.environ.pop("COLUMNS", None)  # what is printed is as wide as it is by itself
os.unsetenv("COLUMNS")  # readline sets it for programs begun later, unseen by os.environ, once: as newer pytests import it
MS = 1_000_000
CAUSES = ("cpu", "cpu_user", "cpu_kernel", "gc", "gil", "runq", "blocked_sleep", "blocked_network", "blocked_file",
          "blocked_subprocess", "blocked_dns", "blocked_database", "blocked_lock", "blocked_fault", "blocked_other", "unknown")
APP = "/home/u/app.py"
LIB = "/usr/lib/python3/dist-packages/lib/client.py"
ASYNCIO = "/usr/lib/python3.11/asyncio/"


def constant(name):
    return re.search(rf"{name}\s+(\w+)", (TOP / "collector/schema.h").read_text())[1]


class Trace:
    """A program with one loop (id 1, thread 1); with kernel=True a notebook's kernel, whose cells cell() adds."""

    def __init__(self, path, kernel=False, uvloop=False, mode="run"):
        self.path, self.kernel = str(path), kernel
        self.sql = sqlite3.connect(self.path)
        self.sql.execute("PRAGMA synchronous = OFF")
        self.sql.executescript((TOP / "collector/schema.sql").read_text())
        self.sql.execute(f"PRAGMA application_id = {int(constant('SCHEMA_APPLICATION_ID'), 0)}")
        self.sql.execute(f"PRAGMA user_version = {int(constant('SCHEMA_VERSION'), 0)}")
        meta = dict(started_at="2024-06-07T08:09:10Z", duration_ns=60_000 * MS, mode=mode, stall_ns=100 * MS, min_block_ns=MS,
                    min_step_ns=100_000, complete=1, notebook="demo.ipynb" if kernel else "")
        self.sql.executemany("INSERT INTO meta VALUES (?, ?)", meta.items())
        argv = ["python3", "-m", "ipykernel_launcher"] if kernel else ["python3", "app.py"]
        self.add("process", id=1, pid=4711, ppid=1, argv=json.dumps(argv), executable="/usr/bin/python3", python="3.11.2",
                 stdlib="/usr/lib/python3.11", began_ns=0, is_kernel=int(kernel))
        self.add("thread", id=1, process=1, tid=100, name="MainThread", seen_ns=0)
        self.add("loop", id=1, process=1, thread=1, kind="uvloop" if uvloop else "asyncio", type="x", began_ns=0,
                 iterations=1000, select_ns=50_000 * MS)
        for what, sensor in (("tasks", "agent"), ("syscalls", "agent"), ("causes", "coarse"),
                             ("cells", "ipython" if kernel else "none")):
            self.add("coverage", process=1, what=what, sensor=sensor)

    def add(self, table, **columns):
        names = ", ".join(f'"{name}"' for name in columns)
        cursor = self.sql.execute(f'INSERT INTO "{table}"({names}) VALUES ({", ".join("?" * len(columns))})',
                                  list(columns.values()))
        return cursor.lastrowid

    def cell(self, began, ended, source="await main()", synchronous=False, name=None):
        n = self.sql.execute("SELECT count(*) FROM cell").fetchone()[0]
        return self.add("cell", process=1, thread=1, loop=1, idx=n, execution_count=n + 1, source=source,
                        filename=name or cell_file(source), began_ns=began * MS, ended_ns=ended * MS, status="ok",
                        synchronous=int(synchronous))

    def stack(self, *frames):
        """(file, line, function) or (..., True: a generator), innermost first; returns its id."""
        parent = None
        for file, line, function, *generator in reversed(frames):
            user = int(not file.startswith(("/usr/lib/", "<frozen")))
            frame = self.add("frame", file=file, line=line, function=function, user=user, generator=int(bool(generator)))
            parent = self.add("stack", parent=parent, frame=frame)
        return parent

    def iteration(self, begin, busy, cell=None, place=(APP, 7, "crunch"), loop=1, **causes):
        columns = {f"{cause}_ns": 0 for cause in CAUSES}
        for cause, ms in causes.items():
            columns[f"{cause}_ns"] = int(ms * MS)
        columns["cpu_ns"] += int(busy * MS) - sum(columns.values())
        file, line, function = place
        return self.add("iteration", loop=loop, cell=cell, begin_ns=int(begin * MS), busy_ns=int(busy * MS), select_ns=0, ready=1,
                        file=file, line=line, function=function, **columns)

    def task(self, coro="worker", cell=None, created=0, ended=None, state=None, user=1, place=(APP, 20, "main"), stack=True,
             **columns):
        file, line, function = place
        stack_id = self.stack(place, *LOOP_FRAMES) if stack is True else stack
        return self.add("task", process=1, loop=1, thread=1, cell=cell, name=columns.pop("name", "Task-1"), coro=coro, user=user,
                        created_ns=int(created * MS), ended_ns=None if ended is None else int(ended * MS),
                        state=state or ("pending" if ended is None else "done"), stack=stack_id, file=file, line=line,
                        function=function, **columns)

    def step(self, task, begin, length, cell=None):
        return self.add("task_step", task=task, cell=cell, thread=1, begin_ns=int(begin * MS), duration_ns=int(length * MS))

    def wait(self, task, begin, length, what="asyncio.sleep", stack=None, **columns):
        return self.add("await", task=task, begin_ns=int(begin * MS), duration_ns=int(length * MS), what=what, stack=stack, **columns)

    def call(self, begin, length, call="time.sleep(0.2)", kind="sleep", cell=None, frames=None, loop=1, cpu=0, task=None):
        frames = [(APP, 3, "fetch")] if frames is None else frames
        place = next((f for f in [*frames, *LOOP_FRAMES] if not f[0].startswith("/usr/lib/")))
        return self.add("blocking_call", process=1, thread=1, loop=loop, task=task, cell=cell, begin_ns=int(begin * MS),
                        duration_ns=int(length * MS), cpu_ns=int(cpu * MS), call=call, syscall="x", **{"class": kind}, target="",
                        stack=self.stack(*frames, *LOOP_FRAMES), file=place[0], line=place[1], function=place[2])

    def block(self, begin, length, kind="sleep", **columns):
        """A call that is nearly all of an iteration of its own."""
        self.iteration(begin, length + 1, columns.get("cell"), **{f"blocked_{kind}": length})
        return self.call(begin, length, kind=kind, **columns)

    def report(self, *options):
        self.sql.commit()
        done = subprocess.run([PROGRAM, "report", "--format", "json", *options, self.path], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def findings(self, rule, *options):
        return [f for f in self.report(*options)["findings"] if f["rule"] == rule]


LOOP_FRAMES = [(ASYNCIO + "events.py", 80, "Handle._run"), (ASYNCIO + "base_events.py", 1922, "BaseEventLoop._run_once"),
               (ASYNCIO + "base_events.py", 607, "BaseEventLoop.run_forever"), (APP, 99, "<module>")]


def cell_file(source):
    return f"/tmp/ipykernel_4711/{abs(hash(source)) % 10**9}.py"
