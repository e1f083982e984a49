"""A program gives the same outputs with and without awaitscope: every corpus case, executed plainly and traced.

What two plain runs of one notebook may differ in is taken out first, and nothing else; each rule says why."""
import json
import re
import subprocess
import sys

import pytest

from conftest import PLAIN, PROGRAM, TOP, run_program
from to_ipynb import convert

CORPUS = TOP / "tests/corpus"
CASES = sorted(path.stem for path in CORPUS.glob("*.json"))

NORMAL = [
    # a cell's file is named after its kernel's pid and its source: /tmp/ipykernel_PID/HASH.py
    (re.compile(r"ipykernel_\d+/"), "ipykernel_PID/"),
    # repr() of an object without one of its own tells where it lies
    (re.compile(r"\b0x[0-9a-f]{6,16}\b"), "0xADDRESS"),
    # and ctypes tells a pointer in decimal
    (re.compile(r"\b1[34]\d{13}\b"), "ADDRESS"),
    # tempfile's names are random
    (re.compile(r"/tmp/tmp[a-z0-9_]{8}"), "/tmp/TEMP"),
]
NORMAL_IN = {
    # counts how far it gets in a given time
    "cpu_starved": [(re.compile(r"\[None, \d+\]"), "[None, COUNT]")],
}


def outputs_of(path, case):
    """Outputs a cell: what was printed, by stream (two streams race, and arrive in pieces of any size), and the rest in order."""
    told = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        streams, others = {}, []
        for output in cell["outputs"]:
            if output["output_type"] == "stream":
                streams[output["name"]] = streams.get(output["name"], "") + "".join(output["text"])
            else:
                others.append(output)
        text = json.dumps([cell["execution_count"], streams, others], indent=1, sort_keys=True)
        for pattern, same in NORMAL + NORMAL_IN.get(case, []):
            text = pattern.sub(same, text)
        told.append(text)
    return told


@pytest.mark.parametrize("case", CASES)
def test_same_output(case, tmp_path):
    label = json.loads((CORPUS / f"{case}.json").read_text(encoding="utf-8"))
    folders = {}
    for kind in "plain", "traced":
        folders[kind] = tmp_path / kind
        folders[kind].mkdir()
        convert(str(CORPUS / f"{case}.py"), str(folders[kind] / f"{case}.ipynb"))

    # One beside the other: only what they print is compared, not when.
    plain = subprocess.Popen([sys.executable, "-c", PLAIN, f"{case}.ipynb", "done.ipynb",
                              "allow" if label["allow_errors"] else "stop"],
                             cwd=folders["plain"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        argv = [PROGRAM, "run", "-o", "trace.db", "--output", "done.ipynb"]
        argv += ["--allow-errors"] if label["allow_errors"] else []
        traced = run_program([*argv, f"{case}.ipynb"], cwd=folders["traced"], timeout=120)
    finally:
        _, said = plain.communicate(timeout=120)
    assert plain.returncode == 0, said
    assert traced.status == 0, traced
    assert outputs_of(folders["traced"] / "done.ipynb", case) == outputs_of(folders["plain"] / "done.ipynb", case)
