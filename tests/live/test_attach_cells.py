"""Cells of a kernel that ran before the attach, that were running when it came, and whose kernel is not asked: told by their code."""
import json
import subprocess

import pytest

from conftest import PROGRAM, notebook
from interpreters import DEBIAN
from attached import WHY_NOT, rows, running, STEADY

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

BEFORE = "def slow(n):\n    time.sleep(n)"
AWAITS = "# that await\nwhile not os.path.exists('watched'): await asyncio.sleep(0.02)\nslow(0.1)"
MAGIC = "%time slow(0.12)"

KERNEL = """\
import json, subprocess, sys
from jupyter_client import KernelManager
program, cells, *options = sys.argv[1:]
before, running, *after = json.loads(cells)
manager = KernelManager(kernel_name="python3")
manager.start_kernel()
client = manager.client()
client.start_channels()
client.wait_for_ready()

def run(source):
    client.execute_interactive(source, timeout=30, output_hook=lambda message: None)

run("import asyncio, os, time")
run(before)
if "--notebook" in options:
    run("%reset -f in")
client.execute(running)
while client.get_iopub_msg(timeout=30)["msg_type"] != "execute_input":
    pass
watch = subprocess.Popen([program, "attach", "-o", "t.db", *options, str(manager.provisioner.pid)], stdout=subprocess.DEVNULL,
                         stderr=subprocess.PIPE, text=True)
while "watching" not in watch.stderr.readline():
    assert watch.poll() is None
open("watched", "w").close()
client.get_shell_msg(timeout=30)
for source in after:
    run(source)
watch.terminate()
watch.stderr.read()
manager.shutdown_kernel(now=True)
sys.exit(watch.wait())
"""


@pytest.mark.parametrize("options, sensor", [([], "iopub"), (["--no-jupyter", "--notebook", "nb.ipynb"], "filename")],
                         ids=["iopub", "filename"])
def test_whose_cell_it_is(options, sensor, report, tmp_path):
    (tmp_path / "nb.ipynb").write_text(json.dumps(notebook(["import asyncio, time", BEFORE, AWAITS, MAGIC])))
    done = subprocess.run([DEBIAN, "-c", KERNEL, PROGRAM, json.dumps([BEFORE, AWAITS, MAGIC]), *options], cwd=tmp_path, capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done
    told = report("t.db")
    assert told["coverage"]["cells"] == sensor
    assert ("AS113" in [one["rule"] for one in told["coverage"]["not_checked"]]) == (sensor == "filename")
    shift = 1 if "--notebook" in options else 0  # the reset is a cell too
    cells = {cell["source"]: cell for cell in told["cells"]}
    counts = {source: cell["execution_count"] for source, cell in cells.items()}
    # after the reset only the notebook knows the first, and no number
    assert counts == {BEFORE: None if shift else 2, AWAITS: 3 + shift, MAGIC: 4 + shift}, told["cells"]
    blocked = {(site["cell"], site["class"]): site["total_ms"] for site in told["blocking_sites"] if site["function"] == "slow"}
    at = {source: cell["index"] for source, cell in cells.items()}
    assert 85 < blocked[at[AWAITS], "sleep"] < 190 and 105 < blocked[at[MAGIC], "sleep"] < 210, told["blocking_sites"]
    assert {site["line"] for site in told["blocking_sites"] if site["function"] == "slow"} == {2}
    assert cells[BEFORE]["status"] == "unknown"
    if sensor == "iopub":
        assert cells[AWAITS]["status"] == "ok" and cells[AWAITS]["wall_ms"] > 100
    if shift:
        assert dict(rows(tmp_path / "t.db", "SELECT source, notebook_index FROM cell")) == {BEFORE: 1, AWAITS: 2, MAGIC: 3}


@pytest.mark.parametrize("text, said", [(None, "No such file"), ("{}", "is no notebook"), ("print(1)", "is no notebook")])
def test_what_is_no_notebook_is_refused(text, said, awaitscope, tmp_path):
    if text is not None:
        (tmp_path / "x.ipynb").write_text(text)
    with running(STEADY, tmp_path) as child:
        ended = awaitscope("attach", "--notebook", "x.ipynb", str(child.pid))
    assert ended.status == 2 and "x.ipynb" in ended.err and said in ended.err, ended
    assert not list(tmp_path.glob("*.db"))
