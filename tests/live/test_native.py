"""Native frames under the Python ones, from outside: what a C extension does is named, without a symbol of the interpreter."""
import re
import subprocess
from pathlib import Path

import pytest

from interpreters import DEBIAN, traced
from attached import WHY_NOT, rows, running
from twins import with_library

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
SOURCE = Path(__file__).parent / "targets/native_ext.c"
PROGRAM = """\
import asyncio, time
import native_ext

def waits():
    native_ext.block(40)

async def main():
    print("ready", flush=True)
    while True:
        waits()
        await asyncio.sleep(0.05)

asyncio.run(main())
"""


def include_folder(python):
    told = subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('include')); print(sysconfig.get_config_var('EXT_SUFFIX'))"],
                          capture_output=True, text=True, check=True)
    return told.stdout.split()


@pytest.fixture
def extension(tmp_path):
    """native_ext in the program's folder, optimised as extensions are, without frame pointers."""
    include, suffix = include_folder(DEBIAN)
    if not (Path(include) / "Python.h").exists():
        pytest.skip("no headers of /usr/bin/python3 (python3-dev)")
    subprocess.run(["cc", "-O2", "-fomit-frame-pointer", "-shared", "-fPIC", "-I" + include, SOURCE, "-o", tmp_path / ("native_ext" + suffix)], check=True)
    return tmp_path / ("native_ext" + suffix)


def called(site, extension):
    """The functions of its stack from the extension's on. Before them is libc's: since glibc 2.41 poll() waits in others of its own,
    which have no names."""
    functions = [frame["function"] for frame in site["stack"]]
    first = next((n for n, frame in enumerate(site["stack"]) if frame["file"] == str(extension)), 0)
    assert first and "poll" in functions[first - 1] and site["stack"][first]["line"] is None, functions
    return functions[first:]


@pytest.mark.parametrize("linked", ["static", "libpython.so"])
def test_a_call_that_blocks_in_an_extension_names_its_function(linked, extension, awaitscope, report, tmp_path):
    with running(PROGRAM, tmp_path, DEBIAN if linked == "static" else with_library(tmp_path)) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "0.8s", str(child.pid))
        assert ended.status == 0, ended
    site, = [one for one in report("t.db")["blocking_sites"] if one["function"] == "waits"]
    assert (site["line"], site["call"], site["syscall"]) == (5, "native_ext.block(40)", "poll")
    assert called(site, extension)[:3] == ["ext_waits", "block", "waits"]
    assert site["file"].endswith("app.py") and site["count"] >= 3


BURNS = PROGRAM.replace("native_ext.block(40)", "native_ext.burn(400)")


def test_what_an_extension_computes_is_sampled_by_name(extension, awaitscope, report, tmp_path):
    with running(BURNS, tmp_path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "1.6s", str(child.pid))
        assert ended.status == 0, ended
    stalls = [one for one in report("t.db")["stalls"] if one["duration_ms"] > 300]
    samples = [one for stall in stalls for one in stall["samples"]]
    named = [one for one in samples if one["native"] == "ext_burns"]
    assert stalls and all(one["kind"] == "native" and one["line"] == 5 and one["function"] == "waits" for one in named), samples
    assert sum(one["count"] for one in named) > 0.5 * sum(one["count"] for one in samples), samples
    stacks = rows(tmp_path / "t.db", "SELECT DISTINCT f.function, u.function, o.function FROM sample s JOIN stack a ON a.id = s.stack"
                  " JOIN frame f ON f.id = a.frame JOIN stack b ON b.id = a.parent JOIN frame u ON u.id = b.frame"
                  " JOIN stack c ON c.id = b.parent JOIN frame o ON o.id = c.frame WHERE f.function = 'ext_burns'")
    assert stacks == [("ext_burns", "burn", "waits")]


# A database that another connection holds, and a name server of its own that takes its time; glibc's struct __res_state has
# nscount at 16 and nsaddr_list at 20.
NAMED = """\
import asyncio, ctypes, socket, sqlite3, struct, tempfile, threading, time

def answers(server):
    while True:
        asked, peer = server.recvfrom(2048)
        time.sleep(0.03)
        server.sendto(asked[:2] + b"\\x81\\x83" + asked[4:6] + bytes(6) + asked[12:], peer)

def resolves_at(port):
    libc = ctypes.CDLL(None)
    libc.__res_init()
    libc.__res_state.restype = ctypes.c_void_p
    state = libc.__res_state()
    ctypes.c_int.from_address(state + 16).value = 1
    ctypes.memmove(state + 20, struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton("127.0.0.1") + bytes(8), 16)

def writes(ours, theirs):
    theirs.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.03, theirs.execute, ("COMMIT",)).start()
    ours.execute("CREATE TABLE IF NOT EXISTS t(x)")

def looks_up(name):
    try:
        socket.gethostbyname(name)
    except OSError:
        pass

async def main():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    threading.Thread(target=answers, args=(server,), daemon=True).start()
    resolves_at(server.getsockname()[1])
    with tempfile.NamedTemporaryFile() as file:
        both = [sqlite3.connect(file.name, isolation_level=None, check_same_thread=False) for _ in "ab"]
        print("ready", flush=True)
        for i in range(1000):
            writes(*both)
            await asyncio.sleep(0.01)
            looks_up("host%d.example." % i)
            await asyncio.sleep(0.01)

asyncio.run(main())
"""


