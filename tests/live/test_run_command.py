"""`awaitscope run -- COMMAND`: the command behaves as if started directly, and bad input is answered in one sentence."""
import contextlib
import os
import pty
import re
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest
from conftest import PROGRAM, program_for_all

LOOP = """
import asyncio, sys
async def main():
    await asyncio.sleep(0.01)
    print("done", sys.argv[1:])
asyncio.run(main())
"""

# What a program can find out about how it was started, less what run adds to the environment.
STARTED = r"""
import os, signal, sys
status = open("/proc/self/status").read()
print([l for l in status.splitlines() if l.startswith(("SigBlk", "SigIgn", "SigCgt"))])
print(sorted(int(f) for f in os.listdir("/proc/self/fd"))[:-1], os.getcwd(), sys.argv, sys.stdin.read())
print(os.getpgid(0) == os.getpgid(os.getppid()), os.getsid(0) == os.getsid(os.getppid()))
print(sorted(set(os.environ) - {"LD_PRELOAD", "PYTEST_CURRENT_TEST"} - {k for k in os.environ if k.startswith("AWAITSCOPE_")}))
"""

ours = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else or to mount")


def traces(folder):
    return sorted(p.name for p in Path(folder).glob("awaitscope-*.db"))


def said(ended):
    """Our own lines on stderr."""
    return [line for line in ended.err.splitlines() if line.startswith("awaitscope: ")]


def start(args, cwd, **options):
    return subprocess.Popen([program_for_all() if "user" in options else PROGRAM, "run", *map(str, args)], cwd=cwd, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, **options)


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 7", 7), ("kill -TERM $$", 128 + 15), ("kill -KILL $$", 128 + 9)])
def test_returns_the_status_of_the_command(awaitscope, script, status):
    assert awaitscope("run", "--", "sh", "-c", script).status == status


def test_no_such_command_is_127_and_leaves_no_trace(awaitscope, tmp_path):
    ended = awaitscope("run", "--", "no-such-command")
    assert ended.status == 127 and said(ended) == ["awaitscope: no-such-command: no such command"]
    assert not traces(tmp_path)


def test_not_executable_is_126(awaitscope, tmp_path):
    (tmp_path / "plain").write_text("x")
    ended = awaitscope("run", "--", "./plain")
    assert ended.status == 126 and said(ended) == ["awaitscope: ./plain: Permission denied"]
    assert not traces(tmp_path)


def test_stdin_stdout_and_stderr_are_the_commands_own(awaitscope, tmp_path):
    (tmp_path / "in").write_text("from stdin")
    with open(tmp_path / "in") as stdin:
        ended = awaitscope("run", "-q", "--", "sh", "-c", "cat; echo to stderr >&2", stdin=stdin)
    assert ended.out == "from stdin"
    assert ended.err.splitlines()[0] == "to stderr"


def test_command_finds_itself_started_as_without_us(awaitscope, tmp_path):
    (tmp_path / "started.py").write_text(STARTED)
    command = [sys.executable, "started.py", "a b", ""]
    bare = subprocess.run(command, cwd=tmp_path, text=True, input="in", capture_output=True, start_new_session=True)
    # compared with a shell's child, since the session's leader has no parent in its group
    bare = subprocess.run(["sh", "-c", '"$@"; exit $?', "sh", *command], cwd=tmp_path, text=True, input="in",
                          capture_output=True, start_new_session=True)
    (tmp_path / "in").write_text("in")
    with open(tmp_path / "in") as stdin:
        traced = awaitscope("run", "--", *command, stdin=stdin)
    assert traced.out.splitlines() == bare.stdout.splitlines()


def test_ignored_signals_stay_ignored(tmp_path):
    command = [sys.executable, "-c", "print(open('/proc/self/status').read().split('SigIgn:')[1].split()[0])"]

    def ignore():
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)

    bare = subprocess.run(command, preexec_fn=ignore, capture_output=True, text=True)
    traced = subprocess.run([PROGRAM, "run", "-q", "--", *command], preexec_fn=ignore, capture_output=True, text=True, cwd=tmp_path)
    assert traced.stdout == bare.stdout and traced.returncode == 0


@pytest.mark.parametrize("command, name", [
    ([sys.executable, "app.py", "x"], "app"),
    ([sys.executable, "-u", "-W", "ignore", "app.py"], "app"),
    ([sys.executable, "-m", "app"], "app"),
    ([sys.executable, "-c", "pass"], os.path.basename(sys.executable)),
    (["sh", "-c", "true"], "sh"),
    ([sys.executable, "odd name;.py"], "odd_name_"),
])
def test_default_trace_is_named_after_what_runs(awaitscope, tmp_path, command, name):
    for file in "app.py", "odd name;.py":
        (tmp_path / file).write_text("import os; print(os.getpid())")
    ended = awaitscope("run", "--", *command)
    pid = ended.out.strip() or r"\d+"
    (trace,) = traces(tmp_path)
    assert re.fullmatch(rf"awaitscope-{re.escape(name)}-{pid}\.db", trace)
    assert stat.S_IMODE((tmp_path / trace).stat().st_mode) == 0o600


