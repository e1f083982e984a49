"""`awaitscope diff` and `check --baseline` on traces made by SQL: what is a change, what is noise, what a busy machine explains."""
import json
import subprocess

import pytest

from trace_maker import APP, MS, PROGRAM, Trace, cell_file

SOURCES = ["import asyncio", "async def fetch():\n    await asyncio.sleep(0.1)\n\nawait fetch()", "x = crunch(3)\nx", "await last()"]


def run(*arguments, cwd=None):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, env={"PATH": "/usr/bin:/bin"})


def diff(old, new, *options):
    """(exit status, what changed: {(change, rule or measure, where)})"""
    for t in (old, new):
        t.sql.commit()
    done = run("diff", "--format", "json", *options, old.path, new.path)
    assert done.returncode in (0, 1) and not done.stderr, done.stderr
    told = json.loads(done.stdout)
    assert done.returncode == (1 if told["worse"] else 0)
    return done.returncode, {(c["change"], c["rule"] or c["measure"], c["where"]) for c in told["changes"]}


def program(path, *blocks, kind="sleep", file=APP, runq=0, cpu=None, function="fetch"):
    """Blocks of so many ms in one function, an iteration each; runq ms without a CPU; one step of cpu ms."""
    t = Trace(path)
    for n, ms in enumerate(blocks):
        t.block(1000 + 1000 * n, ms, kind=kind, call="time.sleep" if kind == "sleep" else "f", frames=[(file, 3, function)])
    t.iteration(30_000, 50 + runq, runq=runq)
    if cpu:
        task = t.task("crunch", ended=59_000, place=(file, 20, "main"))
        t.iteration(50_000, cpu)
        t.step(task, 50_000, cpu)
    t.sql.execute("UPDATE loop SET busy_ns = (SELECT sum(busy_ns) FROM iteration)")
    return t


def notebook(path, sources, blocked=None, ms=200, status="ok"):
    t = Trace(path, kernel=True)
    for n, source in enumerate(sources):
        cell = t.cell(1000 * n + 500, 1000 * n + 900, source)
        if n == blocked:
            t.block(1000 * n + 550, ms, cell=cell, frames=[(cell_file(source), 1, "<module>")])
            t.sql.execute("UPDATE cell SET status = ? WHERE id = ?", (status, cell))
    return t


def test_the_same_is_no_change(tmp_path):
    t = program(tmp_path / "a.db", 200, 30)
    assert diff(t, t) == (0, set())
    done = run("diff", t.path, t.path)
    assert (done.returncode, done.stdout) == (0, "No change.\n")


@pytest.mark.parametrize("old, new, worse", [
    ([200], [230], False), ([200], [400], True), ([200], [200, 200], True), ([], [200], True), ([9.9], [10.1], False), ([], [14], False),
    ([], [16], True), ([150, 150, 150], [150, 150, 150, 200], True), ([3000], [3200], False), ([200, 200], [210, 205], False)])
def test_sleeps_that_became_longer(tmp_path, old, new, worse):
    a, b = program(tmp_path / "a.db", *old), program(tmp_path / "b.db", *new)
    status, changes = diff(a, b)
    assert (status, ("worse", "AS101", "app.py") in changes) == (worse, worse)
    status, changes = diff(b, a)
    assert (status, ("better", "AS101", "app.py") in changes) == (0, worse)


@pytest.mark.parametrize("old, new, worse", [([200], [290], False), ([200], [301], True), ([], [25], False), ([], [35], True),
                                             ([300, 300, 300], [300, 300, 300, 200], True), ([900], [1100], False)])
def test_waits_for_others_may_differ_more(tmp_path, old, new, worse):
    a, b = program(tmp_path / "a.db", *old, kind="network"), program(tmp_path / "b.db", *new, kind="network")
    assert diff(a, b)[0] == worse


@pytest.mark.parametrize("old, new, worse", [(90, 110, False), (140, 95, False), (None, 95, False), (None, 200, True), (300, 440, False),
                                             (300, 460, True)])
