"""Ways in which code inside a process kills or changes it, each with the program that it would hit.

scripts/mutants.sh takes the agent's remedies out one by one and shows that these tests, or those of tests/structure, notice."""
import os
import shutil
import sqlite3
import subprocess

import pytest

from conftest import run_program
from twins import DEBIAN, PYTHONS, RING_BYTES, RING_PAGE, RingFile, agent_environment, compiled, every_python, extension, same, \
    same_if_alive

LOOP = """
import asyncio, time
async def worker(n):
    for _ in range(n):
        await asyncio.sleep(0)
    time.sleep(0.002)
    return n
async def main():
    return sum(await asyncio.gather(*(worker(n) for n in range(20))))
print(asyncio.run(main()))
"""


def rows(trace, query):
    sql = sqlite3.connect(f"file:{trace}?mode=ro", uri=True)
    try:
        return sql.execute(query).fetchall()
    finally:
        sql.close()


def tasks_in(trace, *coros):
    """How many tasks of these coroutines were recorded."""
    return rows(trace, f"SELECT count(*) FROM task WHERE coro IN ({str(coros)[1:-1].rstrip(',')})")[0][0]


def calls_in(trace):
    return dict(rows(trace, "SELECT call, sum(count) FROM blocking_sites GROUP BY call"))


def small_disks(*disks):
    """A command prefix: the rest runs where each (folder, size, fill) is a disk of its own; fill leaves no byte free."""
    for unshare in ["unshare", "-m"], ["unshare", "-rm"]:
        if shutil.which("unshare") and run_program([*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], cwd="/").status == 0:
            break
    else:
        pytest.skip("no private mount namespace can be had here")
    script = "".join(f"mount -t tmpfs -o size={size} none {folder} && " +
                     (f"{{ head -c {size} /dev/zero >{folder}/fill 2>/dev/null || true; }} && " if fill else "")
                     for folder, size, fill in disks)
    return [*unshare, "sh", "-c", script + 'exec "$@"', "sh"]


# ---- rings ------------------------------------------------------------------------------------------------------------


def test_small_shm(tmp_path):
    """Containers have a /dev/shm of 64 MB or less: rings go elsewhere."""
    trace, _ = same([DEBIAN, "-c", LOOP], tmp_path, prefix=small_disks(("/dev/shm", "1m", False)))
    assert tasks_in(trace, "worker", "main") == 21


def test_no_room_for_rings(tmp_path):
    (tmp_path / "full").mkdir()
    prefix = small_disks(("/dev/shm", "1m", False), (tmp_path / "full", "1m", True))
    same([DEBIAN, "-c", LOOP], tmp_path, prefix=prefix, env=dict(os.environ, TMPDIR=str(tmp_path / "full")))


def test_no_room_for_another_ring(tmp_path):
    """The first ring's file fits, the one of the loop's thread does not: a hole in it would be SIGBUS."""
    (tmp_path / "disk").mkdir()
    first = (2 * RING_PAGE + RING_BYTES) // 1024
    prefix = small_disks((tmp_path / "disk", f"{first}k", False))
    look = "import os; print(*(name.partition('-')[0] for name in os.listdir(os.environ['AWAITSCOPE_SESSION'])))"
    ended = run_program([*prefix, DEBIAN, "-c", LOOP + look], cwd=tmp_path, env=agent_environment(tmp_path / "disk"))
    assert (ended.status, ended.out, ended.err) == (0, "190\nring\n", "")


LAST_KEY = """
import ssl  # OpenSSL takes keys of its own
import ctypes
libc, key = ctypes.CDLL(None), ctypes.c_uint()
while libc.pthread_key_create(ctypes.byref(key), None) == 0:
    last = key.value
libc.pthread_key_delete(last)
"""


def test_no_key_for_loops(tmp_path):
    """The rings take the program's last thread-specific key, so that none is left for loops: they are refused, tasks are told."""
    trace, _ = same([DEBIAN, "-c", LAST_KEY + LOOP], tmp_path)
    assert rows(trace, "SELECT detail FROM coverage WHERE what = 'hook:loops'") == [("no thread-specific key is left",)]
    assert rows(trace, "SELECT count(*) FROM loop") == [(0,)]  # they would be kept under another's key
    assert tasks_in(trace, "worker", "main") == 21


