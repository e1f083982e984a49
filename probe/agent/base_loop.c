/*
 * What asyncio's own loops refuse, close and clean up: C descriptors on BaseEventLoop, and
 * asyncio.run() where it asks for the running loop. The check that every call_soon() makes is
 * exchanged only when a first loop has been closed.
 */
#include <errno.h>

#include "probe/agent/descriptor.h"
#include "probe/agent/frame.h"
#include "probe/agent/known.h"
#include "probe/agent/slot.h"
#include "probe/agent/task.h"
#include "probe/agent/wait.h"

#define MODULE "asyncio.base_events"
static PyObject *loop_type; /* BaseEventLoop, owned */
static PyObject *closed_name;
static PyCFunction get_running_original;

/* PyCellObject.ob_ref, 3.8 to 3.14: a variable that an inner function uses too */
#define CELL_CONTENTS_OFF 16

/* Who asks on behalf of a coroutine, and their variable that holds it. */
enum { RUN, RUNNER_RUN, RUN_UNTIL_COMPLETE, CREATE_TASK, RUN_THREADSAFE, ASKERS };
static const struct {
	const char *module, *class, *function, *coroutine;
} askers[ASKERS] = {
	[RUN] = {"asyncio.runners", NULL, "run", "main"},
	[RUNNER_RUN] = {"asyncio.runners", "Runner", "run", "coro"}, /* 3.11+ */
	[RUN_UNTIL_COMPLETE] = {MODULE, "BaseEventLoop", "run_until_complete", "future"},
	[CREATE_TASK] = {MODULE, "BaseEventLoop", "create_task", "coro"},
	[RUN_THREADSAFE] = {"asyncio.tasks", NULL, "run_coroutine_threadsafe", "coro"},
};
static struct known asker_calls[ASKERS];

/* ---- refusals ---------------------------------------------------------------------------- */

static uint64_t coroutine_of(const void *frame)
{
	PyObject *coroutine;

	for (size_t i = 0; i < ASKERS; i++) {
		coroutine = known_variable(&asker_calls[i], frame);
		if (coroutine && object_is_native(coroutine, "cell"))
			coroutine = object_at(coroutine, CELL_CONTENTS_OFF);
		if (task_coro_native(coroutine))
			return (uint64_t)(uintptr_t)coroutine;
	}
	return 0;
}

/*
 * The coroutine for which the innermost function asks, or the one that called it, by address; 0:
 * not known.
 */
static uint64_t coroutine_asked(void)
{
	const void *frame = frame_outside(NULL);
	uint64_t coroutine = coroutine_of(frame);

	return coroutine || !frame ? coroutine : coroutine_of(frame_outside(frame));
}

static void refused_write(PyObject *loop, uint32_t why)
{
	struct ev_refused *e;
	uint32_t stack;

	thread_seen();
	stack = stack_here();
	e = ring_new(refused, 0, 0);
	if (!e)
		return;
	e->loop = loop_id(loop);
	e->task = agent_thread.task;
	e->stack = stack;
	e->why = why;
	e->coroutine = coroutine_asked();
	ring_end(e);
}

static PyObject *on_get_running(PyObject *module, PyObject *none)
{
	PyObject *loop = get_running_original(module, none);
	const void *frame;

	if (!loop || loop == Py_None || !agent_ours())
		return loop;
	frame = frame_outside(NULL);
	if (known_is(&asker_calls[RUN], frame) || known_is(&asker_calls[RUNNER_RUN], frame))
		refused_write(loop, REFUSED_RUNNING); /* it raises now */
	return loop;
}

/* ---- methods ----------------------------------------------------------------------------- */

enum { CLOSE, ASYNCGEN_FINALIZER, CHECK_RUNNING, METHODS };
static struct descriptor methods[METHODS];
static struct descriptor check_closed[1];

/* An attribute as the loop's own method would see it; true: exactly False. */
static bool is_open(PyObject *loop)
{
	PyObject *closed = PyObject_GetAttr(loop, closed_name);

	if (!closed)
		PyErr_Clear();
	Py_DecRef(closed);
	return closed == Py_False;
}

static PyObject *on_check_closed(PyObject *self, PyObject *none)
{
	struct error_aside error;
	PyObject *result;

	if (is_open(self)) {
		Py_IncRef(Py_None);
		return Py_None;
	}
	result = descriptor_call(&check_closed[0], self, NULL, NULL);
	if (!result && agent_ours()) {
		error_put_aside(&error);
		refused_write(self, REFUSED_CLOSED);
		error_restore(&error);
	}
	return result;
}

static PyObject *on_check_running(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *result = descriptor_call(&methods[CHECK_RUNNING], self, args, kwargs);
	struct error_aside error;

	if (!result && agent_ours()) {
		error_put_aside(&error);
		refused_write(self, REFUSED_RUNNING);
		error_restore(&error);
	}
	return result;
}

