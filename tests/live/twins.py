"""One program twice: as it is, and under awaitscope. Also the agent alone, with nobody who reads its rings."""
import atexit
import glob
import os
import re
import shutil
import struct
import subprocess
import sysconfig
import tempfile
from pathlib import Path

import pytest

from conftest import PROGRAM, run_program

TARGETS = Path(__file__).resolve().parent / "targets"
LIBRARY = PROGRAM.resolve().parent.parent / "lib/awaitscope"
DEBIAN = "/usr/bin/python3"

# probe/ring.h
RING_PAGE, RING_BYTES, RING_SLOTS, RING_MAGIC = 4096, 4 << 20, 64, 0x30474E4952435741
EV_HEAD = struct.Struct("=QIHH")  # time_ns, tid, kind, size_words
KINDS = 64  # more than probe/event.def has


def interpreters():
    """Every CPython 3.8 to 3.14 with a GIL that is found: Debian's, pyenv's, and those AWAITSCOPE_PYTHONS names (a:b:c)."""
    named = os.environ.get("AWAITSCOPE_PYTHONS", "").split(":")
    found = [DEBIAN, *sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin/python"))), *filter(None, named)]
    ask = "import sys, sysconfig; print(sys.version_info[:2] >= (3, 8) and not sysconfig.get_config_var('Py_GIL_DISABLED'))"
    return [python for python in found if os.path.exists(python) and
            subprocess.run([python, "-c", ask], capture_output=True, text=True).stdout == "True\n"]


PYTHONS = interpreters()


def version_of(python):
    out = subprocess.run([python, "-c", "import sys; print(*sys.version_info[:2])"], capture_output=True, text=True, check=True)
    return tuple(map(int, out.stdout.split()))


def name_of(python):
    return "debian" if python == DEBIAN else Path(python).parent.parent.name


def told(ended):
    """What of it must be the same: no addresses, and not what awaitscope says."""
    err = "".join(line for line in ended.err.splitlines(True) if not line.startswith("awaitscope: "))
    return ended.status, *(re.sub(r"\b0x[0-9a-f]{6,16}\b", "0xADDRESS", text) for text in (ended.out, err))


def same(argv, folder, prefix=(), run_options=(), **options):
    """Run argv bare and traced; both must print the same and end the same. Returns the trace's path and what it printed.
    prefix: a command in front of both (unshare, setpriv)."""
    bare = run_program([*prefix, *argv], cwd=folder, **options)
    trace = folder / "trace.db"
    traced = run_program([*prefix, PROGRAM, "run", "-q", "--force", "-o", trace, *run_options, "--", *argv], cwd=folder, **options)
    assert told(traced) == told(bare), f"bare: {bare}\ntraced: {traced}"
    return trace, bare


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
