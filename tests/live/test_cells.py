"""Which cell did it: what runs long after, or in another thread, is of the cell whose code asked for it."""
import os
import sqlite3
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(subprocess.run([sys.executable, "-c", "import ipykernel, nbclient"], capture_output=True).returncode != 0,
                                reason="ipykernel or nbclient is not installed")


def rows(path, query):
    with sqlite3.connect(path) as sql:
        return sql.execute(query).fetchall()


def blocks(path, above_ms=25):
    """(cell, line, call, ms) of each long call, by its length, shortest first."""
    return rows(path, "SELECT c.idx, b.line, b.call, b.duration_ns / 1e6 FROM blocking_call b LEFT JOIN cell c ON c.id = b.cell"
                      f" WHERE b.duration_ns > {above_ms}e6 AND b.class = 'sleep' ORDER BY b.duration_ns")


CALLBACKS = [
    """import asyncio, functools, os, signal, threading, time
loop = asyncio.get_running_loop()
ran = []
def block(ms, *rest):
    time.sleep(ms / 1000)
    ran.append(ms)
async def until(*all):
    while not set(all) <= set(ran): await asyncio.sleep(0.01)
async def waits(): await asyncio.sleep(30)
def spawn(): ran.append(asyncio.ensure_future(waits()))
future = loop.create_future()
reader, writer = os.pipe()
other = asyncio.new_event_loop()
threading.Thread(target=other.run_forever, daemon=True).start()""",
    "loop.call_soon(block, 30)\nloop.call_later(0.01, block, 40)\nfuture.add_done_callback(functools.partial(block, 50))",
    "loop.add_reader(reader, lambda: (loop.remove_reader(reader), block(60)))\nloop.add_signal_handler(signal.SIGUSR1, block, 70)",
    "os.write(writer, b'x'); os.kill(os.getpid(), signal.SIGUSR1); future.set_result(1)\nawait until(30, 40, 50, 60, 70)",
    "threading.Thread(target=lambda: loop.call_soon_threadsafe(block, 80)).start(); loop.call_soon(spawn)\n"
    "asyncio.run_coroutine_threadsafe(waits(), other)\nawait until(80)",
    "loop.call_soon(time.sleep, 0.09)\nloop.call_later(0.01, time.sleep, 0.1)\nloop.call_later(0.2, block, 1)\nawait until(1)",
    "loop.call_soon(until)\nthreading.Timer(0.01, loop.call_soon_threadsafe, (block, 110)).start()\nawait until(110)",
]


def test_callbacks_are_of_the_cell_that_asked_for_them(awaitscope, make_notebook, report, tmp_path):
    make_notebook("nb", *CALLBACKS)
    ended = awaitscope("run", "-o", "t.db", "--sensor", "agent", "nb.ipynb")
    assert ended.status == 0, ended
    told = blocks(tmp_path / "t.db")
    assert sorted((cell, line) for cell, line, *_ in told) == [(1, 5), (1, 5), (1, 5), (2, 5), (2, 5), (4, 5), (5, 1), (5, 2), (6, 5)], told
    # which of them: by their lengths in sum, since on a busy machine any may be longer than the next
    slept = {cell: sum(ms for c, _, _, ms in told if c == cell) for cell in (1, 2, 4)}
    assert slept[1] > 115 and slept[2] > 125 and slept[4] > 75, told
    assert [call for *at, call, _ in told if at == [5, 2]][0].startswith("loop.call_later(0.01, time.sleep, 0.1"), told
    assert rows(tmp_path / "t.db", "SELECT c.idx, a.coro FROM anomaly a JOIN cell c ON c.id = a.cell") == [(6, "until")]
    made = rows(tmp_path / "t.db", "SELECT c.idx, t.user FROM task t JOIN cell c ON c.id = t.cell WHERE t.coro = 'waits'")
    refused = rows(tmp_path / "t.db", "SELECT what, detail FROM coverage WHERE what LIKE 'hook:%Handle%' AND sensor = 'refused'")
    assert made == [(4, 1), (4, 1)] and not refused, (made, refused)
    given = [one for one in report("t.db")["findings"] if one["rule"] == "AS101" and one["cell"] == 5]
    assert {one["line"] for one in given} == {1, 2} and not any("the loop itself" in one["message"] for one in given), given


MADE = [
    "import time\ndef helper(ms):\n    exec(f'time.sleep({ms} / 1000)')\ncode = compile('\\n\\ntime.sleep(0.04)', '<string>', 'exec')",
    "x = 1\nexec(code)",
    "helper(50)",
    "exec(compile('def burn():\\n    end = time.thread_time() + 0.4\\n    while time.thread_time() < end: pass', '<string>', 'exec'))",
    "async def main():\n    burn()\nawait main()",
]


def test_code_that_exec_made_names_its_caller(awaitscope, make_notebook, report):
    make_notebook("nb", *MADE)
    ended = awaitscope("run", "-o", "t.db", "--sensor", "agent", "nb.ipynb")
    assert ended.status == 0, ended
    said = {one["cell"]: one["message"] for one in report("t.db")["findings"] if one["rule"] in ("AS101", "AS108")}
    assert said[1].startswith("<string>:3, called from In [2]:2: "), said
    assert said[2].startswith("<string>:1, called from In [1]:3, for In [3]: "), said
    assert said[4].startswith("<string>:3, in burn, called from In [5]:2: the cell's own code computed for at least "), said


TYPED = ["import asyncio, time", "def block(ms): time.sleep(ms / 1000)", "async def main(): block(30)", "await main()", "await main()", "exit"]


def test_a_shell_in_a_terminal_has_cells(awaitscope, tmp_path):
    (tmp_path / "typed").write_text("\n".join(TYPED) + "\n")
    with open(tmp_path / "typed") as typed:
        ended = awaitscope("run", "-o", "t.db", "--sensor", "agent", "--", "/usr/bin/python3", "-m", "IPython", "--simple-prompt", stdin=typed,
                           env=dict(os.environ, IPYTHONDIR=str(tmp_path / "ipython"), TERM="dumb"))
    assert ended.status == 0, ended
    cells = rows(tmp_path / "t.db", "SELECT execution_count, trim(source, char(10)) FROM cell ORDER BY idx")
    assert cells == list(enumerate(TYPED, 1)), cells
    blocked = rows(tmp_path / "t.db", "SELECT c.execution_count, h.execution_count, b.line, b.call FROM blocking_call b JOIN cell c ON c.id = b.cell"
                                      " JOIN cell h ON h.filename = b.file WHERE b.class = 'sleep' ORDER BY b.begin_ns")
    assert blocked == [(4, 2, 1, "time.sleep(ms / 1000)"), (5, 2, 1, "time.sleep(ms / 1000)")], blocked