FLOOD = """
import asyncio
async def nothing():
    pass
async def main():
    for _ in range(300):
        await asyncio.gather(*(nothing() for _ in range(200)))
asyncio.run(main())
print("done")
"""


def test_full_ring_drops_and_counts(tmp_path):
    """Nobody reads: what does not fit is dropped and counted, what is there stays whole, and nothing waits."""
    ended = run_program([DEBIAN, "-c", FLOOD], cwd=tmp_path, env=agent_environment(tmp_path))
    assert (ended.status, ended.out, ended.err) == (0, "done\n", "")
    rings = RingFile(next(tmp_path.glob("ring-*")))
    assert rings.dropped > 10000 and rings.closed
    assert sum(rings.kinds.values()) > 10000


STORM = """
import asyncio, calls, time
async def nothing():
    pass
async def main():
    calls.storm_begin(30)
    end = time.monotonic() + 20  # a busy machine gets less far
    for _ in range(400):
        if time.monotonic() > end:
            break
        await asyncio.gather(*(nothing() for _ in range(100)))
        calls.nap(1)
    return calls.storm_end()
print(asyncio.run(main()))
"""


def test_signals_at_any_moment(tmp_path):
    """A handler makes a wrapped call while a record is half written, a table locked, a Python frame half made; errno is kept."""
    extension("calls.c", tmp_path)
    ended = run_program([DEBIAN, "-c", STORM], cwd=tmp_path,
                        env=agent_environment(tmp_path, AWAITSCOPE_MIN_BLOCK="0", PYTHONPATH=str(tmp_path)))
    assert (ended.status, ended.out, ended.err) == (0, "(True, 0)\n", "")
    rings = RingFile(next(tmp_path.glob("ring-*")))
    assert rings.kinds and rings.closed


# ---- calls into libc --------------------------------------------------------------------------------------------------

PAGES = """
import asyncio, os, select, socket, sqlite3, ssl, sys, time
sys.setdlopenflags(os.RTLD_LAZY)
import calls
async def main():
    calls.nap(2000)
asyncio.run(main())
merged = []
for line in open("/proc/self/maps"):
    words = line.rstrip().split(None, 5)
    if len(words) < 6 or not words[5].startswith("/") or os.path.basename(words[5]).startswith(("agent", "preload", "ring-")):
        continue
    begin, end = (int(x, 16) for x in words[0].split("-"))
    if merged and merged[-1][:3] == [words[5], words[1], begin]:
        merged[-1][2] = end
        merged[-1][3] += end - begin
    else:
        merged.append([words[5], words[1], end, end - begin])
print(*sorted((path, access, size) for path, access, end, size in merged), sep="\\n")
"""


