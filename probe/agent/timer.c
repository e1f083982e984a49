/*
 * Timers whose turn has come: _heapq.heappop, with which a loop takes each one that is due off its
 * heap; cancelled ones are left out. And timers that bound what a task waits for: _heapq.heappush,
 * with which it puts them there.
 */
#include <errno.h>

#include "probe/agent/callback.h"
#include "probe/agent/loop.h"
#include "probe/agent/object.h"
#include "probe/agent/slot.h"

typedef PyObject *fastcall_t(PyObject *, PyObject *const *, Py_ssize_t);

#define NS_PER_S 1e9
#define DUE_S_MAX 1e9 /* thirty years of uptime */

static PyCFunction pop_original;
static fastcall_t *push_original;
static PyObject *when_name, *cancelled_name;

/* When a handle is due; false: a loop with a clock of its own. */
static bool due_of(PyObject *handle, uint64_t *ret_ns)
{
	PyObject *when = object_get(handle, when_name);
	bool number = when && (PyFloat_CheckExact(when) || PyLong_CheckExact(when));
	double due_s = number ? PyFloat_AsDouble(when) : -1;

	Py_DecRef(when);
	PyErr_Clear(); /* an int beyond any float */
	if (!(due_s >= 0 && due_s < DUE_S_MAX))
		return false;
	*ret_ns = (uint64_t)(due_s * NS_PER_S);
	return true;
}

static void timer_write(PyObject *handle, const struct loop_run *run)
{
	uint64_t now_ns = clock_now_ns(), due_ns;
	struct ev_timer *e;

	if (!due_of(handle, &due_ns))
		return;
	e = ring_new(timer, 0, now_ns);
	if (!e)
		return;
	e->loop = run->id;
	e->due_ns = due_ns < now_ns ? due_ns : now_ns; /* loops round up to their clock's tick */
	e->future = callback_future(handle);
	ring_end(e);
}

/* A handle that left a heap on a thread that runs a loop. */
static void popped(PyObject *handle)
{
	struct error_aside error;
	PyObject *cancelled;

	error_put_aside(&error);
	cancelled = object_get(handle, cancelled_name);
	if (cancelled == Py_False)
		timer_write(handle, loop_innermost(agent_thread.loop));
	Py_DecRef(cancelled);
	error_restore(&error);
}

static PyObject *on_pop(PyObject *module, PyObject *heap)
{
	PyObject *item = pop_original(module, heap);

	if (item && callback_is_timer(item) && loop_thread_active() && agent_ours())
		popped(item);
	return item;
}

/* ---- timeouts ---------------------------------------------------------------------------- */

/* A handle was put on a heap by a task's step. */
static void pushed(PyObject *handle)
{
	struct error_aside error;
	struct ev_timeout *e;
	uint64_t due_ns;

	error_put_aside(&error);
	if (callback_interrupts(handle) && due_of(handle, &due_ns)) {
		e = ring_new(timeout, 0, 0);
		if (e) {
			e->task = task_here();
			e->due_ns = due_ns;
			ring_end(e);
		}
	}
	error_restore(&error);
}

static PyObject *on_push(PyObject *module, PyObject *const *args, Py_ssize_t n)
{
	PyObject *result = push_original(module, args, n);

	if (result && n == 2 && callback_is_timer(args[1]) && task_here() && loop_thread_active() &&
		agent_ours())
		pushed(args[1]);
	return result;
}

static void push_open(void)
{
	static const char name[] = "_heapq.heappush";
	struct method_def *def = function_find("_heapq", "heappush");

	if (!def || def->flags != CALL_FASTCALL) {
		hook_report(name, def ? "it is called in another way" : "not found");
		return;
	}
	push_original = (fastcall_t *)def->function;
	method_place(def, (void *)on_push, name);
}

int timer_open(void)
{
	static const char name[] = "_heapq.heappop";
	struct method_def *def = function_find("_heapq", "heappop");
	const char *reason = NULL;

	when_name = PyUnicode_InternFromString("_when");
	cancelled_name = PyUnicode_InternFromString("_cancelled");
	if (!def)
		reason = "not found";
	else if (def->flags != METH_O)
		reason = "it is called in another way";
	else if (!when_name || !cancelled_name)
		reason = "out of memory";
	if (reason) {
		hook_report(name, reason);
		return -EPROTO;
	}
	push_open();
	pop_original = (PyCFunction)def->function;
	return method_place(def, (void *)on_pop, name);
}
