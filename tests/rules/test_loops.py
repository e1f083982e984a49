"""AS301 to AS306, AS401 to AS403: loops, and waiting for shared things."""
import pytest

from trace_maker import APP, ASYNCIO, LIB, LOOP_FRAMES, MS, Trace, cell_file

CELL = "result = asyncio.run(main())"


def refusal(t, why, cell=None, place=(APP, 3, "main")):
    file, line, function = place
    t.add("refusal", process=1, thread=1, loop=1, cell=cell, time_ns=MS, why=why, file=file, line=line, function=function,
          stack=t.stack(place))


@pytest.mark.parametrize("rule, why", [("AS301", "running"), ("AS304", "closed")])
class TestRefused:
    def test_in_a_program(self, tmp_path, rule, why):
        t = Trace(tmp_path / "t.db")
        refusal(t, why)
        refusal(t, why)
        found, = t.findings(rule)
        assert (found["line"], found["count"], found["severity"]) == (3, 2, "error")

    def test_in_a_cell(self, tmp_path, rule, why):
        t = Trace(tmp_path / "t.db", kernel=True)
        refusal(t, why, t.cell(0, 500, CELL), (cell_file(CELL), 1, "<module>"))
        found, = t.findings(rule)
        assert (found["cell"], found["line"]) == (0, 1)

    def test_the_other_reason(self, tmp_path, rule, why):
        t = Trace(tmp_path / "t.db")
        refusal(t, "closed" if why == "running" else "running")
        assert not t.findings(rule)

    def test_a_library(self, tmp_path, rule, why):
        t = Trace(tmp_path / "t.db")
        refusal(t, why, place=(LIB, 3, "Client.close"))
        assert not t.findings(rule)


def test_loop_closed_is_not_seen_on_uvloop(tmp_path):
    t = Trace(tmp_path / "t.db", uvloop=True)
    assert "AS304" in [r["rule"] for r in t.report()["coverage"]["not_checked"]]


# AS303


def received(t, message, place=(APP, 4, "wait_shared")):
    file, line, function = place
    t.add("anomaly", process=1, time_ns=5000, kind="received", coro="wait_shared", message=message, file=file, line=line,
          function=function)


@pytest.mark.parametrize("message", ["RuntimeError: Task <T> got Future <F> attached to a different loop",
                                     "RuntimeError: Task <Task pending name='Task-2' coro=<main.<locals>.wait_shared() running at …"])
def test_wrong_loop(tmp_path, message):
    t = Trace(tmp_path / "t.db")
    received(t, message)
    found, = t.findings("AS303")
    assert (found["severity"], found["line"]) == ("error", 4)


