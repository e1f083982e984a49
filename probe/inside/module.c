/*
 * The module of `%load_ext awaitscope`: starts a recorder beside this process, then the agent in
 * it, and shows in the notebook what the recorder answers. Called by IPython, with the GIL. Every
 * failure is one sentence; the notebook goes on as without us.
 */
#include <Python.h>

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "probe/control.h"
#include "probe/inside/recorder.h"
#include "probe/python.h"
#include "probe/ring.h"

typedef const char *(*agent_begin)(int abi, const char *folder);
typedef void (*agent_rest)(void);

__attribute__((visibility("default"))) PyObject *PyInit_awaitscope(void);

static struct {
	enum {
		NOT_YET,
		STARTING, /* the GIL is let go meanwhile */
		RECORDING,
		BY_RUN, /* awaitscope run records this process already */
		ENDED,
	} state;
	pid_t pid; /* that was recorded; a fork has another */
	struct recorder recorder;
	agent_rest rest;
} inside;

/* ---- saying ------------------------------------------------------------- */

/* IPython shows its UsageError as one line. NULL. */
static PyObject *refuse(const char *format, ...)
{
	PyObject *errors = PyImport_ImportModule("IPython.core.error"), *type = NULL;
	va_list args;

	if (errors)
		type = PyObject_GetAttrString(errors, "UsageError");
	PyErr_Clear();
	va_start(args, format);
	PyErr_FormatV(type ? type : PyExc_RuntimeError, format, args);
	va_end(args);
	Py_DecRef(type);
	Py_DecRef(errors);
	return NULL;
}

static PyObject *none(void)
{
	Py_IncRef(Py_None);
	return Py_None;
}

/* A text of the recorder's, which is UTF-8. */
static PyObject *text_new(const char *text)
{
	return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
}

static PyObject *print(PyObject *text)
{
	PyObject *out = PySys_GetObject("stdout"), *done; /* borrowed */

	if (!text || !out || out == Py_None)
		return text ? none() : NULL;
	done = PyObject_CallMethod(out, "write", "O", text);
	Py_DecRef(done);
	return done ? none() : NULL;
}

static PyObject *say(const char *format, ...)
{
	PyObject *text, *done;
	va_list args;

	va_start(args, format);
	text = PyUnicode_FromFormatV(format, args);
	va_end(args);
	done = print(text);
	Py_DecRef(text);
	return done;
}

/* The page in a frame of its own, so that neither its style nor its script is the notebook's.
 * malloc'd. */
static char *frame_new(const char *page)
{
	static const char begin[] = "<iframe sandbox=\"allow-scripts\" style=\"width:100%;"
				    "height:40em;border:0\" srcdoc=\"";
	static const char end[] = "\"></iframe>";
	size_t size = sizeof(begin) + sizeof(end), used = sizeof(begin) - 1;
	char *frame;

	for (const char *p = page; *p; p++)
		size += *p == '&' ? 5 : *p == '"' ? 6 : 1;
	frame = malloc(size);
	if (!frame)
		return NULL;
	memcpy(frame, begin, used);
	for (const char *p = page; *p; p++) {
		const char *as = *p == '&' ? "&amp;" : *p == '"' ? "&quot;" : NULL;
		size_t n = as ? strlen(as) : 1;

		memcpy(frame + used, as ? as : p, n);
		used += n;
	}
	memcpy(frame + used, end, sizeof(end));
	return frame;
}

/* As a cell's output that has both forms, of which the front end shows one. */
static PyObject *display(const char *text, const char *page)
{
	PyObject *module = PyImport_ImportModule("IPython.display"), *function, *done = NULL;
	PyObject *args, *options = Py_BuildValue("{s:i}", "raw", 1);
	char *frame = frame_new(page);

	function = module ? PyObject_GetAttrString(module, "display") : NULL;
	args = frame ? Py_BuildValue("({s:N,s:N})", "text/plain", text_new(text), "text/html",
			       text_new(frame))
		     : PyErr_NoMemory();
	if (function && args && options)
		done = PyObject_Call(function, args, options);
	free(frame);
	Py_DecRef(args);
	Py_DecRef(options);
	Py_DecRef(function);
	Py_DecRef(module);
	return done;
}

/* ---- asking the recorder ------------------------------------------------ */

