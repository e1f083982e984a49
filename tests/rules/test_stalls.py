"""AS108 to AS111, AS113, AS208."""
import pytest

from trace_maker import APP, LIB, MS, Trace, cell_file

SYNC = "total = sum(rows)"


def computing(t, begin, length, cell=None, **causes):
    task = t.task("rank", cell, place=(APP, 40, "main"))
    t.iteration(begin, length, cell, place=(APP, 5, "rank"), **causes)
    t.step(task, begin, length, cell)
    return task


def sample(t, begin, n, line, file=APP, function="score", cell=None):
    stack = t.stack((file, line, function), (APP, 8, "rank"))
    for i in range(n):
        t.add("sample", process=1, thread=1, time_ns=(begin + i) * 1_000_000, begin_ns=begin * 1_000_000, duration_ns=1_000_000,
              kind="python", state="R", stack=stack, file=file, line=line, function=function, cell=cell)


def test_cpu_bound_step_without_samples_is_its_coroutine(tmp_path):
    t = Trace(tmp_path / "t.db")
    computing(t, 1000, 400)
    found, = t.findings("AS108")
    assert (found["line"], found["severity"], found["cost_ms"]) == (5, "error", 400)


def test_importing_in_a_step_is_a_note(tmp_path):
    t = Trace(tmp_path / "t.db")
    computing(t, 1000, 400)
    stack = t.stack((LIB, 3, "<module>"), ("<frozen importlib._bootstrap>", 241, "_load"), (APP, 8, "rank"))
    for n in range(20):
        t.add("sample", process=1, thread=1, time_ns=(1000 + n) * MS, begin_ns=1000 * MS, duration_ns=MS, kind="python", state="R",
              stack=stack, file=LIB, line=3, function="<module>")
    found, = t.findings("AS108")
    assert (found["line"], found["severity"], found["cost_ms"]) == (8, "note", 400) and "Import it before" in found["advice"]
    sample(t, 1100, 20, 12)
    assert t.findings("AS108")[0]["severity"] == "error"  # as much of it is its own work


