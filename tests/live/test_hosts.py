"""Programs of every kind in the tree of a run: each prints and returns what it does without awaitscope."""
import os
import platform
import shutil
import stat
import subprocess

import pytest

from conftest import run_program
from test_hazards import tasks_in
from twins import DEBIAN, TARGETS, agent_environment, compiled, every_python, same


# ---- not Python -------------------------------------------------------------------------------------------------------

SANITIZERS = {
    "gcc-asan": ["gcc", "-fsanitize=address"],
    "gcc-asan-static": ["gcc", "-fsanitize=address", "-static-libasan"],
    "clang-asan": ["clang", "-fsanitize=address"],
    "gcc-lsan": ["gcc", "-fsanitize=leak"],
    "gcc-tsan": ["gcc", "-fsanitize=thread"],
    "gcc-ubsan": ["gcc", "-fsanitize=undefined"],
}
LIBRARIES = {
    "glibc": ["gcc"],
    "glibc-static": ["gcc", "-static"],
    "musl": ["musl-gcc"],
    "musl-static": ["musl-gcc", "-static"],
}


@pytest.mark.parametrize("kind", [*SANITIZERS, *LIBRARIES])
def test_program_without_python(kind, tmp_path):
    compiler, *options = {**SANITIZERS, **LIBRARIES}[kind]
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    program = compiled("plain.c", tmp_path, *options, cc=compiler)
    alone = run_program([program], cwd=tmp_path)
    assert alone.status == 3, alone
    same([program, "argument"], tmp_path)
    same([DEBIAN, "-c", f"import subprocess; print(subprocess.run([{str(program)!r}]).returncode)"], tmp_path)


def test_sanitizer_finds_what_it_finds(tmp_path):
    """ASan's report of an error, but for the addresses of its own run."""
    source = tmp_path / "late.c"
    source.write_text("#include <stdlib.h>\nint main(void) { char *p = malloc(8); free(p); return p[3]; }\n")
    subprocess.run(["gcc", "-g", "-fsanitize=address", "-o", tmp_path / "late", source], check=True)
    bare = run_program([tmp_path / "late"], cwd=tmp_path)
    traced = run_program(["env", *(f"{k}={v}" for k, v in preloading(tmp_path).items()), tmp_path / "late"], cwd=tmp_path)
    for ended in bare, traced:
        assert ended.status == 1 and "heap-use-after-free" in ended.err, ended


def preloading(session):
    env = agent_environment(session)
    return {name: env[name] for name in env if name == "LD_PRELOAD" or name.startswith("AWAITSCOPE_")}


def test_sanitized_extension_in_python(tmp_path):
    """A sanitizer's runtime that the user preloads comes first, as it must."""
    runtime = run_program(["gcc", "-print-file-name=libasan.so"], cwd=tmp_path).out.strip()
    trace, _ = same([DEBIAN, "-c", LOOP], tmp_path,
                    env=dict(os.environ, LD_PRELOAD=os.path.realpath(runtime), ASAN_OPTIONS="detect_leaks=0"))
    assert tasks_in(trace, "one", "main") == 51


def test_setuid_program(tmp_path):
    """ld.so ignores LD_PRELOAD there, and says nothing."""
    if os.getuid() or not shutil.which("setpriv"):
        pytest.skip("making a setuid program of another user's needs root, and setpriv")
    program = compiled("plain.c", tmp_path)
    program.chmod(program.stat().st_mode | stat.S_ISUID)
    tmp_path.chmod(0o777)
    for folder in tmp_path.parents:  # pytest's are private
        if folder.stat().st_uid == os.getuid() and str(folder).startswith("/tmp/"):
            folder.chmod(folder.stat().st_mode | 0o011)
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    if run_program([*nobody, program], cwd=tmp_path).out.find("secure 1") < 0:
        pytest.skip("setuid programs are not honoured on this disk")
    _, bare = same([program], tmp_path, prefix=nobody)
    assert "euid 0, secure 1" in bare.out


# ---- children ---------------------------------------------------------------------------------------------------------

LOOP = """
import asyncio
async def one():
    await asyncio.sleep(0)
    return 1
async def main():
    return sum(await asyncio.gather(*(one() for _ in range(50))))
print(asyncio.run(main()))
"""

