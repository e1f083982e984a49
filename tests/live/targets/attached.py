"""What an attach is to tell exactly: waits for a line, then counts its own tasks and steps and times its own blocking calls, and waits for another line."""
import asyncio
import json
import os
import sys
import threading
import time

from counting import counted, mixed, own, run

SECONDS = 0.012  # each blocking call, at least
TIMES = 5
blocked = {}  # function: how long each of its calls took, ns


def later(act):
    threading.Timer(SECONDS, act).start()


def timed(function):
    def call(*args):
        begin = time.perf_counter_ns()
        function(*args)
        blocked.setdefault(function.__name__, []).append(time.perf_counter_ns() - begin)
    return call


@timed
def naps():
    time.sleep(SECONDS)


@timed
def reads(end):
    os.read(end, 1)


@timed
def locks(lock):
    lock.acquire()


async def blocks():
    for _ in range(TIMES):
        await asyncio.sleep(0)
        naps()
        ours, theirs = os.pipe()
        later(lambda: os.write(theirs, b"x"))
        reads(ours)
        os.close(ours)
        os.close(theirs)
        lock = threading.Lock()
        lock.acquire()
        later(lock.release)
        locks(lock)


async def main():
    await mixed(3)
    await asyncio.ensure_future(own(blocks()))


print("ready", flush=True)
sys.stdin.readline()
run(main())
print(json.dumps(dict(counted(), blocked=blocked)), flush=True)
sys.stdin.readline()  # what is told of it is looked up in its memory