def test_pages_keep_their_permissions(tmp_path):
    """Read-only tables are read-only again, and a partial page behind them is still writable."""
    extension("calls.c", tmp_path, "-Wl,-z,lazy")
    trace, _ = same([DEBIAN, "-c", PAGES], tmp_path, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert calls_in(trace).get("usleep") == 1


LAZY = """
import asyncio, os, sys
sys.setdlopenflags(os.RTLD_LAZY)
import calls
async def main():
    for _ in range(3):
        calls.nap(3000)
asyncio.run(main())
print("done")
"""


def test_lazy_binding_keeps_the_hook(tmp_path):
    """The first call through a table that ld.so fills late must not take the wrapper out again."""
    made = extension("calls.c", tmp_path, "-Wl,-z,lazy")
    assert "BIND_NOW" not in subprocess.run(["readelf", "-dW", made], capture_output=True, text=True, check=True).stdout
    trace, _ = same([DEBIAN, "-c", LAZY], tmp_path, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert calls_in(trace).get("usleep") == 3


ERRNO = """
import asyncio, socket, struct
async def main():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, 5000))
        for receive in s.recv, s.recvfrom, s.recvmsg:
            try:
                receive(10)
            except OSError as e:
                print(type(e).__name__, e.errno)
asyncio.run(main())
"""


def test_long_calls_keep_errno(tmp_path):
    """Of a call that is long enough for a record it is asked what it touched, with calls that fail in their own way."""
    trace, bare = same([DEBIAN, "-c", ERRNO], tmp_path)
    assert bare.out == "BlockingIOError 11\n" * 3
    calls = calls_in(trace)
    calls.pop("write", None)  # print()'s, long only where others had its CPU meanwhile
    assert calls == {"recv": 1, "recvfrom": 1, "recvmsg": 1}


VFORK = """
import asyncio, calls
async def main():
    print(*(calls.vfork_nap(20000) for _ in range(3)))
    calls.nap(20000)
asyncio.run(main())
"""


def test_vfork_child_records_nothing(tmp_path):
    """It has its parent's memory and thread data, but it is not the parent: only one of the four naps was."""
    extension("calls.c", tmp_path)
    trace, bare = same([DEBIAN, "-c", VFORK], tmp_path, env=dict(os.environ, PYTHONPATH=str(tmp_path)))
    assert bare.out == "7 7 7\n"
    assert calls_in(trace).get("usleep") == 1


# ---- interpreters -----------------------------------------------------------------------------------------------------

SUBINTERPRETERS = """
import asyncio, os, sys, threading
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
CODE = '''
import asyncio, os
async def one(n):
    for _ in range(n):
        await asyncio.sleep(0)
    return n
async def all():
    total = 0
    for _ in range(20):
        total += sum(await asyncio.gather(*(one(n) for n in range(10))))
    return total
result = asyncio.run(all())
'''
def run(n):
    inside = interpreters.create()
    interpreters.run_string(inside, CODE + f"os.write({writers[n]}, str(result).encode())")
    interpreters.destroy(inside)
pipes = [os.pipe() for _ in range(3)]
writers = [w for r, w in pipes]
threads = [threading.Thread(target=run, args=(n,)) for n in range(3)]
for t in threads:
    t.start()
    if sys.version_info < (3, 12):  # the running loop is cached for all interpreters together
        t.join()
exec(CODE)
for t in threads:
    t.join()
async def within():
    inside = interpreters.create()
    interpreters.run_string(inside, "open('/dev/null').close()")
    interpreters.destroy(inside)
    open("/dev/zero").close()
asyncio.run(within())
print(result, [os.read(r, 10) for r, w in pipes])
"""


@every_python
def test_subinterpreters_are_left_alone(python, tmp_path):
    """Method tables and audit hooks are shared by all interpreters of a process, each of which may have a GIL of its own."""
    for _ in range(3):
        if run_program([python, "-c", SUBINTERPRETERS], cwd=tmp_path).status:
            pytest.skip("this version's subinterpreters do not run asyncio by themselves")
    trace, _ = same_if_alive([python, "-c", SUBINTERPRETERS], tmp_path)
    assert tasks_in(trace, "one", "all") == 200 + 1
    assert rows(trace, "SELECT detail FROM audit_event WHERE detail LIKE '/dev/%'") == [("/dev/zero",)]


def embedder(python, folder):
    """targets/embed.c linked with that interpreter's library."""
    config = f"{os.path.dirname(os.path.realpath(python))}/python3.{PYTHONS[python].minor}-config"
    if not os.path.exists(config):
        pytest.skip(f"{config} is not installed")
    options = subprocess.run([config, "--cflags", "--ldflags", "--embed"], capture_output=True, text=True, check=True).stdout.split()
    folders = [option[2:] for option in options if option.startswith("-L")]
    return compiled("embed.c", folder, "-w", *options, *(f"-Wl,-rpath,{folder}" for folder in folders))


# Up to 3.11 _asyncio has the running loop of the life before still at hand, in memory that is gone: bare it goes well by luck.
EMBEDDED = """
import asyncio, gc, warnings
asyncio._set_running_loop(None)
class Late:
    def __init__(self):
        self.task = asyncio.ensure_future(asyncio.sleep(100))
    def __del__(self):
        try:
            self.task.cancel()
        except Exception:
            pass  # asyncio may be gone already
async def main():
    global kept
    kept = Late()
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(10)))
    gc.collect()
loop = asyncio.new_event_loop()
loop.run_until_complete(main())
kept.again = kept
print("ran", flush=True)
"""


@every_python
def test_embedded_interpreter_ends_and_begins_again(python, tmp_path):
    """After the end no hook touches an object; what was patched stays patched in the next life and passes through."""
    program = embedder(python, tmp_path)
    lives = 3 if run_program([program, EMBEDDED, "3"], cwd=tmp_path).status == 0 else 1  # some versions die by themselves
    trace, bare = same([program, EMBEDDED, str(lives)], tmp_path)
    assert bare.out.count("ran") == lives, bare
    assert tasks_in(trace, "sleep", "main") in (11, 12)  # main's may be older than the loop


@every_python
@pytest.mark.parametrize("flags", [["-X", "dev"], ["-I"], ["-S"], ["-E", "-s", "-O"], ["malloc=debug"]], ids=" ".join)
def test_interpreter_options(python, flags, tmp_path):
    """The audit hook is there before Py_Initialize(), in a block that the debug allocator did not make."""
    env = dict(os.environ)
    if flags == ["malloc=debug"]:
        env["PYTHONMALLOC"], flags = "debug", []
    trace, _ = same([python, *flags, "-c", LOOP], tmp_path, env=env)
    assert tasks_in(trace, "worker", "main") == 21


NAMES = """
before = set(globals())
import asyncio, builtins, sys
async def main():
    await asyncio.sleep(0)
asyncio.run(main())
print(sorted(globals()), sorted(vars(builtins)), sorted(sys.modules), sorted(vars(asyncio)))
"""


@every_python
def test_no_name_is_left_behind(python, tmp_path):
    same([python, "-c", NAMES], tmp_path)


# ---- greenlets --------------------------------------------------------------------------------------------------------

GREENLETS = """
import asyncio, time
from asyncio import events
import greenlet

def other_loop():
    async def inside():
        await asyncio.sleep(0)
        time.sleep(0.02)
        main.switch("from inside a step")  # the other loop goes on in the middle of ours
        time.sleep(0.01)
        asyncio.ensure_future(asyncio.sleep(0))
        await asyncio.sleep(0)
        return "inside done"
    events._set_running_loop(None)
    loop = asyncio.new_event_loop()
    result = loop.run_until_complete(inside())
    loop.close()
    return result

async def outside():
    await asyncio.sleep(0)
    time.sleep(0.01)
    print(second.switch())
    events._set_running_loop(asyncio_loop)
    time.sleep(0.03)
    return "outside done"

main = greenlet.getcurrent()
second = greenlet.greenlet(other_loop)
asyncio_loop = asyncio.new_event_loop()
print(asyncio_loop.run_until_complete(outside()))
print(second.switch())

async def after():
    await asyncio.gather(*(asyncio.sleep(0) for _ in range(3)))
loop = asyncio.new_event_loop()
loop.call_soon(lambda: print("no task") or asyncio.ensure_future(asyncio.sleep(0), loop=loop))
loop.run_until_complete(asyncio.sleep(0.01))
loop.run_until_complete(after())
loop.close()
asyncio_loop.close()
"""


def test_greenlets_switch_inside_a_step(tmp_path):
    """Steps of two tasks on one thread overlap without being nested: each is its own task's, and none stays open."""
    if run_program([DEBIAN, "-c", "import greenlet"], cwd=tmp_path).status:
        pytest.skip("python3-greenlet is not installed")
    trace, bare = same([DEBIAN, "-c", GREENLETS], tmp_path, run_options=["--min-step", "0"])
    assert bare.status == 0, bare
    steps = {}
    for coro, ns in rows(trace, "SELECT coro, duration_ns FROM task_step s JOIN task t ON t.id = s.task ORDER BY begin_ns"):
        steps.setdefault(coro, []).append(ns >= 60_000_000)
    assert steps["outside"] == [False, True]
    assert steps["other_loop.<locals>.inside"] == [False, True, False]
    strays = rows(trace, "SELECT count(*) FROM task t JOIN task p ON p.id = t.parent WHERE t.created_ns > p.ended_ns")
    assert strays == [(0,)]
