/*
 * The agent's entry points. Called by the preload object: open once, then every audit event; the
 * hooks are installed when the program has imported asyncio. Called from inside a program that has
 * run for long: begin, and perhaps rest. Ends with the interpreter.
 */
#include "probe/agent/group.h"
#include "probe/agent/callback.h"
#include "probe/agent/object.h"
#include "probe/agent/process.h"
#include "probe/python.h"
#include "probe/agent/wait.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "probe/agent/symver.h"

#define SILENT_MINOR 13       /* from here on _interpreters makes others without an audit event */
#define MIN_BLOCK_NS 1000000u /* --min-block 1ms */
#define MIN_STEP_NS 100000u   /* --min-step 100us */

#define EXPORT __attribute__((visibility("default")))
EXPORT int awaitscope_agent_open(int abi);
EXPORT int awaitscope_agent_audit(const char *event, void *args);
EXPORT const char *awaitscope_agent_begin(int abi, const char *folder);
EXPORT void awaitscope_agent_rest(void);

struct agent_state agent;

static enum {
	AGENT_WAITING,    /* asyncio is not there */
	AGENT_NEAR,       /* asyncio is being imported */
	AGENT_INSTALLING, /* what we do now raises audit events of its own */
	AGENT_INSTALLED,
	AGENT_OFF, /* refused, or the interpreter has ended */
} state;

/* What 3.8's limited API lacks; any may be NULL. */
static struct {
	void *(*thread_state)(void); /* NULL where this thread has none */
	void *(*interp)(void);
	int (*finalizing)(void);
} python;

static void *symbol_either(const char *name, const char *older)
{
	void *symbol = dlsym(RTLD_DEFAULT, name);

	return symbol ? symbol : dlsym(RTLD_DEFAULT, older);
}

bool agent_interp_ours(void)
{
	return python.thread_state() && python.interp() == agent.interp;
}

bool agent_gil_held(void)
{
	void *thread = python.thread_state();

	return thread && thread == PyGILState_GetThisThreadState();
}

bool agent_finalizing(void)
{
	return python.finalizing && python.finalizing();
}

/* Decimal ns from the environment. */
static uint64_t env_ns(const char *name, uint64_t otherwise)
{
	const char *p = getenv(name);
	uint64_t value = 0;

	if (!p || !*p)
		return otherwise;
	for (; *p; p++) {
		if (*p < '0' || *p > '9' || value > UINT64_MAX / 10 - 9)
			return otherwise;
		value = value * 10 + (uint64_t)(*p - '0');
	}
	return value;
}

/* ---- fork --------------------------------------------------------------- */

/* In the child, between fork() and Python's own handlers: only memory of ours. */
static void on_fork_child(void)
{
	agent.on = false;
	agent.forked = state == AGENT_INSTALLED;
	ring_forked();
}

static int rings_begin(void)
{
	int rc;

	agent.pid = (uint32_t)getpid();
	clock_open();
	rc = ring_open();
	if (rc)
		return rc;
	agent.since_ns = clock_now_ns();
	process_announce();
	thread_announce();
	return 0;
}

bool agent_resume(void)
{
	struct error_aside error;
	int err = errno;

	if (!agent.forked || agent.finalizing || agent.quiet || !agent_interp_ours())
		return false;
	agent.forked = false;
	error_put_aside(&error);
	if (rings_begin() == 0) {
		intern_forked();
		body_forked();
		wait_forked();
		callback_forked();
		queues_forked();
		hook_forked();
		agent.on = true;
	}
	error_restore(&error);
	errno = err;
	return agent.on;
}

/* ---- installation ------------------------------------------------------- */

/* asyncio is in sys.modules and its import is over. */
static bool asyncio_ready(void)
{
	PyObject *spec = module_attr("asyncio", "__spec__"), *initializing;
	bool ready;

	if (!spec || spec == Py_None || !module_find("asyncio.tasks"))
		return false;
	Py_IncRef(spec); /* it may be an importer's own, with code of its own */
	initializing = PyObject_GetAttrString(spec, "_initializing");
	ready = initializing == Py_False;
	if (!initializing) { /* no longer there once the import is over */
		PyErr_Clear();
		ready = true;
	}
	Py_DecRef(initializing);
	Py_DecRef(spec);
	return ready;
}

static void hooks_place(void)
{
	frame_open();
	body_open();
	task_open();
	pytask_open();
	callback_open();
	future_open();
	group_open();
	timer_open();
	base_loop_open();
	queue_open();
	job_open();
	anomaly_open();
	gc_open();
	loop_open();
	got_open();
	if (module_find("IPython.core.interactiveshell"))
		cell_expect();
}

