"""The kernel takes the programs with room to spare: a kernel's verifier gives up at a million instructions followed, whatever the program does."""
import ctypes
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from conftest import PROGRAM
from interpreters import DEBIAN
from attached import HANGS, WHY_NOT, running

pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))

FOLLOWED_MAX = 250_000  # the most is 16,000 with clang 14 and 28,000 with clang 19 (Linux 6.18, 2026-11); it was 960,000 once
# From include/uapi/linux/bpf.h, bpf(2)
SYS_BPF = 321
PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 13, 15
INFO_BYTES, NAME_AT, VERIFIED_AT = 232, 64, 216  # struct bpf_prog_info


def bpf(command, *words):
    """words: pairs of a ctypes integer type and a value, one after the other in union bpf_attr."""
    attr = ctypes.create_string_buffer(128)
    at = 0
    for kind, value in words:
        kind.from_buffer(attr, at).value = value
        at += ctypes.sizeof(kind)
    done = ctypes.CDLL(None, use_errno=True).syscall(SYS_BPF, command, attr, len(attr))
    assert done >= 0, os.strerror(ctypes.get_errno())
    return done


def followed(program):
    """(name, instructions the verifier followed) of a program in the kernel, by its id."""
    fd = bpf(PROG_GET_FD_BY_ID, (ctypes.c_uint32, program))
    info = ctypes.create_string_buffer(INFO_BYTES)
    try:
        bpf(OBJ_GET_INFO_BY_FD, (ctypes.c_uint32, fd), (ctypes.c_uint32, INFO_BYTES), (ctypes.c_uint64, ctypes.addressof(info)))
    finally:
        os.close(fd)
    return ctypes.string_at(ctypes.addressof(info) + NAME_AT).decode(), ctypes.c_uint32.from_buffer(info, VERIFIED_AT).value


def programs_of(pid):
    found = set()
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            found |= {int(line.split()[1]) for line in entry.read_text().splitlines() if line.startswith("prog_id:")}
        except FileNotFoundError:
            pass  # closed meanwhile
    return found


def programs_within(recorder, last, seconds=20):
    """{name: instructions followed} of those that a recorder has loaded, once the last of these is and they are no longer becoming more."""
    before, told, end = None, {}, time.monotonic() + seconds
    while time.monotonic() < end and recorder.poll() is None:
        now = programs_of(recorder.pid)
        if now == before:
            told = dict(followed(program) for program in now)
            if last <= told.keys():
                return told
        before = now
        time.sleep(0.2)
    raise AssertionError(f"of {sorted(last)} it has loaded {sorted(told)}")


@pytest.mark.parametrize("what", ["run", "attach"])
def test_programs_leave_the_verifier_room(what, tmp_path):
    with running(HANGS, tmp_path) as target:
        ends = ["--", "sleep", "30"] if what == "run" else [str(target.pid)]
        recorder = subprocess.Popen([PROGRAM, what, "-q", "-o", tmp_path / "t.db", *ends], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            told = programs_within(recorder, {"on_sys_enter", "on_sys_exit", "on_switch"})
        finally:
            recorder.terminate()
            assert recorder.wait() in (0, 128 + signal.SIGTERM)
    source = Path(__file__).parents[2] / "probe/bpf" / ("beside.bpf.c" if what == "run" else "loops.bpf.c")
    print(told)
    assert told.keys() <= set(re.findall(r"^int (?:BPF_PROG\()?(\w+)", source.read_text(), re.M))
    assert not {name: n for name, n in told.items() if not 0 < n <= FOLLOWED_MAX}
