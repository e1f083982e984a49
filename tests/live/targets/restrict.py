"""A loop that forbids its process system calls it does not need (x86-64), by a filter that kills or one that says EPERM."""
import asyncio
import ctypes
import os
import socket
import struct
import sys
import time

# open pread64 getpeername readlink getrusage clock_gettime openat readlinkat fallocate
FORBIDDEN = [2, 17, 52, 89, 98, 228, 257, 267, 285]
OTHERWISE = {"kill": 0x80000000, "eperm": 0x00050001}[sys.argv[1]]  # SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_ERRNO | EPERM


def restrict():
    libc = ctypes.CDLL(None, use_errno=True)
    code = [(0x20, 0, 0, 0)]  # load the number; jump where it is one of them; allow; else
    code += [(0x15, len(FORBIDDEN) - i, 0, number) for i, number in enumerate(FORBIDDEN)]
    code += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, OTHERWISE)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(filters)))
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


async def one():
    await asyncio.sleep(0)
    time.sleep(0.002)


async def main():
    a, b = socket.socketpair()
    b.settimeout(0.005)
    await asyncio.gather(*(one() for _ in range(5)))
    restrict()
    for _ in range(5):
        await asyncio.gather(*(one() for _ in range(5)))
        try:
            b.recv(1)
        except OSError as e:
            print(e, flush=True)
    if sys.argv[1] != "kill" or sys.version_info < (3, 12):  # from then on os.fork() opens a file in /proc
        pid = os.fork()
        if pid == 0:
            time.sleep(0.002)
            os._exit(4)
        print(os.waitpid(pid, 0)[1])
    a.close()
    b.close()
    return "done"

print(asyncio.run(main()))