static void install(void)
{
	struct error_aside error;
	int err = errno;

	state = AGENT_INSTALLING;
	error_put_aside(&error);
	if (object_open() || pthread_atfork(NULL, NULL, on_fork_child) || rings_begin()) {
		state = AGENT_OFF; /* without a place for records there is nothing to do; the
				      recorder sees no ring file */
	} else {
		hooks_place();
		state = AGENT_INSTALLED;
		agent.on = true;
	}
	error_restore(&error);
	errno = err;
}

/*
 * Events raised where the interpreter is in good order; not within a look at an object, a
 * collection or a teardown.
 */
static bool event_is_calm(const char *event)
{
	static const char *const calm[] = {
		"import", "exec", "compile", "open", "socket.", "sys.", "os.", "subprocess."};
	size_t i;

	for (i = 0; i < sizeof(calm) / sizeof(calm[0]); i++)
		if (strncmp(event, calm[i], strlen(calm[i])) == 0)
			return true;
	return false;
}

static bool argument_is(PyObject *args, Py_ssize_t at, const char *text)
{
	PyObject *value =
		PyTuple_Check(args) && PyTuple_Size(args) > at ? PyTuple_GetItem(args, at) : NULL;

	return value && PyUnicode_Check(value) &&
	       PyUnicode_CompareWithASCIIString(value, text) == 0;
}

static bool import_named(PyObject *args, const char *name)
{
	return argument_is(args, 0, name);
}

static void audit_before(const char *event, PyObject *args)
{
	if (state == AGENT_WAITING) {
		if (strcmp(event, "import") == 0 ? import_named(args, "asyncio") ||
							   import_named(args, "asyncio.base_events")
						 : strncmp(event, "sys.set_asyncgen_hook", 21) == 0)
			state = AGENT_NEAR;
		return;
	}
	if (event_is_calm(event) && asyncio_ready() && !agent_finalizing())
		install();
}

/* "import" names the file only where one is opened for it: a shared object about to be loaded. */
static void audit_import(PyObject *args)
{
	PyObject *file =
		PyTuple_Check(args) && PyTuple_Size(args) > 1 ? PyTuple_GetItem(args, 1) : NULL;

	if (file && file != Py_None)
		agent.rescan = true;
	else if (import_named(args, "IPython.core.interactiveshell"))
		cell_expect();
}

/*
 * Where a filter of system calls (seccomp(2)) kills, ours must not be made. Nothing tells when one
 * is set, only that a program gets hold of what sets it.
 */
static bool may_restrict(const char *event, PyObject *args)
{
	static const char *const modules[] = {"seccomp", "pyseccomp", "prctl", "_prctl"};
	static const char *const functions[] = {"prctl", "syscall", "seccomp_load"};
	bool import = strcmp(event, "import") == 0;
	size_t i;

	if (!import && strcmp(event, "ctypes.dlsym") != 0)
		return false;
	for (i = 0; import && i < sizeof(modules) / sizeof(modules[0]); i++)
		if (argument_is(args, 0, modules[i]))
			return true;
	for (i = 0; !import && i < sizeof(functions) / sizeof(functions[0]); i++)
		if (argument_is(args, 0, functions[i]) || argument_is(args, 1, functions[i]))
			return true;
	return false;
}

static void audit_after(const char *event, PyObject *args)
{
	if (!agent.on)
		return;
	if (!agent.quiet && may_restrict(event, args)) {
		hook_report(
			"system calls", "the program may restrict them: no CPU times, no targets");
		agent.quiet = true;
	}
	if (strcmp(event, "import") == 0) {
		audit_import(args);
	} else if (strcmp(event, "ctypes.dlopen") == 0) {
		agent.rescan = true;
	} else if (strncmp(event, "sys.set_asyncgen_hook", 21) == 0) {
		thread_seen();
		loop_audit(event, args);
	} else if (strcmp(event, "exec") == 0) {
		cell_exec();
	} else if (agent_thread.loop) {
		audit_event(event, args);
	}
}

/* The interpreter's last words: after them no hook may touch an object. */
static void end(void)
{
	agent.on = false;
	agent.forked = false;
	agent.finalizing = true;
	state = AGENT_OFF;
	ring_close();
}

