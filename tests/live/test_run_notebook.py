"""`awaitscope run NOTEBOOK.ipynb` and `--cells SCRIPT.py`: what runs, how it ends, and what is said when it cannot."""
import json
import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROGRAM

kernel = pytest.mark.skipif(subprocess.run([sys.executable, "-c", "import ipykernel, nbclient"], capture_output=True).returncode != 0,
                            reason="ipykernel or nbclient is not installed")
pytestmark = kernel

# Tells the test by a file that the cell runs, then never ends.
ENDLESS = "import time\nopen('running', 'w').close()\nwhile True: time.sleep(0.01)"
STUBBORN = "import time\nopen('running', 'w').close()\nwhile True:\n    try: time.sleep(0.01)\n    except KeyboardInterrupt: pass"


def traces(folder):
    return sorted(p.name for p in Path(folder).glob("awaitscope-*.db"))


def said(text):
    return [line for line in text.splitlines() if line.startswith("awaitscope: ")]


def no_python_traceback_of_ours(ended):
    assert "driver.py" not in ended.err and "nbclient" not in ended.err, ended


class Terminal:
    """awaitscope run on a terminal of its own; type() and wait for what stands on the screen or for a file."""

    def __init__(self, folder, *args):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.environ["TERM"] = "xterm"
            os.execv(PROGRAM, [str(PROGRAM), "run", *args])

    def read(self):
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # EIO: the other side is closed
            data = b""
        self.seen += data
        return data

    def until(self, text):
        while text not in self.seen:
            assert self.read(), self.seen.decode()

    def type(self, text):
        os.write(self.fd, text)

    def end(self):
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def test_notebook_runs_in_its_folder_and_says_the_progress(awaitscope, make_notebook, tmp_path):
    (tmp_path / "sub").mkdir()
    path = make_notebook("sub/nb", "import os; here = os.getcwd()", "open('out', 'w').write(here)")
    before = path.read_bytes()
    ended = awaitscope("run", "sub/nb.ipynb")
    assert ended.status == 0 and ended.out == "", ended
    assert [line for line in said(ended.err) if "cell " in line][:2] == ["awaitscope: cell 1 of 2", "awaitscope: cell 2 of 2"]
    assert (tmp_path / "sub/out").read_text() == str(tmp_path / "sub")
    assert path.read_bytes() == before
    assert len(traces(tmp_path)) == 1 and traces(tmp_path)[0].startswith("awaitscope-nb-")


def test_only_code_cells_are_counted(awaitscope, tmp_path):
    import nbformat.v4 as v4
    nb = v4.new_notebook(cells=[v4.new_markdown_cell("# x"), v4.new_code_cell("a = 1"), v4.new_code_cell("  "),
                                v4.new_code_cell("b = 1", metadata={"tags": ["skip-execution"]}), v4.new_code_cell("print(a)")])
    (tmp_path / "nb.ipynb").write_text(json.dumps(nb))
    ended = awaitscope("run", "nb.ipynb")
    assert ended.status == 0 and "awaitscope: cell 2 of 2" in said(ended.err), ended


def test_notebook_without_code_says_so(awaitscope, tmp_path):
    (tmp_path / "nb.ipynb").write_text('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}')
    ended = awaitscope("run", "nb.ipynb")
    assert ended.status == 0 and said(ended.err)[0] == "awaitscope: nb.ipynb has no code cell: its kernel is started, and has nothing to run", ended
    assert "signal" not in ended.err and len(traces(tmp_path)) == 1, ended


def test_executed_notebook_is_saved_on_request(awaitscope, make_notebook, tmp_path):
    make_notebook("nb", "print('hello')", "1 + 1")
    ended = awaitscope("run", "--output", "out.ipynb", "nb.ipynb")
    assert ended.status == 0, ended
    cells = json.loads((tmp_path / "out.ipynb").read_text())["cells"]
    assert cells[0]["outputs"][0]["text"] in ("hello\n", ["hello\n"])
    assert "".join(cells[1]["outputs"][0]["data"]["text/plain"]) == "2"
    again = awaitscope("run", "--output", "out.ipynb", "nb.ipynb")
    assert again.status == 2 and said(again.err) == ["awaitscope: notebook out.ipynb exists already; --force writes over it"]


def test_cell_script_runs_its_cells(awaitscope, report, tmp_path):
    (tmp_path / "s.py").write_text("# a header\n#%%\nx = 1\n\n\n# %% [markdown]\n# text\n# %% title\nprint(x)\n1/0\n")
    ended = awaitscope("run", "-o", "t.db", "--cells", "s.py")
    assert ended.status == 1 and "awaitscope: cell 2 of 2 failed: ZeroDivisionError: division by zero" in said(ended.err), ended
    assert [cell["source"] for cell in report("t.db")["cells"]] == ["x = 1", "print(x)\n1/0"]


