"""Repeats of one program are no change; 200 ms of blocking more is found each time, wherever it was added."""
import json

import pytest

PROGRAM = """
import asyncio, subprocess, time

def crunch(n):
    return sum(i * i for i in range(n))

async def ticker():
    for _ in range(20):
        await asyncio.sleep(0.01)

async def fetch(i):
    await asyncio.sleep(0.02)
    crunch(100_000)

async def slow():
    time.sleep(0.15){slow}

async def main():
    task = asyncio.create_task(ticker())
    await asyncio.gather(*(fetch(i) for i in range(5)))
    await slow()
    subprocess.run(["sleep", "0.1"]){main}
    await task

asyncio.run(main())
"""
CELLS = ["import asyncio, time", "async def fetch(i):\n    await asyncio.sleep(0.02)\n\nawait asyncio.gather(*(fetch(i) for i in range(5)))",
         "x = sum(i * i for i in range(1_000_000))", "async def slow():\n    time.sleep(0.12)\n\nawait asyncio.gather(slow(), fetch(1))"]


@pytest.fixture
def changes(awaitscope):
    def compare(old, new):
        ended = awaitscope("diff", "--format", "json", old, new)
        told = json.loads(ended.out)
        assert ended.status == (1 if told["worse"] else 0), ended
        return {(c["change"], c["rule"] or c["measure"], c["where"]) for c in told["changes"] if c["change"] in ("worse", "better")}
    return compare


def test_repeats_and_added_blocks_of_a_program(awaitscope, changes, tmp_path):
    def run(name, **added):
        (tmp_path / "app.py").write_text(PROGRAM.format(**{"slow": "", "main": "", **added}))
        assert awaitscope("run", "-q", "-o", name, "--", "/usr/bin/python3", "app.py").status == 0
        return name
    first = run("0.db")
    for n in range(1, 3):
        assert changes(first, run(f"{n}.db")) == set()
    for n, (where, rule) in enumerate([("slow", "AS101"), ("main", "AS101"), ("main", "AS105"), ("main", "AS108")]):
        what = {"AS101": "time.sleep(0.2)", "AS105": "subprocess.run(['sleep', '0.2'])", "AS108": (
            "end = time.thread_time() + 0.2\n    while time.thread_time() < end: pass")}[rule]
        found = changes(first, run(f"{where}-{rule}.db", **{where: "\n    " + what}))
        assert ("worse", rule, "app.py") in found and not [c for c in found if c[0] == "better"]


def test_repeats_and_added_blocks_of_a_notebook(awaitscope, changes, make_notebook):
    def run(name, cells):
        make_notebook("nb", *cells)
        assert awaitscope("run", "-q", "-o", name, "nb.ipynb").status == 0
        return name
    first = run("0.db", CELLS)
    assert changes(first, run("1.db", CELLS)) == set()
    edited = CELLS[:2] + [CELLS[2] + "\ntime.sleep(0.2)"] + CELLS[3:]
    assert changes(first, run("edited.db", edited)) == {("worse", "AS101", "In [3]"), ("worse", "blocked:sleep", "In [3]")}
