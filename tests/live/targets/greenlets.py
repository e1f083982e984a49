"""Steps that switch stacks in their middle: greenlets.py [SECONDS]. Needs greenlet. Prints "ready", then how many rounds it made.

In each round a task's step, deep in the C stack of a greenlet of its own, gives the thread to another greenlet, which runs a whole
loop over the same addresses of the stack; only then does the first step go on. A probe that puts its own return address on the
stack (a return probe) ends such a program."""
import asyncio
import sys
import time
from asyncio import events

import greenlet

DEEP, SHALLOW = 40, 25


def below(depth, function):
    """Call it through so many C frames."""
    return function() if not depth else next(map(lambda _: below(depth - 1, function), [None]))


def looped(coroutine):
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


async def switches(outer):
    outer.switch("in the middle of a step")
    await asyncio.sleep(0)
    return "done"


async def rests():
    await asyncio.sleep(0)


def one_round():
    inner = greenlet.greenlet(lambda outer: below(SHALLOW, lambda: looped(switches(outer))))
    told = below(DEEP, lambda: inner.switch(greenlet.getcurrent()))
    assert told == "in the middle of a step", told
    events._set_running_loop(None)  # the inner one's: this thread now runs another
    looped(rests())
    assert inner.switch() == "done" and inner.dead


end = time.monotonic() + float(sys.argv[1] if len(sys.argv) > 1 else 3600)
print("ready", flush=True)
rounds = 0
while time.monotonic() < end:
    one_round()
    rounds += 1
    time.sleep(0.002)
print(rounds, flush=True)