def test_existing_trace_is_refused_before_anything_runs(awaitscope, tmp_path):
    (tmp_path / "t.db").write_text("mine")
    ended = awaitscope("run", "-o", "t.db", "--", "touch", "ran")
    assert ended.status == 2 and said(ended) == ["awaitscope: trace t.db exists already; --force writes over it"]
    assert (tmp_path / "t.db").read_text() == "mine" and not (tmp_path / "ran").exists()
    assert awaitscope("run", "--force", "-o", "t.db", "--", "touch", "ran").status == 0
    assert (tmp_path / "t.db").read_bytes().startswith(b"SQLite format 3")


def test_trace_that_cannot_be_made_is_refused_before_anything_runs(awaitscope, tmp_path):
    for path, why in ("no/such.db", "No such file or directory"), (".", "is a folder"):
        ended = awaitscope("run", "-o", path, "--", "touch", "ran")
        assert ended.status == 2 and len(said(ended)) == 1 and why in said(ended)[0]
    assert not (tmp_path / "ran").exists()


@ours
def test_unwritable_folder_is_refused_before_anything_runs():
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        child = start(["--", "true"], folder, user=65534, group=65534, extra_groups=[])
        _, err = child.communicate(timeout=30)
        assert child.returncode == 2
        assert err == f"awaitscope: cannot write the trace into {folder}: Permission denied; -o TRACE puts it elsewhere\n"


@ours
def test_under_sudo_the_trace_belongs_to_the_user(awaitscope, tmp_path):
    ended = awaitscope("run", "-o", "t.db", "--", "true", env=dict(os.environ, SUDO_UID="1234", SUDO_GID="1235"))
    assert ended.status == 0
    found = (tmp_path / "t.db").stat()
    assert (found.st_uid, found.st_gid) == (1234, 1235)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_signal_sent_to_us_reaches_the_command(tmp_path, number):
    child = start(["--", "sh", "-c", f"trap 'echo got; exit 3' {number.name[3:]}; echo $AWAITSCOPE_SESSION; while :; do sleep 0.02; done"],
                  tmp_path)
    session = child.stdout.readline().strip()
    child.send_signal(number)
    out = child.stdout.read()
    assert child.wait(30) == 3 and out == "got\n"
    assert session and not os.path.exists(session)


def test_command_ended_by_our_signal_leaves_no_session_folder(tmp_path):
    child = start(["--", "sh", "-c", "echo $AWAITSCOPE_SESSION; exec cat"], tmp_path, stdin=subprocess.PIPE)
    session = child.stdout.readline().strip()
    assert os.path.isdir(session) and stat.S_IMODE(os.stat(session).st_mode) == 0o700
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 128 + 15 and not os.path.exists(session)
    assert traces(tmp_path)


def test_terminals_interrupt_is_left_to_the_command(tmp_path):
    """Ctrl-C on a terminal: the command gets it once, ends as it likes, then comes the verdict."""
    script = textwrap.dedent("""
        import signal, sys
        got = []
        signal.signal(signal.SIGINT, lambda *a: got.append(1))
        print("ready", flush=True)
        sys.stdin.readline()
        print("interrupts", len(got), flush=True)
        sys.exit(5)
    """)
    pid, terminal = pty.fork()
    if not pid:
        os.chdir(tmp_path)
        os.execv(PROGRAM, [str(PROGRAM), "run", "-o", "t.db", "--", sys.executable, "-c", script])
    seen = b""
    while b"ready" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"\x03")
    while b"^C" not in seen:
        seen += os.read(terminal, 4096)
    os.write(terminal, b"\n")
    while True:
        try:
            seen += os.read(terminal, 4096)
        except OSError:  # EIO: the other side is closed
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    assert b"interrupts 1" in seen and b"t.db" in seen


