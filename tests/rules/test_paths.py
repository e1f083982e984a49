"""Critical paths: who waited for whom, and what each link spent its time on."""
from trace_maker import APP, MS, Trace


def sums_hold(links, whole):
    assert not links or abs(sum(link["ms"] for link in links) - whole) < 0.01, links
    for link in links:
        sums_hold(link["links"], link["ms"])


def paths(t):
    found = t.report()["critical_paths"]
    for path in found:
        sums_hold(path["links"], path["wait_ms"])
    return found


def chain(links):
    """(kind, what, task, ms) of the largest link, and so on down."""
    told = []
    while links:
        link = max(links, key=lambda link: link["ms"])
        told.append((link["kind"], link["what"], link["task"], round(link["ms"])))
        links = link["links"]
    return told


def named(t, name, **columns):
    task = t.task(name, **columns)
    t.sql.execute("UPDATE task SET name = ? WHERE id = ?", (name, task))
    return task


def user_wait(t, task, begin, length, what, line, **columns):
    return t.wait(task, begin, length, what, stack=t.stack((APP, line, "main")), **columns)


def test_a_lock_leads_to_its_holder_and_to_what_that_did(tmp_path):
    t = Trace(tmp_path / "t.db")
    main, writer, loader = named(t, "main"), named(t, "writer"), named(t, "loader", ended=2000)
    user_wait(t, main, 0, 2000, "Task 'loader'", 9, woken_how="task", on_task=loader, set_ns=2000 * MS)
    user_wait(t, loader, 0, 1900, "Lock.acquire", 5, woken_how="result", woken_by=writer, set_ns=1900 * MS)
    t.block(100, 1700, call="os.fsync", kind="file", task=writer)
    path, = paths(t)
    assert (path["file"], path["line"], path["wait_ms"]) == (APP, 9, 2000)
    assert chain(path["links"]) == [("task", "Task 'loader'", "loader", 2000), ("woken", "Lock.acquire", "writer", 1900),
                                    ("held", "os.fsync", "", 1700)]


def test_gather_leads_to_the_child_that_ended_last(tmp_path):
    t = Trace(tmp_path / "t.db")
    main = named(t, "main")
    for name, ended in ("first", 300), ("last", 500), ("other", 900):
        child = named(t, name, parent=main if name != "other" else None, ended=ended)
        t.wait(child, 0, ended - 1, "StreamReader.read", woken_how="result", set_ns=(ended - 1) * MS)
    user_wait(t, main, 0, 501, "asyncio.gather", 4, woken_how="result", set_ns=500 * MS)
    path, = paths(t)
    assert chain(path["links"]) == [("task", "asyncio.gather", "last", 500), ("waited", "StreamReader.read", "", 499)]


def test_a_timer_that_was_late_is_the_loops_fault(tmp_path):
    t = Trace(tmp_path / "t.db")
    main, child = named(t, "main"), named(t, "child", ended=400)
    user_wait(t, main, 0, 400, "Task 'child'", 4, woken_how="task", on_task=child, set_ns=400 * MS)
    user_wait(t, child, 0, 400, "asyncio.sleep", 6, woken_how="timer", set_ns=399 * MS)
    t.add("late_timer", loop=1, due_ns=100 * MS, late_ns=299 * MS, task=child)
    t.block(50, 349)
    path, = paths(t)
    assert {(link["kind"], round(link["ms"])) for link in path["links"][0]["links"]} == {("held", 299), ("slept", 100), ("late", 1)}


def test_tasks_that_wake_each_other_come_to_an_end(tmp_path):
    t = Trace(tmp_path / "t.db")
    ping, pong = named(t, "ping"), named(t, "pong")
    for n in range(0, 4000, 200):
        user_wait(t, ping, n, 199, "Event.wait", 4, woken_how="result", woken_by=pong, set_ns=(n + 199) * MS)
        user_wait(t, pong, n + 100, 199, "Event.wait", 8, woken_how="result", woken_by=ping, set_ns=(n + 299) * MS)
    assert len(paths(t)) == 2


def test_what_waits_for_nobody_has_no_path(tmp_path):
    t = Trace(tmp_path / "t.db")
    main = named(t, "main")
    user_wait(t, main, 0, 5000, "asyncio.sleep", 4, woken_how="timer", set_ns=5000 * MS)
    user_wait(t, main, 5000, 5000, "StreamReader.read", 5, woken_how="result", set_ns=10000 * MS)
    worker = named(t, "worker")
    t.wait(worker, 0, 500, "Event.wait", woken_how="result", woken_by=main, set_ns=500 * MS)  # no user code waits there
    user_wait(t, main, 10000, 99, "Task 'worker'", 6, woken_how="task", on_task=worker, set_ns=10099 * MS)  # below --stall
    assert paths(t) == []
