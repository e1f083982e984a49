"""What is installed works from where it lands: the Debian package, unpacked somewhere, and bash's completion in it."""
import os
import re

from conftest import PROGRAM, run_program
from interpreters import DEBIAN

COMPLETE = """\
. "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_awaitscope
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_the_package_runs_and_completes(tmp_path):
    made = run_program(["cpack", "-B", tmp_path, "--config", PROGRAM.parents[1] / "CPackConfig.cmake"], cwd=tmp_path, timeout=120)
    assert made.status == 0, made
    package, = tmp_path.glob("awaitscope_*.deb")
    depends = run_program(["dpkg-deb", "-f", package, "Depends"], cwd=tmp_path).out
    assert {"libsqlite3-0", "libjansson4"} <= set(re.findall(r"[a-z0-9.+-]+(?= \()", depends)), depends
    assert run_program(["dpkg-deb", "-x", package, tmp_path / "root"], cwd=tmp_path).status == 0
    program = tmp_path / "root/usr/bin/awaitscope"

    (tmp_path / "app.py").write_text("import asyncio, time\n\nasync def main():\n    time.sleep(0.15)\n\nasyncio.run(main())\n")
    ended = run_program([program, "run", "-o", "t.db", "--", DEBIAN, "app.py"], cwd=tmp_path)
    assert ended.status == 0 and "time.sleep(0.15) in main, app.py:4" in ended.err, ended

    def complete(*words):
        ended = run_program(["bash", "-c", COMPLETE, "bash", tmp_path / "root/usr/share/bash-completion/completions/awaitscope", *words],
                            cwd=tmp_path, env={**os.environ, "PATH": f"{program.parent}:/usr/bin:/bin"})
        return ended.out.split()

    told = run_program([program, "--help"], cwd=tmp_path).out
    commands = re.findall(r"^  ([a-z]+) {2,}\S", told, re.M)
    assert set(complete("awaitscope", "")) == {*commands, "--help", "--version"}
    assert complete("awaitscope", "ch") == ["check"]
    assert set(complete("awaitscope", "check", "--")) >= {"--fail-on", "--baseline", "--junit", "--help"}
    assert complete("awaitscope", "rules", "AS101") == ["AS101"]
    assert complete("awaitscope", "report", "t.d") == ["t.db"]
