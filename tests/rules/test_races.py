"""AS404: what was read before an await is written back after it, in a coroutine that two tasks were in."""
import pytest

from trace_maker import APP, LIB, LOOP_FRAMES, Trace, cell_file

SOURCE = "async def add(): ..."


def stale(t, file=APP, function="add", name="counter", lines=(3, 4, 5), guarded=0):
    read, wait, write = lines
    t.add("stale_write", process=1, file=file, function=function, name=name, read_line=read, await_line=wait, write_line=write,
          guarded=guarded)


def waits(t, *spans, frames=((APP, 4, "add"),), coro="add", cell=None):
    """A task each, that waits there from and for so many ms."""
    for begin, length in spans:
        task = t.task(coro, cell, created=begin - 1, ended=begin + length + 1, steps=2)
        t.wait(task, begin, length, stack=t.stack(*frames, *LOOP_FRAMES))


@pytest.mark.parametrize("name", ["counter", "self.total"])
def test_two_tasks_wait_between_read_and_write(tmp_path, name):
    t = Trace(tmp_path / "t.db")
    stale(t, name=name)
    waits(t, (1000, 20), (1010, 20))
    found, = t.findings("AS404")
    assert (found["line"], found["severity"]) == (5, "note") and name in found["message"]


def test_a_race_of_a_cell_below_another_coroutine(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell, file = t.cell(900, 2000, SOURCE), cell_file(SOURCE)
    stale(t, file)
    waits(t, (1000, 20), (1010, 20), frames=[("/usr/lib/python3.11/asyncio/tasks.py", 639, "sleep"), (file, 4, "add"), (file, 9, "all")],
          coro="all", cell=cell)
    found, = t.findings("AS404")
    assert (found["cell"], found["line"]) == (0, 5)


def test_waits_too_short_to_be_stored(tmp_path):
    t = Trace(tmp_path / "t.db")
    stale(t)
    t.task("add", created=1000, ended=1002, steps=2)
    t.task("add", created=1001, ended=1003, steps=2)
    assert len(t.findings("AS404")) == 1


@pytest.mark.parametrize("spans", [[(1000, 20)], [(1000, 20), (1030, 20)]])
def test_one_task_at_a_time(tmp_path, spans):
    t = Trace(tmp_path / "t.db")
    stale(t)
    waits(t, *spans)
    assert not t.findings("AS404")


def test_one_task_that_waits_twice(tmp_path):
    t = Trace(tmp_path / "t.db")
    stale(t)
    task = t.task("add", created=900, steps=3)
    for begin in (1000, 1010):
        t.wait(task, begin, 20, stack=t.stack((APP, 4, "add"), *LOOP_FRAMES))
    assert not t.findings("AS404")


def test_a_lock_may_keep_short_waits_apart(tmp_path):
    t = Trace(tmp_path / "t.db")
    stale(t, guarded=1)
    t.task("add", created=1000, ended=1002, steps=2)
    t.task("add", created=1001, ended=1003, steps=2)
    assert not t.findings("AS404")


@pytest.mark.parametrize("columns", [dict(frames=((APP, 6, "add"),)), dict(frames=((APP, 4, "other"),), coro="other")])
def test_waits_elsewhere(tmp_path, columns):
    t = Trace(tmp_path / "t.db")
    stale(t, guarded=1)
    waits(t, (1000, 20), (1010, 20), **columns)
    assert not t.findings("AS404")


def test_a_library_is_not_judged(tmp_path):
    t = Trace(tmp_path / "t.db")
    stale(t, LIB)
    waits(t, (1000, 20), (1010, 20), frames=[(LIB, 4, "add")])
    assert not t.findings("AS404")