/* Others were made before we came. */
static bool interpreters_many(void)
{
	void *(*head)(void) = (void *(*)(void))dlsym(RTLD_DEFAULT, "PyInterpreterState_Head");
	void *(*next)(void *) = (void *(*)(void *))dlsym(RTLD_DEFAULT, "PyInterpreterState_Next");

	return !head || !next || next(head());
}

/* Also while another thread installs, which may let the GIL go. */
static void interpreter_event(const char *event)
{
	if (strcmp(event, "cpython._PySys_ClearAuditHooks") == 0 &&
		(!agent.many || agent_interp_ours()))
		end();
	else if (strcmp(event, "cpython.PyInterpreterState_New") == 0)
		agent.many = true;
}

/* Is this an interpreter that is served? Ours from now on, then. */
static int interpreter_take(int abi)
{
	if (abi != (int)RING_ABI || state != AGENT_WAITING || agent.interp)
		return -1;
	if (python_kind(Py_GetVersion(), &agent.minor) != PYTHON_SERVED)
		return -1;
	python.thread_state =
		symbol_either("PyThreadState_GetUnchecked", "_PyThreadState_UncheckedGet");
	python.interp = symbol_either("PyInterpreterState_Get", "_PyInterpreterState_Get");
	python.finalizing = symbol_either("Py_IsFinalizing", "_Py_IsFinalizing");
	if (!python.thread_state || !python.interp || !python.thread_state())
		return -1;
	agent.interp = python.interp();
	agent.many = agent.minor >= SILENT_MINOR || interpreters_many();
	agent.min_block_ns = MIN_BLOCK_NS;
	agent.min_step_ns = MIN_STEP_NS;
	return 0;
}

EXPORT int awaitscope_agent_open(int abi)
{
	if (!getenv(ENV_SESSION) || interpreter_take(abi))
		return -1;
	agent.min_block_ns = env_ns(ENV_MIN_BLOCK, MIN_BLOCK_NS);
	agent.min_step_ns = env_ns(ENV_MIN_STEP, MIN_STEP_NS);
	if (module_find("asyncio"))
		state = AGENT_NEAR;
	return 0;
}

/* Always 0: an audit hook that returns something else aborts what the program does. */
EXPORT int awaitscope_agent_audit(const char *event, void *args)
{
	if (state == AGENT_OFF || !event)
		return 0;
	if (event[0] == 'c' && strncmp(event, "cpython.", 8) == 0) {
		interpreter_event(event);
		return 0;
	}
	if (state == AGENT_INSTALLING)
		return 0;
	if (!args || (agent.many && !agent_interp_ours()))
		return 0;
	if (state == AGENT_INSTALLED)
		audit_after(event, args);
	else
		audit_before(event, args);
	return 0;
}

/* ---- from inside -------------------------------------------------------- */

static int on_audit(const char *event, PyObject *args, void *data)
{
	return awaitscope_agent_audit(event, args);
}

/* Not of the limited API before 3.13, but there. False: one that is there already forbids it. */
static bool audit_place(void)
{
	typedef int (*hook_fn)(const char *event, PyObject *args, void *data);
	int (*add)(hook_fn, void *) =
		(int (*)(hook_fn, void *))dlsym(RTLD_DEFAULT, "PySys_AddAuditHook");
	bool placed = add && add(on_audit, NULL) == 0;

	PyErr_Clear();
	return placed;
}

/*
 * This program has run for long; it is recorded from now on. asyncio has been imported. NULL, or a
 * text that says why not: the hooks are at rest then. GIL
 */
EXPORT const char *awaitscope_agent_begin(int abi, const char *folder)
{
	struct error_aside error;
	void *(*main_interp)(void) =
		(void *(*)(void))dlsym(RTLD_DEFAULT, "PyInterpreterState_Main");

	if (interpreter_take(abi))
		return "its agent takes this interpreter only once, and only in the same release";
	state = AGENT_OFF;
	if (!main_interp || main_interp() != agent.interp)
		return "only the main interpreter of a process can be recorded";
	if (!asyncio_ready())
		return "asyncio is still being imported";
	if (ring_folder(folder) || !audit_place())
		return "an audit hook of this process allows no further one";
	install();
	if (!agent.on)
		return "there is no place for its records";
	error_put_aside(&error);
	loop_late();
	tasks_late();
	cell_late();
	error_restore(&error);
	return NULL;
}

/* No record any more; the hooks stay and pass on. On the thread that began. GIL */
EXPORT void awaitscope_agent_rest(void)
{
	if (!agent.on)
		return;
	cell_rest();
	loop_rest();
	agent.on = false;
	state = AGENT_OFF;
	ring_close();
}
