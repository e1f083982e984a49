"""AS201 to AS207, AS210 to AS212: tasks and awaits."""
import pytest

from trace_maker import APP, ASYNCIO, LIB, Trace, cell_file

MAKE = "worker = asyncio.create_task(drain(jobs))"


# AS201, AS202


@pytest.mark.parametrize("leaked, severity", [("pending", "warning"), ("cancelled_at_shutdown", "error")])
def test_leaked_task(tmp_path, leaked, severity):
    t = Trace(tmp_path / "t.db")
    t.task("poll", leaked=leaked)
    found, = t.findings("AS201")
    assert (found["line"], found["severity"], found["cost_ms"], found["lag_saved_ms"]["p99"]) == (20, severity, None, None)


def test_leaked_tasks_of_one_site_are_one_finding(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(0, 500, MAKE)
    for n in range(3):
        t.task("drain", cell, created=n, leaked="pending", place=(cell_file(MAKE), 1, "<module>"))
    found, = t.findings("AS201")
    assert (found["cell"], found["count"]) == (0, 3)


def test_leaked_tasks_of_one_site_need_not_be_of_one_coroutine(tmp_path):
    t = Trace(tmp_path / "t.db")
    for coro in ("poll", "pollute", "poll"):
        t.task(coro, leaked="pending")
    assert "3 tasks of poll, pollute, created here" in t.findings("AS201")[0]["message"]


def test_a_task_that_attach_left_behind_is_a_note(tmp_path):
    t = Trace(tmp_path / "t.db", mode="attach")
    t.task("poll", leaked="pending")
    assert [f["severity"] for f in t.findings("AS201")] == ["note"]


def test_a_task_that_a_library_made_for_the_user_is_a_note(tmp_path):
    t = Trace(tmp_path / "t.db")
    stack = t.stack((ASYNCIO + "tasks.py", 300, "create_task"), (LIB, 5, "Client.start"), (APP, 20, "main"))
    t.task("Client.keep", leaked="pending", stack=stack)
    assert [f["severity"] for f in t.findings("AS201")] == ["note"]


def test_a_librarys_own_task_is_not_judged(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.task("keep", leaked="pending", user=0, place=(LIB, 5, "start"))
    stack = t.stack((LIB, 5, "Client.start"), (ASYNCIO + "events.py", 80, "Handle._run"), (APP, 99, "<module>"))
    t.task("keep", leaked="pending", place=(APP, 99, "<module>"), stack=stack)  # its loop was started by user code
    assert not t.findings("AS201")


def test_a_task_that_ended_is_not_leaked(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.task("poll", ended=100)
    t.task("poll")  # pending, but its creator may still await it
    assert not t.findings("AS201")


@pytest.mark.parametrize("kernel", [False, True])
def test_task_destroyed_pending(tmp_path, kernel):
    t = Trace(tmp_path / "t.db", kernel=kernel)
    t.task("wait_for_reply", t.cell(0, 500) if kernel else None, ended=100, state="destroyed", leaked="destroyed", awaiting="Future")
    found, = t.findings("AS202")
    assert found["severity"] == "error" and "Future" in found["message"]
    assert not t.findings("AS201")  # AS202 alone


def test_a_task_that_shutdown_destroyed_is_leaked_only(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.task("poll", leaked="pending")
    assert not t.findings("AS202")


def test_a_librarys_task_destroyed_is_not_judged(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.task("keep", leaked="destroyed", user=0, place=(LIB, 5, "start"))
    assert not t.findings("AS202")


# AS203


def dropped(t, place=(APP, 3, "process"), cell=None, stack=None, coro="save", kind="never_awaited"):
    file, line, function = place
    t.add("anomaly", process=1, time_ns=5000, kind=kind, cell=cell, coro=coro, message="", file=file, line=line,
          function=function, stack=stack or t.stack(place))


def test_never_awaited(tmp_path):
    t = Trace(tmp_path / "t.db")
    for _ in range(3):
        dropped(t)
    found, = t.findings("AS203")
    assert (found["line"], found["count"], found["severity"]) == (3, 3, "error")
    assert "save() was dropped and never awaited" in found["message"]


@pytest.mark.parametrize("source, advice", [("save(1)", "Await it"), ("x = 1\nrun_all()", "Its call is in what this line runs")])
def test_never_awaited_and_called_elsewhere(tmp_path, source, advice):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(0, 500, source)
    dropped(t, (cell_file(source), 1 + source.count("\n"), "<module>"), cell)
    assert t.findings("AS203")[0]["advice"].startswith(advice)


def test_never_awaited_and_dropped_elsewhere_is_at_its_definition(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(0, 500)
    dropped(t, (cell_file("await main()"), 5, "save"), cell, t.stack((LIB, 5, "drop")))
    found, = t.findings("AS203")
    assert "definition" in found["message"] and found["cell"] == 0


def test_a_librarys_coroutine_is_not_judged(tmp_path):
    t = Trace(tmp_path / "t.db")
    dropped(t, (LIB, 5, "save"))
    stack = t.stack((LIB, 9, "collect"), (ASYNCIO + "events.py", 80, "Handle._run"), (APP, 99, "<module>"))
    dropped(t, (APP, 99, "<module>"), stack=stack)
    assert not t.findings("AS203")


def test_a_coroutine_that_a_running_loop_refused_belongs_to_that_finding(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.add("refusal", process=1, thread=1, loop=1, time_ns=4000, why="running", file=APP, line=2, function="process")
    dropped(t, kind="refused")
    assert not t.findings("AS203") and len(t.findings("AS301")) == 1
    dropped(t)
    assert len(t.findings("AS203")) == 1


# AS204, AS205


def test_exception_never_retrieved(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(0, 500)
    t.task("parse", cell, ended=100, state="failed", exception="ValueError: row 1", retrieved=0)
    found, = t.findings("AS204")
    assert (found["cell"], found["severity"]) == (0, "error") and "ValueError: row 1" in found["message"]


def test_exceptions_of_one_site_are_one_finding(tmp_path):
    t = Trace(tmp_path / "t.db")
    for n in range(4):
        t.task("parse", ended=100 + n, state="failed", exception=f"ValueError: row {n}", retrieved=0)
    found, = t.findings("AS204")
    assert found["count"] == 4


def test_a_failure_that_somebody_looked_at_or_a_librarys(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.task("parse", ended=100, state="failed", exception="ValueError", retrieved=1)
    t.task("serve", ended=100, state="failed", exception="ValueError", retrieved=0, user=0, place=(LIB, 5, "start"))
    t.task("poll", ended=100, state="cancelled", retrieved=0)
    assert not t.findings("AS204")


def gathered(t, message, file=APP):
    t.add("anomaly", process=1, time_ns=5000, kind="gathered_failures", coro="main", message=message, file=file, line=2,
          function="load_all")


@pytest.mark.parametrize("message", ["3 of 6, ValueError", "1 of 1, TimeoutError"])
def test_hidden_errors(tmp_path, message):
    t = Trace(tmp_path / "t.db")
    gathered(t, message)
    found, = t.findings("AS205")
    assert found["severity"] == "note" and message in found["message"]


def test_cancelled_workers_and_libraries_hide_no_errors(tmp_path):
    t = Trace(tmp_path / "t.db")
    gathered(t, "4 of 4, CancelledError")
    gathered(t, "3 of 6, ValueError", LIB)
    assert not t.findings("AS205")


# AS206


def workers(t, *runs, second=MAKE):
    for n, (began, ended) in enumerate(runs):
        source = second if n else MAKE
        cell = t.cell(1000 * n, 1000 * n + 100, source)
        t.task("drain", cell, created=began, ended=ended, place=(cell_file(source), 1, "<module>"))


@pytest.mark.parametrize("runs", [[(10, None), (1010, None)], [(10, 5000), (1010, 5000), (2010, None)]])
def test_duplicate_workers(tmp_path, runs):
    t = Trace(tmp_path / "t.db", kernel=True)
    workers(t, *runs)
    found, = t.findings("AS206")
    assert (found["cell"], found["count"], found["severity"]) == (len(runs) - 1, len(runs), "warning")


def test_a_worker_that_ended_before_the_next_is_no_duplicate(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    workers(t, (10, 900), (1010, None))
    assert not t.findings("AS206")


def test_an_earlier_worker_that_the_cell_itself_ends_is_no_duplicate(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    workers(t, (10, 1050), (1010, None))
    assert not t.findings("AS206")


@pytest.mark.parametrize("ended, found", [(1130, 0), (None, 1)])
def test_an_earlier_worker_that_was_told_to_end_is_no_duplicate_if_it_does(tmp_path, ended, found):
    t = Trace(tmp_path / "t.db", kernel=True)
    workers(t, (10, ended), (1010, None))
    t.sql.execute("UPDATE task SET cancel_ns = 1005000000 WHERE created_ns = 10000000")
    assert len(t.findings("AS206")) == found


def test_workers_of_another_cell_are_no_duplicates(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    workers(t, (10, None), (1010, None), second="other = asyncio.create_task(drain(more))")
    assert not t.findings("AS206")


# AS207


def storm(t, n, apart=0.001, cell=None, place=(APP, 20, "main")):
    stack = t.stack(place)
    for i in range(n):
        t.task("visit", cell, created=1000 + i * apart, ended=3000, place=place, stack=stack)


@pytest.mark.parametrize("n", [1000, 3000])
def test_task_storm(tmp_path, n):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.iteration(999, 60, t.cell(900, 2000))
    storm(t, n, cell=1)
    found, = t.findings("AS207")
    assert (found["cell"], found["count"], found["severity"]) == (0, n, "warning")


def test_fewer_tasks_or_spread_over_turns_are_no_storm(tmp_path):
    t = Trace(tmp_path / "t.db")
    for n in range(50):
        t.iteration(1000 + 20 * n, 19)
    storm(t, 999)
    storm(t, 3000, apart=0.3, place=(APP, 21, "main"))
    assert not t.findings("AS207")


def test_a_librarys_storm_is_not_judged(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(999, 60)
    storm(t, 2000, place=(LIB, 5, "start"))
    assert not t.findings("AS207")


# AS210

LOOP = "async def total(items):\n    amount = 0\n    for item in items:\n        amount += await price(item)\n    return amount\n"
FLAT = "async def total(items):\n    await price(items)\n"
INNER = "async def price(items):\n    for item in items:\n        await get(item)\n"
SLEEP = (ASYNCIO + "tasks.py", 639, "sleep")


def waits(t, n, *frames, task=None, begin=1000, apart=50, length=50):
    task = task or t.task("total", runs_cell=0)
    stack = t.stack(*frames)
    for i in range(n):
        t.wait(task, begin + i * apart, length, stack=stack)
    return stack


def test_sequential_awaits_of_the_users_coroutine(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(0, 2000, LOOP)
    waits(t, 8, SLEEP, (APP, 3, "price"), (cell_file(LOOP), 4, "total"))
    found, = t.findings("AS210")
    assert (found["line"], found["function"], found["count"], found["cost_ms"], found["severity"]) == (4, "total", 8, 400, "note")


def test_sequential_awaits_in_a_program_whose_source_is_there(tmp_path):
    t = Trace(tmp_path / "t.db")
    app = tmp_path / "app.py"
    app.write_text(LOOP)
    waits(t, 8, SLEEP, (APP, 3, "price"), (str(app), 4, "total"))
    assert [f["line"] for f in t.findings("AS210")] == [4]
    app.write_text(FLAT + LOOP)  # it has changed since: line 4 holds no await
    assert not t.findings("AS210")


def test_sequential_awaits_of_a_librarys_coroutine(tmp_path):
    t = Trace(tmp_path / "t.db")
    waits(t, 5, (LIB, 5, "Session.get"), (APP, 3, "main"))
    found, = t.findings("AS210")
    assert (found["file"], found["line"], found["count"]) == (APP, 3, 5)


@pytest.mark.parametrize("operand", [SLEEP, (ASYNCIO + "queues.py", 158, "Queue.get"), (ASYNCIO + "locks.py", 213, "Event.wait"),
                                     (ASYNCIO + "locks.py", 114, "Lock.acquire")])
def test_what_is_meant_to_wait_is_not_sequential(tmp_path, operand):
    t = Trace(tmp_path / "t.db")
    waits(t, 50, operand, (APP, 3, "poll"))
    waits(t, 50, operand, (APP, 3, "poll"), (APP, 9, "main"))
    assert not t.findings("AS210")


def test_the_inner_coroutines_loop_is_not_the_outer_await(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(0, 2000, FLAT)
    waits(t, 8, SLEEP, (APP, 3, "price"), (cell_file(FLAT), 2, "total"))
    assert not t.findings("AS210")


def test_few_awaits_or_two_at_once_are_not_sequential(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(0, 2000, LOOP)
    frames = (LIB, 5, "Session.get"), (cell_file(LOOP), 4, "total")
    waits(t, 4, *frames)
    other = waits(t, 8, (LIB, 5, "Session.get"), (cell_file(LOOP), 4, "total"), begin=3000)
    for i in range(8):
        t.wait(t.task("total"), 3020 + i * 50, 50, stack=other)
    assert not t.findings("AS210")


@pytest.mark.parametrize("source, line, found", [("for url in urls:\n    await get(url)", 2, 1), ("await get(a)\nawait get(b)", 1, 0)])
def test_a_cells_own_loop(tmp_path, source, line, found):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(0, 2000, source)
    task = t.task("run_cell_async", user=0, runs_cell=1)
    waits(t, 8, (LIB, 5, "get"), (cell_file(source), line, "<module>"),
          ("/usr/lib/python3/dist-packages/IPython/core/interactiveshell.py", 1, "run_code"), task=task)
    assert [(f["cell"], f["line"]) for f in t.findings("AS210")] == [(0, line)] * found


def test_the_loop_is_around_a_call_that_led_to_the_await(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(0, 2000, LOOP)
    waits(t, 8, SLEEP, (APP, 3, "price"), (APP, 6, "get"), (cell_file(LOOP), 4, "total"))
    found, = t.findings("AS210")
    assert (found["file"], found["line"]) == (APP, 6) and "in the loop of In [1]:4" in found["message"]


@pytest.mark.parametrize("source, line, found", [
    ("async def f():\n    return [\n        await get(x)\n        for x in xs\n    ]\n", 3, 1),
    ("async def f():\n    await get(1)  # once for all\n", 2, 0),
    ("async def f():\n    async for x in pages():\n        pass\n", 2, 0),
    ("async def f():\n    return [x async for x in pages()]\n", 2, 0),
])
def test_what_is_a_loop_around_an_await(tmp_path, source, line, found):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(0, 2000, source)
    waits(t, 8, SLEEP, (APP, 3, "get"), (cell_file(source), line, "f"))
    assert len(t.findings("AS210")) == found


@pytest.mark.parametrize("what, on_task", [("asyncio.gather", None), ("asyncio.wait", None), ("Task 'Task-1'", 1)])
def test_tasks_that_run_already_are_not_sequential(tmp_path, what, on_task):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(0, 2000, LOOP)
    task = t.task("total")
    stack = t.stack((cell_file(LOOP), 4, "total"))
    for i in range(8):
        t.wait(task, 1000 + 50 * i, 50, what, stack=stack, on_task=on_task and task)
    assert not t.findings("AS210")


# AS211


def left(t, place):
    file, line, function = place
    t.add("anomaly", process=1, time_ns=5000, kind="asyncgen_left", coro="lines", message="", file=file, line=line,
          function=function, stack=t.stack(place))


@pytest.mark.parametrize("place", [(APP, 4, "first_big"), (APP, 9, "lines")])
def test_asyncgen_not_closed(tmp_path, place):
    t = Trace(tmp_path / "t.db")
    left(t, place)
    found, = t.findings("AS211")
    assert found["severity"] == "warning" and "lines" in found["message"]


def test_asyncgen_of_a_library_or_of_nobody(tmp_path):
    t = Trace(tmp_path / "t.db")
    left(t, (LIB, 4, "stream"))
    t.add("anomaly", process=1, time_ns=5000, kind="never_awaited", coro="lines", message="", file=APP, line=1, function="f")
    assert not t.findings("AS211")


# AS212


def chain(t, *edges, files=None):
    """Tasks that wait: edges[n] is the number of the task that task n waits for, or several, or None."""
    tasks = [t.task(f"t{n}", last_ns=5000) for n in range(len(edges))]
    for n, edge in enumerate(edges):
        for on in () if edge is None else edge if isinstance(edge, tuple) else (edge,):
            t.add("waits_for", task=tasks[n], on_task=tasks[on], file=APP, line=7, function=f"t{n}")
    return tasks


@pytest.mark.parametrize("edges, n", [((1, 0), 2), ((1, 2, 3, 1), 3), ((0,), 1), (((1, 2), None, (3, 0), None), 2),
                                      (((1, 2), (3, 4), None, None, 0), 3)])
def test_await_cycle(tmp_path, edges, n):
    t = Trace(tmp_path / "t.db")
    chain(t, *edges)
    found, = t.findings("AS212")
    assert (found["severity"], found["evidence"]["tasks"], found["line"]) == ("error", n, 7)


def one_of(t, waits):
    """The same where each wait ends with the first of its tasks."""
    tasks = chain(t, *waits)
    t.sql.execute("UPDATE waits_for SET one = 1 WHERE task IN (SELECT task FROM waits_for GROUP BY task HAVING count(*) > 1)")
    return tasks


@pytest.mark.parametrize("edges, circles", [(((1, 2), 0, 0), 2), (((1, 2), 0, None), 0), (((1, 2), 0, 3, None), 0), (((1, 2), 0, 2), 2),
                                            (((1, 2), (0, 3), 0, None), 0), ((1, 0, (0, 3), None), 1)])
def test_the_first_of_several_ends_it(tmp_path, edges, circles):
    t = Trace(tmp_path / "t.db")
    one_of(t, edges)
    assert sum(finding["count"] for finding in t.findings("AS212")) == circles


def test_one_of_several_has_a_timeout(tmp_path):
    t = Trace(tmp_path / "t.db")
    *_, last = one_of(t, ((1, 2), 0, 0))
    t.sql.execute("UPDATE task SET bound_ns = 6000 WHERE id = ?", (last,))
    assert not t.findings("AS212")


def test_await_cycle_of_a_cell(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(0, 500)
    for task in chain(t, 1, 0):
        t.sql.execute("UPDATE task SET cell = ? WHERE id = ?", (cell, task))
    assert t.findings("AS212")[0]["cell"] == 0


@pytest.mark.parametrize("edges", [(1, 2, 3, None), ((1, 2), 3, 3, None)])
def test_a_chain_is_no_cycle(tmp_path, edges):
    t = Trace(tmp_path / "t.db")
    chain(t, *edges)
    assert not t.findings("AS212")


def held(t, task, on, line, at=7):
    """The task waits for a lock that the other took at this line."""
    t.add("waits_for", task=task, on_task=on, file=APP, line=at, function="f", lock=0x1000, held_file=APP, held_line=line, held_function="f")


def test_locks_in_opposite_orders(tmp_path):
    t = Trace(tmp_path / "t.db")
    first, second, third = (t.task(f"t{n}", name=f"Task-{n}", last_ns=5000) for n in range(3))
    held(t, first, second, 4)
    held(t, second, first, 5)
    held(t, third, first, 5)
    found, = t.findings("AS212")
    assert (found["severity"], found["evidence"]["tasks"], found["evidence"]["locks"], found["line"]) == ("error", 2, 2, 7)
    assert ("Task-0 (t0) holds a lock taken in /home/u/app.py:5 and waits in /home/u/app.py:7 for the lock of Task-1; Task-1 (t1) holds a lock"
            " taken in /home/u/app.py:4 and waits in /home/u/app.py:7 for the lock of Task-0") in found["message"]
    assert "same order" in found["advice"]


def test_lock_taken_twice_and_a_lock_in_a_circle(tmp_path):
    t = Trace(tmp_path / "t.db")
    first, second, third = (t.task(f"t{n}", name=f"Task-{n}", last_ns=5000) for n in range(3))
    held(t, first, first, 4)
    held(t, second, third, 5, at=8)
    t.add("waits_for", task=third, on_task=second, file=APP, line=9, function="f")
    twice, mixed = sorted(t.findings("AS212"), key=lambda finding: finding["evidence"]["tasks"])
    assert "waits in /home/u/app.py:7 for it again" in twice["message"] and "twice" in twice["advice"]
    assert "Task-2 (t2) holds a lock taken in /home/u/app.py:5 and waits in /home/u/app.py:9 for Task-1" in mixed["message"]
    assert "Break the circle" in mixed["advice"]


def test_a_task_that_waits_for_a_lock_is_no_circle(tmp_path):
    t = Trace(tmp_path / "t.db")
    first, second = (t.task(f"t{n}", last_ns=5000) for n in range(2))
    held(t, first, second, 4)
    assert not t.findings("AS212")


@pytest.mark.parametrize("bound", [6000, 2**63 - 1])
def test_locks_of_a_task_with_a_timeout(tmp_path, bound):
    t = Trace(tmp_path / "t.db")
    first, second = (t.task(f"t{n}", last_ns=5000) for n in range(2))
    held(t, first, second, 4)
    held(t, second, first, 5)
    t.sql.execute("UPDATE task SET bound_ns = ? WHERE id = ?", (bound, first))
    assert not t.findings("AS212")


def test_a_timeout_will_end_it(tmp_path):
    t = Trace(tmp_path / "t.db")
    first, _ = chain(t, 1, 0)
    t.sql.execute("UPDATE task SET bound_ns = 6000 WHERE id = ?", (first,))
    assert not t.findings("AS212")