def test_cpu_bound_step_is_at_its_hottest_line(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    computing(t, 1000, 400, cell)
    sample(t, 1010, 15, 12)
    sample(t, 1100, 30, 13)
    found, = t.findings("AS108")
    assert (found["cell"], found["line"], found["function"]) == (0, 13, "score")


def test_few_samples_that_do_not_agree_do_not_place_it(tmp_path):
    t = Trace(tmp_path / "t.db")
    computing(t, 1000, 400)
    sample(t, 1010, 9, 12)
    sample(t, 1100, 8, 13)
    sample(t, 1200, 1, 5)
    assert t.findings("AS108")[0]["line"] == 5


def test_a_step_that_waited_longer_than_it_computed_is_where_it_computed(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.call(1000, 220, frames=[(APP, 5, "rank")])
    computing(t, 1000, 400, blocked_sleep=220)
    sample(t, 1300, 4, 12)
    sample(t, 1350, 3, 13)
    sample(t, 1370, 3, 14)
    assert (t.findings("AS101")[0]["line"], t.findings("AS108")[0]["line"]) == (5, 12)


def test_a_query_is_the_databases_alone(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.call(1010, 10, "connection.execute(query)", "database", cpu=350)
    computing(t, 1000, 400)
    assert not t.findings("AS108") and t.findings("AS104")[0]["cost_ms"] == 360


@pytest.mark.parametrize("source, synchronous, own, found", [(SYNC, True, 0, 0), (SYNC, True, 20, 1), ("await main()", False, 0, 0)])
def test_what_the_shell_computes_around_a_cell_is_not_the_cells(tmp_path, source, synchronous, own, found):
    """A traceback, the parser: no frame of the user's, or one of code that a library made."""
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, source, synchronous=synchronous)
    task = t.task("run_cell_async", cell, user=0, runs_cell=1)
    t.iteration(1000, 400, cell, place=("<string>", 1, "<lambda>"))
    t.step(task, 1000, 400, cell)
    for i in range(10):
        shell = ("/usr/lib/python3/dist-packages/IPython/core/ultratb.py", 203, "_format_filename")
        stack = t.stack(("<string>", 1, "<lambda>"), shell) if i % 2 else t.stack(shell)
        t.add("sample", process=1, thread=1, time_ns=(1010 + i) * MS, begin_ns=1000 * MS, duration_ns=MS, kind="python", state="R",
              stack=stack, file=shell[0], line=203, function="_format_filename", cell=cell)
    sample(t, 1100, own, 12, cell=cell)
    assert len(t.findings("AS108")) == found


def test_a_cell_that_never_ended_lasts_until_its_process_did(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    t.sql.execute("UPDATE cell SET ended_ns = NULL, status = 'running'")
    t.iteration(1000, 400, cell)
    assert t.report()["cells"][0]["wall_ms"] == 59_100  # the trace's end
    t.sql.execute("UPDATE process SET ended_ns = ?", (1400 * MS,))
    assert t.report()["cells"][0]["wall_ms"] == 500


def test_few_samples_place_a_cells_own_code_if_most_agree(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, SYNC, synchronous=True)
    computing(t, 1000, 400, cell)
    sample(t, 1010, 4, 12)
    sample(t, 1100, 3, 13)
    assert t.findings("AS108")[0]["line"] == 12
    sample(t, 1200, 1, 14)
    assert t.findings("AS108")[0]["line"] is None


@pytest.mark.parametrize("causes", [dict(blocked_sleep=350), dict(gil=350), dict(runq=350), dict(gc=350)])
def test_a_step_that_did_not_compute_long_enough(tmp_path, causes):
    t = Trace(tmp_path / "t.db")
    if "blocked_sleep" in causes:
        t.call(1010, 350)
    computing(t, 1000, 400, **causes)
    assert not t.findings("AS108")


def test_a_callback_that_computed(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    t.iteration(1000, 400, cell, blocked_sleep=20)
    t.step(t.task(), 1010, 60)
    found, = t.findings("AS108")
    assert (found["cell"], found["line"], found["severity"], found["cost_ms"]) == (0, 7, "error", 320)


def test_a_callback_that_computed_is_of_the_cell_that_gave_it_to_its_loop(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    helper = "def burn(): ..."
    t.cell(100, 200, helper)
    asked = t.cell(300, 400, "loop.call_later(1, burn)")
    cell = t.cell(900, 2000, "await asyncio.sleep(1)")
    t.iteration(1000, 400, cell, place=(cell_file(helper), 3, "burn"))
    sample(t, 1000, 20, 3, cell_file(helper), "burn", asked)
    found, = t.findings("AS108")
    assert (found["cell"], found["line"]) == (1, 3) and "In [1]:3, in burn, for In [2]: " in found["message"], found


@pytest.mark.parametrize("short_ms, place, synchronous", [(301, (APP, 7, "f"), False), (0, (LIB, 7, "f"), False), (0, (APP, 7, "f"), True)])
def test_what_computed_is_no_callback_of_the_users(tmp_path, short_ms, place, synchronous):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, synchronous=synchronous)
    t.iteration(1000, 400, cell, place=place)
    t.add("step_total", loop=1, cell=cell, second=1, bucket=16, count=4000, duration_ns=short_ms * 10**6)
    assert not t.findings("AS108")


def test_many_short_steps_in_one_stall_are_not_cpu_bound(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 400)
    for n in range(8):
        t.step(t.task(), 1000 + 50 * n, 50)
    assert not t.findings("AS108")


def test_a_librarys_step_is_not_judged(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 400, place=(LIB, 5, "serve"))
    t.step(t.task("serve", user=0), 1000, 400)
    assert not t.findings("AS108")


def test_a_synchronous_cell_that_computes_is_a_note(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(1001, 1399, SYNC, synchronous=True)
    t.iteration(1000, 400, cell)
    t.step(t.task("dispatch", user=0, runs_cell=1), 1000, 400, cell)
    assert [f["severity"] for f in t.findings("AS108")] == ["note"]


# AS109


def collection(t, begin, length, cpu=None, cell=None):
    t.add("gc", process=1, thread=1, cell=cell, begin_ns=begin * 1_000_000, duration_ns=length * 1_000_000,
          cpu_ns=(length if cpu is None else cpu) * 1_000_000, generation=2, collected=0)


@pytest.mark.parametrize("length", [50, 300])
def test_gc_pause(tmp_path, length):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, length + 1, gc=length)
    collection(t, 1000, length)
    found, = t.findings("AS109")
    assert (found["severity"], found["cost_ms"]) == ("warning", length)


def test_gc_pause_in_a_cell(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    t.iteration(1000, 201, cell, gc=200)
    collection(t, 1000, 200, cell=cell)
    assert t.findings("AS109")[0]["cell"] == 0


def test_a_short_collection_or_one_outside_of_turns_is_none(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 60, gc=49)
    collection(t, 1000, 49)
    collection(t, 5000, 400)
    assert not t.findings("AS109")


@pytest.mark.parametrize("length, cpu", [(200, 20), (85, 45)], ids=["waited for most of it", "alone it were short"])
def test_a_collection_that_waited_for_a_cpu_is_a_note(tmp_path, length, cpu):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, length + 1, gc=cpu, runq=length - cpu)
    collection(t, 1000, length, cpu=cpu)
    assert [f["severity"] for f in t.findings("AS109")] == ["note"]


# AS110, AS111


def had_the_gil(t, begin, line, ms, thread=2, place=(APP, "churn")):
    t.add("gil_sample", process=1, thread=1, holder=thread, begin_ns=int(begin * MS), time_ns=int(begin * MS), duration_ns=int(ms * MS),
          file=place[0], line=line, function=place[1])


def test_gil_holder_is_named(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.add("thread", id=2, process=1, tid=102, name="hog", seen_ns=0)
    t.iteration(1000, 200, gil=150)
    for line, ms in ((30, 40), (31, 60), (31, 20)):
        had_the_gil(t, 1000, line, ms)
    t.iteration(2000, 200, gil=120)
    found, = t.findings("AS110")
    assert found["severity"] == "warning" and found["count"] == 2, found
    assert found["evidence"]["holder"] == {"thread": "hog", "file": APP, "line": 31, "function": "churn", "samples": 2}
    assert "thread hog, in churn" in found["message"] and ":31" in found["message"], found


def test_shares_of_the_gil_are_of_all_who_had_it(tmp_path):
    """Of ten holders eight are told; samples stand for parts of the wait, what the kernel saw is so long."""
    t = Trace(tmp_path / "t.db")
    for begin in 1000, 2000, 3000:
        t.iteration(begin, 250, gil=200)
        for thread in range(10):
            had_the_gil(t, begin, 30, 10, thread=thread + 2)
    t.sql.execute("UPDATE gil_sample SET exact = 1 WHERE begin_ns >= ?", (2000 * MS,))
    t.sql.execute("UPDATE gil_sample SET duration_ns = duration_ns * 4 WHERE begin_ns >= ?", (3000 * MS,))  # longer than it waited
    stalls = t.report()["stalls"]
    assert [(len(s["gil_holders"]), s["gil_holder"]["share_ms"], s["gil_unnamed_ms"]) for s in stalls] == [(8, 20, 40), (8, 10, 120), (8, 20, 40)]


def test_holder_counts_where_most_of_a_stall_is_something_else(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 4000, gil=150, runq=3800)
    had_the_gil(t, 1000, 30, 150)
    stall, = t.report()["stalls"]
    assert stall["gil_holder"]["share_ms"] == 150


def had_the_cpu(t, begin, pid, name, ms):
    t.add("cpu_taken", loop=1, begin_ns=int(begin * MS), pid=pid, name=name, duration_ns=int(ms * MS))


def test_who_had_the_cpu_is_named(tmp_path):
    t = Trace(tmp_path / "t.db")
    for begin in (1000, 2000):
        t.iteration(begin, 250, runq=200)
        had_the_cpu(t, begin, 812, "ffmpeg", 142)
        for pid in (900, 901):
            had_the_cpu(t, begin, pid, "cc1", 20)
    t.iteration(3000, 250, runq=50)  # no stall for want of a CPU: not counted
    had_the_cpu(t, 3000, 812, "ffmpeg", 50)
    found, = t.findings("AS111")
    assert found["message"].endswith("for 400 ms in 2 stalls; of that the CPU was had by ffmpeg (pid 812) 71 %, cc1 (several processes) 20 %."), found
    assert found["evidence"]["cpu_had_by"] == [{"name": "ffmpeg", "pid": 812, "ms": 284}, {"name": "cc1", "pid": None, "ms": 80}]


def test_what_the_hypervisor_took_is_told(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 250, runq=200)
    had_the_cpu(t, 1000, 0, "hypervisor", 31)
    found, = t.findings("AS111")
    assert found["message"].endswith("for 200 ms in 1 stall, of which 31.0 ms taken by the hypervisor (steal)."), found
    assert found["evidence"]["stolen_ms"] == 31
    had_the_cpu(t, 1000, 812, "ffmpeg", 100)
    found, = t.findings("AS111")
    assert found["message"].endswith("(steal); of that the CPU was had by ffmpeg (pid 812) 50 %."), found


def test_who_had_the_cpu_is_left_out_where_most_of_it_is_not_known(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 250, runq=200)
    had_the_cpu(t, 1000, 812, "ffmpeg", 90)
    found, = t.findings("AS111")
    assert "had by" not in found["message"] and "cpu_had_by" not in found["evidence"]


def test_how_busy_the_machine_was_is_told(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1400, 250, runq=200)
    for begin, busy, stolen in ((500, 1000, 0), (1500, 1800, 100)):  # 100 ms of the stall are in the first, 150 in the second
        t.add("machine", begin_ns=begin * MS, duration_ns=1000 * MS, cpus=2, busy_ns=busy * MS, stolen_ns=stolen * MS)
    t.add("machine", begin_ns=2500 * MS, duration_ns=1000 * MS, cpus=2, busy_ns=0, stolen_ns=0)
    found, = t.findings("AS111")
    assert found["message"].endswith("for 200 ms in 1 stall; the machine's 2 CPUs were 74 % busy then.")
    assert "were idle" in found["advice"]
    assert found["evidence"]["cpus"] == 2 and round(found["evidence"]["machine_busy_share"], 2) == 0.74


def test_a_wait_that_was_mostly_the_hypervisors_is_said_in_the_verdict_with_what_helps(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 250, runq=200)
    had_the_cpu(t, 1000, 0, "hypervisor", 99)
    assert "steal" not in t.report()["verdict"] and t.findings("AS111")[0]["advice"].startswith("Give it more CPU")
    t.iteration(2000, 450, runq=400)
    had_the_cpu(t, 2000, 0, "hypervisor", 250)
    found, = t.findings("AS111")
    verdict = t.report()["verdict"]
    assert "the hypervisor of this virtual machine took 349 ms of that (steal)" in verdict, verdict
    assert verdict.endswith(found["advice"]) and found["advice"].startswith("The host gave")


@pytest.mark.parametrize("busy, gil, runq, rules", [
    (500, 240, 200, ["AS110", "AS111"]), (500, 240, 60, ["AS110"]), (500, 60, 240, ["AS111"]), (500, 150, 150, []), (500, 180, 50, []),
    (220, 90, 90, []), (500, 300, 180, ["AS110"]), (500, 180, 300, ["AS111"])])
def test_the_gil_and_the_machine_share_a_stall(tmp_path, busy, gil, runq, rules):
    """Half of it is theirs only together; of each a third, that were a stall by itself."""
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, busy, gil=gil, runq=runq)
    assert sorted(f["rule"] for f in t.report()["findings"] if f["rule"] in ("AS110", "AS111")) == rules


def test_a_collection_that_a_finalizer_made_long_is_that_finalizers(tmp_path):
    t = Trace(tmp_path / "t.db")
    collection(t, 1000, 160, cpu=5)
    t.block(1002, 150, frames=[(APP, 6, "Conn.__del__")])
    assert [f["rule"] for f in t.report()["findings"]] == ["AS101"]


def test_holder_of_another_stall_is_not_this_ones(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.add("thread", id=2, process=1, tid=102, name="hog", seen_ns=0)
    first, second = t.cell(900, 1900), t.cell(2000, 3000)
    t.iteration(1000, 200, first, gil=150)
    t.iteration(2100, 200, second, gil=150)
    had_the_gil(t, 2100, 30, 150)
    found = {f["cell"]: f for f in t.findings("AS110")}
    assert found[0]["evidence"]["holder"] is None and found[0]["severity"] == "note"
    assert found[1]["evidence"]["holder"]["thread"] == "hog" and found[1]["severity"] == "warning"


@pytest.mark.parametrize("rule, cause, severity", [("AS110", "gil", "note"), ("AS111", "runq", "warning")])
class TestStarved:
    def test_half_of_a_stall(self, tmp_path, rule, cause, severity):
        t = Trace(tmp_path / "t.db")
        t.iteration(1000, 200, **{cause: 100})
        found, = t.findings(rule)
        assert (found["severity"], found["cost_ms"]) == (severity, 100)

    def test_stalls_of_one_cell_are_one_finding(self, tmp_path, rule, cause, severity):
        t = Trace(tmp_path / "t.db", kernel=True)
        cell = t.cell(900, 3000)
        for n in range(3):
            t.iteration(1000 + 300 * n, 200, cell, **{cause: 150})
        found, = t.findings(rule)
        assert (found["cell"], found["count"], found["cost_ms"]) == (0, 3, 450)

    def test_less_than_half(self, tmp_path, rule, cause, severity):
        t = Trace(tmp_path / "t.db")
        t.iteration(1000, 200, **{cause: 99})
        assert not t.findings(rule)

    def test_no_stall(self, tmp_path, rule, cause, severity):
        t = Trace(tmp_path / "t.db")
        t.iteration(1000, 99, **{cause: 98})
        assert not t.findings(rule)

    def test_synchronous_cell(self, tmp_path, rule, cause, severity):
        t = Trace(tmp_path / "t.db", kernel=True)
        cell = t.cell(900, 2000, SYNC, synchronous=True)
        t.iteration(1000, 200, cell, **{cause: 150})
        assert [f["severity"] for f in t.findings(rule)] == ["note"]

    def test_a_kernels_own_work_is_nobodys(self, tmp_path, rule, cause, severity):
        t = Trace(tmp_path / "t.db", kernel=True)
        t.cell(3000, 4000)
        t.iteration(1000, 200, place=(None, None, None), **{cause: 150})
        assert not t.findings(rule)


# AS113


def starved(t, late=500, cell_of_task=1):
    before = t.cell(0, 500, "task = create_task(refresh())")
    cell = t.cell(1000, 1600, SYNC, synchronous=True)
    t.iteration(1000, 600, cell)
    task = t.task("refresh", {1: before, 2: cell}[cell_of_task])
    t.wait(task, 900, 150 + late)
    t.add("late_timer", loop=1, due_ns=1050 * 1_000_000, late_ns=late * 1_000_000, task=task, cell=cell_of_task)


def test_a_cell_that_starves_a_task(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    starved(t)
    found, = t.findings("AS113")
    assert (found["cell"], found["severity"], found["cost_ms"], found["count"]) == (1, "error", 500, 1)
    assert found["file"] == cell_file(SYNC) and "refresh" in found["message"]


def test_a_cell_that_starves_a_task_that_was_woken(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    before = t.cell(0, 500, "task = create_task(refresh())")
    cell = t.cell(1000, 1600, SYNC, synchronous=True)
    t.iteration(1000, 600, cell)
    t.wait(t.task("refresh", before), 900, 700, "Future", woken_how="thread", set_ns=1200 * 1_000_000)
    assert t.findings("AS113")[0]["cost_ms"] == 400


def test_a_task_whose_timer_went_off_one_turn_before_it_ran(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    before = t.cell(0, 500, "task = create_task(refresh())")
    cell = t.cell(1000, 1600, SYNC, synchronous=True)
    t.iteration(1000, 600, cell)
    t.iteration(1600.1, 5, place=(APP, 9, "other"))
    task = t.task("refresh", before)
    t.wait(task, 900, 705.2)
    t.add("late_timer", loop=1, due_ns=1050 * MS, late_ns=551 * MS, task=task, cell=1)
    assert t.findings("AS113")[0]["cost_ms"] == 550


@pytest.mark.parametrize("set_ms", [999.8, 1001, 1599])
def test_a_task_whose_timer_was_due_when_the_cells_turn_began(tmp_path, set_ms):
    t = Trace(tmp_path / "t.db", kernel=True)
    before = t.cell(0, 500, "task = create_task(refresh())")
    cell = t.cell(1000, 1600, SYNC, synchronous=True)
    t.iteration(999, 0.9, place=(APP, 9, "other"))
    t.iteration(1000, 600, cell)
    t.wait(t.task("refresh", before), 900, 700.2, woken_how="timer", set_ns=int(set_ms * MS))
    found, = t.findings("AS113")
    assert abs(found["cost_ms"] - 600) < 1.1


def test_a_task_that_was_hardly_late(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    starved(t, late=99)
    assert not t.findings("AS113")


def test_a_task_of_the_cell_itself(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    starved(t, cell_of_task=2)
    assert not t.findings("AS113")


def test_a_task_that_was_not_due(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    before = t.cell(0, 500, "task = create_task(backup())")
    cell = t.cell(1000, 1600, SYNC, synchronous=True)
    t.iteration(1000, 600, cell)
    t.wait(t.task("backup", before), 100, 4000, woken_how="timer", set_ns=4100 * 1_000_000)
    assert not t.findings("AS113")


# AS208


def hog(t, steps, length=150, others=0):
    task = t.task("greedy", busy_ns=steps * length * 1_000_000)
    t.task("modest", busy_ns=others * 1_000_000)
    for n in range(steps):
        t.iteration(1000 + 200 * n, length)
        t.step(task, 1000 + 200 * n, length)


@pytest.mark.parametrize("steps, others", [(3, 0), (8, 1200)])
def test_task_hog(tmp_path, steps, others):
    t = Trace(tmp_path / "t.db")
    hog(t, steps, others=others)
    found, = t.findings("AS208")
    assert (found["severity"], found["count"]) == ("warning", steps)


@pytest.mark.parametrize("steps, length, others", [(2, 150, 0), (8, 99, 0), (8, 150, 1201)])
def test_no_task_hog(tmp_path, steps, length, others):
    t = Trace(tmp_path / "t.db")
    hog(t, steps, length, others)
    assert not t.findings("AS208")


# the verdict


def test_a_stall_of_library_code_alone_is_no_advice_to_the_user(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    t.iteration(1000, 200, cell, place=(LIB, 417, "NodeVisitor.visit"))
    verdict = t.report()["verdict"]
    assert verdict.startswith("In [1] held the loop for 200 ms: computing in NodeVisitor.visit")
    assert verdict.endswith("which no code of yours called.")
    t.task("poll", cell, leaked="pending")
    assert t.report()["verdict"].startswith("No stall of 100 ms or more by your code, but 1 task leaked")
    t.block(1500, 110, cell=cell)
    assert "time.sleep(0.2)" in t.report()["verdict"]


def test_what_only_made_a_librarys_stall_longer_is_not_the_verdict(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    t.iteration(1000, 260, cell, place=(LIB, 5, "join"), runq=30, blocked_lock=230)
    t.call(1000, 230, "lib.join", "lock", cell=cell, frames=[(LIB, 5, "Client.join")])
    t.sql.execute("UPDATE blocking_call SET file = ?, line = 5, function = 'Client.join'", [LIB])
    assert t.report()["verdict"] == ("In [1] held the loop for 260 ms: 230 ms of it lib.join in Client.join, "
                                     "lib/client.py:5, which no code of yours called.")
    t.iteration(1500, 400, cell, runq=400)
    assert "without a CPU" in t.report()["verdict"]


def test_a_turn_that_had_not_ended_is_told_of_a_trace_without_an_end(tmp_path):
    t = Trace(tmp_path / "t.db")
    computing(t, 500, 200)
    sample(t, 1000, 1, 12)
    t.add("sample", process=1, thread=1, time_ns=4500 * MS, begin_ns=1000 * MS, duration_ns=MS, kind="python", state="S", file=APP,
          line=13, function="score")
    assert "held the loop for 200 ms" in t.report()["verdict"]  # of one that is whole it is told as an iteration
    t.sql.execute("UPDATE meta SET value = 0 WHERE key = 'complete'")
    assert t.report()["verdict"] == ("app.py had held the loop for 3.50 s when the trace was last written, and held it still: "
                                     f"in score, {APP}:13.")
    t.iteration(1000, 3600)
    assert "held it still" not in t.report()["verdict"]