def test_a_lock_of_another_loop(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.task("work", ended=100, state="failed", exception="RuntimeError: <asyncio.locks.Lock object> is bound to a different event loop")
    assert len(t.findings("AS303")) == 1


def test_an_error_that_wait_for_hands_on_is_one_finding(tmp_path):
    t = Trace(tmp_path / "t.db")
    error = dict(ended=100, state="failed", exception="RuntimeError: <asyncio.locks.Event object> is bound to a different event loop")
    outer = t.task("main", place=(APP, 8, "start"), **error)
    t.task("Event.wait", parent=outer, place=(APP, 4, "main"), **error)
    found, = t.findings("AS303")
    assert found["line"] == 4 and "Event.wait, created here" in found["message"]


def test_other_errors_and_libraries_are_no_wrong_loop(tmp_path):
    t = Trace(tmp_path / "t.db")
    received(t, "RuntimeError: Task got bad yield: 1")
    received(t, "RuntimeError: got Future <F> attached to a different loop", (LIB, 4, "wait"))
    assert not t.findings("AS303")


# AS302, AS305, AS306


def run(t, began, ended, *frames, loop=1, cell=None, task=None, thread=1):
    user = next((f for f in frames if not f[0].startswith("/usr/lib/")), frames[0])
    t.add("loop_run", loop=loop, thread=thread, cell=cell, task=task, began_ns=began * MS, ended_ns=ended * MS,
          stack=t.stack(*frames), file=user[0], line=user[1], function=user[2])


RUN = [(ASYNCIO + "base_events.py", 602, "BaseEventLoop.run_forever"),
       (ASYNCIO + "base_events.py", 640, "BaseEventLoop.run_until_complete"), (ASYNCIO + "runners.py", 44, "run")]
CLOSE = [(ASYNCIO + "base_events.py", 640, "BaseEventLoop.run_until_complete"), (ASYNCIO + "runners.py", 70, "Runner.close"),
         (ASYNCIO + "runners.py", 190, "run")]


@pytest.mark.parametrize("kernel", [False, True])
def test_nested_loop(tmp_path, kernel):
    t = Trace(tmp_path / "t.db", kernel=kernel)
    cell = t.cell(0, 500) if kernel else None
    run(t, 100, 120, *RUN, (APP, 3, "lookup_all"), *LOOP_FRAMES, cell=cell, task=t.task())
    found, = t.findings("AS302")
    assert (found["line"], found["severity"], found["cost_ms"]) == (3, "warning", 20)


def test_an_ordinary_run_or_a_librarys_is_not_nested(tmp_path):
    t = Trace(tmp_path / "t.db")
    run(t, 0, 50000, *RUN, (APP, 99, "<module>"))
    run(t, 100, 120, *RUN, (LIB, 3, "Client.call_sync"), *LOOP_FRAMES, task=t.task())
    assert not t.findings("AS302")


@pytest.mark.parametrize("name", ["Rows.__next__", "rows.<locals>.<genexpr>"])
def test_run_in_iterator(tmp_path, name):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(0, 500)
    for n in range(3):
        run(t, 100 + 30 * n, 120 + 30 * n, *RUN, (APP, 11, name), (APP, 14, "<module>"), cell=cell)
        run(t, 120 + 30 * n, 121 + 30 * n, *CLOSE, (APP, 11, name), (APP, 14, "<module>"), cell=cell)
    found, = t.findings("AS306")
    assert (found["line"], found["count"], found["severity"]) == (11, 3, "warning")


@pytest.mark.parametrize("frames", [[(APP, 5, "lookup"), (APP, 11, "Rows.__next__")],
                                    [(APP, 5, "rows", True), (APP, 12, "main")],
                                    [(APP, 4, "lookup"), (APP, 5, "rows", True), (APP, 12, "main")]])
def test_run_in_a_generator_or_for_one(tmp_path, frames):
    t = Trace(tmp_path / "t.db")
    run(t, 100, 120, *RUN, *frames)
    found, = t.findings("AS306")
    assert found["line"] == frames[0][1]


@pytest.mark.parametrize("frames", [[(APP, 5, "next"), (APP, 12, "main")],
                                    [(APP, 5, "lookup"), (LIB, 2, "Table.load"), (APP, 11, "Rows.__next__")],
                                    [(APP, 5, "server", True), ("/usr/lib/python3.11/contextlib.py", 137, "__enter__"), (APP, 9, "main")]])
def test_runs_that_are_no_iterators(tmp_path, frames):
    t = Trace(tmp_path / "t.db")
    run(t, 100, 120, *RUN, *frames)
    assert not t.findings("AS306")


def loops(t, n, function="squares", apart=20, length=10, cell=None, threads=False):
    for i in range(n):
        loop = t.add("loop", process=1, thread=1, kind="asyncio", type="x", began_ns=(1000 + apart * i) * MS,
                     ended_ns=(1000 + apart * i + length) * MS)
        run(t, 1000 + apart * i, 1000 + apart * i + length, *RUN, (APP, 6, function), loop=loop, cell=cell)


@pytest.mark.parametrize("n", [4, 10])
def test_many_short_loops(tmp_path, n):
    t = Trace(tmp_path / "t.db", kernel=n == 4)
    loops(t, n, cell=t.cell(900, 3000) if n == 4 else None)
    found, = t.findings("AS305")
    assert (found["line"], found["count"], found["severity"]) == (6, n, "warning")


def test_three_loops_or_loops_of_several_functions_or_side_by_side(tmp_path):
    t = Trace(tmp_path / "t.db")
    loops(t, 3)
    for n in range(6):
        loops(t, 1, f"test_{n}")
    loops(t, 6, "thread_main", apart=1, length=1000)
    assert not t.findings("AS305")


# AS401


def job(t, waited, frames=(), cell=None, began=True, user=((APP, 2, "shrink"),), **columns):
    stack = t.stack((f"{ASYNCIO[:-8]}concurrent/futures/thread.py", 173, "ThreadPoolExecutor.submit"), *frames,
                    *user, *LOOP_FRAMES)
    t.add("executor_job", process=1, cell=cell, workers=6, given_ns=1000 * MS, **columns,
          began_ns=int((1000 + waited) * MS) if began else None, stack=stack, file=APP, line=2, function="shrink")


OWN = [(ASYNCIO + "base_events.py", 829, "BaseEventLoop.run_in_executor"), (ASYNCIO + "threads.py", 25, "to_thread")]


@pytest.mark.parametrize("frames, known", [(OWN, 0), (OWN[:1], 1)])
def test_executor_saturated(tmp_path, frames, known):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 3000)
    for n in range(4):
        job(t, 100 + 100 * n, frames, cell, default_pool=known)
    found, = t.findings("AS401")
    assert (found["cell"], found["count"], found["cost_ms"], found["severity"]) == (0, 4, 400, "warning")


