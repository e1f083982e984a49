"""What a program can see of awaitscope, if it looks, is what docs/visible.md lists, and nothing else.

A program and a notebook cell describe their own process, plainly and traced; the two descriptions are compared."""
import json
import os
import re
import sys

import pytest

from conftest import PLAIN, PROGRAM, run_program
from to_ipynb import notebook

# Everything that a program can ask about itself without luck or timing in the answer.
DESCRIBE = r'''
def describe():
    import asyncio, atexit, contextvars, gc, inspect, io, logging, os, resource, signal, sys, threading, warnings

    seen = {}
    seen["environment"] = sorted(os.environ.items())
    seen["maps"] = sorted({line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if line.count("/")})
    seen["fds"] = sorted((int(fd), os.readlink("/proc/self/fd/" + fd)) for fd in os.listdir("/proc/self/fd")
                         if os.path.lexists("/proc/self/fd/" + fd))
    new = os.open("/dev/null", os.O_RDONLY)
    os.close(new)
    seen["next fd"] = new if "ipykernel" not in sys.modules else "as zmq likes"
    seen["threads"] = sorted(t.name.split("-")[0] for t in threading.enumerate()), len(os.listdir("/proc/self/task"))
    seen["modules"] = sorted(sys.modules)
    seen["sys"] = [sys.path, sys.flags, sys.getswitchinterval(), sys.getrecursionlimit(), sys.gettrace(), sys.getprofile(),
                   [type(f).__name__ for f in sys.meta_path], sys.warnoptions, sys._xoptions, sys.excepthook is sys.__excepthook__,
                   sys.unraisablehook is sys.__unraisablehook__, sys.get_asyncgen_hooks()[0] is not None]
    seen["signals"] = [str(signal.getsignal(n)) for n in range(1, signal.NSIG) if n not in (32, 33)]
    seen["limits"] = [resource.getrlimit(n) for n in range(16)]
    seen["status"] = [line for line in open("/proc/self/status") if line.startswith(("SigP", "SigB", "SigI", "SigC", "Shd", "NoNewPrivs", "TracerPid", "Umask"))]
    seen["gc"] = gc.get_threshold(), gc.isenabled(), gc.get_debug(), len(gc.garbage)
    seen["gc.callbacks"] = len(gc.callbacks)
    seen["atexit"] = atexit._ncallbacks()
    seen["context"] = len(contextvars.copy_context())
    seen["warnings"] = [str(f) for f in warnings.filters]
    seen["warnings._warn_unawaited_coroutine"] = type(warnings._warn_unawaited_coroutine).__name__

    loop = asyncio.get_running_loop()
    for name, kind in ("Task", asyncio.Task), ("Future", asyncio.Future), ("_PyTask", asyncio.tasks._PyTask), ("loop", type(loop)):
        seen[name] = {k: type(v).__name__ for k, v in vars(kind).items()}, [c.__name__ for c in kind.__mro__]
    for kind in asyncio.BaseEventLoop, asyncio.futures._PyFuture, asyncio.Queue, __import__("concurrent.futures").futures.Future:
        seen[kind.__name__ + " of asyncio"] = {k: type(v).__name__ for k, v in vars(kind).items()}
    seen["signatures"] = [str(inspect.signature(f)) for f in (
        asyncio.Queue, asyncio.tasks._PyTask, type("Subclass", (asyncio.Queue,), {}),
        loop.call_soon_threadsafe, loop.close, asyncio.futures._PyFuture().set_result, asyncio.futures._PyFuture().set_exception)]
    seen["loop itself"] = sorted(vars(loop)), loop.get_debug(), str(loop.get_task_factory()), str(loop.get_exception_handler())
    task = asyncio.current_task()
    seen["task"] = sys.getsizeof(task), type(task).__qualname__
    seen["functions"] = [type(f).__name__ + f.__module__ for f in (__import__("time").sleep, asyncio.sleep, asyncio.create_task,
                         loop.call_soon, os.read, os.open, gc.collect)]

    def deep(n):
        try:
            return deep(n + 1)
        except RecursionError:
            return n
    seen["recursion"] = deep(0)
    return seen


async def behave():
    """What asyncio itself says when things go wrong; the texts go to the log and to stderr."""
    import asyncio, gc, io, logging, traceback, warnings

    told = {}
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger("asyncio").addHandler(handler)

    async def fails():
        raise ValueError("row 1")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fails()
        gc.collect()
    told["never awaited"] = [(str(w.message), w.category.__name__, w.lineno) for w in caught]
    task = asyncio.get_running_loop().create_task(fails())
    told["name"] = task.get_name()
    try:
        await task
    except ValueError as e:
        told["traceback"] = traceback.format_exc()
    del task
    asyncio.get_running_loop().create_task(fails())
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    told["never retrieved"] = log.getvalue()
    logging.getLogger("asyncio").removeHandler(handler)
    task = asyncio.ensure_future(asyncio.sleep(3600))
    await asyncio.sleep(0)
    told["repr"] = repr(task)
    told["stack"] = [f.f_code.co_name for f in task.get_stack()]
    told["cancel"] = task.cancel(), (await asyncio.gather(task, return_exceptions=True))[0].__class__.__name__
    told["all"] = len(asyncio.all_tasks())
    return told
'''