/* From the first closed loop on, loops are asked whether they are. */
static void check_closed_place(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	hook_report("asyncio.BaseEventLoop._check_closed",
		descriptors_place(loop_type, MODULE, check_closed, 1));
}

static void close_write(PyObject *loop, uint32_t stack)
{
	struct ev_loop_close *e = ring_new(loop_close, 0, 0);

	if (!e)
		return;
	e->loop = loop_id(loop);
	e->stack = stack;
	ring_end(e);
}

static PyObject *on_close(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *result, *closed;
	bool open;

	if (!agent_ours())
		return descriptor_call(&methods[CLOSE], self, args, kwargs);
	closed = object_get(self, closed_name);
	open = closed != Py_True; /* or a class computes it */
	Py_DecRef(closed);
	result = descriptor_call(&methods[CLOSE], self, args, kwargs);
	if (result && open && agent.on) {
		thread_seen();
		close_write(self, stack_here());
		waits_look();
		check_closed_place();
	}
	return result;
}

static void asyncgen_write(PyObject *generator)
{
	uint32_t stack = stack_here(), code = code_of_coroutine(generator);
	struct ev_asyncgen_left *e;
	struct text name;

	coro_text(generator, &name);
	e = ring_new(asyncgen_left, name.size, 0);
	if (e) {
		e->task = agent_thread.task;
		e->stack = stack;
		e->code = code;
		e->name_len = (uint32_t)name.size;
		tail_put((char *)(e + 1), name.data, name.size);
		ring_end(e);
	}
	text_free(&name);
}

static PyObject *on_asyncgen_finalizer(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct error_aside error;

	if (agent_ours() && PyTuple_Size(args) > 0) {
		error_put_aside(&error);
		thread_seen();
		asyncgen_write(PyTuple_GetItem(args, 0));
		error_restore(&error);
	}
	return descriptor_call(&methods[ASYNCGEN_FINALIZER], self, args, kwargs);
}

static struct descriptor methods[METHODS] = {
	[CLOSE] = {.def = DESCRIPTOR_DEF(
			   "close", on_close, "close($self)\n--\n\nClose the event loop.")},
	[ASYNCGEN_FINALIZER] = {.def = DESCRIPTOR_DEF("_asyncgen_finalizer_hook",
					on_asyncgen_finalizer,
					"_asyncgen_finalizer_hook($self, agen)\n--\n\n")},
	[CHECK_RUNNING] = {.def = DESCRIPTOR_DEF("_check_running", on_check_running,
				   "_check_running($self)\n--\n\n")},
};
static struct descriptor check_closed[1] = {
	{.def = {"_check_closed", on_check_closed, METH_NOARGS, "_check_closed($self)\n--\n\n"}},
};

/* ---- installation ------------------------------------------------------------------------ */

static const char *run_open(void)
{
	struct method_def *def = function_find("_asyncio", "_get_running_loop");

	for (size_t i = 0; i < ASKERS; i++)
		known_find_in(askers[i].module, askers[i].class, askers[i].function,
			askers[i].coroutine, &asker_calls[i]);
	if (!asker_calls[RUN].code)
		return "asyncio.run() is no plain function";
	if (!def || def->flags != METH_NOARGS)
		return "_asyncio._get_running_loop was not found";
	get_running_original = (PyCFunction)def->function;
	method_place(def, (void *)on_get_running, "_asyncio._get_running_loop");
	return NULL;
}

int base_loop_open(void)
{
	static const char *const shown[METHODS] = {
		[CLOSE] = "asyncio.BaseEventLoop.close",
		[ASYNCGEN_FINALIZER] = "asyncio.BaseEventLoop._asyncgen_finalizer_hook",
		[CHECK_RUNNING] = "asyncio.BaseEventLoop._check_running",
	};
	const char *reason = run_open();

	hook_report("asyncio.run", reason);
	loop_type = module_attr(MODULE, "BaseEventLoop");
	Py_IncRef(loop_type);
	closed_name = PyUnicode_InternFromString("_closed");
	if (!closed_name)
		return -ENOMEM;
	for (size_t i = 0; i < METHODS; i++)
		hook_report(shown[i], descriptors_place(loop_type, MODULE, &methods[i], 1));
	return 0;
}

void base_loop_missed(void)
{
	static const char reason[] = "a loop runs that is not asyncio's";
	static const char *const missed[] = {"loop timers", "loop close", "loop refusals",
		"call_soon_threadsafe", "async generators' finalizer"};
	static bool said;

	for (size_t i = 0; i < sizeof(missed) / sizeof(missed[0]) && !said; i++)
		hook_report(missed[i], reason);
	said = true;
}
