"""What ARCHITECTURE.md promises about the tree and what is built from it, checked on the files themselves.

AWAITSCOPE_BUILD names the build folder (default: build-test); ctest sets it."""
import os
import re
import shutil
import sqlite3
import subprocess
import sysconfig
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("AWAITSCOPE_BUILD", TOP / "build-test"))
AGENT = BUILD / "lib/awaitscope/agent.so"
PRELOAD = BUILD / "lib/awaitscope/preload.so"
INSIDE = BUILD / "lib/awaitscope/python/awaitscope.abi3.so"
PROGRAM = BUILD / "bin/awaitscope"
FOLDERS = "probe", "collector", "viewer"
SOURCES = sorted(p for folder in FOLDERS for p in (TOP / folder).rglob("*") if p.suffix in (".c", ".h", ".def"))
HEADERS = [p for p in SOURCES if p.suffix == ".h" and not p.name.endswith(".bpf.h")]  # those are for the kernel's compiler

# A file whose path begins so may include "project" headers whose path begins so; the longest match counts.
MAY_INCLUDE = {
    "probe/base/": ["probe/base/"],
    "probe/preload/": ["probe/preload/", "probe/ring.h", "probe/python.h"],
    "probe/agent/": ["probe/agent/", "probe/target/", "probe/event.", "probe/kernel_event.def", "probe/ring.h", "probe/python.h", "probe/announce.h",
                     "probe/calls.def", "probe/audit.def"],
    "probe/inside/": ["probe/inside/", "probe/control.h", "probe/ring.h", "probe/python.h"],
    "probe/bpf/": ["probe/bpf/", "probe/part.def", "probe/event.", "probe/kernel_event.def", "probe/announce.h", "probe/ring.h", "probe/sampling.h", "probe/calls.def", "probe/syscalls.def", "probe/audit.def", "probe/target/constants.h", "probe/target/layout.",
                   "probe/target/points.h"],
    "probe/": ["probe/"],
    "collector/": ["collector/", "probe/"],
    "viewer/": ["viewer/", "probe/base/", "collector/schema.h"],
}


def name(path):
    return str(path.relative_to(TOP))


def output_of(*argv):
    return subprocess.run([str(a) for a in argv], check=True, capture_output=True, text=True).stdout


def symbols(path, *options):
    """{(letter, name)} as nm tells them; @VERSION stays on the name."""
    lines = (line.split() for line in output_of("nm", *options, path).splitlines())
    return {(words[-2], words[-1]) for words in lines if len(words) >= 2 and len(words[-2]) == 1}


@pytest.mark.parametrize("source", SOURCES, ids=name)
def test_arrows_only_go_right(source):
    folder = max((f for f in MAY_INCLUDE if name(source).startswith(f)), key=len)
    for included in re.findall(r'^\s*#\s*include\s+"([^"]+)"', source.read_text(), re.M):
        beside = source.parent / included
        wanted = name(beside) if "/" not in included and beside.exists() else included
        assert any(wanted.startswith(allowed) for allowed in MAY_INCLUDE[folder]), \
            f"{name(source)} may not include {included}: {folder} sees only {MAY_INCLUDE[folder]}"


@pytest.mark.parametrize("header", HEADERS, ids=name)
def test_header_compiles_alone(header):
    argv = ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Wno-unused-function",
            "-fsyntax-only", "-x", "c", "-I", TOP, "-I", BUILD / "generated",
            "-DPy_LIMITED_API=0x03080000", "-I", sysconfig.get_path("include"), "-include", header, os.devnull]
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True)
    assert done.returncode == 0 and not done.stderr, done.stderr


@pytest.mark.parametrize("left, right", [("probe/libbase.a", "collector/libcollector.a"), ("probe/libbase.a", "viewer/libviewer.a"),
                                         ("collector/libcollector.a", "viewer/libviewer.a"),
                                         ("viewer/libviewer.a", "collector/libcollector.a")])
