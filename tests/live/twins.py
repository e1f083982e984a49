"""One program twice: as it is, and with the agent in it, which is what `run` has where nobody is root. Also an agent
whose rings nobody reads."""
import atexit
import os
import re
import shutil
import struct
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import pytest

import interpreters
from conftest import PROGRAM, program_for_all, run_program
from interpreters import DEBIAN

TARGETS = Path(__file__).resolve().parent / "targets"
LIBRARY = PROGRAM.resolve().parent.parent / "lib/awaitscope"
PYTHONS = {one.path: one for one in interpreters.traced()}
every_python = pytest.mark.parametrize("python", PYTHONS, ids=lambda path: PYTHONS[path].name)

# probe/ring.h
RING_PAGE, RING_BYTES, RING_SLOTS, RING_MAGIC = 4096, 4 << 20, 64, 0x30474E4952435741
EV_HEAD = struct.Struct("=QIHH")  # time_ns, tid, kind, size_words
KINDS = 64  # more than probe/event.def has


def told(ended):
    """What of it must be the same: no addresses, and not what awaitscope says."""
    err = "".join(line for line in ended.err.splitlines(True) if not line.startswith("awaitscope: "))
    return ended.status, *(re.sub(r"\b0x[0-9a-f]{6,16}\b", "0xADDRESS", text) for text in (ended.out, err))


def same(argv, folder, prefix=(), run_options=(), **options):
    """Run argv bare and traced; both must print the same and end the same. Returns the trace's path and what it printed.
    prefix: a command in front of both (unshare, setpriv)."""
    bare = run_program([*prefix, *argv], cwd=folder, **options)
    trace = folder / "trace.db"
    recording = [program_for_all() if prefix else PROGRAM, "run", "--sensor", "agent", "-q", "--force", "-o", trace]
    traced = run_program([*prefix, *recording, *run_options, "--", *argv], cwd=folder, **options)
    assert told(traced) == told(bare), f"bare: {bare}\ntraced: {traced}"
    return trace, bare


CRASHED = 128  # statuses from here on are signals


def same_if_alive(argv, folder, **options):
    """same() of a program that dies by a signal now and then, also bare: where it does, it must not do so more often traced."""
    trace, recording = folder / "trace.db", [PROGRAM, "run", "--sensor", "agent", "-q", "--force", "-o", folder / "trace.db", "--"]

    def run(traced):
        return run_program([*recording, *argv] if traced else argv, cwd=folder, **options)
    bare, traced = run(False), run(True)
    if CRASHED > max(bare.status, traced.status):
        assert told(traced) == told(bare), f"bare: {bare}\ntraced: {traced}"
        return trace, bare
    deaths = [sum(run(traced).status >= CRASHED for _ in range(30)) for traced in (False, True)]
    assert deaths[1] <= 2 * deaths[0] + 2, f"of 30 runs each, {deaths[0]} died bare and {deaths[1]} traced: {traced}"
    return same_if_alive(argv, folder, **options)


def agent_environment(session, **more):
    """What `run` puts into the environment, with a session folder of the test's own."""
    preload = LIBRARY / "preload-libasan.so"
    if " " in str(preload):  # ld.so splits there
        preload = Path(tempfile.mkdtemp(prefix="awaitscope-test-")) / preload.name
        preload.symlink_to(LIBRARY / preload.name)
        atexit.register(shutil.rmtree, preload.parent)
    return dict(os.environ, LD_PRELOAD=str(preload), AWAITSCOPE_SESSION=str(session),
                AWAITSCOPE_AGENT=str(LIBRARY / "agent.so"), **more)


def compiled(source, folder, *options, cc="gcc"):
    """A C program of targets/, built into folder."""
    made = folder / Path(source).stem
    subprocess.run([cc, "-O1", "-o", made, TARGETS / source, *options], check=True)
    return made


def with_library(folder):
    """A program of targets/ that is Debian's Python, as libpython.so has it, under a name of its own."""
    config = "/usr/bin/python3-config"
    if not os.path.exists(config):
        pytest.skip(f"{config} (python3-dev) is not installed")
    return compiled("shared.c", folder, "-w", *subprocess.run([config, "--cflags", "--ldflags", "--embed"], capture_output=True, text=True,
                                                              check=True).stdout.split())


def extension(source, folder, *options):
    """A C extension module of targets/ for Debian's python3."""
    include = sysconfig.get_path("include", vars={"installed_base": "/usr", "base": "/usr"})
    if not os.path.exists(f"{include}/Python.h"):
        pytest.skip("python3-dev is not installed")
    made = folder / f"{Path(source).stem}.so"
    subprocess.run(["gcc", "-O1", "-shared", "-fPIC", f"-I{include}", "-o", made, TARGETS / source, *options], check=True)
    return made


class RingFile:
    """What lies in a ring file, checked against probe/ring.h."""

    def __init__(self, path):
        data = path.read_bytes()
        magic, self.abi, self.pid, ring_bytes, slots, self.rings, self.no_ring, self.in_signal, self.closed = \
            struct.unpack_from("=QIIQIIQQQ", data)
        assert (magic, ring_bytes, slots) == (RING_MAGIC, RING_BYTES, RING_SLOTS)
        self.dropped, self.kinds = 0, {}
        for slot in range(self.rings):
            self._ring(data, RING_PAGE + slot * (RING_PAGE + RING_BYTES))

    def _ring(self, data, at):
        head, dropped = struct.unpack_from("=QQ", data, at)
        tail, = struct.unpack_from("=Q", data, at + 64)
        self.dropped += dropped
        assert tail == 0 and head <= RING_BYTES, "written over what nobody has read"
        here, end = at + RING_PAGE, at + RING_PAGE + head
        while here < end:
            time_ns, tid, kind, words = EV_HEAD.unpack_from(data, here)
            assert words * 8 >= EV_HEAD.size and here + words * 8 <= end and 0 <= kind < KINDS and time_ns, "a torn record"
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            here += words * 8
