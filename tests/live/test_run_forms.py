"""The ways a program comes to run Python: each is traced, in the process that runs the loop, with the line that blocks."""
import sqlite3
import sys

import pytest

PROGRAM = """
import asyncio, time

async def work():
    time.sleep(0.15)

def main():
    asyncio.run(work())
"""
CELL = "import time\nasync def work():\n    time.sleep(0.15)\nawait work()"
PYTHON = sys.executable

FORMS = {
    "script": [PYTHON, "run.py"],
    "module": [PYTHON, "-m", "app"],
    "text": [PYTHON, "-c", "import app; app.main()"],
    "isolated": [PYTHON, "-I", "-S", "run.py"],
    "stdin": [PYTHON, "-"],
    "pytest": [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_app.py"],
    "child": ["sh", "-c", f"true; {PYTHON} run.py; true"],
    "child of python": [PYTHON, "-c", f"import subprocess; subprocess.run([{PYTHON!r}, 'run.py'])"],
    "forked child": [PYTHON, "-c", "import os, app, asyncio\nif os.fork() == 0: app.main()\nelse: os.wait()"],
    "multiprocessing": [PYTHON, "-c", "import app, multiprocessing as m\n"
                        "if __name__ == '__main__': p = m.get_context('spawn').Process(target=app.main); p.start(); p.join()"],
    "jupyter execute": ["/usr/bin/jupyter", "execute", "cells.ipynb"],
    "jupyter nbconvert": ["/usr/bin/jupyter", "nbconvert", "--execute", "--to", "notebook", "--stdout", "cells.ipynb"],
}


@pytest.mark.parametrize("form", FORMS)
def test_form_is_traced(form, awaitscope, report, make_notebook, tmp_path):
    (tmp_path / "app.py").write_text(PROGRAM + "if __name__ == '__main__':\n    main()\n")
    (tmp_path / "run.py").write_text(PROGRAM + "main()\n")
    (tmp_path / "test_app.py").write_text(PROGRAM.replace("main", "test_main"))
    make_notebook("cells", CELL)
    with open(tmp_path / "run.py") as program:
        ended = awaitscope("run", "-o", "trace.db", "--", *FORMS[form], **({"stdin": program} if form == "stdin" else {}))
    assert ended.status == 0, ended
    with sqlite3.connect(tmp_path / "trace.db") as sql:
        sleeps = sql.execute("SELECT call, function, duration_ns / 1e6 FROM blocking_call WHERE class = 'sleep'").fetchall()
    # of who runs the notebook others may be long, too, where the machine is busy
    assert [function for call, function, ms in sleeps if ms > 145 and function == "work"] == ["work"], (sleeps, ended)
    if form != "stdin":  # whose source nobody can read again
        assert [call for call, function, ms in sleeps if function == "work"] == ["time.sleep(0.15)"]
    told = report("trace.db")
    assert " in work, " in told["verdict"], told["verdict"]
    rules = {finding["rule"] for finding in told["findings"]} - {"AS111"}  # that the machine is busy
    assert rules == {"AS101"}, told["findings"]  # and none of who runs the notebook