PROGRAM_TEXT = DESCRIBE + '''
import asyncio, json
async def main():
    told = await behave()
    return dict(describe(), behaviour=told)
print(json.dumps(asyncio.run(main()), default=str))
'''

CELL = DESCRIBE + '''
import json
_told = await behave()
_seen = dict(describe(), behaviour=_told)
_ip = get_ipython()
_seen["ipython events"] = {k: len(v) for k, v in _ip.events.callbacks.items()}
_seen["names"] = sorted(n for n in globals() if not n.startswith("_"))
print(json.dumps(_seen, default=str))
'''

# Read docs/visible.md beside this: there it says what each is for.
IN_A_PROGRAM = {"environment", "maps", "fds", "gc.callbacks", "warnings._warn_unawaited_coroutine", "_PyTask",
                "BaseEventLoop of asyncio", "_PyFuture of asyncio", "Queue of asyncio", "Future of asyncio"}
IN_A_NOTEBOOK = IN_A_PROGRAM | {"ipython events"}


def normal(text):
    """Taken out: addresses, pids in names, and the folder each of the two runs in."""
    text = re.sub(r"0x[0-9a-f]+", "0xADDRESS", text)
    text = re.sub(r"ipykernel_\d+/\d+", "ipykernel_PID/HASH", text)
    text = re.sub(r"Task-\d+", "Task-N", text) if "ipykernel" in text else text
    return re.sub(r"kernel-[0-9a-f-]+|tmp[a-z0-9_]{8}\w*", "RANDOM", text)


def differences(plain, traced):
    assert plain.keys() == traced.keys()
    return {key for key in plain if normal(json.dumps(plain[key])) != normal(json.dumps(traced[key]))}


def explain(plain, traced, keys):
    return "\n".join(f"{key}:\n  plain  {plain[key]}\n  traced {traced[key]}" for key in sorted(keys))


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    folder = tmp_path_factory.mktemp("program")
    (folder / "self.py").write_text(PROGRAM_TEXT)
    plain = run_program([sys.executable, "self.py"], cwd=folder)
    traced = run_program([PROGRAM, "run", "-o", "trace.db", "--", sys.executable, "self.py"], cwd=folder)
    assert plain.status == traced.status == 0, f"{plain}\n{traced}"
    return json.loads(plain.out), json.loads(traced.out)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kernel")
    (folder / "self.ipynb").write_text(json.dumps(notebook([CELL])))
    plain = run_program([sys.executable, "-c", PLAIN, "self.ipynb", "plain.ipynb", "stop"], cwd=folder)
    traced = run_program([PROGRAM, "run", "-o", "trace.db", "--output", "traced.ipynb", "self.ipynb"], cwd=folder)
    assert plain.status == traced.status == 0, f"{plain}\n{traced}"
    told = []
    for name in "plain.ipynb", "traced.ipynb":
        outputs = json.loads((folder / name).read_text())["cells"][0]["outputs"]
        told.append(json.loads("".join("".join(o["text"]) for o in outputs if o.get("name") == "stdout")))
    return tuple(told)


def test_program_sees_what_is_listed(program):
    differing = differences(*program)
    assert differing <= IN_A_PROGRAM, explain(*program, differing - IN_A_PROGRAM)


def test_notebook_sees_what_is_listed(kernel):
    differing = differences(*kernel)
    assert differing <= IN_A_NOTEBOOK, explain(*kernel, differing - IN_A_NOTEBOOK)


@pytest.mark.parametrize("which", ["program", "kernel"])
def test_environment_differs_by_what_is_listed(which, request):
    plain, traced = ({name: value for name, value in seen["environment"]} for seen in request.getfixturevalue(which))
    more = {name for name in traced if traced[name] != plain.get(name)}
    assert all(name == "LD_PRELOAD" or name.startswith("AWAITSCOPE_") for name in more - {"JPY_PARENT_PID", "JPY_SESSION_NAME"}), more
    assert not plain.keys() - traced.keys()


@pytest.mark.parametrize("which", ["program", "kernel"])
def test_maps_differ_by_what_is_listed(which, request):
    plain, traced = (set(seen["maps"]) for seen in request.getfixturevalue(which))
    more = {os.path.basename(path) for path in traced - plain}
    assert all(re.fullmatch(r"agent\.so|preload\.so|ring-\d+", name) for name in more), more


@pytest.mark.parametrize("which", ["program", "kernel"])
def test_descriptors_differ_by_what_is_listed(which, request):
    plain, traced = ([(fd, re.sub(r":.*", "", path)) for fd, path in seen["fds"]] for seen in request.getfixturevalue(which))
    ours = [(fd, path) for fd, path in traced if path.endswith("/schedstat")]
    assert all(fd >= 256 for fd, path in ours), ours
    theirs = {path for fd, path in traced if (fd, path) not in ours} - {path for fd, path in plain}
    assert all(re.fullmatch(r"/\S*/awaitscope-session-\w+/kernel\.log", path) for path in theirs), theirs


def test_gc_callbacks_has_one_more(program):
    plain, traced = program
    assert traced["gc.callbacks"] - plain["gc.callbacks"] in (0, 1)