def test_jobs_that_hardly_waited_or_of_a_pool_of_the_users_own(tmp_path):
    t = Trace(tmp_path / "t.db")
    job(t, 99, OWN)
    job(t, 500)
    job(t, 500, OWN[:1])  # run_in_executor(pool, ...)
    job(t, 500, OWN, began=False)
    assert not t.findings("AS401")


def test_jobs_of_tasks_without_user_code_are_where_those_were_created(tmp_path):
    t = Trace(tmp_path / "t.db")
    job(t, 200, OWN, user=(), task=t.task("to_thread", place=(APP, 12, "main")))  # gather(to_thread(f))
    job(t, 200, OWN, user=(), task=t.task("to_thread", place=(LIB, 12, "get"), user=0))
    found, = t.findings("AS401")
    assert (found["line"], found["count"]) == (12, 1)


# AS402


def lock_wait(t, ms, what="Lock.acquire", holder=True, how="result", frame=(APP, 4, "post")):
    t.wait(t.task("post"), 1000, ms, what, stack=t.stack((ASYNCIO + "locks.py", 114, what), frame), woken_how=how,
           woken_by=t.task("holder") if holder else None)


@pytest.mark.parametrize("waits", [(100,), (150, 300, 450)])
def test_lock_contended(tmp_path, waits):
    t = Trace(tmp_path / "t.db")
    for ms in waits:
        lock_wait(t, ms)
    found, = t.findings("AS402")
    assert (found["line"], found["count"], found["cost_ms"], found["severity"]) == (4, len(waits), waits[-1], "warning")
    assert "holder" in found["message"]


@pytest.mark.parametrize("columns", [dict(what="Semaphore.acquire"), dict(holder=False)])
def test_a_semaphore_or_an_unknown_holder_is_a_note(tmp_path, columns):
    t = Trace(tmp_path / "t.db")
    lock_wait(t, 300, **columns)
    assert [f["severity"] for f in t.findings("AS402")] == ["note"]


@pytest.mark.parametrize("columns", [dict(ms=99), dict(ms=300, what="Queue.get"), dict(ms=300, frame=(LIB, 4, "pool")),
                                     dict(ms=300, how="cancel")])
def test_no_lock_contention(tmp_path, columns):
    t = Trace(tmp_path / "t.db")
    lock_wait(t, **columns)
    assert not t.findings("AS402")


# AS403


def queue(t, sizes, maxsize=0, file=APP, cell=None):
    q = t.add("queue", process=1, cell=cell, type="Queue", maxsize=maxsize, seen_ns=len(sizes) * 1000 * MS, largest=max(sizes),
              file=file, line=3, function="<module>")
    for n, size in enumerate(sizes):
        t.add("queue_sample", queue=q, time_ns=(1 + n) * 1000 * MS, size=size)


@pytest.mark.parametrize("sizes", [range(0, 440, 40), [*range(5), 0, *range(30)]])
def test_queue_growth(tmp_path, sizes):
    t = Trace(tmp_path / "t.db")
    queue(t, list(sizes))
    found, = t.findings("AS403")
    assert (found["line"], found["severity"]) == (3, "warning")


def test_queue_growth_is_of_the_cell_that_ran_meanwhile(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    made = t.cell(0, 500, "q = asyncio.Queue()")
    t.cell(900, 13000)
    queue(t, list(range(0, 440, 40)), cell=made)
    assert t.findings("AS403")[0]["cell"] == 1


@pytest.mark.parametrize("sizes, columns", [
    (list(range(9)), {}),                                # not for long enough
    ([1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 10], {}),         # it shrank
    ([5] + [6] * 11, {}),                                # one burst
    (list(range(0, 440, 40)), dict(maxsize=1000)),       # its bound will stop it
    (list(range(0, 440, 40)), dict(file=LIB)),
])
def test_no_queue_growth(tmp_path, sizes, columns):
    t = Trace(tmp_path / "t.db")
    queue(t, sizes, **columns)
    assert not t.findings("AS403")
