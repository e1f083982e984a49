"""Runs a notebook in a kernel, for `awaitscope run`. Started by it as: driver.py COMMANDS EVENTS OUTPUT, three inherited
descriptors: two pipes, and what the kernel gets as stdout and stderr.

Every line on the pipes is a JSON object. First comes the job:

    {"notebook", "cells": is it a '# %%' script, "folder": of the kernel, "kernel": {"name", "dir", "interpreter"},
     "environment": {...} for the kernel alone, "timeout": seconds or null, "allow_errors", "output": path or null, "force"}

Later commands: {"do": "go"} after the kernel was announced; {"do": "interrupt"}; {"do": "kill"}. The end of the pipe is "kill".
Events, in this order:

    {"event": "unusable", "missing": module}        this interpreter cannot do it; nothing was started. The last event then
    {"event": "bad", "text"}                        the file is no notebook; nothing was started. The last event then
    {"event": "kernel", "pid", "cells": n}          started; it waits for "go"
    {"event": "begin", "cell": k}                   the k-th of n cells, from 1
    {"event": "finish", "cell": k, "error": "type: message" or null, "allowed", "traceback"}
    {"event": "unsaved", "text"}                    the executed notebook could not be written
    {"event": "end", "how", "text", "status", "asked"}  the last one. status: the kernel's as Popen gives it, null if it had to
                                                    be left; asked: it lived until it was asked to end;
                                                    how: done, failed, timeout, died, unstarted, interrupted, broken
"""
import json
import os
import sys

sys.path[0:1] = []  # the folder of this file is no place for modules

TEXT_MAX = 1 << 18  # characters of a traceback that are passed on
INTERRUPT_S = 5.0  # for a cell to end after an interrupt


class Stopped(Exception):
    """The recorder wants the notebook to end."""


class BadNotebook(Exception):
    pass


class Pipe:
    """The two pipes to the recorder."""

    def __init__(self, commands, events):
        for fd in (commands, events):
            os.set_inheritable(fd, False)
        self.fd = commands
        self.events = events
        self.buffer = b""

    def send(self, event, **fields):
        fields["event"] = event
        for key, value in fields.items():
            if isinstance(value, str):  # lone surrogates are no JSON for others
                fields[key] = value[:TEXT_MAX].encode("utf-8", "replace").decode("utf-8")
        data = json.dumps(fields).encode() + b"\n"
        try:
            while data:
                data = data[os.write(self.events, data):]
        except OSError:
            pass  # the recorder is gone; the end of the command pipe tells

    def receive(self):
        """The commands that have come; None at the end of the pipe. Blocks if there is none."""
        data = os.read(self.fd, 65536)
        if not data:
            return None
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        return [json.loads(line) for line in lines]

    def job(self):
        """The first line, and not a byte of what follows it."""
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.fd, 1)
            if not byte:
                os._exit(0)
            line += byte
        return json.loads(line)


def read_notebook(path):
    import nbformat

    try:
        with open(path, encoding="utf-8-sig") as f:
            text = f.read()
        if not text.strip():
            raise BadNotebook("is empty, so it is no notebook")
        data = json.loads(text)
    except OSError as e:
        raise BadNotebook("cannot be read: %s" % (e.strerror or e))
    except UnicodeDecodeError as e:
        raise BadNotebook("is not UTF-8 text, so it is no notebook (byte %d)" % e.start)
    except RecursionError:
        raise BadNotebook("is nested too deeply to be a notebook")
    except ValueError as e:
        raise BadNotebook("is not JSON, so it is no notebook (%s)" % e)
    if not isinstance(data, dict) or not isinstance(data.get("nbformat"), int) \
            or not isinstance(data.get("cells", data.get("worksheets")), list):
        raise BadNotebook("is JSON, but no notebook: it has no nbformat and cells")
    try:
        return nbformat.reads(json.dumps(data), as_version=4)
    except Exception as e:
        raise BadNotebook("is not a valid notebook: %s" % (str(e) or type(e).__name__).split("\n")[0])


def read_script(path):
    """Cells begin at '# %%' or '#%%'; line 1 of a cell is the line after. '# %% [markdown]' is no code."""
    import re

    import nbformat.v4 as v4

    try:
        with open(path, encoding="utf-8-sig") as f:
            lines = f.read().split("\n")
    except OSError as e:
        raise BadNotebook("cannot be read: %s" % (e.strerror or e))
    except UnicodeDecodeError as e:
        raise BadNotebook("is not UTF-8 text (byte %d)" % e.start)
    cells = [(True, [])]
    for line in lines:
        if re.match(r"#\s?%%", line):
            cells.append((not re.search(r"\[(markdown|md|raw)\]", line), []))
        else:
            cells[-1][1].append(line)
    header = cells[0][1]
    if all(not line.strip() or line.lstrip().startswith("#") for line in header):
        del cells[0]
    made = []
    for is_code, source in cells:
        while source and not source[-1].strip():
            source.pop()
        made.append((v4.new_code_cell if is_code else v4.new_markdown_cell)("\n".join(source)))
    return v4.new_notebook(cells=made, metadata={"kernelspec": {
        "display_name": "Python 3", "language": "python", "name": "python3"}})