def test_library_needs_nothing_of(left, right):
    needs = {symbol for letter, symbol in symbols(BUILD / left) if letter == "U"}
    offers = {symbol for letter, symbol in symbols(BUILD / right, "--defined-only", "--extern-only")}
    assert not needs & offers


def test_no_name_is_defined_in_two_libraries():
    libraries = [{symbol for letter, symbol in symbols(BUILD / library, "--defined-only", "--extern-only")}
                 for library in ("probe/libbase.a", "collector/libcollector.a", "viewer/libviewer.a")]
    assert not libraries[0] & libraries[1] | libraries[0] & libraries[2] | libraries[1] & libraries[2]


@pytest.mark.parametrize("guest", [AGENT, INSIDE], ids=lambda path: path.name)
def test_guest_leaves_no_name_of_its_own_open(guest):
    """A shared object links with undefined names, and then does not load."""
    imports = {symbol for letter, symbol in symbols(guest, "-D", "--undefined-only") if letter == "U"}
    assert not {symbol for symbol in imports if "@" not in symbol and not re.match(r"_?Py", symbol)}


@pytest.mark.parametrize("guest", [AGENT, INSIDE], ids=lambda path: path.name)
def test_guest_imports_limited_api_only(guest):
    allowed = set((Path(__file__).parent / "limited_api_3_8.txt").read_text().split("\n"))
    imports = {symbol.split("@")[0] for letter, symbol in symbols(guest, "-D") if letter == "U"}
    assert {symbol for symbol in imports if re.match(r"_?Py", symbol)} <= allowed


def test_agent_asks_for_no_pending_call():
    """Py_AddPendingCall() takes a lock that the thread in hand may hold."""
    assert "Py_AddPendingCall" not in {symbol.split("@")[0] for letter, symbol in symbols(AGENT, "-D")}


@pytest.mark.parametrize("guest", [AGENT, INSIDE], ids=lambda path: path.name)
def test_guest_links_no_python(guest):
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", output_of("readelf", "-dW", guest))
    assert set(needed) <= {"libc.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libm.so.6"}


def test_agent_exports_its_doors_only():
    exports = {symbol for letter, symbol in symbols(AGENT, "-D", "--defined-only")}
    assert exports <= {"awaitscope_agent_open", "awaitscope_agent_audit", "awaitscope_agent_announce",
                       "awaitscope_agent_begin", "awaitscope_agent_rest"}


@pytest.mark.parametrize("guest", [AGENT, PRELOAD], ids=lambda path: path.name)
def test_guest_needs_no_new_glibc(guest):
    versions = re.findall(r"\bGLIBC_(\d+)\.(\d+)", output_of("readelf", "-VW", guest))
    assert all((int(major), int(minor)) <= (2, 17) for major, minor in versions), sorted(set(versions))


def test_module_exports_its_door_only():
    assert {symbol for letter, symbol in symbols(INSIDE, "-D", "--defined-only")} == {"PyInit_awaitscope"}


@pytest.mark.parametrize("guest", [AGENT, PRELOAD, INSIDE], ids=lambda path: path.name)
def test_guest_has_no_executable_stack(guest):
    header = [line for line in output_of("readelf", "-lW", guest).splitlines() if "GNU_STACK" in line]
    assert header and " RWE " not in header[0]


def test_agent_keeps_its_thread_data_small():
    """Initial-exec TLS of an object loaded late comes out of a small reserve that all such objects share."""
    header = [line.split() for line in output_of("readelf", "-lW", AGENT).splitlines() if line.split()[:1] == ["TLS"]]
    assert sum(int(words[5], 16) for words in header) <= 64


def test_preload_needs_no_library():
    assert "(NEEDED)" not in output_of("readelf", "-dW", PRELOAD)
    assert {letter for letter, symbol in symbols(PRELOAD, "-D", "--undefined-only")} <= {"w", "v"}


