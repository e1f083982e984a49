"""awaitscope doctor: what can be done here and to that process, told so that it can be mended."""
import json
import os
import subprocess
import sys

import pytest

LOOP = "import asyncio\nasync def main():\n print(flush=True)\n await asyncio.sleep(1000)\nasyncio.run(main())"
NOBODY = 65534


@pytest.fixture
def loop():
    child = subprocess.Popen(["/usr/bin/python3", "-c", LOOP], stdout=subprocess.PIPE)
    child.stdout.readline()
    yield child
    child.kill()
    child.communicate()


def told(ended):
    return {feature["name"]: feature for feature in json.loads(ended.out)["features"]}


def test_every_answer_has_its_reason_and_what_mends_it(awaitscope):
    ended = awaitscope("doctor", "--format", "json")
    assert ended.status == 0 and not ended.err, ended
    report = json.loads(ended.out)
    assert report["pid"] is None and report["awaitscope"] and isinstance(report["attach"], bool)
    assert {"kernel", "privileges", "BTF", "BPF programs", "uprobes", "tracepoints", "CPU samples", "reading processes",
            "process ids", "agent"} <= set(told(ended))
    assert all(feature["found"] and feature["answer"] in ("yes", "partly", "no") for feature in report["features"])
    assert all(feature["mend"] for feature in report["features"] if feature["answer"] == "no" and feature["scope"] == "system"
               and feature["name"] != "architecture")
    assert report["attach"] == all(feature["answer"] != "no" for feature in report["features"] if feature["needed"])
    text = awaitscope("doctor")
    assert text.status == 0 and report["verdict"] in text.out
    assert all(feature["found"] in text.out for feature in report["features"])


def test_a_process_with_a_loop_is_told_in_full(awaitscope, loop):
    ended = awaitscope("doctor", "--format", "json", str(loop.pid))
    report, features = json.loads(ended.out), told(ended)
    assert ended.status == (0 if report["attach"] else 3), ended
    assert features["interpreter" if os.geteuid() and "interpreter" in features else "process"]["answer"]
    if "layout" not in features:
        pytest.skip(features["interpreter"]["found"])
    assert f"Python 3.{sys.version_info[1]} " in features["layout"]["found"]
    assert features["event loops"]["found"].startswith("1 running in 1 thread")
    assert features["pending tasks"]["found"].startswith("1, ")
    assert features["task probes"]["answer"] == "yes", features["task probes"]
    assert "cells" not in features, "no kernel"


@pytest.mark.skipif(os.geteuid() != 0, reason="another user can only be had as root")
def test_without_privileges_it_tells_the_command_that_has_them(awaitscope, loop):
    ended = awaitscope("doctor", str(loop.pid), user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
    assert ended.status == 3, ended
    assert "awaitscope attach does not work on this process; it lacks: privileges" in ended.out
    assert f"doctor {loop.pid}" in ended.out and "mend: sudo -E " in ended.out and "setcap" in ended.out
    assert awaitscope("doctor", user=NOBODY, group=NOBODY, extra_groups=[], cwd="/").status == 0


def test_what_is_no_python_is_refused_with_its_reason(awaitscope):
    child = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE)
    ended = awaitscope("doctor", str(child.pid))
    child.communicate(b"")
    assert ended.status == 3 and "it runs no Python, or one older than 3.7" in ended.out


def test_wrong_words_are_told(awaitscope):
    child = subprocess.Popen(["/bin/true"])
    child.wait()
    for argv, status, says in [([str(child.pid)], 3, "there is no process"), (["x"], 2, "is no process id"), (["-1"], 2, "no such option"),
                               (["0"], 2, "is no process id"), (["--format", "xml"], 2, "text or json"), (["1", "2"], 2, "one process")]:
        ended = awaitscope("doctor", *argv)
        assert ended.status == status and says in ended.err and not ended.out, (argv, ended)
    assert awaitscope("doctor", "--help").status == 0


def test_attach_without_a_process_lists_those_there_are(awaitscope, loop):
    ended = awaitscope("attach")
    assert ended.status == 0, ended
    row, = [line for line in ended.out.splitlines() if line.split()[0] == str(loop.pid)]
    assert row.split()[2] == f"3.{sys.version_info[1]}" and row.endswith("main")
