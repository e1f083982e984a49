#!/usr/bin/env python3
"""Checks the columns of probe/target/layout.def against interpreters, or writes them.

    scripts/gen_layout.py [--write] [PYTHON...]

Each interpreter with debug information tells its whole column (probe/target/dwarf.def says how members are called there), and
one that publishes _Py_DebugOffsets (3.13+) what it publishes. Without arguments: every interpreter that the tests find. Needs a
build of the tests (scripts/build.sh test). Status 1: a column differs, or a member has no line in dwarf.def. --write puts what was
found into layout.def."""
import json
import os
import re
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parents[1]
PEEK = Path(os.environ.get("AWAITSCOPE", TOP / "build-test/bin/awaitscope")).parents[1] / "tests/peek"
LAYOUT = TOP / "probe/target/layout.def"
DWARF = TOP / "probe/target/dwarf.def"
FIRST = 8
ASK = r"""
import sys, sysconfig, _asyncio
parts = [sysconfig.get_config_var(name) or "" for name in ("LIBDIR", "INSTSONAME")]
linked = "/libpython" in open("/proc/self/maps").read()
print(sys.version_info[1], "/".join(parts) if linked else sys.executable, getattr(_asyncio, "__file__", sys.executable), sep="\n")
"""
IDLE = "import asyncio, sys; print(flush=True); sys.stdin.read()"
# A PyDictValues of 3.8 to 3.10 is a plain array of pointers.
NOT_IN_DWARF = {("values.first", minor) for minor in (8, 9, 10)}


def columns():
    """{member: [offset or None of each version]} of layout.def."""
    found = {}
    for line in LAYOUT.read_text().splitlines():
        match = re.match(r"MEMBER\((\w+),\s*(\w+),((?:\s*\w+,){7})", line)
        if match:
            cells = match[3].replace(" ", "").strip(",").split(",")
            found[f"{match[1]}.{match[2]}"] = [None if cell == "NONE" else int(cell) for cell in cells]
    return found


def lines_missing(table):
    """Members that dwarf.def does not name in a version that has them."""
    named = set()
    for structure, member, first, last in re.findall(r"^DWARF\((\w+),\s*(\w+),\s*(\d+),\s*(\d+)", DWARF.read_text(), re.M):
        named |= {(f"{structure}.{member}", minor) for minor in range(int(first), int(last) + 1)}
    return [f"{member} of 3.{minor}" for member, cells in table.items() for minor, cell in enumerate(cells, FIRST)
            if cell is not None and (member, minor) not in named | NOT_IN_DWARF]


def peek(*argv):
    """The answer, or None where the interpreter has no such source."""
    told = subprocess.run([PEEK, *map(str, argv)], capture_output=True, text=True)
    return json.loads(told.stdout) if told.returncode == 0 else None


def published(python):
    child = subprocess.Popen([python, "-c", IDLE], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    told = peek("--layout=published", "target", child.pid)
    child.communicate()
    return told and told["layout"]


def sources(python):
    """(its minor version, [(what told, {member: offset})])"""
    minor, library, asyncio = subprocess.run([python, "-c", ASK], capture_output=True, text=True, check=True).stdout.split("\n")[:3]
    told = [("debug information", peek("dwarf", minor, library, asyncio)), ("debug offsets", published(python))]
    return int(minor), [(what, layout) for what, layout in told if layout]


def write(member, minor, offset):
    text = LAYOUT.read_text()
    structure, name = member.split(".")

    def change(match):
        cells = re.findall(r"\s*\w+,", match[2])
        width = len(cells[minor - FIRST])
        cells[minor - FIRST] = f"{offset},".rjust(width)
        return match[1] + "".join(cells)

    text = re.sub(rf"^(MEMBER\({structure},\s*{name},)((?:\s*\w+,){{7}})", change, text, flags=re.M)
    LAYOUT.write_text(text)


def found_here():
    sys.path.insert(0, str(TOP / "tests/live"))
    from interpreters import traced
    return [one.path for one in traced()]


def main(argv):
    writes = "--write" in argv
    table = columns()
    wrong = [f"dwarf.def has no line for {missing}" for missing in lines_missing(table)]
    for python in [arg for arg in argv if arg != "--write"] or found_here():
        minor, told = sources(python)
        print(f"{python}: 3.{minor}, {' and '.join(what for what, _ in told) or 'neither debug information nor debug offsets'}")
        for what, layout in told:
            for member, cells in table.items():
                offset, shipped = layout[member], cells[minor - FIRST]
                if offset == 0xffff and (shipped is None or what == "debug offsets" or (member, minor) in NOT_IN_DWARF):
                    continue
                if offset == shipped:
                    continue
                if writes and offset != 0xffff:
                    write(member, minor, offset)
                    print(f"{member} of 3.{minor}: {offset} by {what} instead of {shipped}")
                else:
                    wrong.append(f"{member} of 3.{minor}: {shipped} in layout.def, {offset} by {what} of {python}")
    print(*wrong, sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
