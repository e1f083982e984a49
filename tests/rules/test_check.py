"""`awaitscope check` and `awaitscope rules` from outside: conditions, exit status, JUnit, SARIF, GitHub."""
import json
import re
import sqlite3
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from trace_maker import APP, MS, PROGRAM, TOP, Trace, cell_file

SOURCE = "import time\n\nasync def fetch():\n    time.sleep(0.2)\n\nawait fetch()\n"


@pytest.fixture
def stalled(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, SOURCE)
    for n in range(2):
        t.block(1000 + 300 * n, 200, cell=cell, frames=[(cell_file(SOURCE), 4, "fetch")])
    t.task("poll", cell, leaked="pending", place=(cell_file(SOURCE), 6, "<module>"))
    t.sql.commit()
    return t.path


@pytest.fixture
def clean(tmp_path):
    t = Trace(tmp_path / "clean.db")
    t.iteration(1000, 5)
    t.sql.commit()
    return t.path


def check(*arguments, cwd=None, **environment):
    return subprocess.run([PROGRAM, "check", *map(str, arguments)], capture_output=True, text=True, cwd=cwd,
                          env={"PATH": "/usr/bin:/bin", **environment})


def test_errors_fail_by_default_and_are_told(stalled, clean):
    done = check(stalled)
    assert done.returncode == 1
    assert "AS101" in done.stdout and "AS201" not in done.stdout and done.stdout.endswith("awaitscope check: failed\n")
    assert "AS201" in check("-v", stalled).stdout
    assert check("-q", stalled).stdout == "awaitscope check: failed\n"
    done = check(clean)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.endswith("awaitscope check: passed\n")


@pytest.mark.parametrize("condition, status", [
    ("AS101", 1), ("as101", 1), ("blocking-sleep", 1), ("AS102", 0), ("AS101:1", 1), ("AS101:2", 0), ("AS201", 1),
    ("error", 1), ("warning", 1), ("leaked=0", 1), ("leaked=1", 0), ("stalls=1", 1), ("stalls=2", 0), ("stall=402ms", 0),
    ("stall=401ms", 1), ("lag.max=0.3s", 0), ("lag.max=200ms", 1), ("lag.p50=1ms", 0), ("blocking=399ms", 1), ("lost=0", 0),
    ("findings=1", 1)])
def test_condition(stalled, condition, status):
    done = check("--fail-on", condition, stalled)
    assert (done.returncode, done.stderr) == (status, "")
    assert condition in done.stdout


def test_conditions_are_given_several_times(stalled):
    assert check("--fail-on", "AS102", "--fail-on=lag.max=1s", stalled).returncode == 0
    assert check("--fail-on", "AS102", "--fail-on=lag.max=1ms", stalled).returncode == 1


@pytest.mark.parametrize("arguments", [
    ["--fail-on", "AS999"], ["--fail-on", "AS101:0"], ["--fail-on", "AS101:x"], ["--fail-on", "AS101:-1"], ["--fail-on", ""],
    ["--fail-on", "fatal"], ["--fail-on", "lag.p42=1ms"], ["--fail-on", "lag.p99=50"], ["--fail-on", "leaked=few"],
    ["--fail-on", "leaked=-1"], ["--fail-on"], ["--no-such-option"], ["--baseline", "no.db"], 
    ["--await-timeout", "soon"], ["--stall", "soon"], ["--stall", "1ms"]])
def test_wrong_usage_is_2_and_one_line(stalled, arguments):
    done = check(*arguments[:-1], *arguments[-1:], stalled) if arguments != ["--fail-on"] else check(stalled, "--fail-on")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("awaitscope check: ") and done.stderr.count("\n") == 1


