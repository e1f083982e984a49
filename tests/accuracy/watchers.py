"""Other tools inside the program, each told to report what it sees; every report is a line {"log": seconds, "time": ns} of the
program's own file, which the act's line follows. Thresholds are as low as the tool stands."""
import contextlib
import json
import logging
import time

DEBUG_S, PYLEAK_S, AIOCOP_MS = 0.001, 0.01, 1


class Log(logging.Handler):
    def __init__(self, tell):
        super().__init__()
        self.tell = tell

    def emit(self, record):
        if "took" in record.getMessage():
            self.tell(record.args[-1])


@contextlib.asynccontextmanager
async def debug(loop, tell):
    """asyncio's debug mode: a warning for each slow callback."""
    loop.set_debug(True)
    loop.slow_callback_duration = DEBUG_S
    log = logging.getLogger("asyncio")
    log.addHandler(Log(tell))
    log.propagate = False
    yield


@contextlib.asynccontextmanager
async def pyleak(loop, tell):
    """pyleak: a thread that asks the loop for an answer again and again; blocks with the same stack are one to it, so they are
    taken as it finds them."""
    import pyleak.eventloop as eventloop
    found = eventloop._EventLoopBlockDetector._add_block

    def add_block(self, duration, *rest, **named):
        tell(duration)
        found(self, duration, *rest, **named)

    eventloop._EventLoopBlockDetector._add_block = add_block
    async with eventloop.no_event_loop_blocking(action="log", threshold=PYLEAK_S, check_interval=0.001):
        yield


@contextlib.asynccontextmanager
async def aiocop(loop, tell):
    """aiocop: audit events and wrapped callbacks."""
    import aiocop as cop
    cop.patch_audit_functions()
    cop.start_blocking_io_detection()
    cop.detect_slow_tasks(threshold_ms=AIOCOP_MS, on_slow_task=lambda event: tell(event.elapsed_ms / 1e3))
    cop.activate()
    yield
    cop.deactivate()


WATCHERS = {"debug": debug, "pyleak": pyleak, "aiocop": aiocop}


@contextlib.asynccontextmanager
async def nothing():
    yield


def watch(name, loop, out):
    if not name:
        return nothing()
    return WATCHERS[name](loop, lambda seconds: out.write(json.dumps({"log": seconds, "time": time.monotonic_ns()}) + "\n"))