def test_code_before_the_first_marker_is_a_cell(awaitscope, tmp_path):
    (tmp_path / "s.py").write_text("x = 1\n#%%\nassert x == 1\n")
    ended = awaitscope("run", "--cells", "s.py")
    assert ended.status == 0 and "awaitscope: cell 2 of 2" in said(ended.err), ended


def test_failing_cell_is_1_with_its_traceback(awaitscope, make_notebook, tmp_path):
    make_notebook("nb", "def f(): raise ValueError('row \\x1b[31m 1')\nf()", "open('ran', 'w')")
    ended = awaitscope("run", "nb.ipynb")
    assert ended.status == 1 and not (tmp_path / "ran").exists()
    assert "----> 1 def f(): raise" in ended.err and "\x1b" not in ended.err, ended
    assert "awaitscope: cell 1 of 2 failed: ValueError: row \\x1b[31m 1" in said(ended.err)
    no_python_traceback_of_ours(ended)


def test_allowed_errors_go_on(awaitscope, make_notebook, tmp_path):
    make_notebook("nb", "1/0", "raise MemoryError", "open('ran', 'w').close()")
    ended = awaitscope("run", "-v", "--allow-errors", "nb.ipynb")
    assert "awaitscope: cell 2 of 3 failed, which is allowed: MemoryError" in said(ended.err), ended
    assert ended.status == 0 and (tmp_path / "ran").exists() and "Traceback" not in ended.err, ended


@pytest.mark.parametrize("source, how", [("import os; os._exit(3)", "with status 3"),
                                         ("import os; os.kill(os.getpid(), 9)", "by signal 9 (Killed)")])
def test_kernel_that_dies_is_125_and_keeps_the_trace(awaitscope, make_notebook, report, source, how):
    make_notebook("nb", "x = 1", source, "y = 1")
    ended = awaitscope("run", "-o", "t.db", "nb.ipynb")
    assert ended.status == 125, ended
    assert f"awaitscope: the kernel died in cell 2 of 3: it ended {how}" in said(ended.err), ended
    no_python_traceback_of_ours(ended)
    assert [cell["source"] for cell in report("t.db")["cells"]] == ["x = 1", source]


def test_kernel_that_does_not_start_is_125(awaitscope, make_notebook, tmp_path):
    (tmp_path / "kernels/broken").mkdir(parents=True)
    (tmp_path / "kernels/broken/kernel.json").write_text(json.dumps(
        {"argv": [sys.executable, "-c", "import sys; sys.exit(4)"], "display_name": "broken", "language": "python"}))
    make_notebook("nb", "x = 1")
    ended = awaitscope("run", "--kernel", "broken", "nb.ipynb", env=dict(os.environ, JUPYTER_PATH=str(tmp_path)))
    assert ended.status == 125 and "awaitscope: the kernel broken did not start: it ended with status 4" in said(ended.err), ended


def test_program_of_the_kernel_is_missing(awaitscope, make_notebook, tmp_path):
    (tmp_path / "kernels/gone").mkdir(parents=True)
    (tmp_path / "kernels/gone/kernel.json").write_text(json.dumps(
        {"argv": ["/no/such/python", "-f", "{connection_file}"], "display_name": "gone", "language": "python"}))
    make_notebook("nb", "x = 1")
    ended = awaitscope("run", "--kernel", "gone", "nb.ipynb", env=dict(os.environ, JUPYTER_PATH=str(tmp_path)))
    assert ended.status == 125 and "the kernel gone did not start" in ended.err and "/no/such/python" in ended.err, ended
    no_python_traceback_of_ours(ended)


def test_timeout_ends_the_cell_with_124(awaitscope, make_notebook, report, tmp_path):
    make_notebook("nb", ENDLESS, "open('ran', 'w')")
    ended = awaitscope("run", "-o", "t.db", "--timeout", "1.5", "nb.ipynb")
    assert ended.status == 124 and not (tmp_path / "ran").exists()
    assert "awaitscope: cell 1 of 2 ran longer than --timeout 1.5 s: it was interrupted and the notebook ended" in said(ended.err)
    assert [cell["status"] for cell in report("t.db")["cells"]] == ["error"]  # KeyboardInterrupt, seen by the trace


def test_timeout_ends_a_cell_that_ignores_interrupts(awaitscope, make_notebook):
    make_notebook("nb", STUBBORN)
    assert awaitscope("run", "--timeout", "1", "nb.ipynb").status == 124


def wait_for(path, terminal):
    """The cell has begun: it made this file. The screen is read meanwhile, so that nothing blocks."""
    terminal.until(b"cell 1 of")
    while not path.exists():
        assert os.waitpid(terminal.pid, os.WNOHANG) == (0, 0)