def kernel_spec(wanted):
    """The kernel as the recorder found it, whatever this interpreter's own Jupyter knows."""
    import importlib.util

    from jupyter_client.kernelspec import KernelSpec

    if wanted["dir"]:
        spec = KernelSpec.from_resource_dir(wanted["dir"])
    elif importlib.util.find_spec("ipykernel"):
        spec = KernelSpec(argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                          display_name="Python 3", language="python")
    else:
        raise ImportError(name="ipykernel")
    if wanted["interpreter"] and spec.argv:
        spec.argv[0] = wanted["interpreter"]
    return spec


def add_preload(spec, environment):
    """A kernel's own LD_PRELOAD would replace ours."""
    if "LD_PRELOAD" in spec.env:
        spec.env["LD_PRELOAD"] += ":" + environment["LD_PRELOAD"]


class Driver:
    def __init__(self, pipe, job, output):
        self.pipe = pipe
        self.output = output
        self.job = job
        self.nb = None
        self.client = None
        self.process = None
        self.running = None  # the task that runs the cells
        self.begun = False  # a cell was given to the kernel
        self.stopping = False
        self.asked = False  # the kernel, to end

    def prepare(self):
        from jupyter_client.kernelspec import KernelSpecManager
        from nbclient import NotebookClient

        job = self.job
        spec = kernel_spec(job["kernel"])
        add_preload(spec, job["environment"])
        self.nb = (read_script if job["cells"] else read_notebook)(job["notebook"])

        class OneKernel(KernelSpecManager):
            def get_kernel_spec(self, name):
                return spec

        self.client = NotebookClient(self.nb, kernel_name=job["kernel"]["name"], allow_errors=job["allow_errors"],
                                     timeout=None, timeout_func=lambda cell: job["timeout"],
                                     resources={"metadata": {"path": job["folder"]}})
        self.client.create_kernel_manager()
        self.client.km.kernel_spec_manager = OneKernel()
        self.code = [i for i, cell in enumerate(self.nb.cells)
                     if cell.cell_type == "code" and cell.source.strip()
                     and self.client.skip_cells_with_tag not in cell.metadata.get("tags", [])]

    async def run(self):
        """Returns (how, text)."""
        from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

        import asyncio

        loop = asyncio.get_running_loop()
        environment = dict(os.environ, **self.job["environment"])
        try:
            await self.client.async_start_new_kernel(env=environment, stdout=self.output, stderr=self.output)
        except Exception as e:
            return "unstarted", first_line(e)
        km = self.client.km
        self.process = getattr(getattr(km, "provisioner", None), "process", None) or getattr(km, "kernel", None)
        self.pipe.send("kernel", pid=self.process.pid, cells=len(self.code))
        go = loop.create_future()
        self.go = go
        loop.add_reader(self.pipe.fd, self.commands)
        try:
            if not await go:
                return "interrupted", ""
            self.running = asyncio.ensure_future(self.cells())
            if self.stopping:
                self.running.cancel()
            await self.running
            return "done", ""
        except CellExecutionError as e:
            return ("interrupted" if self.stopping else "failed"), first_line(e)
        except CellTimeoutError:
            await self.interrupted_cell()
            return "timeout", ""
        except (DeadKernelError, asyncio.CancelledError):
            return ("interrupted" if self.stopping else "died"), ""
        except Exception as e:
            if self.process.poll() is not None:
                return ("unstarted" if not self.client.code_cells_executed else "died"), first_line(e)
            return ("interrupted" if self.stopping else "broken"), first_line(e)

    async def cells(self):
        from nbclient.exceptions import CellExecutionError

        client = self.client
        client.reset_execution_trackers()
        await client.async_start_new_kernel_client()
        for index, cell in enumerate(self.nb.cells):
            if index not in self.code:
                continue
            number = self.code.index(index) + 1
            self.pipe.send("begin", cell=number)
            self.begun = True
            try:
                await client.async_execute_cell(cell, index, execution_count=client.code_cells_executed + 1)
            except CellExecutionError:
                self.finished(number, cell)
                raise
            self.finished(number, cell)
            if self.stopping:
                raise Stopped

    def finished(self, number, cell):
        error = next((o for o in cell.outputs if o.output_type == "error"), None)
        self.pipe.send("finish", cell=number,
                       error=": ".join(filter(None, (error.ename, error.evalue.strip().split("\n")[0][:400]))) if error else None,
                       allowed=self.job["allow_errors"] or "raises-exception" in cell.metadata.get("tags", []),
                       traceback="\n".join(error.traceback) if error else "")

    def commands(self):
        commands = self.pipe.receive()
        for command in ["kill"] if commands is None else [c["do"] for c in commands]:
            if command == "go":
                self.go.done() or self.go.set_result(True)
            elif command == "interrupt":
                self.stop(now=False)
            elif command == "kill":
                self.stop(now=True)
        if commands is None:
            import asyncio
            asyncio.get_running_loop().remove_reader(self.pipe.fd)

    def stop(self, now):
        import asyncio

        self.stopping = True
        if not self.go.done():
            self.go.set_result(False)
        if now or not self.begun:  # a kernel that is interrupted while it starts complains of it
            self.kill()
        elif self.running and not self.running.done():
            asyncio.ensure_future(self.interrupt())

    def kill(self):
        import signal

        if self.running:
            self.running.cancel()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)  # a kernel leads a session of its own
        except OSError:
            pass

    async def interrupt(self):
        """The cell gets a KeyboardInterrupt and INTERRUPT_S to end; then the notebook ends without it."""
        import asyncio

        await resolve(self.client.km.interrupt_kernel())
        await asyncio.wait([self.running], timeout=INTERRUPT_S)
        self.running.cancel()

    async def interrupted_cell(self):
        """After a timeout nobody waits for the cell's reply any more: see its end, so that the trace has it."""
        import asyncio

        try:
            await resolve(self.client.km.interrupt_kernel())
            await asyncio.wait_for(resolve(self.client.kc.shell_channel.get_msg(timeout=INTERRUPT_S)), INTERRUPT_S)
        except Exception:
            pass  # shutting down is more forceful

    async def shut_down(self):
        """The kernel's exit status as Popen gives it; None if it could not be ended."""
        km = self.client.km
        if self.process is None:
            return None
        try:
            if self.process.poll() is None:
                self.asked = True
                await resolve(km.shutdown_kernel(now=False))
            await resolve(km.cleanup_resources())
            if self.client.kc:
                await resolve(self.client.kc.stop_channels())
        except Exception:
            if self.process.poll() is None:
                self.kill()
        return self.process.poll()

    def save(self):
        import nbformat

        path = self.job["output"]
        if not path:
            return
        flags = os.O_WRONLY | os.O_CREAT | (os.O_TRUNC if self.job["force"] else os.O_EXCL)
        try:
            text = nbformat.writes(self.nb)
            with open(os.open(path, flags, 0o666), "w", encoding="utf-8") as f:
                f.write(text if text.endswith("\n") else text + "\n")
        except Exception as e:
            self.pipe.send("unsaved", text=first_line(e))


