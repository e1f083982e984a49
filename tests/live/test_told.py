"""What the rules lean on is in the trace: who woke whom, from which line; how late timers were; what loops refused; work that
waited for a thread; queues, failures among results, generators left behind. On every interpreter found."""
import sqlite3

import pytest

from twins import PYTHONS, TARGETS, same

SOURCE = (TARGETS / "told.py").read_text().splitlines()


def line_of(mark):
    """Of the only line of the program that ends in this comment."""
    lines = [n for n, text in enumerate(SOURCE, 1) if text.endswith(f"  # {mark}")]
    assert len(lines) == 1, mark
    return lines[0]


class Trace:
    def __init__(self, path):
        self.sql = sqlite3.connect(f"file:{path}?mode=ro", uri=True)

    def rows(self, query, *values):
        return self.sql.execute(query, values).fetchall()

    def lines(self, stack):
        """Lines of the program that stand in a stack, innermost first."""
        return [line for (line,) in self.rows(
            "WITH RECURSIVE up(id, parent, frame, depth) AS (SELECT id, parent, frame, 0 FROM stack WHERE id = ?"
            " UNION ALL SELECT s.id, s.parent, s.frame, depth + 1 FROM stack s JOIN up ON s.id = up.parent)"
            " SELECT f.line FROM up JOIN frame f ON f.id = up.frame WHERE f.file LIKE '%told.py' ORDER BY depth", stack)]

    def waits(self, coro):
        """(how, coroutine of the task that set it, thread, line, exception) of each wait of the tasks of this coroutine."""
        found = self.rows(
            'SELECT woken_how, b.coro, th.name, woken_stack, received FROM "await" a JOIN task t ON t.id = a.task'
            " LEFT JOIN task b ON b.id = woken_by LEFT JOIN thread th ON th.id = woken_thread WHERE t.coro = ? ORDER BY begin_ns",
            coro)
        return [(how, by, thread, (self.lines(stack) or [None])[0], got) for how, by, thread, stack, got in found]


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda path: PYTHONS[path].name)
def trace(request, tmp_path_factory):
    path, bare = same([request.param, TARGETS / "told.py"], tmp_path_factory.mktemp("told"), run_options=["--min-step", "1ms"])
    assert bare.status == 0, bare
    return Trace(path)


def test_lock_is_given_by_its_holder(trace):
    assert [wait[:3] for wait in trace.waits("contender")] == [("result", "holder", "MainThread")]
    assert trace.waits("contender")[0][3] in (line_of("timer"), line_of("timer") - 1)  # the `async with` that ends, or its last line


def test_queue_is_fed_by_who_put(trace):
    assert trace.waits("getter") == [("result", "putter", "MainThread", line_of("put"), None)]


def test_sleep_is_ended_by_a_timer(trace):
    assert trace.waits("putter") == [("timer", None, "MainThread", None, None)]


@pytest.mark.parametrize("waiter", ["future_waiter", "event_waiter"])
def test_thread_that_set_a_future_is_named(trace, waiter):
    assert trace.waits(waiter) == [("thread", None, "setter", line_of("thread"), None)]


def test_worker_of_a_pool_is_named(trace):
    (how, by, thread, line, got), = trace.waits("pool_waiter")
    assert (how, by, line, got) == ("thread", None, None, None) and thread.startswith(("asyncio_", "ThreadPoolExecutor"))


def test_cancelled_wait_says_who_cancelled(trace):
    assert trace.waits("sleeper") == [("cancel", "main", "MainThread", line_of("cancel"), "CancelledError")]


def test_failure_of_a_task_reaches_its_waiter(trace):
    assert trace.waits("task_waiter") == [("task", "fails", "MainThread", None, "ValueError: row 7")]


def test_late_timer_is_told(trace):
    late = [ns for (ns,) in trace.rows("SELECT late_ns FROM late_timer ORDER BY late_ns")]
    assert 35e6 < late[-1] < 1e9, late  # due after 10 ms, the loop came after 50 or, with others on its CPUs, later


def test_refusals_are_told_though_the_program_caught_them(trace):
    found = trace.rows("SELECT why, r.line, t.coro FROM refusal r LEFT JOIN task t ON t.id = r.task ORDER BY time_ns")
    assert found == [("running", line_of("refused"), "main")] * 2 + [("closed", line_of("refused"), "main")]


def test_job_waits_for_its_worker(trace):
    (coro, line, workers, waited, ran), = trace.rows(
        "SELECT t.coro, j.line, workers, began_ns - given_ns, j.ended_ns - began_ns FROM executor_job j JOIN task t ON t.id = j.task"
        " WHERE t.coro = 'pool_waiter'")
    assert coro == "pool_waiter" and line == line_of("submit") and workers > 0 and waited >= 0 and ran >= 10e6


def test_queue_is_looked_at(trace):
    (kind, maxsize, largest), = trace.rows("SELECT type, maxsize, largest FROM queue")
    assert (kind.rpartition(".")[2], maxsize, largest) == ("Queue", 3, 2)


def test_leftovers_are_told(trace):
    found = trace.rows("SELECT kind, line, message FROM anomaly WHERE kind IN ('asyncgen_left', 'gathered_failures', 'received')"
                       " ORDER BY time_ns")
    kinds = {kind: (line, message) for kind, line, message in found}
    assert len(found) == 3, found
    assert kinds["gathered_failures"][1] == "2 of 3, ValueError"
    assert kinds["received"][1].startswith("RuntimeError: ") and "attached to a different loop" in kinds["received"][1]
    assert kinds["asyncgen_left"][0] in (line_of("left"), line_of("left") - 1)  # where the loop over it ends


def test_loop_that_runs_inside_its_own_run_is_told(trace):
    (coro, line, ended, same), = trace.rows(
        "SELECT t.coro, r.line, r.ended_ns > r.began_ns, count(*) OVER (PARTITION BY r.loop) FROM loop_run r JOIN task t ON t.id = r.task")
    assert (coro, line, ended) == ("main", line_of("again"), 1)


def test_write_of_what_was_read_before_an_await_is_told(trace):
    found = trace.rows("SELECT name, read_line, await_line, write_line, guarded FROM stale_write")
    assert found == [("box.total", line_of("read"), line_of("between"), line_of("written"), 0)]


def test_tasks_that_wait_for_each_other_are_told(trace):
    found = trace.rows("SELECT t.coro, o.coro FROM waits_for w JOIN task t ON t.id = w.task JOIN task o ON o.id = w.on_task"
                       " WHERE o.coro LIKE '%_of' ORDER BY t.coro")
    assert found == [("left_of", "right_of"), ("right_of", "left_of")]


def test_bound_of_a_wait_is_told(trace):
    (bound, ended), = trace.rows(
        'SELECT a.bound_ns, begin_ns + duration_ns FROM "await" a JOIN task t ON t.id = a.task WHERE t.coro = \'bounded\'')
    assert 50e9 < bound - ended < 61e9


def test_hooks_are_all_placed(trace):
    assert trace.rows("SELECT what, detail FROM coverage WHERE sensor = 'refused'") == []
