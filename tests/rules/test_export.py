"""`awaitscope export`: what each tool's own parser would require of a file, on a trace with hostile names."""
import json
import re
import subprocess

import pytest

from trace_maker import APP, MS, PROGRAM, Trace, cell_file

EVIL = 'a;b "c" \\ d\n\x1b[31m e{}=\u202e'
SOURCE = "await fetch()"


def export(form, trace, *arguments):
    done = subprocess.run([PROGRAM, "export", "--format", form, *arguments, trace], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode()


@pytest.fixture
def trace(tmp_path):
    t = Trace(tmp_path / "t.db", kernel=True)
    cell = t.cell(900, 2000, SOURCE)
    task = t.task(EVIL, cell, created=950, ended=1400)
    t.step(task, 1000, 201, cell)
    t.block(1000, 200, cell=cell, call=EVIL, frames=[(cell_file(SOURCE), 1, "fetch")])
    t.add("gc", process=1, thread=1, cell=cell, begin_ns=1300 * MS, duration_ns=5 * MS, cpu_ns=5 * MS, generation=2, collected=9)
    for n in range(10):
        stack = t.stack((APP, 3 + n % 2, EVIL), (APP, 9, "main"))
        t.add("sample", process=1, thread=1, begin_ns=1000 * MS, time_ns=(1000 + 20 * n) * MS, duration_ns=20 * MS, kind="python",
              state="R", stack=stack, file=APP, line=3, function=EVIL)
    t.sql.execute("UPDATE thread SET name = ?", (EVIL,))
    t.sql.commit()
    return t.path


def test_perfetto(trace):
    log = json.loads(export("perfetto", trace))
    slices = [e for e in log["traceEvents"] if e["ph"] == "X"]
    assert {e["ph"] for e in log["traceEvents"]} == {"M", "X", "b", "e"}
    for e in log["traceEvents"]:
        assert isinstance(e["pid"], int) and e["name"] and (e["ph"] == "M" or e["ts"] >= 0)
    assert {(e["cat"], e["ts"], e["dur"]) for e in slices} == {
        ("cell", 900_000, 1_100_000), ("loop", 1_000_000, 201_000), ("step", 1_000_000, 201_000), ("blocking", 1_000_000, 200_000),
        ("gc", 1_300_000, 5_000)}
    assert next(e for e in slices if e["cat"] == "loop")["args"] == {"blocked:sleep": 200_000, "cpu": 1_000}
    assert [(e["ph"], e["ts"], e["name"]) for e in log["traceEvents"] if e["ph"] in "be"] == [("b", 950_000, EVIL), ("e", 1_400_000, EVIL)]


def test_speedscope(trace):
    log = json.loads(export("speedscope", trace))
    assert log["$schema"] == "https://www.speedscope.app/file-format-schema.json"
    frames = log["shared"]["frames"]
    assert all(set(f) == {"name", "file", "line"} and f["name"] for f in frames) and len(frames) == 3
    profile, = log["profiles"]
    assert (profile["type"], profile["unit"], profile["startValue"], profile["name"]) == ("sampled", "nanoseconds", 0, EVIL)
    assert len(profile["samples"]) == len(profile["weights"]) == 10 and sum(profile["weights"]) == profile["endValue"] == 200 * MS
    assert all(0 <= i < len(frames) for sample in profile["samples"] for i in sample)
    assert [frames[i]["name"] for i in profile["samples"][0]] == ["main", EVIL] and frames[profile["samples"][1][1]]["line"] == 4


def test_folded(trace):
    lines = export("folded", trace).splitlines()
    weights = [re.fullmatch(r"([^;\x00-\x1f]+;){2}[^;\x00-\x1f]+ (\d+)", line) for line in lines]
    assert len(lines) >= 2 and all(weights) and sum(int(w[2]) for w in weights) == 200_000


def test_prometheus(trace):
    name, value = "[a-zA-Z_:][a-zA-Z0-9_:]*", r"[-+]?(\d+(\.\d*)?([eE][-+]?\d+)?)"
    label = rf'{name}="(?:[^"\\\n]|\\["\\n])*"'
    families, seen = {}, set()
    for line in export("prometheus", trace).removesuffix("\n").split("\n"):
        if line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family not in families and kind in ("counter", "gauge")
            families[family] = kind
        elif not line.startswith("# HELP "):
            match = re.fullmatch(rf"({name})(\{{{label}(,{label})*\}})? {value}", line)
            assert match and match[1] in families and (match[1], match[2]) not in seen, line
            seen.add((match[1], match[2]))
    assert all(kind == "counter" or not family.endswith("_total") for family, kind in families.items())
    assert "awaitscope_trace_duration_seconds 60\n" in export("prometheus", trace)


@pytest.mark.parametrize("form", ["perfetto", "speedscope", "folded", "prometheus"])
def test_an_empty_trace_has_every_form(tmp_path, form):
    t = Trace(tmp_path / "t.db")
    for table in ("loop", "thread", "process", "coverage", "meta"):
        t.sql.execute(f"DELETE FROM {table}")
    t.sql.commit()
    text = export(form, t.path)
    assert form in ("folded", "prometheus") or json.loads(text)
    file = tmp_path / "out"
    export(form, t.path, "-o", str(file))
    assert file.read_text() == text and file.stat().st_mode & 0o777 == 0o600


def test_wrong_usage_is_2_and_one_line(tmp_path, trace):
    for arguments in ([trace], ["--format", "svg", trace], ["--format", "folded"], ["--format", "folded", trace, trace], ["--format"],
                      ["--format", "folded", "/nowhere.db"], ["--format", "folded", "-o", trace, trace], ["--format", "folded", __file__],
                      ["--format", "folded", "-o", "/nowhere/x", trace], ["--format", "perfetto", "-o", "/dev/full", trace], ["--nope"]):
        done = subprocess.run([PROGRAM, "export", *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1, arguments
    help = subprocess.run([PROGRAM, "export", "--help"], capture_output=True, text=True)
    assert help.returncode == 0 and "Example:" in help.stdout
