"""AS101 to AS107, AS112: two cases each that fire, and near misses."""
import subprocess

import pytest

from trace_maker import APP, LIB, PROGRAM, Trace, cell_file

CLASSES = [("AS101", "sleep", "time.sleep(0.2)", "error"), ("AS102", "network", "requests.get", "error"),
           ("AS103", "file", "open(path)", "warning"), ("AS104", "database", "sqlite3.Connection.execute", "warning"),
           ("AS105", "subprocess", "subprocess.run", "error"), ("AS106", "dns", "socket.getaddrinfo", "error"),
           ("AS107", "lock", "guard.acquire()", "error")]
EACH = pytest.mark.parametrize("rule, kind, call, severity", CLASSES)
SYNC = "time.sleep(0.2)"


@EACH
def test_fires_in_a_program(tmp_path, rule, kind, call, severity):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, kind, call=call)
    found, = t.findings(rule)
    assert (found["file"], found["line"], found["severity"], found["count"]) == (APP, 3, severity, 1)
    assert found["cost_ms"] == 200 and found["lag_saved_ms"]["stall"] == 201
    assert call in found["message"] and "app.py:3, in fetch" in found["message"]


@EACH
def test_fires_below_a_library_in_a_cell(tmp_path, rule, kind, call, severity):
    t = Trace(tmp_path / "t.db", kernel=True)
    helper = t.cell(0, 1, "def helper(): ...", synchronous=True)
    cell = t.cell(900, 2000)
    for n in range(3):
        t.block(1000 + 50 * n, 30, kind, call=call, cell=cell,
                frames=[(LIB, 5, "send"), (LIB, 9, "get"), (cell_file("def helper(): ..."), 1, "helper")])
    found, = t.findings(rule)
    assert (found["cell"], found["line"], found["count"], found["execution_count"]) == (1, 1, 3, 2)
    assert found["severity"] == "warning"  # 90 ms in all, less than --stall
    assert found["cost_ms"] == 90 and helper == 1


@EACH
def test_little_in_each_turn_is_a_site_only(tmp_path, rule, kind, call, severity):
    t = Trace(tmp_path / "t.db")
    for n in range(50):
        t.block(1000 + 20 * n, 9, kind, call=call)
    assert not t.findings(rule)


@EACH
def test_a_library_by_itself_is_not_judged(tmp_path, rule, kind, call, severity):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, kind, call=call, frames=[(LIB, 5, "send")])
    assert not t.findings(rule)


@EACH
def test_a_synchronous_cell_makes_notes(tmp_path, rule, kind, call, severity):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, SYNC, synchronous=True)
    t.block(1000, 200, kind, call=call, cell=cell, frames=[(cell_file(SYNC), 1, "<module>")])
    assert [f["severity"] for f in t.findings(rule)] == ["note"]


@EACH
def test_no_loop_ran_there(tmp_path, rule, kind, call, severity):
    t = Trace(tmp_path / "t.db")
    t.call(1000, 200, call=call, kind=kind, loop=None)
    assert not t.findings(rule)


def test_small_calls_add_up_within_one_turn(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 20, blocked_sleep=18)
    for n in range(6):
        t.call(1000 + 3 * n, 3)
    found, = t.findings("AS101")
    assert found["count"] == 6 and found["cost_ms"] == 18


def test_what_a_call_waits_for_a_cpu_after_it_is_over_is_not_its_cost(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 400, blocked_sleep=200, runq=60, cpu_user=140)
    t.call(1000, 260)
    found, = t.findings("AS101")
    assert found["cost_ms"] == 200 and "for 200 ms" in found["message"]
    assert t.report()["verdict"].startswith("app.py held the loop for 400 ms: 200 ms of it time.sleep(0.2) in fetch")
    assert t.report()["blocking_sites"][0]["total_ms"] == 260  # that is how long the call was off the CPU
    for form in ("text", "markdown", "html"):
        text = subprocess.run([PROGRAM, "report", "--format", form, t.path], capture_output=True, text=True).stdout
        assert "Of these times 60.0 ms went by while a call was over" in " ".join(text.split()), form


def test_what_a_call_waits_for_a_cpu_is_not_taken_off_another_that_did_not(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 300, blocked_network=250, runq=30, cpu_user=20)
    t.call(1000, 20, "socket.getaddrinfo", "dns")
    t.call(1030, 252, "requests.get", "network")
    assert t.findings("AS102")[0]["cost_ms"] == 250 and not t.findings("AS106")


def test_a_short_call_on_a_busy_machine_is_no_finding(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 21, blocked_sleep=4, runq=11, gil=5)
    t.call(1000, 20)
    assert not t.findings("AS101")


