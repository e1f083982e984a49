"""What tests of attach share: where it can run, programs that wait to be watched, and a look into the trace."""
import os
import signal
import sqlite3
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from conftest import PROGRAM
from interpreters import DEBIAN, traced

CACHE = PROGRAM.parent.parent / "CMakeCache.txt"
WHY_NOT = None
if os.geteuid():
    WHY_NOT = "attaching needs root"
elif not Path("/sys/kernel/btf/vmlinux").exists():
    WHY_NOT = "this kernel has no BTF, which eBPF programs need"
elif CACHE.exists() and b"AWAITSCOPE_BPF:BOOL=OFF" in CACHE.read_bytes():
    WHY_NOT = "built with -DAWAITSCOPE_BPF=OFF"
elif os.stat("/proc/self/ns/pid").st_ino != 0xEFFFFFFC:
    WHY_NOT = "in a container with process ids of its own"

STEADY = """\
import asyncio, sys, time

async def blocks():
    await asyncio.sleep(0.01)
    time.sleep(0.05)

async def fails():
    await asyncio.sleep(0.01)
    raise ValueError("so it is")

async def turn(n):
    quick = [asyncio.create_task(asyncio.sleep(0.02), name=f"quick-{i}") for i in range(3)]
    never = asyncio.create_task(asyncio.sleep(60), name="never")
    await asyncio.gather(*quick, asyncio.create_task(blocks()), asyncio.create_task(fails()), return_exceptions=True)
    never.cancel()
    await asyncio.gather(never, return_exceptions=True)
    await asyncio.sleep(0.02)

async def main():
    print("ready", flush=True)
    for n in range(10_000):
        await turn(n)

asyncio.run(main())
"""

HANGS = """\
import asyncio, sys, time

def score():
    time.sleep(1.2)

async def main():
    print("ready", flush=True)
    await asyncio.sleep(0.5)
    while True:
        score()
        await asyncio.sleep(0.3)

asyncio.run(main())
"""

# Debian's own, the oldest that is served, and one that publishes its layout.
PYTHONS = [one for i, one in enumerate(traced()) if one.path == DEBIAN or
           (one.minor in (8, 13) and one.minor not in [before.minor for before in traced()[:i]])]


@contextmanager
def running(source, tmp_path, python=DEBIAN):
    """The program as a child that has said it is ready; ended at the end."""
    script = tmp_path / "app.py"
    script.write_text(source)
    child = subprocess.Popen([python, str(script)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True, cwd=tmp_path)
    try:
        assert child.stdout.readline() == "ready\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
        child.stdin.close()


# A program waits so until it is watched.
GOES = "    while not os.path.exists('go'):\n        await asyncio.sleep(0.01)\n"


def watch_begun(child, tmp_path, *options):
    """An attach that records the program as t.db, and has begun to."""
    watch = subprocess.Popen([PROGRAM, "attach", "-o", "t.db", *options, str(child.pid)], cwd=tmp_path, text=True, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    while "watching" not in watch.stderr.readline():
        assert watch.poll() is None
    return watch


@contextmanager
def watched(child, tmp_path):
    """A program with GOES is recorded as t.db while it goes on, until it ends or this does."""
    watch = watch_begun(child, tmp_path)
    try:
        (tmp_path / "go").touch()
        yield
        watch.send_signal(signal.SIGINT)
        err = watch.communicate(timeout=20)[1]
        assert watch.returncode == 0, err
    finally:
        watch.kill()


def rows(trace, sql):
    db = sqlite3.connect(f"file:{trace}?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def wait_for_rows(trace, sql, expected, seconds=10):
    """Until the trace, which is being written, says so."""
    end = time.monotonic() + seconds
    while (found := rows(trace, sql)) != expected:
        assert time.monotonic() < end, found
        time.sleep(0.05)
