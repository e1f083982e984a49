"""AS209: awaits that were pending for long with nothing that would have ended them."""
import pytest

from trace_maker import APP, ASYNCIO, LIB, LOOP_FRAMES, MS, Trace, cell_file

SOURCE = "await main()"
READ = (ASYNCIO + "streams.py", 545, "StreamReader.readline")


def frames(*inner):
    return [*inner, (APP, 4, "fetch"), (APP, 9, "main")]


def long_wait(t, *inner, seconds=31, cell=None, task=None, all_frames=None, **columns):
    task = task or t.task("main", cell)
    t.wait(task, 1000, seconds * 1000, "x", t.stack(*(all_frames or frames(*inner)), *LOOP_FRAMES), woken_how="result", **columns)


def test_an_await_of_user_code_on_user_code_is_the_place(tmp_path):
    t = Trace(tmp_path / "t.db")
    long_wait(t, READ)
    found, = t.findings("AS209")
    assert (found["line"], found["severity"], found["cost_ms"]) == (9, "note", 31000)


def test_else_the_innermost_of_user_code_in_a_cell(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 40000, SOURCE)
    long_wait(t, cell=cell, all_frames=[READ, (APP, 4, "poll")])
    found, = t.findings("AS209")
    assert (found["cell"], found["line"]) == (0, 4)


def test_in_the_task_that_runs_all_cells_it_is_the_cell_that_ran(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.cell(900, 40000, SOURCE)
    long_wait(t, task=t.task("dispatch", user=0, runs_cell=1),
              all_frames=[READ, (APP, 4, "get"), (APP, 9, "main"), (cell_file(SOURCE), 1, "<module>")])
    found, = t.findings("AS209")
    assert (found["cell"], found["line"]) == (0, 9)


def test_one_that_is_still_pending(tmp_path):
    t = Trace(tmp_path / "t.db")
    task = t.task("main", last_ns=2000 * MS)
    t.sql.execute("UPDATE task SET await_stack = ? WHERE id = ?", (t.stack((APP, 4, "fetch"), *LOOP_FRAMES), task))
    found, = t.findings("AS209")
    assert found["line"] == 4 and "still" in found["message"]


def test_await_timeout_is_an_option(tmp_path):
    t = Trace(tmp_path / "t.db")
    long_wait(t, READ, seconds=2)
    assert not t.findings("AS209") and len(t.findings("AS209", "--await-timeout", "1s")) == 1


@pytest.mark.parametrize("operand", [(ASYNCIO + "tasks.py", 639, "sleep"), (ASYNCIO + "queues.py", 158, "Queue.get")])
def test_sleeping_and_getting_take_as_long_as_they_take(tmp_path, operand):
    t = Trace(tmp_path / "t.db")
    long_wait(t, all_frames=[operand, (APP, 4, "fetch")])
    assert not t.findings("AS209")


@pytest.mark.parametrize("columns", [dict(bound_ns=60_000 * MS), dict(woken_how="cancel")])
def test_a_timeout_would_have_ended_it(tmp_path, columns):
    t = Trace(tmp_path / "t.db")
    task = t.task("main")
    t.wait(task, 1000, 31000, "x", t.stack(*frames(READ), *LOOP_FRAMES), **columns)
    assert not t.findings("AS209")


def test_wait_for_awaits_a_task_of_its_own(tmp_path):
    t = Trace(tmp_path / "t.db")
    made = t.stack((ASYNCIO + "tasks.py", 455, "wait_for"), (APP, 12, "main"), *LOOP_FRAMES)
    long_wait(t, READ, task=t.task("fetch", stack=made))
    long_wait(t, (ASYNCIO + "tasks.py", 479, "wait_for"))
    assert not t.findings("AS209")


def test_a_cells_own_await_and_a_librarys(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell, file = t.cell(900, 40000, SOURCE), cell_file(SOURCE)
    long_wait(t, cell=cell, task=t.task("run_cell_async", user=0, runs_cell=1), all_frames=[(file, 1, "<module>")])
    long_wait(t, all_frames=[(LIB, 7, "Pool.run")])
    assert not t.findings("AS209")
