"""What live tests share: the built program, a way to run it, notebooks made on the spot, and honest skips.

AWAITSCOPE names the program (default: build-test/bin/awaitscope); ctest sets it."""
import atexit
import functools
import json
import os
import readline
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("AWAITSCOPE", TOP / "build-test/bin/awaitscope"))
os.environ.pop("COLUMNS", None)  # what is printed is as wide as it is by itself
os.unsetenv("COLUMNS")  # readline sets it for programs begun later, unseen by os.environ, once: as newer pytests import it
SKIPPED = 77  # ctest's SKIP_RETURN_CODE

# python3 -c PLAIN SOURCE RESULT allow|stop: a notebook executed as awaitscope does it, without awaitscope
PLAIN = """
import sys
import nbformat
from nbclient import NotebookClient
source, result, errors = sys.argv[1:]
nb = nbformat.read(source, as_version=4)
try:
    NotebookClient(nb, kernel_name="python3", timeout=120, allow_errors=errors == "allow").execute()
finally:
    nbformat.write(nb, result)
"""

sys.path.insert(0, str(TOP / "tests/corpus"))
from to_ipynb import notebook  # noqa: E402


@functools.lru_cache
def program_for_all():
    """PROGRAM where every user can run it: itself, or a copy, since a clone may well stand in root's own folder."""
    if os.geteuid() or all(folder.stat().st_mode & 0o1 for folder in PROGRAM.resolve().parents):
        return PROGRAM
    top = Path(tempfile.mkdtemp(prefix="awaitscope-test-", dir="/var/tmp"))
    atexit.register(shutil.rmtree, top)
    top.chmod(0o755)
    for part in "bin/awaitscope", "lib/awaitscope":
        source, copy = PROGRAM.resolve().parent.parent / part, top / part
        copy.parent.mkdir(mode=0o755, exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    return top / "bin/awaitscope"


class Ended:
    """A program that has ended: status (128 + n after signal n), out, err."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def __repr__(self):
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


def run_program(argv, cwd, timeout=60, env=None, **popen):
    """Run to the end in a session of its own, so that one that hangs is ended whole; AssertionError then."""
    popen.setdefault("stdin", subprocess.DEVNULL)
    child = subprocess.Popen([str(a) for a in argv], cwd=cwd, env=env, start_new_session=True, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace", **popen)
    try:
        out, err = child.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        out, err = child.communicate()
        raise AssertionError(f"{argv} ran longer than {timeout} s\n--- stdout\n{out}\n--- stderr\n{err}")
    status = child.returncode
    return Ended(128 - status if status < 0 else status, out, err)


@pytest.fixture
def awaitscope(tmp_path):
    """awaitscope("report", trace): run the program in tmp_path; see run_program."""
    if not PROGRAM.exists():
        pytest.fail(f"{PROGRAM} has not been built")

    def call(*args, **options):
        options.setdefault("cwd", tmp_path)
        return run_program([program_for_all() if "user" in options else PROGRAM, *args], **options)

    return call


@pytest.fixture
def make_notebook(tmp_path):
    """make_notebook("name", source, ...): a notebook of these code cells in tmp_path."""

    def make(name, *sources):
        path = tmp_path / f"{name}.ipynb"
        path.write_text(json.dumps(notebook(list(sources))), encoding="utf-8")
        return path

    return make


@pytest.fixture
def report(awaitscope):
    """report(trace): its JSON report."""

    def read(trace, *options):
        ended = awaitscope("report", "--format", "json", *options, trace)
        assert ended.status == 0, ended
        return json.loads(ended.out)

    return read


def pytest_terminal_summary(terminalreporter):
    """Tell scripts/test.sh what was skipped inside a file, where ctest would not see it."""
    where = os.environ.get("AWAITSCOPE_SKIPS")
    if not where:
        return
    with open(where, "a", encoding="utf-8") as f:
        for skipped in terminalreporter.stats.get("skipped", []):
            reason = skipped.longrepr[2] if isinstance(skipped.longrepr, tuple) else str(skipped.longrepr)
            f.write(f"{skipped.nodeid}: {reason}\n")


def pytest_sessionfinish(session, exitstatus):
    """A file whose every test was skipped is a skipped test to ctest."""
    stats = session.config.pluginmanager.get_plugin("terminalreporter").stats
    if exitstatus == 0 and stats.get("skipped") and not stats.get("passed"):
        session.exitstatus = SKIPPED