def first_line(e):
    text = str(e) or type(e).__name__
    if isinstance(e, OSError) and e.strerror:
        text = "%s: %s" % (e.filename, e.strerror) if e.filename else e.strerror
    return text.strip().split("\n")[0][:400]


async def resolve(value):
    """nbclient and jupyter_client have made some methods coroutines and back again."""
    import inspect

    return await value if inspect.isawaitable(value) else value


async def drive(driver):
    try:
        how, text = await driver.run()
    except Stopped:
        how, text = "interrupted", ""
    status = await driver.shut_down()
    driver.save()
    driver.pipe.send("end", how=how, text=text, status=status, asked=driver.asked)


def main():
    import signal

    # Ctrl-C reaches this process too, but it is the recorder that decides. A handler, and not SIG_IGN: a kernel would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    pipe = Pipe(int(sys.argv[1]), int(sys.argv[2]))
    job = pipe.job()
    try:
        import logging
        import warnings

        logging.disable(logging.CRITICAL)
        warnings.simplefilter("ignore")
        driver = Driver(pipe, job, int(sys.argv[3]))
        driver.prepare()
    except ImportError as e:
        return pipe.send("unusable", missing=(e.name or "nbclient").split(".")[0])
    except BadNotebook as e:
        return pipe.send("bad", text=str(e))
    except Exception as e:
        return pipe.send("end", how="broken", text="%s: %s" % (type(e).__name__, first_line(e)), status=None)
    import asyncio

    asyncio.run(drive(driver))


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        import traceback

        traceback.print_exc()  # into the session's log; the recorder tells the last line
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)  # nothing of ours is left to do, and some versions of zmq and asyncio complain or wait at exit