def test_ctrl_c_interrupts_the_kernel_and_ends_with_130(make_notebook, report, tmp_path):
    make_notebook("nb", ENDLESS, "open('ran', 'w')")
    terminal = Terminal(tmp_path, "-o", "t.db", "nb.ipynb")
    wait_for(tmp_path / "running", terminal)
    terminal.type(b"\x03")
    assert terminal.end() == 130 and not (tmp_path / "ran").exists()
    assert b"interrupted in cell 1 of 2" in terminal.seen and b"driver.py" not in terminal.seen
    assert report("t.db")["cells"][0]["status"] == "error"


def test_second_ctrl_c_does_not_wait_for_the_kernel(make_notebook, tmp_path):
    make_notebook("nb", STUBBORN)
    terminal = Terminal(tmp_path, "-o", "t.db", "nb.ipynb")
    wait_for(tmp_path / "running", terminal)
    terminal.type(b"\x03")
    terminal.until(b"once more kills it")
    terminal.type(b"\x03")
    assert terminal.end() == 130 and (tmp_path / "t.db").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_termination_ends_the_notebook_and_leaves_nothing_behind(make_notebook, tmp_path, number):
    make_notebook("nb", "import os; open('session', 'w').write(os.environ['AWAITSCOPE_SESSION'] + ' %d' % os.getpid())", ENDLESS)
    child = subprocess.Popen([PROGRAM, "run", "-o", "t.db", "nb.ipynb"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    for line in child.stderr:
        if "cell 2 of 2" in line:
            break
    child.send_signal(number)
    child.stderr.read()
    assert child.wait(60) == 128 + number
    session, pid = (tmp_path / "session").read_text().split()
    assert not os.path.exists(session) and not os.path.exists(f"/proc/{pid}")
    assert (tmp_path / "t.db").exists()


NO_NOTEBOOKS = [
    ("nonsense", "is not JSON, so it is no notebook"),
    ("", "is empty, so it is no notebook"),
    ("[1, 2]", "is JSON, but no notebook"),
    ('{"a": 1}', "is JSON, but no notebook"),
    ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}', "is JSON, but no notebook"),
    ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [1]}', "is not a valid notebook"),
    ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "code"}]}', "is not a valid notebook"),
    ("[" * 100000, "is"),
    ("\xff", "is not UTF-8 text"),
]


@pytest.mark.parametrize("content, text", NO_NOTEBOOKS, ids=[content[:12] for content, _ in NO_NOTEBOOKS])
def test_file_that_is_no_notebook_is_2(awaitscope, tmp_path, content, text):
    (tmp_path / "nb.ipynb").write_bytes(content.encode("latin-1"))
    ended = awaitscope("run", "nb.ipynb")
    assert ended.status == 2 and len(ended.err.splitlines()) == 1 and f"awaitscope: nb.ipynb {text}" in ended.err, ended
    assert not traces(tmp_path)


@pytest.mark.parametrize("args, text", [
    (["nofile.ipynb"], "awaitscope: nofile.ipynb: no such notebook"),
    (["folder"], "awaitscope: folder is a folder, not a notebook"),
    (["--cells", "nofile.py"], "awaitscope: nofile.py: no such script"),
    (["--kernel", "no\x1bsuch", "nb.ipynb"], "awaitscope: no kernel is named no\\x1bsuch; there are: "),
    (["other.ipynb"], "awaitscope: no kernel is named fortran, which the notebook asks for; there are: "),
])
def test_what_is_not_there_is_2(awaitscope, make_notebook, tmp_path, args, text):
    (tmp_path / "folder").mkdir()
    nb = json.loads(make_notebook("nb", "x = 1").read_text())
    nb["metadata"]["kernelspec"]["name"] = "fortran"
    (tmp_path / "other.ipynb").write_text(json.dumps(nb))
    ended = awaitscope("run", *args)
    assert ended.status == 2 and len(ended.err.splitlines()) == 1 and text in ended.err, ended
    assert not traces(tmp_path)