def test_what_sqlite_or_a_look_up_waits_for_is_of_its_class(awaitscope, tmp_path):
    with running(NAMED, tmp_path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "0.8s", str(child.pid))
        assert ended.status == 0, ended
    # but for the one in flight at the end, and for those in which the timer's thread starts
    classes = set(rows(tmp_path / "t.db", "SELECT function, class FROM blocking_call WHERE function IN ('writes', 'looks_up')"
                       " AND syscall != 'futex' AND id < (SELECT max(id) FROM blocking_call)"))
    assert classes == {("writes", "database"), ("looks_up", "dns")}
    for cls in ("database", "dns"):
        (in_turns, in_calls), = rows(tmp_path / "t.db", f"SELECT (SELECT sum(blocked_{cls}_ns) FROM iteration),"
                                     f" (SELECT sum(duration_ns) FROM blocking_call WHERE class = '{cls}')")
        assert in_calls * 0.5 < in_turns <= in_calls, (cls, in_turns, in_calls)


ENDS = "while True:", "for _ in range(6):"


def test_a_call_that_blocks_in_an_extension_names_its_function_beside_an_agent(extension, awaitscope, report, tmp_path):
    (tmp_path / "app.py").write_text(PROGRAM.replace(*ENDS))
    ended = awaitscope("run", "-o", "t.db", "--", DEBIAN, tmp_path / "app.py")
    assert ended.status == 0, ended
    site, = [one for one in report("t.db")["blocking_sites"] if one["function"] == "waits"]
    assert (site["line"], site["call"], site["syscall"], site["count"]) == (5, "native_ext.block(40)", "poll", 6)
    assert called(site, extension)[:4] == ["ext_waits", "block", "waits", "main"]


COMPUTES = """\
import asyncio, time
import native_ext

def of_c():
    native_ext.burn(500)

def of_bytecode():
    total, end = 0, time.thread_time() + 0.5
    while time.thread_time() < end:
        for k in range(2000):
            total += k * k % 7

def of_the_interpreter():
    end = time.thread_time() + 0.5
    while time.thread_time() < end:
        sum(range(3000000))

async def main():
    for compute in of_c, of_bytecode, of_the_interpreter:
        compute()
        await asyncio.sleep(0.01)

asyncio.run(main())
"""


@pytest.mark.parametrize("python", traced(), ids=repr)
def test_the_kernel_samples_beside_an_agent_and_tells_bytecode_from_c(extension, awaitscope, report, tmp_path, python):
    if python.path != DEBIAN:  # others cannot load it
        extension.unlink()
        (tmp_path / "native_ext.py").write_text("def burn(ms): pass\n")
    (tmp_path / "app.py").write_text(COMPUTES)
    ended = awaitscope("run", "-o", "t.db", "--", python.path, tmp_path / "app.py")
    assert ended.status == 0, ended
    told = report("t.db")
    loop, = told["loops"]
    split = loop["cpu_split"]
    assert split["of"] == "cpu_user" and split["samples"] >= 40, split
    assert split["python_ms"] + split["native_ms"] + split["unknown_ms"] == pytest.approx(loop["causes_ms"]["cpu_user"], abs=0.01)
    asks = 1 + COMPUTES.splitlines().index("    while time.thread_time() < end:")  # the kernel for the time, which may end its turn on a CPU
    of = {function: {kind: sum(h["samples"] for h in told["hot_lines"] if h["function"] == function and h["kind"] == kind and h["line"] != asks)
                     for kind in ("python", "native")} for function in ("of_c", "of_bytecode", "of_the_interpreter")}
    assert of["of_bytecode"]["python"] > 5 * of["of_bytecode"]["native"], of
    assert of["of_the_interpreter"]["native"] > 4 * of["of_the_interpreter"]["python"], of
    if python.path == DEBIAN:
        assert of["of_c"]["native"] > 9 * of["of_c"]["python"], of
        burns = [h["samples"] for h in told["hot_lines"] if h["function"] == "of_c" and h["native"] == "ext_burns"]
        assert sum(burns) > 0.9 * of["of_c"]["native"], told["hot_lines"]  # it looks at the clock in between


CALLS_OF_C = """\
import dis, opcode, sys
known = dict(opcode.opmap)
known.update(getattr(dis, "_all_opmap", {}))
known.update(getattr(opcode, "_specialized_opmap", {}))
of_python = ("CALL_PY_", "CALL_KW_PY", "CALL_KW_BOUND_METHOD", "CALL_BOUND_METHOD_", "CALL_ALLOC_AND_ENTER_INIT", "PRECALL_PYFUNC", "PRECALL_BOUND_METHOD",
             "CALL_INTRINSIC_", "CALL_FINALLY")
print(*sorted(number for name, number in known.items() if number < 256 and not name.startswith(of_python)
              and name.startswith(("CALL", "PRECALL", "INSTRUMENTED_CALL"))))
"""


@pytest.mark.parametrize("python", traced(), ids=repr)
def test_the_list_of_calls_is_the_interpreters_own(python):
    """probe/target/opcode.def, by which a sample without native frames is one of a C function or of bytecode."""
    told = subprocess.run([python.path, "-c", "import sys; print(sys.version_info[1])\n" + CALLS_OF_C], capture_output=True, text=True, check=True).stdout.split()
    minor, own = int(told[0]), set(map(int, told[1:]))
    rows = re.findall(r"^CALLS\((\d+), (\d+), (\d+)\)", (Path(__file__).parents[2] / "probe/target/opcode.def").read_text(), re.M)
    assert {number for m, first, last in rows if int(m) == minor for number in range(int(first), int(last) + 1)} == own
