"""Calls that wait for something outside the thread."""
import concurrent.futures
import ctypes
import os
import socket
import sqlite3
import struct
import subprocess
import sys
import tempfile
import threading
import time

from truth import Answerer, act, main


def sleeper(ms):
    async def rounds_of(t, rounds):
        for _ in range(rounds):
            await t.ready()
            with t.act(), t.waits("blocked_sleep"):
                time.sleep(ms / 1000)
            await t.done()
    return rounds_of


for ms, rounds in ((3, 40), (20, 30), (150, 6)):
    act("time.sleep, %d ms" % ms, rounds)(sleeper(ms))


@act("30 sleeps of 0.7 ms in one turn", 15)
async def short_sleeps(t, rounds):
    for _ in range(rounds):
        await t.ready()
        with t.act():
            for _ in range(30):
                with t.waits("blocked_sleep"):
                    time.sleep(0.0007)
        await t.done()


@act("50 callbacks of 20 ms in one turn", 3)
async def callbacks(t, rounds):
    def callback():
        with t.waits("blocked_sleep"):
            time.sleep(0.02)
    for _ in range(rounds):
        await t.ready()
        t.loop.call_soon(t.begin)
        for _ in range(50):
            t.loop.call_soon(callback)
        t.loop.call_soon(t.end)
        await t.done()


@act("pipe answered after 20 ms", 30)
async def pipe(t, rounds):
    r, w = os.pipe()
    other = Answerer([w])
    for _ in range(rounds):
        await t.ready()
        other.tell("write", 20, w)
        with t.act(), t.waits("blocked_file"):
            os.read(r, 1)
        await t.done()
    other.close()


@act("socket answered after 20 ms", 30)
async def sockets(t, rounds):
    ours, theirs = socket.socketpair()
    other = Answerer([theirs.fileno()])
    for i in range(rounds):
        ours.settimeout(5 if i % 2 else None)  # with a timeout it is poll() that waits
        await t.ready()
        other.tell("write", 20, theirs.fileno())
        with t.act(), t.waits("blocked_network"):
            ours.recv(1)
        await t.done()
    other.close()


@act("FIFO opened by the other end after 20 ms", 30)
async def fifo(t, rounds):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "fifo")
        os.mkfifo(path)
        other = Answerer()
        for _ in range(rounds):
            await t.ready()
            other.tell("open", 20, path)
            with t.act(), t.waits("blocked_file"):
                fd = os.open(path, os.O_RDONLY)
            await t.done()
            os.close(fd)
        other.close()


@act("fsync of 4 MB", 20)
async def fsync(t, rounds):
    with tempfile.TemporaryFile(dir="/var/tmp") as f:
        for _ in range(rounds):
            os.pwrite(f.fileno(), os.urandom(1 << 22), 0)
            await t.ready()
            with t.act(), t.waits("blocked_file"):
                os.fsync(f.fileno())
            await t.done()


@act("lock released by another thread after 20 ms", 30)
async def lock(t, rounds):
    held, go = threading.Lock(), threading.Semaphore(0)

    def holder():
        for _ in range(rounds):
            go.acquire()
            time.sleep(0.02)
            held.release()

    held.acquire()
    thread = threading.Thread(target=holder)
    thread.start()
    for _ in range(rounds):
        await t.ready()
        go.release()
        with t.act(), t.waits("blocked_lock"):
            held.acquire()
        await t.done()
    thread.join()


@act("Future.result() of a thread, 20 ms", 30)
async def result(t, rounds):
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()  # waits until the thread has begun
        for _ in range(rounds):
            await t.ready()
            future = pool.submit(time.sleep, 0.02)
            with t.act(), t.waits("blocked_lock"):
                future.result()
            await t.done()


@act("subprocess.run of 20 ms", 20)
async def child(t, rounds):
    for _ in range(rounds):
        await t.ready()
        with t.act(), t.waits("blocked_subprocess"):
            subprocess.run(["sleep", "0.02"], check=True)
        await t.done()


@act("os.system of 20 ms", 20)
async def system(t, rounds):
    for _ in range(rounds):
        await t.ready()
        with t.act(), t.waits("blocked_subprocess"):
            os.system("sleep 0.02")
        await t.done()


@act("sqlite locked for 30 ms", 20)
async def locked(t, rounds):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "db")
        db = sqlite3.connect(path, timeout=5, isolation_level=None)
        db.execute("CREATE TABLE t(x)")
        other = Answerer()
        for _ in range(rounds):
            other.tell("lock", 30, path)
            other.hear()
            await t.ready()
            with t.act(), t.waits("blocked_database"):
                db.execute("INSERT INTO t VALUES (1)")
            await t.done()
        db.close()
        other.close()


DNS = """
import socket, sys, threading, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
def answer(q, peer):
    time.sleep(0.03)
    s.sendto(q[:2] + b"\\x81\\x83" + q[4:6] + bytes(6) + q[12:], peer)
while True:
    threading.Thread(target=answer, args=s.recvfrom(2048), daemon=True).start()
"""


def resolve_at(port):
    """Points this thread's resolver there (glibc's struct __res_state: nscount 16, nsaddr_list 20)."""
    libc = ctypes.CDLL(None)
    libc.__res_init()
    libc.__res_state.restype = ctypes.c_void_p
    state = libc.__res_state()
    ctypes.c_int.from_address(state + 16).value = 1
    server = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton("127.0.0.1") + bytes(8)
    ctypes.memmove(state + 20, server, 16)


@act("name server that answers after 30 ms", 15)
async def names(t, rounds):
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    stub = subprocess.Popen([sys.executable, "-c", DNS], stdout=subprocess.PIPE, env=env)
    resolve_at(int(stub.stdout.readline()))
    "example".encode("idna")  # that codec is imported at its first use
    for i in range(rounds):
        await t.ready()
        with t.act(), t.waits("blocked_dns"):
            try:
                socket.getaddrinfo("host%d.example." % i, 80)
            except socket.gaierror:
                pass
        await t.done()
    stub.kill()
    stub.wait()
    stub.stdout.close()


if __name__ == "__main__":
    main()
