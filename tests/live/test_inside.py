"""%load_ext awaitscope: a kernel that records itself from some cell on, what the magic shows, and the trace that is left."""
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import interpreters
import pytest
from conftest import PLAIN, PROGRAM, program_for_all, run_program
from recorders import recorders

MODULES = PROGRAM.resolve().parent.parent / "lib/awaitscope/python"
TARGET = Path(__file__).parent / "targets/inside.py"
HAS_KERNEL = subprocess.run([sys.executable, "-c", "import ipykernel, nbclient"], capture_output=True).returncode == 0
kernel = pytest.mark.skipif(not HAS_KERNEL, reason="ipykernel or nbclient is not installed")

BEFORE = """import asyncio, time
async def wait():
    await asyncio.sleep(600)
early = asyncio.create_task(wait())"""
BLOCKS = """async def bad():
    time.sleep(0.3)
async def tick():
    for i in range(20):
        await asyncio.sleep(0.01)
    return i
print(await asyncio.gather(tick(), bad()))"""
LEAKS = """async def poll():
    await asyncio.sleep(500)
async def start():
    asyncio.create_task(poll())
await start()
7 * 6"""


def execute(path, timeout=60):
    """The notebook as executed without awaitscope, cells that fail and all: (Ended, its cells of code)."""
    out = path.with_suffix(".out")
    ended = run_program([sys.executable, "-c", PLAIN, path, out, "allow"], path.parent, timeout)
    return ended, json.loads(out.read_text())["cells"]


def shown(cell, form="text/plain"):
    """What one of its outputs holds in that form."""
    texts = [o.get("data", {}).get(form, o.get("text") if form == "text/plain" else None) for o in cell["outputs"]]
    return "".join("".join(text) for text in texts if text)


def closed(folder, complete=True):
    """The one trace in that folder, once its recorder has ended."""
    for _ in range(200):
        traces = list(folder.glob("awaitscope-*.db"))
        pids = [re.search(r"-(\d+)\.db$", trace.name)[1] for trace in traces]
        if traces and not any(recorders(pid) for pid in pids):
            break
        time.sleep(0.05)
    trace, = traces
    with sqlite3.connect(trace) as sql:
        assert sql.execute("SELECT value FROM meta WHERE key = 'complete'").fetchone() == (int(complete),)
    return trace


@pytest.fixture
def load(awaitscope):
    """The source of a cell that begins the recording, as the program tells it."""
    ended = awaitscope("inside")
    assert ended.status == 0 and str(MODULES) in ended.out, ended
    return ended.out


def findings(told):
    """Blocking sleeps and leaks that are more than notes: rule, severity, number of the cell, line. A busy machine adds others."""
    return {(f["rule"], f["severity"], told["cells"][f["cell"]]["execution_count"], f["line"]) for f in told["findings"]
            if f["severity"] != "note" and f["rule"] in ("AS101", "AS201")}


@kernel
def test_notebook_shows_its_own_report(make_notebook, load, report, awaitscope, tmp_path):
    ended, bare = execute(make_notebook("bare", BEFORE, BLOCKS, LEAKS))
    assert ended.status == 0, ended
    ended, cells = execute(make_notebook("own", BEFORE, load, BLOCKS, LEAKS, "%awaitscope", "%awaitscope report",
                                         "%awaitscope nonsense"))
    assert ended.status == 0, ended
    assert [cells[i]["outputs"] for i in (0, 2)] == [bare[i]["outputs"] for i in (0, 1)]
    assert shown(cells[3]) == shown(bare[2]) == "42"
    trace = closed(tmp_path)
    assert f"awaitscope records this process into {trace}" in shown(cells[1])

    # So far: the same verdict in the terminal's form and the page's, and cells by their numbers.
    verdict = "In [3] held the loop for"
    assert shown(cells[4]).startswith(verdict) and str(trace) in shown(cells[4])
    text, page = shown(cells[5]), shown(cells[5], "text/html")
    assert text.startswith(verdict) and "AS101" in text and re.search(r"AS201 note +leaked-task\n +In \[4\]:4, in start", text), text
    frame = re.fullmatch(r'<iframe sandbox="allow-scripts" style="[\w:;%.]+" srcdoc="([^"]+)"></iframe>', page)
    assert frame and verdict in frame[1] and re.search(r"&(?!amp;|quot;)", frame[1]) is None
    assert shown(cells[6]).startswith("UsageError: %awaitscope nonsense: there are") and shown(cells[6]).count("\n") == 1

    # At the end: what the command says of the trace, from the cell that loaded it on.
    told = report(trace)
    assert told["trace"]["mode"] == "inline" and told["verdict"] == awaitscope("report", "-q", trace).out.strip().replace("\n", " ")
    assert [cell["execution_count"] for cell in told["cells"]] == [2, 3, 4, 5, 6, 7]
    assert told["cells"][0]["source"].rstrip() == load.rstrip() and told["cells"][-1]["status"] == "error"
    assert findings(told) == {("AS101", "error", 3, 2), ("AS201", "warning", 4, 4)}
    with sqlite3.connect(trace) as sql:
        assert sql.execute("SELECT cell, state, awaiting FROM task WHERE coro = 'wait'").fetchall() == [(None, "pending", "asyncio.sleep")]
        assert not sql.execute("SELECT what, detail FROM coverage WHERE what LIKE 'hook:%' AND detail != ''").fetchall()
    assert awaitscope("check", trace).status == 1