/* False: there is nobody to ask, and that is said. */
static int may_ask(void)
{
	if (inside.state == RECORDING && inside.pid == getpid())
		return 1;
	if (inside.state == RECORDING)
		refuse("this process is a fork of %d, which awaitscope records: ask there",
			(int)inside.pid);
	else if (inside.state == ENDED)
		refuse("the recording has ended; in a terminal: awaitscope report %s",
			inside.recorder.trace);
	else
		refuse("nothing is recorded yet: %%load_ext awaitscope begins it");
	return 0;
}

/* malloc'd; NULL with an error set. */
static char *ask(char request)
{
	char *answer = NULL;
	PyThreadState *thread;
	int rc;

	do {
		thread = PyEval_SaveThread();
		rc = recorder_ask(&inside.recorder, request, &answer);
		PyEval_RestoreThread(thread);
		if (rc == -EINTR && PyErr_CheckSignals())
			return NULL; /* KeyboardInterrupt */
	} while (rc == -EINTR);
	if (!rc && (*answer || request == CONTROL_END))
		return answer;
	free(answer);
	refuse("the recorder does not answer (%s); what it recorded: awaitscope report %s",
		rc ? strerror(-rc) : "it could make no report", inside.recorder.trace);
	return NULL;
}

static PyObject *show_text(char request)
{
	char *answer = ask(request);
	PyObject *text = answer ? text_new(answer) : NULL, *done = print(text);

	Py_DecRef(text);
	free(answer);
	return done;
}

static PyObject *verdict(PyObject *ip)
{
	PyObject *done = show_text(CONTROL_VERDICT);

	Py_DecRef(done);
	return done ? say("Trace: %s   Next: %%awaitscope report\n", inside.recorder.trace) : NULL;
}

static PyObject *report(PyObject *ip)
{
	PyObject *done;
	char *text, *page;

	if (!PyObject_HasAttrString(ip, "kernel")) /* a terminal */
		return show_text(CONTROL_TEXT);
	text = ask(CONTROL_TEXT);
	page = text ? ask(CONTROL_HTML) : NULL;
	done = page ? display(text, page) : NULL;
	free(page);
	free(text);
	return done;
}

static PyObject *stop(PyObject *ip)
{
	char *answer;

	inside.rest();
	answer = ask(CONTROL_END);
	inside.state = ENDED;
	free(answer);
	return answer ? say("The recording has ended. In a terminal: awaitscope report %s\n",
				inside.recorder.trace)
		      : NULL;
}

static const struct {
	const char *name;
	PyObject *(*run)(PyObject *ip);
} words[] = {{"", verdict}, {"report", report}, {"stop", stop}};

PyDoc_STRVAR(magic_doc, "%awaitscope         what held the loop most, so far\n"
			"%awaitscope report  the whole report, so far\n"
			"%awaitscope stop    end the recording and close its trace\n");

/* ip: IPython's shell; line: what stands behind %awaitscope. */
static PyObject *magic(PyObject *ip, PyObject *line)
{
	PyObject *stripped = PyObject_CallMethod(line, "strip", NULL);
	PyObject *word = stripped ? PyUnicode_AsUTF8String(stripped) : NULL, *done = NULL;
	size_t i = 0, n = sizeof(words) / sizeof(words[0]);

	while (word && i < n && strcmp(PyBytes_AsString(word), words[i].name))
		i++;
	if (i == n)
		refuse("%%awaitscope %U: there are %%awaitscope, %%awaitscope report and "
		       "%%awaitscope stop",
			stripped);
	else if (word && inside.state == BY_RUN)
		done = say("awaitscope run records this process; its report comes at the end\n");
	else if (word && may_ask())
		done = words[i].run(ip);
	Py_DecRef(word);
	Py_DecRef(stripped);
	return done;
}

static PyMethodDef magic_def = {"awaitscope", magic, METH_O, magic_doc};

static PyObject *magic_register(PyObject *ip)
{
	PyObject *function = PyCFunction_NewEx(&magic_def, ip, NULL), *done = NULL;

	if (function)
		done = PyObject_CallMethod(
			ip, "register_magic_function", "Oss", function, "line", magic_def.ml_name);
	Py_DecRef(function);
	return done;
}

/* ---- beginning ---------------------------------------------------------- */

/* The agent came with the program, by LD_PRELOAD. */
static int run_records(void)
{
	const char *agent = getenv(ENV_AGENT);

	return agent && *agent && dlopen(agent, RTLD_NOW | RTLD_NOLOAD);
}