def test_cpu_time(tmp_path, old, new, worse):
    assert diff(program(tmp_path / "a.db", cpu=old), program(tmp_path / "b.db", cpu=new))[0] == worse


def test_a_starved_machine_sets_wall_clock_measures_aside(tmp_path):
    a, b = program(tmp_path / "a.db", 200, kind="network"), program(tmp_path / "b.db", 600, kind="network", runq=300)
    status, changes = diff(a, b)
    assert status == 0 and ("set aside", "AS102", "app.py") in changes
    assert "The machine was starved" in run("diff", a.path, b.path).stdout
    assert diff(a, program(tmp_path / "d.db", 200, 200, kind="network", runq=300))[0] == 1  # more calls, not slower ones
    assert diff(a, program(tmp_path / "e.db", 400, 20, kind="network", runq=300))[0] == 0
    assert diff(program(tmp_path / "1.db", cpu=170), program(tmp_path / "2.db", cpu=780, runq=500))[0] == 0
    assert diff(program(tmp_path / "3.db", cpu=None), program(tmp_path / "4.db", cpu=400, runq=500))[0] == 1
    status, changes = diff(a, program(tmp_path / "c.db", 200, 200, kind="sleep", runq=300))
    assert status == 1 and ("worse", "AS101", "app.py") in changes  # the program's own


def test_counts_and_structure(tmp_path):
    def leaking(name, n, severity=None):
        t = program(tmp_path / name)
        for _ in range(n):
            t.task("poll", leaked="pending", place=(APP, 12, "main"))
        return t
    none, one, two = leaking("0.db", 0), leaking("1.db", 1), leaking("2.db", 2)
    assert diff(none, one) == (1, {("worse", "AS201", "app.py")}) and diff(one, two) == (1, {("worse", "AS201", "app.py")})
    assert diff(two, one) == (0, {("better", "AS201", "app.py")}) and diff(two, leaking("3.db", 2)) == (0, set())


def test_cells_are_told_by_their_source_and_place(tmp_path):
    old = notebook(tmp_path / "old.db", SOURCES)
    assert diff(old, notebook(tmp_path / "same.db", SOURCES)) == (0, set())
    for n in range(4):
        edited = SOURCES[:n] + [SOURCES[n] + "\ntime.sleep(0.2)"] + SOURCES[n + 1:]
        new = notebook(tmp_path / f"edited{n}.db", edited, blocked=n)
        status, changes = diff(old, new)
        assert status == 1 and changes == {("worse", "AS101", f"In [{n + 1}]"), ("worse", "blocked:sleep", f"In [{n + 1}]")}
        assert {c[0] for c in diff(new, old)[1]} == {"better"} and diff(new, old)[0] == 0
        added = SOURCES[:n] + ["time.sleep(0.2)"] + SOURCES[n:]
        new = notebook(tmp_path / f"added{n}.db", added, blocked=n)
        assert diff(old, new) == (1, {("worse", "AS101", f"In [{n + 1}]")})
        assert "1 cell only in NEW" in run("diff", old.path, new.path).stdout
        assert diff(new, notebook(tmp_path / f"moved{n}.db", ["# above"] + added, blocked=n + 1)) == (0, set())


def test_a_cell_that_fails_is_worse(tmp_path):
    ok, bad = (notebook(tmp_path / f"{status}.db", SOURCES, blocked=1, status=status) for status in ("ok", "error"))
    assert diff(ok, bad) == (1, {("worse", "status", "In [2]")}) and diff(bad, ok) == (0, {("better", "status", "In [2]")})


@pytest.mark.parametrize("file", ["/home/other/app.py", "/home/u/renamed.py"])
def test_another_folder_and_another_script_are_the_same_program(tmp_path, file):
    a, b = program(tmp_path / "a.db", 200), program(tmp_path / "b.db", 200, file=file)
    b.sql.execute("UPDATE process SET argv = ?", (json.dumps(["python3", file.rsplit("/")[-1]]),))
    assert diff(a, b) == (0, set())