FORKS = """
import asyncio, os, signal, threading, time
async def one():
    await asyncio.sleep(0)
    return 1
async def main():
    return sum(await asyncio.gather(*(one() for _ in range(50))))
def child(how):
    pid = os.fork()
    if pid == 0:
        try:
            if how == "loop":
                asyncio.events._set_running_loop(None)
                result = asyncio.new_event_loop().run_until_complete(main())
            else:
                result = 7
        finally:
            os._exit(result if how != "signal" else os.kill(os.getpid(), signal.SIGTERM) or 1)
    return os.waitpid(pid, 0)[1]
async def forks():
    results = [child(how) for how in ("loop", "nothing", "signal") * 5]
    await asyncio.sleep(0)
    return results
print(asyncio.run(forks()))
stop = threading.Event()
async def spin():
    while not stop.is_set():
        await asyncio.sleep(0)
threads = [threading.Thread(target=asyncio.run, args=(spin(),)) for _ in range(3)]
for t in threads:
    t.start()
print([child("loop") for _ in range(10)])
signal.signal(signal.SIGUSR1, lambda *_: print(child("loop")))
async def in_handler():
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGUSR1)
        await asyncio.sleep(0)
asyncio.run(in_handler())
stop.set()
for t in threads:
    t.join()
"""


@every_python
def test_forks(python, tmp_path):
    """From a step, from beside other threads' loops, from a signal handler; children run loops of their own."""
    trace, bare = same([python, "-W", "ignore", "-c", FORKS], tmp_path)
    assert bare.status == 0, bare
    assert tasks_in(trace, "one") == (5 + 10 + 3) * 50


CHILDREN = """
import asyncio, os, subprocess, threading
def storm(n):
    for i in range(n):
        status = subprocess.run(["/bin/sh", "-c", f"exit {i % 5}"]).returncode
        assert status == i % 5, status
        pid = os.posix_spawn("/bin/true", ["true"], os.environ)
        assert os.waitpid(pid, 0)[1] == 0
async def spawn(i):
    child = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"echo {i}; exit {i}", stdout=subprocess.PIPE)
    out, _ = await child.communicate()
    return int(out), child.returncode
async def main():
    threads = [threading.Thread(target=storm, args=(30,)) for _ in range(3)]
    for t in threads:
        t.start()
    storm(30)
    told = await asyncio.gather(*(spawn(i) for i in range(20)))
    for t in threads:
        t.join()
    try:
        subprocess.run(["/no/such/program"])
    except FileNotFoundError as e:
        print(e)
    return told
print(asyncio.run(main()))
"""


def test_children_by_the_hundred(tmp_path):
    """vfork and exec from the loop's thread and beside it."""
    same([DEBIAN, "-c", CHILDREN], tmp_path)


SIGNALS = """
import asyncio, os, select, signal, socket, threading, time
count = 0
def handler(*_):
    global count
    count += 1
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
async def main():
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR2, handler)
    a, b = socket.socketpair()
    total = 0
    for i in range(100):
        os.kill(os.getpid(), signal.SIGUSR2)
        time.sleep(0.001)
        a.send(bytes(1000))
        total += len(b.recv(2000))
        select.select([], [], [], 0.001)
        threading.Lock().acquire(timeout=1)
        total += sum(await asyncio.gather(*(asyncio.sleep(0, 1) for _ in range(10))))
    try:
        b.settimeout(0.01)
        b.recv(1)
    except OSError as e:
        print(type(e).__name__)
    signal.setitimer(signal.ITIMER_REAL, 0)  # while the loop still listens to its wakeup descriptor
    return total
print(asyncio.run(main()))
print(count > 100)
"""


@every_python
def test_signals_by_the_thousand(python, tmp_path):
    same([python, "-c", SIGNALS], tmp_path)


# ---- ends -------------------------------------------------------------------------------------------------------------

ENDS = {
    "daemon threads run loops": """
        def thread():
            async def spin():
                while True:
                    await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0.001))
                    time.sleep(0.0001)
            asyncio.run(spin())
        for _ in range(4):
            threading.Thread(target=thread, daemon=True).start()
        asyncio.run(asyncio.sleep(0.05))
        print("end")""",
    "pending tasks and late objects": """
        class Late:
            def __del__(self):
                try:
                    time.sleep(0.002)
                    asyncio.new_event_loop().run_until_complete(asyncio.sleep(0))
                except BaseException:
                    pass
        async def main():
            Late.kept = [asyncio.ensure_future(asyncio.sleep(100)) for _ in range(10)]
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda *_: None)
        loop.run_until_complete(main())
        late = Late(), loop
        cycle = [Late()]
        cycle.append(cycle)
        print("end")""",
    "a loop at exit": """
        asyncio.run(asyncio.sleep(0))
        atexit.register(lambda: print(asyncio.run(asyncio.sleep(0.002, "at exit"))))""",
    "a thread's loop after the main thread": """
        threading.Thread(target=lambda: print(asyncio.run(asyncio.sleep(0.05, "late")))).start()
        asyncio.run(asyncio.sleep(0))""",
    "exit in a task": """
        async def main():
            await asyncio.sleep(0)
            sys.exit(5)
        asyncio.run(main())""",
    "exit at once": """
        async def main():
            await asyncio.sleep(0)
            os._exit(6)
        asyncio.run(main())""",
    "killed in a step": """
        async def main():
            await asyncio.sleep(0)
            os.kill(os.getpid(), 15)
            time.sleep(5)
        asyncio.run(main())""",
    "aborted in a step": """
        async def main():
            await asyncio.sleep(0)
            os.abort()
        asyncio.run(main())""",
    "interrupted": """
        async def main():
            await asyncio.sleep(0)
            os.kill(os.getpid(), 2)
            await asyncio.sleep(5)
        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print("interrupted")""",
    "another program in its place": """
        async def main():
            await asyncio.sleep(0)
            os.execv(sys.executable, [sys.executable, "-c", "import asyncio; print(asyncio.run(asyncio.sleep(0, 'again')))"])
        asyncio.run(main())""",
}


