"""The live view at a terminal of its own: keys, sizes, ends; and of a process that hangs."""
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import sqlite3
import struct
import sys
import termios
import time

import pytest

from conftest import PROGRAM, TOP
from attached import HANGS, WHY_NOT, running

sys.path.insert(0, str(TOP / "tests/rules"))
from trace_maker import APP, MS, Trace  # noqa: E402

REDRAW = b"\x0c"
TIOCGPTN = 0x80045430  # asm-generic/ioctls.h: the number of a terminal's other end
ESCAPES = re.compile(rb"\x1b(\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>78M])|[\x0e\x0f]")


class Terminal:
    """A program at a terminal of rows by columns."""

    def __init__(self, *args, rows=24, columns=80, **env):
        self.raw = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background job has it ignored
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execve(PROGRAM, [str(PROGRAM), *map(str, args)],
                      {**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **env})

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds):
        """False: it has closed its terminal."""
        if not select.select([self.fd], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            data = b""
        self.raw += data
        return bool(data)

    def text(self):
        return ESCAPES.sub(b" ", self.raw).decode(errors="replace")

    def wait_for(self, *words, seconds=20, keys=b""):
        """What it draws from now on holds all the words; the whole screen is asked for until it does."""
        self.raw = b""
        os.write(self.fd, keys)
        end = time.monotonic() + seconds
        again = 0
        while not all(word in self.text() for word in words):
            now = time.monotonic()
            if now > end:
                pytest.fail(f"no {words} in\n{self.text()[-4000:]}")
            if now >= again:  # until it has the terminal each one is echoed, and read at once
                os.write(self.fd, REDRAW)
                again = now + 0.2
            if not self.read(0.2):
                pytest.fail(f"it ended; no {words} in\n{self.text()[-4000:]}")
        return self.text()

    def ended(self, seconds=30):
        """Its exit status. What it writes is read all the while: a full terminal would hold it."""
        end = time.monotonic() + seconds
        while True:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
                pytest.fail(f"it did not end\n{self.text()[-4000:]}")
        while select.select([self.fd], [], [], 0)[0] and self.read(0):
            pass
        return os.waitstatus_to_exitcode(status)

    def is_plain(self):
        flags = termios.tcgetattr(self.fd)[3]
        return bool(flags & termios.ECHO and flags & termios.ICANON)


@pytest.fixture
def trace(tmp_path):
    """A kernel's trace with a bit of everything; a task has a name that no terminal should see."""
    made = Trace(tmp_path / "made.db", kernel=True)
    cell = made.cell(1000, 5000, "await work()\nmore()")
    made.iteration(2000, 1500, cell=cell, blocked_sleep=1500)
    stack = made.stack((APP, 31, "poll"), ("/usr/lib/python3.11/asyncio/runners.py", 1, "run"))
    for n in range(40):
        made.add("task", process=1, loop=1, thread=1, cell=cell, name=f"poller-{n}", coro="poll", user=1, created_ns=n * MS,
                 state="pending", steps=3, busy_ns=MS, last_ns=n * MS, awaiting="Queue.get", await_stack=stack,
                 await_file=APP, await_line=31, await_function="poll")
    made.add("task", process=1, loop=1, thread=1, name="evil\x1b]0;owned\x07", coro="poll", user=1, created_ns=20 * MS + 1,
             state="pending", steps=0)
    made.add("blocking_call", process=1, thread=1, loop=1, cell=cell, begin_ns=2000 * MS, duration_ns=1500 * MS, cpu_ns=0,
             call="time.sleep(1.5)", syscall="sleep", **{"class": "sleep"}, target="", file=APP, line=12, function="work")
    made.sql.commit()
    made.sql.close()
    return made.path


def test_keys_go_everywhere_and_back(trace):
    at = Terminal("live", trace, rows=40, columns=120)
    at.wait_for("[1 Loops]", "MainThread", "1.50 s", "? help")
    at.wait_for("[2 Tasks]", "poller-1 ", "Queue.get", "41 by state", keys=b"\t")
    at.wait_for("by age", keys=b"s")
    at.wait_for("Waits for Queue.get", "app.py:31  poll", "Esc back", keys=b"jjk\x1b[B\r")
    at.wait_for("[2 Tasks]", keys=b"\x1b")
    at.wait_for("poller-39", keys=b"G")
    at.wait_for("[3 Blocking]", "time.sleep(1.5)", keys=b"3")
    at.wait_for("[4 Cells]", "In [1]", "await work()", keys=b"4")
    at.wait_for("more()", keys=b"\n")
    at.wait_for("sort by the next key", keys=b"?")
    at.wait_for("[1 Loops]", "the last 10 s", keys=b"1w")
    at.wait_for("PAUSED", keys=b" ")
    at.wait_for("[4 Cells]", "In [1]", keys=b"2G3jj\r4k\t\t2\t\t")  # faster than it draws
    assert b"\x1b]0" not in at.raw
    os.write(at.fd, b"q")
    assert at.ended() == 0


def test_it_fits_any_size(trace):
    at = Terminal("live", trace, rows=50, columns=200)
    at.wait_for("[2 Tasks]", "poller-30", keys=b"2")
    for rows, columns, words in ((24, 80, ["poller-1", "? help"]), (12, 40, ["[2 Tasks]"]), (3, 20, []), (1, 1, []),
                                 (40, 120, ["poller-20", "Queue.get"])):
        at.resize(rows, columns)
        at.wait_for(*words)
    os.write(at.fd, b"q")
    assert at.ended() == 0


@pytest.mark.parametrize("end", [b"q", b"\x03", signal.SIGTERM, signal.SIGHUP], ids=["q", "Ctrl-C", "SIGTERM", "SIGHUP"])
def test_the_terminal_is_given_back(trace, end):
    at = Terminal("live", trace)
    at.wait_for("[1 Loops]")
    assert not at.is_plain()
    other_end = os.open(f"/dev/pts/{pts(at.fd)}", os.O_RDWR | os.O_NOCTTY)  # so that what it set stays to be looked at
    if isinstance(end, bytes):
        os.write(at.fd, end)
    else:
        os.kill(at.pid, end)
    assert at.ended() == 0
    assert at.is_plain()
    assert b"\x1b[?1049l" in at.raw  # the screen from before
    os.close(other_end)


def pts(fd):
    return struct.unpack("I", fcntl.ioctl(fd, TIOCGPTN, bytes(4)))[0]


@pytest.mark.parametrize("term", ["dumb", "", "no-such-terminal"])
def test_a_terminal_that_cannot_be_drawn_on_gets_text(trace, term):
    at = Terminal("live", trace, TERM=term)
    assert at.ended() == 0
    assert "poller-1 " in at.text() and "In [1]" in at.text()
    assert b"\x1b" not in at.raw


def test_a_pipe_gets_text(trace, awaitscope):
    done = awaitscope("live", trace)
    assert done.status == 0 and not done.err
    for word in ("demo.ipynb", "recorded for 60.0 s, ended", "MainThread", "and 21 more", "time.sleep(1.5)", "await work()",
                 r"evil\x1b]0;o"):
        assert word in done.out, f"no {word} in {done}"
    assert "\x1b" not in done.out


def test_wrong_usage_says_what_to_do(trace, awaitscope, tmp_path):
    for args, status, words in (((), 2, "name one process (awaitscope attach lists them) or one trace"), (("nope.db",), 2, "no such file: nope.db"),
                                (("-o", "x.db", trace), 2, "a trace is only read"), (("0",), 2, "0 is no process id")):
        done = awaitscope("live", *args)
        assert done.status == status and words in done.err and not done.out, done
    assert not (tmp_path / "x.db").exists()


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
def test_a_process_that_hangs_is_seen_while_it_does(tmp_path):
    (tmp_path / "temporary").mkdir()
    with running(HANGS, tmp_path) as program:
        at = Terminal("live", program.pid, TMPDIR=str(tmp_path / "temporary"))
        at.wait_for("MainThread has been held for", "in score() at", "app.py:4", seconds=30)
        at.wait_for("Task-1", "main", keys=b"2")
        at.wait_for("time.sleep(1.2)", keys=b"3")
        os.write(at.fd, b"q")
        assert at.ended() == 0
        assert "the recording was temporary; to keep it: awaitscope live -o trace.db" in " ".join(at.text().split())
        assert program.poll() is None
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT))
def test_a_recording_is_kept_where_asked_for(trace, tmp_path, awaitscope):
    shutil.copy(trace, tmp_path / "kept.db")
    with running(HANGS, tmp_path) as program:
        refused = awaitscope("live", "-o", "kept.db", program.pid)
        done = awaitscope("live", "--force", "--duration", "3s", "-o", "kept.db", program.pid)
    # the trace that was there is never shown as the process's
    assert refused.status == 2 and "kept.db exists already" in refused.err and not refused.out, refused
    assert "demo.ipynb" not in done.out, done
    assert done.status == 0, done
    assert "MainThread" in done.out and "time.sleep(1.2)" in done.out, done  # where it is held, if it is as this ends
    assert "Trace: kept.db" in done.err and "held the loop" in done.err, done
    kept = sqlite3.connect(tmp_path / "kept.db")
    assert kept.execute("SELECT value FROM meta WHERE key = 'complete'").fetchone() == (1,)
    assert kept.execute("SELECT count(*) > 0 FROM iteration").fetchone() == (1,)