def test_a_database_that_computes_holds_the_loop_too(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 60)
    t.call(1000, 0, "c.execute(query)", "database", cpu=50)
    found, = t.findings("AS104")
    assert found["cost_ms"] == 50


def test_other_classes_than_the_databases_do_not_count_their_cpu(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 60)
    t.call(1000, 2, "subprocess.run", "subprocess", cpu=50)
    assert not t.findings("AS105")


def test_showing_a_value_is_the_kernels_own(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    t.block(1000, 200, "lock", call="IPython.DisplayHook", cell=cell,
            frames=[("/usr/lib/python3.11/threading.py", 320, "Condition.wait"),
                    ("/usr/lib/python3/dist-packages/IPython/core/displayhook.py", 268, "DisplayHook.__call__"),
                    (cell_file("await main()"), 3, "<module>")])
    assert not t.findings("AS107")


def test_flushing_what_was_printed_is_the_kernels_own_below_a_library_too(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000)
    t.block(1000, 200, "subprocess", call="multiprocessing.process.BaseProcess.start", cell=cell,
            frames=[("/usr/lib/python3.11/threading.py", 320, "Condition.wait"),
                    ("/usr/lib/python3/dist-packages/ipykernel/iostream.py", 488, "OutStream.flush"),
                    ("/usr/lib/python3.11/multiprocessing/util.py", 435, "_flush_std_streams"),
                    (cell_file("await main()"), 3, "talk")])
    assert not t.findings("AS105")


def test_making_a_child_is_not_waiting_for_it(tmp_path):
    popen = [("/usr/lib/python3.11/subprocess.py", 1901, "Popen._execute_child"), ("/usr/lib/python3.11/subprocess.py", 1024, "Popen.__init__")]
    t = Trace(tmp_path / "t.db")
    t.block(1000, 12, "subprocess", call="subprocess.Popen", frames=[*popen, (APP, 3, "ask")])
    assert not t.findings("AS105")
    t.block(1500, 12, "subprocess", call="subprocess.run", frames=[*popen, ("/usr/lib/python3.11/subprocess.py", 548, "run"), (APP, 4, "ask")])
    assert [f["line"] for f in t.findings("AS105")] == [4]


@pytest.mark.parametrize("file, function, said", [
    (APP, "put", "; thread worker ended the wait, in put, app.py:9."),
    ("/usr/lib/python3.11/threading.py", "Condition.notify", "; thread worker ended the wait."),
])
def test_who_ended_a_wait_is_told_with_its_place_in_user_code(tmp_path, file, function, said):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, "lock", call="queue.Queue.get")
    t.add("thread", id=2, process=1, tid=101, name="worker", seen_ns=0)
    t.sql.execute("UPDATE blocking_call SET ended_by = 2, ended_file = ?, ended_line = 9, ended_function = ?", [file, function])
    found, = t.findings("AS107")
    assert found["message"].endswith(said.replace("app.py", APP)) and found["evidence"]["ended_by"]["function"] == function


def test_several_waits_of_one_call_are_no_calls(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.iteration(1000, 200, blocked_network=180)
    for n in range(2):
        t.call(1000 + 100 * n, 90, "requests.get", "network", frames=[(LIB, 5, "recv"), (APP, 3, "fetch")])
    message = t.findings("AS102")[0]["message"]
    assert "requests.get held the event loop 2 times, 180 ms in all, the longest 90.0 ms" in message


def test_one_line_in_two_cells_is_two_findings(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    for n in range(2):
        cell = t.cell(1000 * n, 1000 * n + 900)
        t.block(1000 * n + 100, 200, cell=cell, frames=[(cell_file("await main()"), 3, "fetch")])
    found = t.findings("AS101")
    assert sorted(f["cell"] for f in found) == [0, 1]
    assert found[0]["fingerprint"] != found[1]["fingerprint"]


# AS112


def context(name):
    return [(APP, 9, name), (APP, 30, "export")]


@pytest.mark.parametrize("name", ["Connection.__enter__", "Connection.__exit__", "Pool.__aenter__", "Pool.__aexit__"])
def test_a_context_manager_of_the_users(tmp_path, name):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, frames=context(name))
    found, = t.findings("AS112")
    assert (found["line"], found["severity"]) == (9, "error")
    assert not t.findings("AS101")  # instead of it


@pytest.mark.parametrize("name, advice", [("Connection.__enter__", "Write an asynchronous context manager"),
                                          ("Pool.__aenter__", "Use await asyncio.sleep(0.2).")])
def test_a_context_manager_that_is_asynchronous_already_needs_no_other_one(tmp_path, name, advice):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, frames=context(name))
    assert t.findings("AS112")[0]["advice"].startswith(advice)


