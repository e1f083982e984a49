"""Recorders that %load_ext awaitscope has started. Imports little: a program under test does it too."""
from pathlib import Path


def recorders(pid):
    """Processes that record that one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[1:4] == [b"inside", b"--record", str(pid).encode()]:
            found.append(int(path.parent.name))
    return found