def test_kernel_without_the_agent_is_said(awaitscope, make_notebook, tmp_path):
    """Its own command takes LD_PRELOAD away."""
    (tmp_path / "kernels/shy").mkdir(parents=True)
    (tmp_path / "kernels/shy/kernel.json").write_text(json.dumps(
        {"argv": ["/usr/bin/env", "-u", "LD_PRELOAD", sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
         "display_name": "shy", "language": "python"}))
    make_notebook("nb", "x = 1")
    ended = awaitscope("run", "--kernel", "shy", "nb.ipynb", env=dict(os.environ, JUPYTER_PATH=str(tmp_path)))
    assert ended.status == 0, ended
    assert len([line for line in said(ended.err) if "the kernel shy is not traced: LD_PRELOAD did not reach it" in line]) == 1, ended


def test_kernels_own_preload_stays(awaitscope, make_notebook, tmp_path):
    (tmp_path / "kernels/own").mkdir(parents=True)
    (tmp_path / "kernels/own/kernel.json").write_text(json.dumps(
        {"argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "own",
         "language": "python", "env": {"LD_PRELOAD": "libdl.so.2"}}))
    make_notebook("nb", "import os; open('preload', 'w').write(os.environ['LD_PRELOAD'])")
    ended = awaitscope("run", "--kernel", "own", "nb.ipynb", env=dict(os.environ, JUPYTER_PATH=str(tmp_path)))
    assert ended.status == 0, ended
    first, second = (tmp_path / "preload").read_text().split(":")
    assert first == "libdl.so.2" and second.endswith("/preload-libasan.so")


def test_python_without_nbclient_is_told_what_to_install(awaitscope, make_notebook, tmp_path):
    """Every interpreter that could be asked is one without nbclient: the driver's imports fail on purpose."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site/nbclient.py").write_text("raise ImportError('not here', name='nbclient')")
    make_notebook("nb", "x = 1")
    ended = awaitscope("run", "nb.ipynb", env=dict(os.environ, PYTHONPATH=str(tmp_path / "site")))
    assert ended.status == 125 and len(ended.err.splitlines()) == 1, ended
    assert "apt install python3-nbclient python3-ipykernel" in ended.err


def test_existing_default_trace_is_not_written_over(awaitscope, make_notebook, tmp_path):
    """The name holds the kernel's pid, which nobody knows before: it was free."""
    make_notebook("nb", "x = 1")
    assert awaitscope("run", "nb.ipynb").status == awaitscope("run", "nb.ipynb").status == 0
    assert len(traces(tmp_path)) == 2


def test_driver_is_not_traced_and_the_kernel_is(awaitscope, make_notebook, report, tmp_path):
    make_notebook("nb", "import os; open('pid', 'w').write(str(os.getpid()))")
    assert awaitscope("run", "-o", "t.db", "nb.ipynb").status == 0
    assert [str(p["pid"]) for p in report("t.db")["trace"]["processes"]] == [(tmp_path / "pid").read_text()]


@pytest.mark.parametrize("option", ["-o", "--output", "--tape"])
def test_force_never_writes_over_the_notebook(awaitscope, make_notebook, option):
    path = make_notebook("nb", "x = 1")
    before = path.read_bytes()
    ended = awaitscope("run", "--force", option, "nb.ipynb", "nb.ipynb")
    assert ended.status == 2 and said(ended.err) == ["awaitscope: nb.ipynb is what is to be run: it is never written over"]
    assert path.read_bytes() == before


def test_error_that_a_tag_allows_is_no_failure(awaitscope, tmp_path):
    import nbformat.v4 as v4
    nb = v4.new_notebook(cells=[v4.new_code_cell("1/0", metadata={"tags": ["raises-exception"]}), v4.new_code_cell("x = 1")])
    (tmp_path / "nb.ipynb").write_text(json.dumps(nb))
    ended = awaitscope("run", "nb.ipynb")
    assert ended.status == 0 and "Traceback" not in ended.err and "failed" not in ended.err, ended


def test_kernels_raw_output_is_shown(awaitscope, make_notebook):
    """What goes past ipykernel's capture (it has none under pytest, by its own rule) is shown, escaped; debugpy's noise is not."""
    make_notebook("nb", "import os; os.write(2, b'raw \\x1b[31m \\x07 words\\n')")
    ended = awaitscope("run", "nb.ipynb")
    assert ended.status == 0 and "\nraw  \\x07 words\n" in ended.err and "0.00s - " not in ended.err, ended


MAGICS = ["%%time\nimport time\nasync def late():\n    time.sleep(0.05)\ntime.sleep(0.06)", "%%capture\ntime.sleep(0.07)",
          "x = 1\n%time time.sleep(0.08)", "%%timeit -n1 -r1\ntime.sleep(0.09)", "await late()"]


def test_code_that_a_magic_compiles_is_its_cells(awaitscope, make_notebook, report):
    make_notebook("nb", *MAGICS)
    ended = awaitscope("run", "-o", "t.db", "nb.ipynb")
    assert ended.status == 0, ended
    told = report("t.db")
    sites = told["blocking_sites"]
    found = {(s["call"], s["cell"], s["line"]) for s in sites if s["class"] == "sleep" and s["call"].startswith("time.sleep")}
    assert found == {("time.sleep(0.06)", 0, 5), ("time.sleep(0.05)", 4, 4), ("time.sleep(0.07)", 1, 2), ("time.sleep(0.08)", 2, 2),
                     ("time.sleep(0.09)", 3, 2)}
    late, = [s for s in sites if s["call"] == "time.sleep(0.05)"]
    assert late["file"] == told["cells"][0]["filename"]