def test_recorder_dies_before_the_command_begins_and_it_does_not_run(tmp_path):
    """Full file system of /dev/null: the trace cannot be made there, and the held child ends."""
    ended = subprocess.run([PROGRAM, "run", "-o", "/proc/self/t.db", "--", "touch", "ran"], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode in (2, 125) and "cannot write trace /proc/self/t.db" in ended.stderr
    assert not (tmp_path / "ran").exists()


def test_untraceable_command_runs_all_the_same(awaitscope):
    ended = awaitscope("run", "--", "echo", "hello")
    assert ended.status == 0 and ended.out == "hello\n"
    assert len([line for line in ended.err.splitlines() if "no Python process" in line]) == 1, ended
    quiet = awaitscope("run", "-q", "--", "echo", "hello")
    assert quiet.err == "awaitscope: no Python process with an event loop was seen; the trace is empty\n"


def test_missing_agent_is_said(awaitscope, tmp_path):
    ended = awaitscope("run", "--", "true", env=dict(os.environ, AWAITSCOPE_LIB=str(tmp_path)))
    assert ended.status == 125 and len(said(ended)) == 1 and "agent.so is not in" in said(ended)[0]


@pytest.mark.parametrize("args, status, text", [
    ([], 2, "what to run?"),
    (["--"], 2, "a command is missing after --"),
    (["python3", "app.py"], 2, "a command comes after --"),
    (["python3"], 2, "a command comes after --"),
    (["app.py"], 2, "awaitscope run -- python3 app.py"),
    (["--kernel", "python3", "--", "true"], 2, "not for a command"),
    (["--cells", "--", "true"], 2, "not for a command"),
    (["--sensor", "bpf", "--", "true"], 3, "awaitscope attach"),
    (["--sensor", "magic", "--", "true"], 2, "one of auto, agent, bpf"),
    (["--keep", "10ms", "--", "true"], 2, "at least 1s"),
    (["--stall", "soon", "--", "true"], 2, "not a duration"),
    (["--stall", "0", "--", "true"], 2, "more than 0"),
    (["--timeout", "soon", "nb.ipynb"], 2, "not a number of seconds"),
    (["--max-size", "big", "--", "true"], 2, "not a size"),
    (["--no-such", "--", "true"], 2, "--no-such is no option"),
    (["--stall"], 2, "--stall needs a value"),
])
def test_wrong_usage_is_one_sentence(awaitscope, tmp_path, args, status, text):
    (tmp_path / "app.py").write_text("")
    ended = awaitscope("run", *args)
    assert ended.status == status and len(ended.err.splitlines()) == 1 and text in said(ended)[0]
    assert not traces(tmp_path)


def test_unknown_command_suggests_the_nearest(awaitscope):
    ended = awaitscope("rum")
    assert ended.status == 2 and "did you mean run?" in ended.err


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["report", "--help"]])
def test_help_has_an_example(awaitscope, args):
    ended = awaitscope(*args)
    assert ended.status == 0 and not ended.err
    assert "awaitscope " + (args[0] if len(args) > 1 else "run") in ended.out.split("xample")[-1]


# With the agent in the target.


@pytest.mark.parametrize("how", ["script", "module", "code", "stdin", "shell"])
def test_every_way_to_start_python_is_traced(awaitscope, report, tmp_path, how):
    (tmp_path / "app.py").write_text(LOOP)
    command = {"script": [sys.executable, "app.py", "x"], "module": [sys.executable, "-m", "app", "x"],
               "code": [sys.executable, "-c", LOOP, "x"], "stdin": [sys.executable, "-", "x"],
               "shell": ["sh", "-c", f"{sys.executable} app.py x; exit 4"]}[how]
    with open(tmp_path / "app.py") as stdin:
        ended = awaitscope("run", "-o", "t.db", "--", *command, stdin=stdin if how == "stdin" else subprocess.DEVNULL)
    assert ended.status == (4 if how == "shell" else 0) and ended.out == "done ['x']\n", ended
    found = report("t.db")
    assert len(found["trace"]["processes"]) == 1
    assert len(found["loops"]) == 1 and found["loops"][0]["iterations"] > 0


