"""What a check takes from awaitscope.toml, pyproject.toml and comments: settings, allowlists, ignored lines."""
import json
import os
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

from trace_maker import PROGRAM, Trace, cell_file

SOURCE = "import time\n\nasync def fetch():\n    time.sleep(0.2){}\n\nawait fetch()\n"


def check(*arguments, cwd):
    return subprocess.run([PROGRAM, "check", *map(str, arguments)], capture_output=True, text=True, cwd=cwd,
                          env={"PATH": "/usr/bin:/bin"})


def cell_trace(folder, comment=""):
    source = SOURCE.format(comment)
    t = Trace(folder / "t.db", kernel=True)
    cell = t.cell(900, 2000, source)
    t.block(1000, 200, cell=cell, frames=[(cell_file(source), 4, "fetch")])
    t.sql.commit()
    return t


@pytest.fixture
def program(tmp_path):
    """src/app.py blocks in App.load; a folder below is where the check runs."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src/deep").mkdir()
    file = tmp_path / "src/app.py"
    file.write_text("import time\n\nclass App:\n    async def load(self):\n        time.sleep(0.2)\n")
    t = Trace(tmp_path / "t.db")
    t.block(1000, 200, frames=[(str(file), 5, "App.load")])
    t.sql.commit()
    return tmp_path


def test_settings_are_found_upward_and_options_go_first(program):
    deep = program / "src/deep"
    assert check("../../t.db", cwd=deep).returncode == 1
    (program / "pyproject.toml").write_text('[tool.other]\nx = 1\n[tool.awaitscope]\nfail-on = "AS102"\n')
    (program / "src/pyproject.toml").write_text('[project]\nname = "says nothing to us"\n')
    done = check("../../t.db", cwd=deep)
    assert (done.returncode, done.stderr) == (0, "") and "AS102" in done.stdout
    assert check("--fail-on", "AS101", "../../t.db", cwd=deep).returncode == 1
    (program / "src/awaitscope.toml").write_text('fail-on = ["error", "lag.max=1s"]\n')
    assert check("../../t.db", cwd=deep).returncode == 1
    assert check("--config", "../../pyproject.toml", "../../t.db", cwd=deep).returncode == 0
    assert check("--config", "/dev/null", "../../t.db", cwd=deep).returncode == 1


def test_thresholds_and_unchecked(program):
    (program / "awaitscope.toml").write_text('stall = "300ms"\nfail-on = ["stalls=0"]\n')
    assert check("t.db", cwd=program).returncode == 0
    assert check("--stall", "150ms", "t.db", cwd=program).returncode == 1
    (program / "awaitscope.toml").write_text('fail-on = ["AS403"]\nallow-unchecked = true\nmin-block = "2ms"\nawait-timeout = "1m"')
    t = Trace(program / "unseen.db")
    t.sql.execute("UPDATE coverage SET sensor = 'none' WHERE what = 'tasks'")
    t.sql.commit()
    assert check("unseen.db", cwd=program).returncode == 0
    assert check("--config", "/dev/null", "--fail-on", "AS403", "unseen.db", cwd=program).returncode == 1


@pytest.mark.parametrize("entry, allowed", [
    ('rule = "AS101"', True), ('rule = "blocking-sleep"', True), ('rule = "AS102"', False), ('file = "src/*"', True),
    ('file = "**/app.py"', True), ('file = "app.py"', True), ('file = "src/app.py"', True), ('file = "test_*"', False),
    ('file = "/nowhere/*"', False), ('function = "App.*"', True), ('function = "load"', True), ('function = "store"', False),
    ('rule = "AS101"\nfile = "src/*"\nfunction = "load"', True), ('rule = "AS101"\nfile = "src/*"\nfunction = "store"', False)])
def test_allowlist(program, entry, allowed):
    (program / "awaitscope.toml").write_text(f'[[allow]]\nrule = "AS211"\n[[allow]]\n{entry}\nreason = "known since May"\n')
    done = check("--sarif", "o.sarif", "--junit", "o.xml", "-v", "t.db", cwd=program)
    assert (done.returncode, done.stderr) == (0 if allowed else 1, "")
    assert ("1 finding suppressed: 1 by " in done.stdout) == allowed
    assert ("known since May" in done.stdout) == allowed and "allow 1 of the configuration matched nothing" in done.stdout
    result, = json.loads((program / "o.sarif").read_text())["runs"][0]["results"]
    assert [s["kind"] for s in result.get("suppressions", [])] == (["external"] if allowed else [])
    case, = [c for c in ElementTree.parse(program / "o.xml").iter("testcase") if c.get("name").startswith("AS101")]
    assert (case.find("failure") is None) == allowed
    assert ("known since May" in (ElementTree.parse(program / "o.xml").getroot().findtext("testsuite/system-out") or "")) == allowed


@pytest.mark.parametrize("text, says", [
    ("fail-on = [", "is no TOML: line 1"), ("a = 1\na = 2\n", "is no TOML: line 2"), ("\xff", "is no TOML"), ("x" * 1_100_000, "larger"),
    ("fail_on = 'error'", "no key fail_on"), ("[tool.awaitscope]\n", "no key tool"), ("fail-on = 3", "fail-on"), ("fail-on = [3]", "fail-on"),
    ("fail-on = []", "empty"), ("fail-on = 'AS999'", "AS999"), ("fail-on = 'lag.p99=5'", "lag.p99"), ("allow-unchecked = 1", "true or false"),
    ("stall = 100", "stall"), ("stall = '0s'", "stall"), ("min-block = 2024-01-01", "min-block"), ("await-timeout = 'soon'", "await-timeout"),
    ("allow = 1", "allow"), ("allow = [1]", "allow"), ("[[allow]]", "everything"), ("[[allow]]\nreason = 'x'", "everything"),
    ("[[allow]]\nrule = 'AS1'", "AS1"), ("[[allow]]\nrules = 'AS101'", "no key rules"), ("[[allow]]\nfile = ''", "file"),
    ("baseline = 1", "baseline"), ("[" + "a." * 3000 + "a]", "no key a")])
def test_wrong_settings_are_2_and_one_line(program, text, says):
    (program / "awaitscope.toml").write_bytes(text.encode("latin-1"))
    done = check("t.db", cwd=program)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert done.stderr.startswith("awaitscope check: ") and "awaitscope.toml: " in done.stderr and says in done.stderr


def test_settings_that_cannot_be_read_are_2(program):
    (program / "none.pyproject").mkdir()
    os.mkfifo(program / "fifo")
    (program / "pyproject.toml").write_text("[project]\n")
    for config in ("missing.toml", "none.pyproject", "fifo", "", "pyproject.toml", "/dev/zero"):
        done = check("--config", config, "t.db", cwd=program)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1


def test_outputs_do_not_overwrite_what_is_read(program):
    (program / "awaitscope.toml").write_text("fail-on = 'error'\n")
    for arguments in (["--junit", "t.db"], ["--sarif", "awaitscope.toml"], ["--junit", "o", "--sarif", "o"], ["--junit", ""],
                      ["--sarif", "/nowhere/o"], ["--junit", "/dev/full"], ["--sarif", "src"]):
        done = check(*arguments, "t.db", cwd=program)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1
    assert (program / "awaitscope.toml").read_text() == "fail-on = 'error'\n"


@pytest.mark.parametrize("comment, ignored", [
    ("  # awaitscope: ignore", True), ("  # awaitscope: ignore[AS101]", True), ("  #awaitscope:ignore[ as102 , as101 ]", True),
    ("  # awaitscope: ignore[blocking-sleep]", True), ("  # noqa  # awaitscope: ignore[AS101] until May", True),
    ("  # awaitscope: ignore[AS102]", False), ("  # awaitscope: ignore[AS10]", False), ("  # awaitscope: ignore[AS1011]", False),
    ("  # awaitscope: ignore[", False), ("  # awaitscope: ignore[AS101", False), ("  # awaitscope: ignore[]", False),
    ("  # awaitscope: ignored", False), ("  # awaitscope", False), ("; x = '# awaitscope: ignore'", False),
    ("; x = 'it\\'s # no'  # awaitscope: ignore", True), ("\n    # awaitscope: ignore", False)])
def test_comment_in_a_cell(tmp_path, comment, ignored):
    t = cell_trace(tmp_path, comment)
    done = check("-v", "--sarif", "o.sarif", "--github", t.path, cwd=tmp_path)
    assert done.returncode == (0 if ignored else 1)
    assert ("1 finding suppressed: 1 by # awaitscope: ignore" in done.stdout) == ignored
    assert ("::error" in done.stdout) != ignored
    result, = json.loads((tmp_path / "o.sarif").read_text())["runs"][0]["results"]
    assert [s["kind"] for s in result.get("suppressions", [])] == (["inSource"] if ignored else [])
    told = t.report()
    assert [f["rule"] for f in told["findings" if not ignored else "suppressed"]] == ["AS101"]
    assert [f.get("suppressed_by") for f in told["suppressed"]] == (["# awaitscope: ignore"] if ignored else [])


def test_comment_in_a_file(program):
    file = program / "src/app.py"
    text = file.read_text()
    file.write_text(text.replace("(0.2)", "(0.2)  # awaitscope: ignore[AS101]"))
    assert check("t.db", cwd=program).returncode == 0
    done = subprocess.run([PROGRAM, "report", program / "t.db"], capture_output=True, text=True)
    assert "1 suppressed by # awaitscope: ignore" in done.stdout
    file.unlink()
    assert check("t.db", cwd=program).returncode == 1


@pytest.mark.parametrize("pattern, allowed", [("demo.ipynb", True), ("*.ipynb", True), ("other.ipynb", False), ("/tmp/*", False)])
def test_a_cells_file_is_its_notebook(tmp_path, pattern, allowed):
    t = cell_trace(tmp_path)
    (tmp_path / "awaitscope.toml").write_text(f"[[allow]]\nfile = '{pattern}'\n")
    assert check(t.path, cwd=tmp_path).returncode == (0 if allowed else 1)