def test_what_only_one_of_them_could_check_is_told(tmp_path):
    a, b = program(tmp_path / "a.db", 200), program(tmp_path / "b.db", 200)
    b.sql.execute("UPDATE coverage SET sensor = 'none' WHERE what = 'syscalls'")
    assert diff(a, b)[0] == 0
    assert "Checked in one of them only: AS101, " in run("diff", a.path, b.path).stdout


def test_thresholds_are_the_higher_ones(tmp_path):
    a, b = program(tmp_path / "a.db", 200), program(tmp_path / "b.db", 200)
    a.sql.execute("UPDATE meta SET value = ? WHERE key = 'stall_ns'", (500 * MS,))
    assert diff(a, b) == (0, set()) and diff(b, a) == (0, set())
    assert run("diff", "--stall", "50ms", a.path, b.path).returncode == 2


def test_wrong_usage_is_2_and_one_line(tmp_path):
    t = program(tmp_path / "a.db")
    t.sql.commit()
    (tmp_path / "empty").touch()
    (tmp_path / "text").write_text("no trace\n" * 100)
    other = program(tmp_path / "other.db")
    other.sql.execute("PRAGMA user_version = 999")
    other.sql.commit()
    for old in ("missing", "empty", "text", "", "other.db"):
        for arguments in (["diff", old, t.path], ["diff", t.path, old], ["check", "--baseline", old, t.path]):
            done = run(*arguments, cwd=tmp_path)
            assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1, arguments
    for arguments in (["diff"], ["diff", t.path], ["diff", t.path, t.path, t.path], ["diff", "--format", "xml", t.path, t.path],
                      ["diff", "--stall", "x", t.path, t.path], ["diff", "--nope"], ["diff", "--format"]):
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1, arguments
    with open("/dev/full", "w") as full:
        assert subprocess.run([PROGRAM, "diff", t.path, t.path], stdout=full, stderr=subprocess.DEVNULL).returncode == 2


def test_baseline(tmp_path):
    old, same, more = program(tmp_path / "old.db", 200), program(tmp_path / "same.db", 201), program(tmp_path / "more.db", 200)
    more.block(20_000, 200, frames=[(APP, 9, "store")])
    for t in (old, same, more):
        t.sql.commit()
    assert run("check", same.path).returncode == 1
    done = run("check", "--baseline", old.path, same.path)
    assert (done.returncode, done.stderr) == (0, "") and "baseline: No change" in done.stdout
    done = run("check", "--baseline", old.path, "--sarif", "o.sarif", "--junit", "o.xml", "--github", more.path, cwd=tmp_path)
    assert done.returncode == 1 and "in store" in done.stdout and "in fetch" not in done.stdout
    states = {r["locations"][0]["logicalLocations"][0]["name"]: r["baselineState"]
              for r in json.loads((tmp_path / "o.sarif").read_text())["runs"][0]["results"]}
    assert states == {"fetch": "unchanged", "store": "new"}
    assert run("check", "--baseline", old.path, "--fail-on", "AS101:2", "--fail-on", "lag.max=1s", same.path).returncode == 0
    assert run("check", "--baseline", old.path, "--fail-on", "lag.max=100ms", same.path).returncode == 1
    assert run("check", "--baseline", old.path, "--sarif", old.path, same.path).returncode == 2
    (tmp_path / "awaitscope.toml").write_text('baseline = "old.db"\n')
    assert run("check", same.path, cwd=tmp_path).returncode == 0 and run("check", more.path, cwd=tmp_path).returncode == 1


def test_baseline_of_a_starved_machine(tmp_path):
    old, new = program(tmp_path / "old.db"), program(tmp_path / "new.db", runq=300)
    for t in (old, new):
        t.sql.commit()
    assert run("check", "--fail-on", "lag.max=100ms", new.path).returncode == 1
    done = run("check", "--baseline", old.path, "--fail-on", "lag.max=100ms", new.path)
    assert done.returncode == 0 and "set aside: the machine was starved" in done.stdout
    assert run("check", "--baseline", old.path, "--fail-on", "findings=-1", new.path).returncode == 2