def test_tests_under_pytest_are_traced(awaitscope, report, tmp_path):
    (tmp_path / "test_it.py").write_text("import asyncio\ndef test_it(): asyncio.run(asyncio.sleep(0.01))\n")
    ended = awaitscope("run", "-o", "t.db", "--", sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert ended.status == 0 and "1 passed" in ended.out, ended
    assert len(report("t.db")["loops"]) == 1


def test_notebook_run_by_somebody_elses_program_has_its_cells(awaitscope, report, make_notebook):
    """What `jupyter execute` is: nbclient and a kernel below it, each a process of the tree."""
    pytest.importorskip("nbclient")
    path = make_notebook("nb", "x = 1", "import asyncio; await asyncio.sleep(0.01)")
    code = ("import nbformat, nbclient, sys; nb = nbformat.read(sys.argv[1], 4); nbclient.NotebookClient(nb).execute();"
            "print(len(nb.cells))")
    ended = awaitscope("run", "-o", "t.db", "--", sys.executable, "-c", code, path)
    assert ended.status == 0 and ended.out == "2\n", ended
    found = report("t.db")
    assert len(found["trace"]["processes"]) == 2
    assert [cell["source"] for cell in found["cells"]] == ["x = 1", "import asyncio; await asyncio.sleep(0.01)"]


def test_processes_that_outlive_the_command_are_counted(awaitscope, tmp_path):
    """A grandchild with a loop that still runs when the command ends; it ends when it sees our end."""
    (tmp_path / "app.py").write_text(textwrap.dedent("""
        import asyncio, os, sys
        async def main():
            print("up", flush=True)
            while not os.path.exists("over"):
                await asyncio.sleep(0.01)
        asyncio.run(main())
    """))
    ended = awaitscope("run", "-o", "t.db", "--", "sh", "-c",
                       f"{sys.executable} app.py >up 2>&1 & while [ ! -s up ]; do sleep 0.05; done")
    (tmp_path / "over").write_text("")
    assert ended.status == 0
    assert "awaitscope: 1 traced process is still running; recording has stopped" in said(ended)


@pytest.fixture
def small_disk(tmp_path):
    """small_disk("2m"): a folder with so much room."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(size):
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True).returncode:
            pytest.skip("no tmpfs can be mounted here")
        return disk

    yield mount
    if os.path.ismount(disk):
        subprocess.run(["umount", disk], check=True)  # a mount left behind is a failure


def ask(trace, query):
    """The first row; the connection is closed, so that nothing keeps the file."""
    with contextlib.closing(sqlite3.connect(trace)) as db:
        return db.execute(query).fetchone()


def says_incomplete(ended):
    """One line tells of the disk, and nothing that follows reads as if all had been seen."""
    assert len([line for line in said(ended) if "the disk is full" in line]) == 1, ended
    assert len([line for line in said(ended) if "the trace is incomplete" in line]) == 1, ended
    for false in "no Python process", "Nothing was recorded", "0 events lost", "No stall":
        assert false not in ended.err, ended


@ours
@pytest.mark.parametrize("size", ["1m", "2m", "4m"])
def test_full_disk_disturbs_no_program_and_is_never_a_clean_result(awaitscope, small_disk, tmp_path, size):
    disk = small_disk(size)
    (tmp_path / "app.py").write_text(textwrap.dedent("""
        import asyncio
        async def one(i):
            await asyncio.sleep(0)
        async def main():
            for i in range(300):
                await asyncio.gather(*(asyncio.create_task(one(k), name=f"task {i} {k} " + "x" * 50) for k in range(100)))
            print("whole")
        asyncio.run(main())
    """))
    ended = awaitscope("run", "--min-step", "0", "-o", disk / "t.db", "--", sys.executable, "app.py")
    assert ended.status == 0 and ended.out == "whole\n", ended
    says_incomplete(ended)
    assert ask(disk / "t.db", "PRAGMA integrity_check") == ("ok",)


@ours
def test_trace_keeps_what_it_had_when_the_disk_filled_up(awaitscope, small_disk, tmp_path):
    """The program fills the disk itself, once it sees its first tasks in the trace; then it goes on."""
    disk = small_disk("16m")
    (tmp_path / "app.py").write_text(textwrap.dedent("""
        import asyncio, contextlib, sqlite3
        async def one():
            await asyncio.sleep(0)
        def early():
            try:
                with contextlib.closing(sqlite3.connect("file:disk/t.db?mode=ro", uri=True)) as db:
                    return db.execute("SELECT count(*) FROM task WHERE name LIKE 'early %'").fetchone()[0]
            except sqlite3.Error:
                return 0
        async def main():
            await asyncio.gather(*(asyncio.create_task(one(), name=f"early {i}") for i in range(100)))
            while early() < 100:
                await asyncio.sleep(0.02)
            with open("disk/filler", "wb", buffering=0) as f:
                try:
                    while True:
                        f.write(bytes(4096))
                except OSError:
                    pass
            for i in range(300):
                await asyncio.gather(*(asyncio.create_task(one(), name=f"late {i} " + "x" * 50) for k in range(100)))
            print("whole")
        asyncio.run(main())
    """))
    ended = awaitscope("run", "--min-step", "0", "-o", disk / "t.db", "--", sys.executable, "app.py")
    assert ended.status == 0 and ended.out == "whole\n", ended
    says_incomplete(ended)
    assert ask(disk / "t.db", "SELECT count(*) FROM task WHERE name LIKE 'early %'") == (100,), ended


@ours
def test_trace_that_finds_no_room_leaves_nothing(awaitscope, small_disk, tmp_path):
    disk = small_disk("128k")
    ended = awaitscope("run", "-o", disk / "t.db", "--", "touch", "ran")
    assert ended.status == 125 and len(said(ended)) == 1 and "No space left on device" in said(ended)[0], ended
    assert not os.listdir(disk) and not (tmp_path / "ran").exists()
