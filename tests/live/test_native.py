"""Native frames under the Python ones, from outside: what a C extension does is named, without a symbol of the interpreter."""
import subprocess
from pathlib import Path

import pytest

from interpreters import DEBIAN
from test_attach import WHY_NOT, rows, running

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


def test_a_call_that_blocks_in_an_extension_names_its_function(extension, awaitscope, report, tmp_path):
    with running(PROGRAM, tmp_path) as child:
        ended = awaitscope("attach", "-o", "t.db", "--duration", "0.8s", str(child.pid))
        assert ended.status == 0, ended
    site, = [one for one in report("t.db")["blocking_sites"] if one["function"] == "waits"]
    assert (site["line"], site["call"], site["syscall"]) == (5, "native_ext.block(40)", "poll")
    functions = [frame["function"] for frame in site["stack"]]
    assert functions[:4] == [functions[0], "ext_waits", "block", "waits"] and "poll" in functions[0], functions
    assert site["stack"][1]["file"] == str(extension) and site["stack"][1]["line"] is None
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
