"""Time on the CPU, and what takes the CPU or the GIL away."""
import ctypes
import hashlib
import os
import sqlite3
import subprocess
import sys
import threading
import time

from truth import act, main


def burn(ms):
    """Python code for so much of the thread's CPU time."""
    end = time.thread_time_ns() + int(ms * 1e6)
    while time.thread_time_ns() < end:
        for _ in range(300):
            pass


def count(n):
    """The same without a system call; about 1 ms for n = 50,000."""
    x = 0
    for i in range(n):
        x += i
    return x


def burner(ms):
    async def rounds_of(t, rounds):
        for _ in range(rounds):
            await t.ready()
            with t.act():
                burn(ms)
            await t.done()
    return rounds_of


for ms, rounds in ((3, 40), (20, 30), (150, 6)):
    act("Python code, %d ms" % ms, rounds)(burner(ms))


@act("Python code without a system call, 15 ms", 20)
async def pure(t, rounds):
    for _ in range(rounds):
        await t.ready()
        with t.act():
            t.part("kernel", 0)
            count(750_000)
        await t.done()


@act("system calls that compute, 12 ms", 20)
async def calls(t, rounds):
    with open("/dev/zero", "rb", buffering=0) as zero:
        room = bytearray(1 << 24)  # few and long: what calling costs is not the kernel's, a us of user time each
        for _ in range(rounds):
            await t.ready()
            with t.act(), t.calls():
                for _ in range(12):
                    zero.readinto(room)
            await t.done()


@act("C code that keeps the GIL", 20)
async def native(t, rounds):
    numbers = list(range(400_000))
    for _ in range(rounds):
        await t.ready()
        with t.act():
            sum(numbers)
            sorted(numbers, key=(-1).__rsub__)
        await t.done()


@act("C code that lets go of the GIL", 20)
async def hashing(t, rounds):
    for _ in range(rounds):
        await t.ready()
        with t.act():
            hashlib.pbkdf2_hmac("sha256", b"x", b"y", 40_000)
        await t.done()


@act("sqlite busy", 20)
async def sqlite(t, rounds):
    db = sqlite3.connect(":memory:")
    for _ in range(rounds):
        await t.ready()
        with t.act():
            db.execute("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 150000) SELECT sum(x) FROM n").fetchone()
        await t.done()


@act("collection of a known heap", 20)
async def collection(t, rounds):
    heap = [[{} for _ in range(3)] for _ in range(60_000)]
    for _ in range(rounds):
        await t.ready()
        with t.act():
            t.collect()
        await t.done()
    del heap


class Hogs:
    """Threads that burn while `on`; at rest they wait."""

    def __init__(self, n, work):
        self.on, self.over, self.work, self.resting = False, False, work, []
        self.wake = threading.Semaphore(0)
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(n)]
        for t in self.threads:
            t.start()

    def run(self):
        while not self.over:
            self.wake.acquire()
            while self.on:
                self.work()
            self.resting.append(1)

    def start(self):
        self.on = True
        self.resting.clear()
        for _ in self.threads:
            self.wake.release()

    def stop(self):
        """Keeps asking for the GIL until each has seen it: no lock is waited for."""
        self.on = False
        while len(self.resting) < len(self.threads):
            pass

    def close(self):
        self.on, self.over = False, True
        for t in self.threads:
            self.wake.release()
        for t in self.threads:
            t.join()


def hogged(n, work, amount):
    async def rounds_of(t, rounds):
        hogs = Hogs(n, work)
        for _ in range(rounds):
            await t.ready()
            hogs.start()
            with t.act():
                with t.waits("gil"):
                    count(amount)
                    hogs.stop()
            await t.done()
        hogs.close()
    return rounds_of


for n in (1, 2, 4):
    act("GIL hogs: %d thread%s of Python" % (n, "s" if n > 1 else ""), 15)(hogged(n, lambda: count(2_000), 700_000))

keeper = ctypes.PyDLL(None).usleep
act("GIL kept by a C call of another thread", 15)(hogged(1, lambda: keeper(25_000), 700_000))

HOG = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
for line in sys.stdin:
    end = time.monotonic() + float(line)
    while time.monotonic() < end:
        pass
    print("rested", flush=True)
"""


@act("CPU hogs pinned beside the loop: 2", 12)
async def starved(t, rounds):
    before = os.sched_getaffinity(0)
    cpu = max(before)
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    hogs = [subprocess.Popen([sys.executable, "-c", HOG, str(cpu)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
            for _ in range(2)]
    for _ in range(rounds):
        os.sched_setaffinity(0, before)
        await t.ready()
        for hog in hogs:
            hog.stdin.write(b"0.12\n")
            hog.stdin.flush()
        os.sched_setaffinity(0, {cpu})
        with t.act():
            count(1_500_000)
        await t.done(starved=True)
        os.sched_setaffinity(0, before)
        for hog in hogs:
            hog.stdout.readline()
    for hog in hogs:
        hog.stdin.close()
        hog.wait()
        hog.stdout.close()


@act("mixture: sleep, code, collection, lock, sleep", 15)
async def mixture(t, rounds):
    heap = [[{} for _ in range(3)] for _ in range(30_000)]
    for _ in range(rounds):
        lock = threading.Lock()
        lock.acquire()
        await t.ready()
        with t.act():
            with t.waits("blocked_sleep"):
                time.sleep(0.01)
            burn(8)
            t.collect()
            timer = threading.Timer(0.012, lock.release)
            with t.waits("blocked_lock"):
                timer.start()  # waits until the thread has begun
                lock.acquire()
            with t.waits("blocked_sleep"):
                time.sleep(0.002)
        await t.done()
        timer.join()
    del heap


@act("mixture: sleep and code beside a GIL hog", 15)
async def beside(t, rounds):
    hogs = Hogs(1, lambda: count(2_000))
    for _ in range(rounds):
        await t.ready()
        hogs.start()
        with t.act():
            with t.waits("gil"):
                count(300_000)
                hogs.stop()
            with t.waits("blocked_sleep"):
                time.sleep(0.02)
        await t.done()
    hogs.close()


if __name__ == "__main__":
    main()