def test_a_librarys_context_manager_is_not_for_the_user_to_write(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, "lock", call="concurrent.futures.Executor.__exit__",
            frames=[("/usr/lib/python3.11/threading.py", 5, "join"),
                    ("/usr/lib/python3.11/concurrent/futures/_base.py", 9, "Executor.__exit__"), (APP, 30, "export")])
    assert "wrap_future" in t.findings("AS112")[0]["advice"]


def test_a_librarys_context_manager_that_user_code_enters(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, "network", call="lib.Client.__enter__",
            frames=[(LIB, 5, "connect"), (LIB, 9, "Client.__enter__"), (APP, 30, "export")])
    assert len(t.findings("AS112")) == 1 and not t.findings("AS102")


def test_a_context_manager_deep_in_a_library_is_that_librarys_affair(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, "network", call="lib.get",
            frames=[(LIB, 5, "connect"), (LIB, 9, "Client.__enter__"), (LIB, 20, "get"), (APP, 30, "export")])
    assert len(t.findings("AS102")) == 1 and not t.findings("AS112")


def test_with_in_a_synchronous_cell_is_the_classes_note(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, SYNC, synchronous=True)
    t.block(1000, 200, cell=cell, frames=[(APP, 9, "Connection.__enter__"), (cell_file(SYNC), 1, "<module>")])
    assert not t.findings("AS112") and [f["severity"] for f in t.findings("AS101")] == ["note"]


def test_a_call_inside_the_with_block_is_not_its_context_manager(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, frames=[(APP, 31, "export")])
    assert not t.findings("AS112") and len(t.findings("AS101")) == 1


# advice


@pytest.mark.parametrize("kind, call, advice", [
    ("file", "os.read(fd, 1)", "to_thread(os.read, fd, 1)."),
    ("file", "open(path).read()", "to_thread(lambda: open(path).read())."),
    ("file", "os.popen(\"ls | wc (\").read()", "to_thread(lambda: os.popen(\"ls | wc (\").read())."),
    ("file", "rows[0](path)", "to_thread(rows[0], path)."),
    ("file", "text = open(path).read()", "to_thread()."),
    ("file", "for line in file:", "to_thread()."),
    ("file", "f(a) + g(b)", "to_thread()."),
    ("file", "os.write(fd, \"a long text that nobody would want to read twice\")", "to_thread(os.write, ...)."),
    ("file", "os.write(fd, \"cut in its mid\u2026", "to_thread(os.write, ...)."),
    ("lock", "fcntl.flock(f, fcntl.LOCK_EX)", "to_thread(fcntl.flock, f, fcntl.LOCK_EX); or try"),
    ("lock", "multiprocessing.pool.Pool.map", "to_thread(multiprocessing.pool.Pool.map, ...)."),
    ("subprocess", "multiprocessing.process.BaseProcess.join", "to_thread(process.join)"),
    ("sleep", "time.sleep(max(1, n))", "asyncio.sleep(max(1, n))."),
    ("sleep", "time.sleep(1); f(2)", "asyncio.sleep()."),
])
def test_advice_is_for_that_very_call(tmp_path, kind, call, advice):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, kind, call=call)
    found, = t.report()["findings"]
    assert advice in found["advice"]


def test_the_open_that_ipython_gives_to_cells_is_the_cells(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, "text = open(path).read()")
    t.block(1000, 200, "file", call="open(path)", cell=cell,
            frames=[("/usr/lib/python3/dist-packages/IPython/core/interactiveshell.py", 325, "_modified_open"),
                    (cell_file("text = open(path).read()"), 1, "load")])
    found, = t.findings("AS103")
    assert (found["cell"], found["line"], found["severity"]) == (0, 1, "warning")


@EACH
def test_what_the_loop_calls_itself_has_no_place_and_is_one_severity_lower(tmp_path, rule, kind, call, severity):
    for kernel in (False, True):  # loop.call_later(0.1, time.sleep, 0.2)
        t = Trace(tmp_path / f"{kernel}.db", kernel=kernel)
        t.block(1000, 200, kind, call="clock_nanosleep", frames=[])
        report = t.report()
        found, = [f for f in report["findings"] if f["rule"] == rule]
        assert found["severity"] == {"error": "warning", "warning": "note"}[severity]
        assert found["file"] is None and found["cell"] is None and "called by the loop itself" in found["message"]


MADE = [("<string>", 3, "job"), (APP, 12, "plugin"), (APP, 30, "main")]


def as_seen(t, **columns):
    """A call of which only the C call is known."""
    t.block(1000, 200, call="clock_nanosleep", **columns)
    t.sql.execute("UPDATE blocking_call SET syscall = call")
    t.sql.commit()
    text = subprocess.run([PROGRAM, "report", t.path], capture_output=True, text=True).stdout
    return t.report(), " ".join(text.split())