/* Parts of the same installation; this file is lib/awaitscope/python/awaitscope.abi3.so in it. */
static int part_find(const char *below, char ret[PATH_MAX])
{
	char here[PATH_MAX], path[2 * PATH_MAX];
	Dl_info info;

	if (!dladdr((void *)part_find, &info) || !realpath(info.dli_fname, here))
		return -ENOENT;
	*strrchr(here, '/') = '\0';
	snprintf(path, sizeof(path), "%s/%s", here, below);
	return realpath(path, ret) ? 0 : -ENOENT;
}

static void recorder_drop(void)
{
	char *answer = NULL;

	recorder_ask(&inside.recorder, CONTROL_DROP, &answer);
	free(answer);
}

/* With a recorder that is ready. NULL, or why not. */
static const char *agent_start(void *agent)
{
	agent_begin begin = (agent_begin)dlsym(agent, "awaitscope_agent_begin");
	const char *why;

	inside.rest = (agent_rest)dlsym(agent, "awaitscope_agent_rest");
	if (!begin || !inside.rest)
		return "its agent is of another release";
	why = begin((int)RING_ABI, inside.recorder.folder);
	if (why)
		return why;
	/* Where only a parent may read a process's memory (Yama), it may; stacks are read so. */
	prctl(PR_SET_PTRACER, (unsigned long)inside.recorder.pid, 0, 0, 0);
	return NULL;
}

static PyObject *record(PyObject *ip)
{
	char program[PATH_MAX], path[PATH_MAX], why[RECORDER_WHY_BYTES] = "";
	const char *reason;
	PyThreadState *thread;
	void *agent;
	int rc;

	if (part_find("../agent.so", path) || part_find("../../../bin/awaitscope", program))
		return refuse("awaitscope is not installed whole: its program and agent.so belong "
			      "to this module");
	agent = dlopen(path, RTLD_NOW);
	if (!agent)
		return refuse("awaitscope cannot be loaded here: %s", dlerror());
	inside.state = STARTING;
	thread = PyEval_SaveThread();
	rc = recorder_start(program, &inside.recorder, why);
	PyEval_RestoreThread(thread);
	inside.state = NOT_YET;
	if (rc)
		return refuse("awaitscope cannot record: %s", why);
	reason = agent_start(agent);
	if (reason) {
		recorder_drop();
		return refuse("awaitscope cannot record this process: %s", reason);
	}
	inside.state = RECORDING;
	inside.pid = getpid();
	return say(
		"awaitscope records this process into %s\n%%awaitscope report shows what it has; "
		"should it hang, in a terminal: awaitscope live %s\n",
		inside.recorder.trace, inside.recorder.trace);
}

static PyObject *load(PyObject *module, PyObject *ip)
{
	PyObject *asyncio, *magics = magic_register(ip);

	if (!magics)
		return NULL;
	Py_DecRef(magics);
	if (inside.state == STARTING || inside.state == RECORDING)
		return say("awaitscope records this process already, into %s\n",
			inside.recorder.trace);
	if (inside.state == ENDED)
		return refuse("a process is recorded once: restart the kernel to record again; in "
			      "a terminal: awaitscope report %s",
			inside.recorder.trace);
	if (run_records()) {
		inside.state = BY_RUN;
		return say("awaitscope run records this process already\n");
	}
	asyncio = PyImport_ImportModule("asyncio");
	if (!asyncio)
		return NULL;
	Py_DecRef(asyncio);
	return record(ip);
}

static PyObject *unload(PyObject *module, PyObject *ip)
{
	return inside.state == RECORDING && inside.pid == getpid() ? stop(ip) : none();
}

static PyMethodDef functions[] = {
	{"load_ipython_extension", load, METH_O, "%load_ext awaitscope: record from now on"},
	{"unload_ipython_extension", unload, METH_O, "%unload_ext awaitscope: end the recording"},
	{NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT,
	.m_name = "awaitscope",
	.m_doc = "Which cell holds the event loop: %load_ext awaitscope, then %awaitscope report",
	.m_size = -1,
	.m_methods = functions,
};

PyObject *PyInit_awaitscope(void)
{
	int minor;

	if (python_kind(Py_GetVersion(), &minor) != PYTHON_SERVED)
		return refuse("awaitscope records CPython 3.%d to 3.%d with the GIL; this is %s",
			PYTHON_MINOR_MIN, PYTHON_MINOR_MAX, Py_GetVersion());
	return PyModule_Create(&definition);
}