@kernel
def test_recording_ends_where_it_is_told_to(make_notebook, load, report, tmp_path):
    ended, cells = execute(make_notebook("own", load, BEFORE, "%load_ext awaitscope", "%unload_ext awaitscope", BLOCKS,
                                         "%awaitscope report", "%load_ext awaitscope"))
    trace = closed(tmp_path)
    assert "already loaded" in shown(cells[2]) and "The recording has ended" in shown(cells[3])
    assert shown(cells[4]) == "[19, None]\n"
    assert shown(cells[5]).startswith("UsageError: the recording has ended") and str(trace) in shown(cells[5])
    assert shown(cells[6]).startswith("UsageError: a process is recorded once: restart the kernel")
    told = report(trace)
    assert [(cell["execution_count"], cell["status"]) for cell in told["cells"]] == [(n, "ok") for n in (1, 2, 3, 4)]


@kernel
def test_killed_kernel_leaves_its_trace(make_notebook, load, report, tmp_path):
    ended, cells = execute(make_notebook("own", load, "import asyncio, time\n" + BLOCKS,
                                         "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    trace = closed(tmp_path)
    told = report(trace)
    assert findings(told) == {("AS101", "error", 2, 3)}
    assert [cell["execution_count"] for cell in told["cells"]] == [1, 2, 3]


@kernel
def test_beside_run_the_run_records(awaitscope, load, report, tmp_path):
    script = tmp_path / "script.py"
    cells = [*(f"get_ipython().run_{line}" for line in ("line_magic('load_ext', 'awaitscope')", "line_magic('awaitscope', 'report')")),
             "import asyncio, time\n" + BLOCKS]
    script.write_text(f"import sys; sys.path.append({str(MODULES)!r})\n" + "\n".join(f"# %%\n{cell}" for cell in cells))
    ended = awaitscope("run", "-o", "run.db", "--cells", script)
    assert ended.status == 0 and "held the loop for" in ended.err, ended
    assert [path.name for path in tmp_path.glob("*.db")] == ["run.db"]


@pytest.mark.parametrize("python", [one for one in interpreters.traced() if one.has("IPython")], ids=str)
def test_ipython_in_a_terminal_shows_the_text(python, load, report, tmp_path):
    typed = [*load.splitlines(), "import asyncio, time", "async def bad(): time.sleep(0.2)", "await bad()", "%awaitscope report", "exit"]
    (tmp_path / "typed").write_text("\n".join(typed) + "\n")
    with open(tmp_path / "typed", encoding="utf-8") as stdin:
        ended = run_program([python.path, "-m", "IPython", "--simple-prompt", "--colors=NoColor"], tmp_path, stdin=stdin,
                            env={**os.environ, "IPYTHONDIR": str(tmp_path)})
    assert "In [5] held the loop for" in ended.out and "Findings, what to mend first: 1 error" in ended.out, ended
    assert findings(report(closed(tmp_path))) == {("AS101", "error", 5, 1)}


@pytest.mark.parametrize("python", interpreters.traced(), ids=str)
def test_every_interpreter_records_itself(python, report, tmp_path):
    if python.path.startswith(interpreters.SUITES):
        pytest.skip("it runs in a root of its own, where the recorder is not")
    ended = run_program([python.path, TARGET, MODULES, "", "report", "stop"], tmp_path)
    assert ended.status == 0 and not ended.err, ended
    assert ended.out.count("held the loop for") >= 2 and "AS101" in ended.out and ended.out.endswith("no child of ours\n"), ended
    trace = closed(tmp_path)
    told = report(trace)
    assert {(f["rule"], f["function"]) for f in told["findings"]} >= {("AS101", "bad"), ("AS201", "start")}
    assert not [f for f in told["findings"] if f["severity"] == "error" and f["function"] != "bad"]  # none is about our own waiting
    assert told["trace"]["processes"][0]["python"] == python.version
    with sqlite3.connect(trace) as sql:
        assert not sql.execute("SELECT what, detail FROM coverage WHERE what LIKE 'hook:%' AND detail != ''").fetchall()


@pytest.mark.parametrize("python", [one for one in interpreters.refused() if not one.version.startswith("2.")], ids=str)
def test_other_interpreters_are_refused_in_one_line(python, tmp_path):
    program = f"import sys; sys.path.append({str(MODULES)!r})\ntry: import awaitscope\nexcept BaseException as e: print(e)"
    ended = run_program([python.path, "-c", program], tmp_path)
    assert ended.status == 0 and ended.out.startswith(("awaitscope records CPython 3.8 to 3.14", "No module named")), ended


def test_program_goes_on_where_its_recorder_died(tmp_path):
    """SIGKILL to the recorder: the magic says so in a line, with what to do."""
    program = TARGET.read_text().replace("    early.cancel()", f"""
    import signal
    sys.path.append({str(Path(__file__).parent)!r})
    from recorders import recorders
    recorder, = recorders(os.getpid())
    os.kill(recorder, signal.SIGKILL)
    while recorders(os.getpid()):
        time.sleep(0.01)
    try:
        shell.magic("report")
    except Exception as e:
        print(e)
    early.cancel()""")
    ended = run_program([interpreters.DEBIAN, "-B", "-c", program, MODULES], tmp_path)
    assert ended.status == 0 and re.search(r"\nthe recorder does not answer \(.+\); what it recorded: awaitscope report /", ended.out), \
        ended
    closed(tmp_path, complete=False)


def test_folder_without_room_is_refused(tmp_path):
    if os.geteuid():
        pytest.skip("needs root, to be somebody else")
    program, modules = TARGET.read_text(), program_for_all().resolve().parent.parent / MODULES.relative_to(PROGRAM.resolve().parent.parent)
    ended = run_program([interpreters.DEBIAN, "-c", program, modules], "/", user=65534, env={"PATH": "/usr/bin:/bin"})
    assert "cannot be written into /: Permission denied; os.chdir()" in ended.err.splitlines()[-1], ended