@every_python
@pytest.mark.parametrize("how", ENDS, ids=lambda how: how.replace(" ", "-"))
def test_end(python, how, tmp_path):
    lines = ENDS[how].splitlines()
    same([python, "-c", "import asyncio, atexit, os, sys, threading, time\n" + "\n".join(line[8:] for line in lines)], tmp_path)


# ---- limits -----------------------------------------------------------------------------------------------------------

DESCRIPTORS = """
import asyncio, os, resource, sys, threading
import concurrent.futures.thread, asyncio.subprocess
async def one(n):
    await asyncio.sleep(0)
    return n
async def all():
    return sum(await asyncio.gather(*(one(n) for n in range(50))))
def fill():
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as e:
        return taken, e.errno
def empty(taken):
    for fd in taken:
        os.close(fd)
def thread():
    loop = loops.pop()
    print(loop.run_until_complete(all()))
    loop.close()
resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
loops = [asyncio.new_event_loop() for _ in range(3)]
if BEFORE:
    taken, error = fill()
loop = loops.pop()
print(loop.run_until_complete(all()))
if not BEFORE:
    taken, error = fill()
for _ in range(2):
    t = threading.Thread(target=thread)
    t.start()
    t.join()
print(loop.run_until_complete(all()), error)
empty(taken)
loop.close()
print(asyncio.run(all()))
"""


@every_python
@pytest.mark.parametrize("limit", [40, 300])
@pytest.mark.parametrize("before", [True, False], ids=["before-the-loop", "after-it"])
def test_no_descriptor_left(python, before, limit, tmp_path):
    same([python, "-c", DESCRIPTORS.replace("LIMIT)", f"{limit})").replace("LIMIT,", f"{limit},").replace("BEFORE", str(before))],
         tmp_path)


FILE_SIZE = """
import asyncio, resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)  # Python itself ignores it
resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))
print(asyncio.run(asyncio.sleep(0.001, "done")))
"""


def test_no_file_may_grow(tmp_path):
    """Growing one past RLIMIT_FSIZE is SIGXFSZ."""
    same([DEBIAN, "-c", FILE_SIZE], tmp_path)


MEMORY = """
import asyncio, resource
resource.setrlimit(resource.RLIMIT_AS, (SIZE << 20, SIZE << 20))
async def one():
    await asyncio.sleep(0)
async def main():
    for _ in range(20):
        await asyncio.gather(*(one() for _ in range(100)))
    return "done"
print(asyncio.run(main()))
"""


@pytest.mark.parametrize("mebibytes", [40, 60, 100])
def test_no_memory_for_rings(mebibytes, tmp_path):
    same([DEBIAN, "-c", MEMORY.replace("SIZE", str(mebibytes))], tmp_path)


# ---- seccomp ----------------------------------------------------------------------------------------------------------

def test_strict_child(tmp_path):
    """It may only read, write and exit."""
    _, bare = same([compiled("strict.c", tmp_path)], tmp_path)
    assert bare.out == "strict\n5\n"


STRICT_PYTHON = """
import asyncio, ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
async def main():
    pid = os.fork()
    if pid == 0:
        libc.prctl(22, 1, 0, 0, 0)  # PR_SET_SECCOMP, SECCOMP_MODE_STRICT
        os.write(1, b"strict\\n")
        libc.syscall(60, 9)
    return os.waitpid(pid, 0)[1] >> 8
print(asyncio.run(main()))
"""


@every_python
def test_strict_child_of_a_loop(python, tmp_path):
    _, bare = same([python, "-W", "ignore", "-c", STRICT_PYTHON], tmp_path)
    assert bare.out == "strict\n9\n"


@every_python
@pytest.mark.parametrize("how", ["kill", "eperm"])
def test_system_calls_forbidden_later(python, how, tmp_path):
    """The agent's own system calls must not be what a filter kills for; what it can do without them goes on."""
    if platform.machine() != "x86_64":
        pytest.skip("the filter names the system calls of x86-64")
    trace, bare = same([python, "-W", "ignore", TARGETS / "restrict.py", how], tmp_path)
    assert bare.status == 0, bare
    assert tasks_in(trace, "one") == 30