def test_no_trace_or_two_is_2(tmp_path, stalled):
    assert check().returncode == 2
    assert check(stalled, stalled).returncode == 2
    assert check(tmp_path / "none.db").returncode == 2
    assert check("--junit", "/nowhere/x.xml", stalled).returncode == 2
    assert check("--sarif", stalled, stalled).returncode == 2
    assert sqlite3.connect(stalled).execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_gated_rule_that_could_not_be_checked_fails(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.sql.execute("UPDATE coverage SET sensor = 'none' WHERE what = 'syscalls'")
    t.sql.commit()
    for condition in ("AS101", "error", "AS102", "blocking=1s"):
        done = check("--fail-on", condition, t.path)
        assert done.returncode == 1 and ("not checked" in done.stdout or "could not be measured" in done.stdout)
        assert check("--allow-unchecked", "--fail-on", condition, t.path).returncode == 0
    assert check("--fail-on", "AS201", t.path).returncode == 0


def test_a_hook_that_was_refused_leaves_its_rule_unchecked(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.add("coverage", process=1, what="hook:asyncio.Queue", sensor="refused", detail="not as expected")
    assert [r["rule"] for r in t.report()["coverage"]["not_checked"]] == ["AS403"]


def test_a_kernel_without_cells_leaves_their_rules_unchecked(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    t.sql.execute("UPDATE coverage SET sensor = 'none' WHERE what = 'cells'")
    assert {"AS113", "AS206"} <= {r["rule"] for r in t.report()["coverage"]["not_checked"]}


def test_an_empty_trace_passes_nothing(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.sql.execute("DELETE FROM loop")
    t.sql.commit()
    assert check(t.path).returncode == 1


def test_junit(tmp_path, stalled):
    file = tmp_path / "out.xml"
    assert check("--junit", file, "--fail-on", "error", "--fail-on", "lag.max=1ms", stalled).returncode == 1
    root = ElementTree.parse(file).getroot()
    suite = root.find("testsuite")
    assert root.tag == "testsuites" and suite.get("name") == "awaitscope"
    cases = {case.get("name").split()[0]: case for case in suite.findall("testcase")}
    assert int(suite.get("tests")) == len(cases) == 36
    assert int(suite.get("failures")) == 2 and int(suite.get("skipped")) == 0
    failure = cases["AS101"].find("failure")
    assert failure.get("type") == "error" and "time.sleep(0.2)" in failure.get("message")
    assert cases["AS201"].find("failure") is None
    assert cases["lag.max=1ms"].find("failure") is not None
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_a_target_named_does_not_break_a_form(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, call='f("<&\x01]]>\x1b[31m::error::\n%0A|`")', frames=[("/tmp/a,b:c\n<d>.py", 3, "<lambda>")])
    t.sql.commit()
    done = check("--junit", tmp_path / "o.xml", "--sarif", tmp_path / "o.sarif", "--github", t.path,
                 GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    assert done.returncode == 1 and "\x1b" not in done.stdout and "\x01" not in done.stdout
    ElementTree.parse(tmp_path / "o.xml")
    json.loads((tmp_path / "o.sarif").read_text())
    annotation, = [line for line in done.stdout.split("\n") if line.startswith("::")]
    assert annotation.startswith("::error file=/tmp/a%2Cb%3Ac%0A<d>.py,line=3,title=AS101 blocking-sleep::")
    assert "<d>" not in (tmp_path / "summary.md").read_text()


def test_sarif(tmp_path, stalled):
    notebook = {"cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "source": ["x = 1"]},
                          {"cell_type": "code", "metadata": {}, "outputs": [], "source": SOURCE.rstrip().splitlines(True)}],
                "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    text = json.dumps(notebook, indent=1)
    (tmp_path / "demo.ipynb").write_text(text)
    assert check("--sarif", "out.sarif", stalled, cwd=tmp_path).returncode == 1
    log = json.loads((tmp_path / "out.sarif").read_text())
    assert log["version"] == "2.1.0" and "sarif-schema-2.1.0" in log["$schema"]
    run, = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "awaitscope" and len(driver["rules"]) == 35
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in ("note", "warning", "error") and result["message"]["text"]
        assert re.fullmatch("[0-9a-f]{16}", result["partialFingerprints"]["awaitscope/v1"])
    sleep, = [r for r in run["results"] if r["ruleId"] == "AS101"]
    place = sleep["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "demo.ipynb"
    assert "time.sleep(0.2)" in text.split("\n")[place["region"]["startLine"] - 1]
    assert [x["name"] for x in sleep["locations"][0]["logicalLocations"]] == ["In [1]", "fetch"]


def test_github(tmp_path, stalled):
    done = check("--github", stalled, cwd=tmp_path, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))
    assert "::error file=demo.ipynb,title=AS101 blocking-sleep::" in done.stdout
    assert "::warning file=demo.ipynb,title=AS201 leaked-task::" in done.stdout
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("## awaitscope: failed\n") and "AS101" in summary


def fingerprints(tmp_path, name, source, line, at):
    t = Trace(tmp_path / name, kernel=True)
    cell = t.cell(900, 2000, source, name="/tmp/ipykernel_1/1.py")
    t.block(at, 200, cell=cell, frames=[("/tmp/ipykernel_1/1.py", line, "fetch")])
    return [f["fingerprint"] for f in t.findings("AS101")]


def test_fingerprints_hold_while_lines_and_times_change(tmp_path):
    assert fingerprints(tmp_path, "a.db", SOURCE, 4, 1000) == fingerprints(tmp_path, "b.db", SOURCE, 5, 1300)
    assert fingerprints(tmp_path, "a2.db", SOURCE, 4, 1000) != fingerprints(tmp_path, "c.db", SOURCE + "#", 4, 1000)


def test_what_would_be_saved_is_the_lag_without_it(tmp_path):
    t = Trace(tmp_path / "t.db")
    t.sql.execute("UPDATE loop SET select_ns = ?, ended_ns = ?", (9_100 * MS, 10_000 * MS))
    for n in range(3):
        t.iteration(1000 + 500 * n, 300, blocked_sleep=290)
        t.call(1001 + 500 * n, 290)
    found, = t.findings("AS101")
    # three stalls of 300 ms in 10 s: P(lag > x) = 3 (300 - x) / 10,000 = 1 % at 266.667 ms; without them 0 (30 ms in all)
    assert found["lag_saved_ms"] == {"p99": 266.667, "stall": 900.0}


def test_rules_are_listed_and_explained():
    done = subprocess.run([PROGRAM, "rules"], capture_output=True, text=True)
    assert done.returncode == 0 and len(re.findall(r"^AS\d{3} ", done.stdout, re.M)) == 35
    for name in ("AS101", "as101", "blocking-sleep"):
        done = subprocess.run([PROGRAM, "rules", name], capture_output=True, text=True)
        assert done.returncode == 0 and "await asyncio.sleep(0.5)" in done.stdout
    done = subprocess.run([PROGRAM, "rules", "AS999"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and "AS999" in done.stderr
    assert subprocess.run([PROGRAM, "rules", "AS101", "AS102"], capture_output=True).returncode == 2


def test_every_rule_has_its_page():
    page = (TOP / "docs/rules.md").read_text()
    done = subprocess.run([PROGRAM, "rules"], capture_output=True, text=True)
    assert re.findall(r"^### (AS\d{3}) ", page, re.M) == re.findall(r"^(AS\d{3}) ", done.stdout, re.M)


@pytest.mark.parametrize("words", [["jupyter", "execute", "demo.ipynb"], ["pytest", "--nbmake", "."]])
@pytest.mark.parametrize("form", ["lines", "string", "compact", "ascii"])
def test_places_in_notebooks_of_every_form(tmp_path, form, words):
    source = "import time  # é \\n \"source\": [\"\n\nasync def fetch():\n    time.sleep(0.2)\n\nawait fetch()"
    t = Trace(tmp_path / "t.db", kernel=True)
    t.sql.execute("DELETE FROM meta WHERE key = 'notebook'")
    t.sql.execute("UPDATE process SET argv = ?", (json.dumps(words),))
    cell = t.cell(900, 2000, source)
    t.block(1000, 200, cell=cell, frames=[(cell_file(source), 4, "fetch")])
    t.sql.commit()
    notebook = {"cells": [{"cell_type": "code", "source": text if form == "string" else text.splitlines(True)}
                          for text in ("x = 1", source[:-1], source)]}
    text = json.dumps(notebook, indent=None if form == "compact" else 1, ensure_ascii=form == "ascii")
    (tmp_path / "demo.ipynb").write_text(text, encoding="utf-8")
    (tmp_path / "another.ipynb").write_text("{\"cells\": [{\"source\": [\"" * 50)
    check("--sarif", "out.sarif", t.path, cwd=tmp_path)
    result, = json.loads((tmp_path / "out.sarif").read_text())["runs"][0]["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "demo.ipynb"
    assert "time.sleep(0.2)" in text.split("\n")[place["region"]["startLine"] - 1]
    assert form != "lines" or text.split("\n")[place["region"]["startLine"] - 1].strip().startswith('"    time.sleep')


def test_folders_of_notebooks_are_names_not_patterns(tmp_path):
    """The words come from the trace: nobody's file system is searched for what they might match."""
    for word, uri in [("week[1]", "week[1]/demo.ipynb"), ("w*", None), ("*", None)]:
        t = Trace(tmp_path / f"{len(word)}.db", kernel=True)
        t.sql.execute("DELETE FROM meta WHERE key = 'notebook'")
        t.sql.execute("UPDATE process SET argv = ?", (json.dumps(["pytest", "--nbmake", word]),))
        t.block(1000, 200, cell=t.cell(900, 2000, SOURCE), frames=[(cell_file(SOURCE), 4, "fetch")])
        t.sql.commit()
        (tmp_path / "week[1]").mkdir(exist_ok=True)
        (tmp_path / "week[1]/demo.ipynb").write_text(json.dumps({"cells": [{"cell_type": "code", "source": SOURCE}]}))
        check("--sarif", "out.sarif", t.path, cwd=tmp_path)
        result, = json.loads((tmp_path / "out.sarif").read_text())["runs"][0]["results"]
        place = result["locations"][0].get("physicalLocation", {"artifactLocation": {"uri": None}})
        assert place["artifactLocation"]["uri"] == (uri and uri.replace("[", "%5B").replace("]", "%5D")), word


def test_sarif_has_what_its_schema_requires(tmp_path, stalled):
    """SARIF 2.1.0: §3.13 log, §3.14 run, §3.18 tool, §3.27 result, §3.28 location, §3.30 region, §3.35 suppression."""
    assert check("--sarif", "o.sarif", "--baseline", stalled, stalled, cwd=tmp_path).returncode == 0
    log = json.loads((tmp_path / "o.sarif").read_text())
    assert log["version"] == "2.1.0" and isinstance(log["runs"], list)
    for run in log["runs"]:
        assert isinstance(run["tool"]["driver"]["name"], str)
        rules = run["tool"]["driver"]["rules"]
        assert len({rule["id"] for rule in rules}) == len(rules)
        for rule in rules:
            assert rule["shortDescription"]["text"] and rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
        assert all(isinstance(invocation["executionSuccessful"], bool) for invocation in run["invocations"])
        assert run["results"]
        for result in run["results"]:
            assert result["message"]["text"] and 0 <= result["ruleIndex"] < len(rules)
            assert result["baselineState"] in ("new", "unchanged", "updated", "absent")
            for location in result["locations"]:
                physical = location.get("physicalLocation")
                assert not physical or re.fullmatch(r"[\w./%~-]+(:[\w./%~-]+)?", physical["artifactLocation"]["uri"])
                assert not physical or physical.get("region", {"startLine": 1})["startLine"] >= 1
                assert all(isinstance(logical["name"], str) for logical in location.get("logicalLocations", []))


def test_junit_has_the_shape_its_readers_expect(tmp_path, stalled):
    """The schema of Ant's JUnit task: attributes and order of a suite, at most one outcome a case."""
    check("--junit", "o.xml", "--fail-on", "note", "--fail-on", "stall=1ms", stalled, cwd=tmp_path)
    root = ElementTree.parse(tmp_path / "o.xml").getroot()
    assert root.tag == "testsuites" and not root.attrib
    for suite in root:
        assert {"name", "id", "package", "hostname", "timestamp", "tests", "failures", "errors", "time"} <= set(suite.attrib)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp"))
        tags = [child.tag for child in suite]
        assert tags == ["properties"] + ["testcase"] * int(suite.get("tests")) + ["system-out", "system-err"]
        cases = suite.findall("testcase")
        assert all({"name", "classname", "time"} == set(case.attrib) and len(case) <= 1 for case in cases)
        assert len(suite.findall("testcase/failure")) == int(suite.get("failures")) > 0
        assert all(failure.get("type") for failure in suite.findall("testcase/failure"))


def test_what_a_verdict_cannot_know_of_is_said(clean):
    sql = sqlite3.connect(clean)
    sql.execute("DELETE FROM meta WHERE key = 'complete'")
    sql.execute("INSERT INTO lost(process, what, count) VALUES (1, 'records', 7)")
    sql.commit()
    done = check(clean)
    assert "its end may be missing" in done.stdout and "7 records were lost" in done.stdout
    assert check("-q", clean).stdout == "awaitscope check: passed\n"
