/*
 * See handle.h. Steps of tasks pass by: their handles are told apart by the type of the function.
 * Elsewhere than in notebooks nothing is hooked: a turn of sleep(0) took 1 % longer (2026-11-21).
 */
#include "probe/agent/handle.h"

#include "probe/agent/callback.h"
#include "probe/agent/frame.h"
#include "probe/agent/known.h"
#include "probe/agent/slot.h"
#include "probe/agent/task.h"

typedef int (*init_fn)(PyObject *, PyObject *, PyObject *);
typedef PyObject *(*fast_fn)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *(*class_fn)(PyObject *, PyTypeObject *, PyObject *const *, size_t, PyObject *);

static fast_fn run_original;
static union {
	void *pointer;
	init_fn init;
	fast_fn fast;
	class_fn in_class;
} handle_init, timer_init, add_done;
static struct known handle_run; /* Handle._run(self) */
static struct {
	const PyObject *coroutine; /* not ours: its address only */
	uint64_t handle;
} returned; /* by the last function, until the loop calls another; NULL: no coroutine */

/* ---- records ----------------------------------------------------------------------------- */

static bool is_python(PyObject *function)
{
	const char *type = object_type_name(function);

	return strcmp(type, "function") == 0 || strcmp(type, "method") == 0;
}

/* handle NULL: the future will call it. */
static void told(PyObject *handle, PyObject *function, PyObject *future)
{
	bool python = is_python(function);
	struct ev_callback_new *e;
	uint32_t stack = 0;

	if (callback_sets(function))
		return;
	thread_seen();
	if (handle || !python || !agent_thread.task)
		stack = stack_here();
	e = ring_new(callback_new, 0, 0);
	if (!e)
		return;
	e->callback = handle ? (uint64_t)(uintptr_t)handle | WORK_CALLBACK : 0;
	e->function = (uint64_t)(uintptr_t)function;
	e->future = (uint64_t)(uintptr_t)future;
	e->task = agent_thread.task;
	e->stack = stack;
	e->pad = 0;
	ring_end(e);
}

/* ---- hooks ------------------------------------------------------------------------------- */

/* args: the function at `at`, its arguments behind it. */
static inline int made(PyObject *handle, PyObject *args, Py_ssize_t at, int rc)
{
	PyObject *function, *given;

	if (rc || PyTuple_Size(args) < at + 2)
		return rc;
	function = PyTuple_GetItem(args, at);
	if (task_is_step(function) || !agent_ours())
		return 0;
	given = PyTuple_GetItem(args, at + 1);
	told(handle, function,
		PyTuple_Check(given) && PyTuple_Size(given) == 1 ? PyTuple_GetItem(given, 0)
								 : NULL);
	return 0;
}

static int on_handle(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return made(self, args, 0, handle_init.init(self, args, kwargs));
}

static int on_timer(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return made(self, args, 1, timer_init.init(self, args, kwargs));
}

uint64_t handle_of_returned(PyObject *coroutine)
{
	uint64_t handle = returned.coroutine == coroutine ? returned.handle : 0;

	if (handle)
		returned.coroutine = NULL;
	return handle;
}

/* The innermost function is the one that calls us: the handle's own, or any other. */
static PyObject *on_run(PyObject *context, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	uint64_t before = agent_thread.task, now;
	PyObject *handle, *result;

	if (n < 1 || task_is_step(args[0]) || !agent_ours())
		return run_original(context, args, n, names);
	handle = known_variable(&handle_run, frame_outside(NULL));
	if (!handle)
		return run_original(context, args, n, names);
	now = (uint64_t)(uintptr_t)handle | WORK_CALLBACK;
	agent_thread.task = now;
	returned.coroutine = NULL;
	result = run_original(context, args, n, names);
	if (task_coro_native(result)) { /* as of a coroutine function that call_later() was given */
		returned.coroutine = result;
		returned.handle = now;
	}
	/* greenlets may have left others open; as task_step_end() */
	agent_thread.task = agent_thread.task == now ? before : 0;
	return result;
}

static PyObject *added(PyObject *future, PyObject *const *args, size_t n, PyObject *result)
{
	if (result && n && agent_ours())
		told(NULL, args[0], future);
	return result;
}

static PyObject *on_add_done(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	return added(self, args, (size_t)n, add_done.fast(self, args, n, names));
}

static PyObject *on_add_done_class(
	PyObject *self, PyTypeObject *type, PyObject *const *args, size_t n, PyObject *names)
{
	return added(self, args, n, add_done.in_class(self, type, args, n, names));
}

/* ---- installation ------------------------------------------------------------------------ */

static void add_done_place(void)
{
	static const char name[] = "_asyncio.Future.add_done_callback";
	PyObject *future = module_attr("_asyncio", "Future"),
		 *task = module_attr("_asyncio", "Task");
	struct method_def *def = future && PyType_Check(future)
					 ? method_find((PyTypeObject *)future, "add_done_callback")
					 : NULL;
	struct method_def *of_task =
		task && PyType_Check(task) ? method_find((PyTypeObject *)task, "add_done_callback")
					   : NULL;
	void *hook = NULL;

	if (def && def->flags == CALL_FASTCALL_KEYWORDS)
		hook = (void *)on_add_done;
	else if (def && def->flags == CALL_METHOD)
		hook = (void *)on_add_done_class;
	if (!hook ||
		(of_task && (of_task->function != def->function || of_task->flags != def->flags))) {
		hook_report(name, "not a method of a known kind");
		return;
	}
	add_done.pointer = def->function;
	if (method_place(def, hook, name) == 0 && of_task && of_task != def)
		method_place(of_task, hook, "_asyncio.Task.add_done_callback");
}

static const char *run_place(void)
{
	PyObject *type = module_attr("_contextvars", "Context");
	struct method_def *def =
		type && PyType_Check(type) ? method_find((PyTypeObject *)type, "run") : NULL;

	if (!def || def->flags != CALL_FASTCALL_KEYWORDS)
		return "not a method of a known kind";
	run_original = (fast_fn)def->function;
	return method_place(def, (void *)on_run, "contextvars.Context.run") ? "its method table"
									    : NULL;
}

void handle_open(void)
{
	static const char name[] = "asyncio.events.Handle.__init__";
	PyObject *handle = module_attr("asyncio.events", "Handle");
	PyObject *timer = module_attr("asyncio.events", "TimerHandle");
	const char *reason;

	if (handle_run.code)
		return;
	if (!known_find_in("asyncio.events", "Handle", "_run", "self", &handle_run))
		reason = "its _run() is no plain function";
	else
		reason = run_place();
	if (!reason)
		reason = slot_place_python(
			handle, SLOT_INIT, "__init__", (void *)on_handle, &handle_init.pointer);
	if (!reason)
		reason = slot_place_python(
			timer, SLOT_INIT, "__init__", (void *)on_timer, &timer_init.pointer);
	if (!reason)
		add_done_place();
	hook_report(name, reason);
}