def test_a_call_that_only_c_knows_is_told_in_words(tmp_path):
    report, text = as_seen(Trace(tmp_path / "t.db"))
    found, = report["findings"]
    assert "a sleep (clock_nanosleep) held the event loop for 200 ms" in found["message"] and "asyncio.sleep() in place of time.sleep()" in found["advice"]
    assert "a sleep (clock_nanosleep) in fetch" in report["verdict"] and "a sleep (clock_nanosleep) sleep" in text
    assert report["blocking_sites"][0]["call"] == found["evidence"]["call"] == "clock_nanosleep"


def test_code_that_no_file_holds_has_its_caller_in_all_sections(tmp_path):
    report, text = as_seen(Trace(tmp_path / "t.db"), frames=MADE)
    assert "in job, <string>:3, called from /home/u/app.py:12. Use await" in report["verdict"], report["verdict"]
    assert "<string>:3, from /home/u/app.py:12" in text and "called from /home/u/app.py:12: a sleep" in report["findings"][0]["message"]
    module, text = as_seen(Trace(tmp_path / "m.db"), frames=[("<string>", 1, "<module>"), *MADE[1:]])
    assert "Import it" not in module["findings"][0]["advice"]


def test_what_the_loop_calls_itself_is_said_to_be_that_wherever_it_is_told(tmp_path):
    report, text = as_seen(Trace(tmp_path / "t.db"), frames=[])
    assert "a sleep (clock_nanosleep), called by the loop itself." in report["verdict"] and "sleep the loop itself 1" in text, text


FINALIZE = ("/usr/lib/python3.11/weakref.py", 591, "finalize.__call__")


@pytest.mark.parametrize("frames, line, severity", [
    ([(APP, 6, "Conn.__del__"), (APP, 20, "main")], 6, "error"), ([(APP, 3, "Conn.close"), (APP, 6, "Conn.__del__")], 3, "error"),
    ([(APP, 14, "goodbye"), FINALIZE, (APP, 20, "main")], 14, "error"), ([FINALIZE, (APP, 20, "main")], 20, "error"), ([FINALIZE], None, "warning")])
def test_a_finalizer_cannot_await(tmp_path, frames, line, severity):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, frames=frames, task=t.task())
    found, = t.findings("AS101")
    assert (found["line"], found["severity"]) == (line, severity) and "async close()" in found["advice"], found
    assert line or "as an object went away" in found["message"]


def test_what_a_tasks_step_waits_for_outside_of_all_code_is_no_callback(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 20, "lock", call="sem_wait", frames=[], task=t.task(user=0))
    assert not t.report()["findings"]


CANT_AWAIT = "That needs a coroutine, which {} call it in a thread, by await asyncio.to_thread()."
HELPERS = """import time
class Row:
    @property
    def price(self):
        # looked up

        time.sleep(0.2)
    def __eq__(self, other):
        return time.sleep(0.2)
    async def load(self):
        def inner():
            time.sleep(0.2)
        time.sleep(0.2)
        return [time.sleep(0.2) for _ in "a"]
"""


@pytest.mark.parametrize("line, function, more", [
    (7, "Row.price", CANT_AWAIT.format("Row.price is not: make it one, or")),
    (9, "Row.__eq__", CANT_AWAIT.format("Row.__eq__ can't be:")),
    (12, "Row.load.<locals>.inner", CANT_AWAIT.format("Row.load.<locals>.inner is not: make it one, or")),
    (13, "Row.load", ""),
    (14, "Row.load.<locals>.<listcomp>", ""),
    (12, "another", ""),  # the text is of another one by now
    (1, "<module>", ""),  # a cell's own code can await
])
def test_a_plain_function_cannot_await(tmp_path, line, function, more):
    advice = ("Use await asyncio.sleep(0.2). " + more).rstrip()
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, HELPERS)
    t.block(1000, 200, cell=cell, frames=[(cell_file(HELPERS), line, function)])
    report = t.report()
    assert report["findings"][0]["advice"] == advice and report["verdict"].endswith(advice)
    if function != "<module>":
        (tmp_path / "row.py").write_text(HELPERS)
        t = Trace(tmp_path / "program.db")
        t.block(1000, 200, frames=[(str(tmp_path / "row.py"), line, function)])
        assert t.findings("AS101")[0]["advice"] == advice


def test_a_module_that_is_imported_while_the_loop_runs_cannot_await_either(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, frames=[("/home/u/settings.py", 2, "<module>"), ("<frozen importlib._bootstrap>", 241, "_load"), (APP, 3, "main")])
    found, = t.findings("AS101")
    assert found["advice"] == "Import it before the loop runs: at the top of the module, or in a cell of its own." and found["severity"] == "error"