@pytest.mark.parametrize("built", [PROGRAM, AGENT, PRELOAD, INSIDE], ids=lambda path: path.name)
def test_no_path_is_compiled_in(built, tmp_path):
    """Debug sections name the source; what the program itself can read must not."""
    stripped = tmp_path / "stripped"
    output_of("objcopy", "--strip-all", built, stripped)
    data = stripped.read_bytes()
    assert str(TOP).encode() + b"/" not in data
    assert str(BUILD).encode() + b"/" not in data


def test_tree_names_no_place_outside():
    if not (TOP / ".git").exists():
        pytest.skip("not a git clone, so there is no list of the tree's files")
    files = output_of("git", "-C", TOP, "ls-files", "-z").split("\0")
    for file in filter(None, files):
        path = TOP / file
        if path.is_file():
            assert f"{TOP}/".encode() not in path.read_bytes(), file


PAGES = "ARCHITECTURE.md", "CONTRIBUTING.md"


@pytest.mark.parametrize("page", PAGES)
def test_page_names_files_that_are_there(page):
    """Whole paths, or a file's name alone; `*` as in a shell."""
    files = [*TOP.glob("*"), *(p for folder in (*FOLDERS, "scripts", "tests", "docs") for p in (TOP / folder).rglob("*"))]
    named = re.findall(r"`([\w*][\w./*-]*\.(?:c|h|cc|def|sql|py|sh|md))`", (TOP / page).read_text())
    missing = [n for n in named if not any(p.match(n) for p in files)]
    assert named and not missing


def test_every_list_is_named():
    """A list that several places expand is part of the architecture."""
    text = "".join((TOP / page).read_text() for page in PAGES)
    assert not [name(p) for p in SOURCES if p.suffix == ".def" and f"{p.name}`" not in text]


def test_mutants_still_apply():
    """As scripts/mutants.sh applies them, which takes too long to run each time."""
    if not shutil.which("patch"):
        pytest.skip("patch is not installed (scripts/deps.sh test)")
    stale = [patch.name for patch in sorted((TOP / "tests/mutants").glob("*.patch"))
             if subprocess.run(["patch", "-d", TOP, "-p1", "-s", "-F3", "--dry-run"], stdin=patch.open(), capture_output=True).returncode]
    assert not stale, f"what they take out has moved: {', '.join(stale)}"


def test_trace_page_tells_the_schema():
    subprocess.run([TOP / "scripts/trace_doc.py", "--check"], check=True)


def test_rules_page_tells_the_rules():
    subprocess.run([TOP / "scripts/rules_doc.py", "--check"], check=True)


def test_report_page_tells_every_key():
    """docs/report.md says of each key of the JSON report what it is."""
    written = (TOP / "viewer/report_json.c").read_text() + (TOP / "viewer/split.c").read_text()
    keys = set(re.findall(r'\bmember\(&\w+, "(\w+)"|"(\w+_ms|samples)"', written))
    told = set(re.findall(r"`(?:\w+\.)?(\w+)(?:\[\])?`", (TOP / "docs/report.md").read_text()))
    missing = sorted({name for pair in keys for name in pair if name} - told)
    assert not missing, f"docs/report.md does not say what is {', '.join(missing)}"


def test_hooks_page_tells_every_record():
    """docs/hooks.md says of each kind of record that the agent writes what is hooked for it."""
    agent = "".join(path.read_text() for path in (TOP / "probe/agent").glob("*.c"))
    page = (TOP / "docs/hooks.md").read_text()
    missing = [kind for kind in sorted(set(re.findall(r"\bring_new\((\w+),", agent))) if f"`{kind}`" not in page]
    assert not missing, f"docs/hooks.md does not say what is hooked for {', '.join(missing)}"


@pytest.mark.parametrize("page", ["docs/trace.md", "README.md"])
def test_queries_in_the_pages_work(page):
    sql = sqlite3.connect(":memory:")
    sql.executescript((TOP / "collector/schema.sql").read_text())
    sql.executescript((TOP / "collector/schema_close.sql").read_text())
    for block in re.findall(r"^```sql\n(.*?)^```", (TOP / page).read_text(), re.M | re.S):
        for statement in filter(str.strip, block.split(";")):
            sql.execute(statement)
