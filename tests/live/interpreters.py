"""The interpreters that tests run programs with: what this machine has, each once, and packages for those that lack them.

AWAITSCOPE_PYTHONS names more of them (a:b:c); those that scripts/suite_python.sh has made are found where it keeps them. Virtual
environments are made in $XDG_CACHE_HOME/awaitscope-tests and kept; without a package index the packages are missing, and tests say
so."""
import fcntl
import functools
import glob
import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

DEBIAN = "/usr/bin/python3"
SUITES = os.environ.get("AWAITSCOPE_DEBIAN", "/var/tmp/awaitscope-debian")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "awaitscope-tests"
PIP_SECONDS = 120
NAMES = r"python[23]?(\.\d+t?)?|pypy[23]?(\.\d+)?"

# Runs on Python 2.7 too.
ASK = r"""
import os, platform, sys, sysconfig
maps = open("/proc/self/maps").read()
print("%s|%d|%d|%s|%d|%d|%s" % (platform.python_implementation(), sys.version_info[0], sys.version_info[1], platform.python_version(),
      bool(sysconfig.get_config_var("Py_GIL_DISABLED")), "/libpython" in maps, os.path.realpath(sys.executable)))
"""
HAS = "import importlib.util, sys; sys.exit(not importlib.util.find_spec(sys.argv[1]))"


class Interpreter:
    """path; version ("3.11.2"), minor (11); linked: with libpython.so or static; why: None, or why it is not traced."""

    def __init__(self, path, told):
        kind, major, minor, self.version, free_threaded, shared, self.real = told.split("|")
        self.path = path
        self.minor = int(minor)
        self.linked = "libpython.so" if int(shared) else "static"
        self.why = None
        if kind != "CPython":
            self.why = kind
        elif int(free_threaded):
            self.why = "free-threaded"
        elif not (3, 8) <= (int(major), self.minor) <= (3, 14):
            self.why = "not CPython 3.8 to 3.14"
        self.name = ("debian-" if path == DEBIAN else "") + ("" if kind == "CPython" else kind.lower() + "-") + self.version \
            + ("t" if int(free_threaded) else "")

    def __repr__(self):
        return self.name

    def has(self, module):
        return subprocess.run([self.path, "-c", HAS, module], capture_output=True).returncode == 0

    def with_module(self, module):
        """This interpreter's executable that can import it, its own or a virtual environment's; None: it cannot be had."""
        if self.has(module):
            return self.path
        return environment(self, module)


def ask(path):
    """The Interpreter, or None where that is none."""
    try:
        told = subprocess.run([path, "-c", ASK], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return None
    line = told.stdout.strip()
    return Interpreter(path, line) if told.returncode == 0 and line.count("|") == 6 else None


def is_binary(path):
    """A script beside it (pyenv has one for each of its own, and half a second for each) starts one that stands elsewhere."""
    try:
        with open(path, "rb") as f:
            return f.read(4) == b"\x7fELF"
    except OSError:
        return False


@functools.lru_cache(maxsize=None)
def everything():
    """Every interpreter found, Debian's own first."""
    named = os.environ.get("AWAITSCOPE_PYTHONS", "").split(":")
    named += sorted(glob.glob(f"{SUITES}/*-py*[0-9]"))
    paths = [DEBIAN, *filter(None, named)]
    others = sorted(glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python")))
    for folder in os.environ.get("PATH", "").split(":"):
        others += [path for path in sorted(glob.glob(f"{folder}/py*")) if re.fullmatch(NAMES, os.path.basename(path))]
    paths += {os.path.realpath(path): path for path in reversed(others) if is_binary(path)}.values()
    with ThreadPoolExecutor() as pool:
        asked = pool.map(ask, [path for path in paths if os.access(path, os.X_OK)])
    found = {}
    for one in filter(None, asked):
        found.setdefault((one.real if one.path not in named else one.path, one.version), one)
    return sorted(found.values(), key=lambda one: (one.path != DEBIAN, one.minor, one.name))


def traced():
    return [one for one in everything() if not one.why]


def refused():
    return [one for one in everything() if one.why]


def step(*argv):
    try:
        return subprocess.run(argv, capture_output=True, timeout=PIP_SECONDS, stdin=subprocess.DEVNULL).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


@functools.lru_cache(maxsize=None)
def environment(interpreter, module):
    """The python of a virtual environment of this interpreter that has the module; None: it cannot be had."""
    folder = CACHE / re.sub(r"[^\w.-]", "_", interpreter.version + interpreter.real)
    python = str(folder / "bin/python")
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not step(python, "-m", "pip", "--version") and not step(interpreter.path, "-m", "venv", "--clear", folder):
            return None
        if not step(python, "-c", HAS, module):
            step(python, "-m", "pip", "install", "--only-binary", ":all:", "--disable-pip-version-check", module)
        return python if step(python, "-c", HAS, module) else None


if __name__ == "__main__":
    for one in everything():
        print(json.dumps(dict(name=one.name, path=one.path, linked=one.linked, why=one.why)))
