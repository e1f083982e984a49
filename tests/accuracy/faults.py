"""Page faults that wait: for the disk, or for another process that answers through userfaultfd(2), which not everybody may use: then
it exits 77."""
import ctypes
import fcntl
import mmap
import os
import struct
import subprocess
import sys
import tempfile

from truth import act, main

# include/uapi/linux/userfaultfd.h
USERFAULTFD_IOC_NEW, UFFDIO_API, UFFDIO_REGISTER = 0xAA00, 0xC018AA3F, 0xC020AA00
API, MODE_MISSING = 0xAA, 1

ANSWERER = """
import fcntl, os, struct, sys, time
fd, ms = int(sys.argv[1]), float(sys.argv[2])
while True:
    message = os.read(fd, 32)
    if not message:
        break
    address = struct.unpack_from("Q", message, 16)[0]
    time.sleep(ms / 1000)
    fcntl.ioctl(fd, 0xC020AA04, bytearray(struct.pack("QQQq", address & -4096, 4096, 0, 0)))
"""


def memory(pages):
    """A mapping whose first touches wait for the process that has the descriptor."""
    device = os.open("/dev/userfaultfd", os.O_RDWR | os.O_CLOEXEC)
    fd = fcntl.ioctl(device, USERFAULTFD_IOC_NEW, os.O_CLOEXEC)
    os.close(device)
    fcntl.ioctl(fd, UFFDIO_API, bytearray(struct.pack("QQQ", API, 0, 0)))
    area = mmap.mmap(-1, pages * 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    fcntl.ioctl(fd, UFFDIO_REGISTER, bytearray(struct.pack("QQQQ", address, pages * 4096, MODE_MISSING, 0)))
    return fd, area


@act("map of a file read from disk, cold", 20)
async def cold(t, rounds):
    size = 1 << 22
    with tempfile.TemporaryFile(dir="/var/tmp") as f:
        f.write(os.urandom(size))
        f.flush()
        os.fsync(f.fileno())
        area = mmap.mmap(f.fileno(), size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
        area.madvise(mmap.MADV_RANDOM)
        for _ in range(rounds):
            area.madvise(mmap.MADV_DONTNEED)
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            await t.ready()
            with t.act(), t.waits("blocked_fault"):
                for at in range(0, size, 4 * 4096):
                    area[at]
            await t.done()


def answered(ms):
    async def rounds_of(t, rounds):
        fd, area = memory(rounds)
        env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
        other = subprocess.Popen([sys.executable, "-c", ANSWERER, str(fd), str(ms)], pass_fds=[fd], env=env)
        for i in range(rounds):
            await t.ready()
            with t.act(), t.waits("blocked_fault"):
                area[i * 4096]
            await t.done()
        other.kill()
        other.wait()
    return rounds_of


for ms, rounds in ((20, 20), (120, 8)):
    act("page fault answered after %d ms" % ms, rounds)(answered(ms))


if __name__ == "__main__":
    try:
        main()
    except (PermissionError, FileNotFoundError) as e:
        print("userfaultfd: %s" % e, file=sys.stderr)
        sys.exit(77)
