/*
 * C descriptors on asyncio.tasks._PyTask, which nest_asyncio makes asyncio's Task: the same records
 * as of C tasks. The class's own Python functions are called through them, so no frame is added.
 */
#include "probe/agent/descriptor.h"
#include "probe/agent/task.h"
#include "probe/agent/wakeup.h"

#include <errno.h>

enum attr {
	ATTR_COROUTINE,
	ATTR_WAITER,
	ATTR_STATE,
	ATTR_NAME,
	ATTR_LOOP,
	ATTR_EXCEPTION,
	ATTR_LOG_PENDING,
	ATTR_LOG_TRACEBACK,
	ATTRS
};
static const char *const attr_names[ATTRS] = {"_coro", "_fut_waiter", "_state", "_name", "_loop",
	"_exception", "_log_destroy_pending", "_Future__log_traceback"};
static PyObject *attr_keys[ATTRS];

enum method {
	METHOD_INIT,
	METHOD_STEP,
	METHOD_CANCEL,
	METHOD_SET_NAME,
	METHOD_DEL,
	METHOD_EAGER_START, /* 3.12+ */
	METHODS
};
static struct descriptor hooks[METHODS];

/* New reference; NULL where it is missing or None. */
static PyObject *attr_of(PyObject *task, enum attr attr)
{
	PyObject *value = object_get(task, attr_keys[attr]);

	if (value != Py_None)
		return value;
	Py_DecRef(value);
	return NULL;
}

static bool attr_true(PyObject *task, enum attr attr)
{
	PyObject *value = attr_of(task, attr);

	Py_DecRef(value);
	return value == Py_True;
}

static uint32_t state_of(PyObject *task)
{
	PyObject *state = attr_of(task, ATTR_STATE);
	uint32_t value = TASK_PENDING;

	if (state && PyUnicode_Check(state)) {
		if (PyUnicode_CompareWithASCIIString(state, "CANCELLED") == 0)
			value = TASK_CANCELLED;
		else if (PyUnicode_CompareWithASCIIString(state, "FINISHED") == 0)
			value = TASK_FINISHED;
	}
	Py_DecRef(state);
	return value;
}

/* A new task whose __init__ has run. */
static void born(PyObject *self, struct task_birth *birth)
{
	PyObject *loop = attr_of(self, ATTR_LOOP), *name = attr_of(self, ATTR_NAME);

	birth->coro = attr_of(self, ATTR_COROUTINE);
	task_birth_write(birth, self, loop, name);
	Py_DecRef(birth->coro);
	Py_DecRef(name);
	Py_DecRef(loop);
}

static void named(PyObject *self)
{
	PyObject *name = attr_of(self, ATTR_NAME);

	task_name_write(self, name);
	Py_DecRef(name);
}

/*
 * Eager tasks whose __init__ has begun and whose first step has not: that is one a thread. In a
 * table, since greenlets move stacks. Where it is full, the step comes before its task.
 */
#define EAGER_MAX 16
static struct {
	PyObject *task; /* NULL: free; no reference */
	struct task_birth birth;
} eager[EAGER_MAX];

static int eager_find(PyObject *task)
{
	int i;

	for (i = 0; i < EAGER_MAX; i++)
		if (eager[i].task == task)
			return i;
	return -1;
}

static bool eager_keep(PyObject *task, const struct task_birth *birth)
{
	int i = eager_find(task); /* left over from a thread that a fork ended */

	if (i < 0)
		i = eager_find(NULL);
	if (i < 0)
		return false;
	eager[i].task = task;
	eager[i].birth = *birth;
	return true;
}

/* False: it was taken already. */
static bool eager_take(PyObject *task, struct task_birth *ret)
{
	int i = eager_find(task);

	if (i < 0)
		return false;
	eager[i].task = NULL;
	*ret = eager[i].birth;
	return true;
}

static PyObject *on_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct task_birth birth;
	PyObject *result;
	bool kept = false;

	if (!task_due())
		return descriptor_call(&hooks[METHOD_INIT], self, args, kwargs);
	cell_try();
	task_birth_take(task_coro_arg(args, 0, kwargs), TASK_PYTHON, &birth);
	if (task_is_eager(kwargs)) {
		birth.flags |= TASK_EAGER;
		kept = eager_keep(self, &birth);
	}
	result = descriptor_call(&hooks[METHOD_INIT], self, args, kwargs);
	if (kept && !eager_take(self, &birth))
		return result;
	if (result && agent.on)
		born(self, &birth);
	return result;
}

static void step_done(PyObject *task, const struct task_step *step)
{
	uint64_t end_ns = task_step_end(task, step);
	struct error_aside error;
	struct task_after after;

	if (!agent.on || step->begin_ns < agent.since_ns)
		return;
	error_put_aside(&error);
	after.coro = attr_of(task, ATTR_COROUTINE);
	after.waiter = attr_of(task, ATTR_WAITER);
	after.exception = attr_of(task, ATTR_EXCEPTION);
	after.state = state_of(task);
	task_step_write(task, step, end_ns, &after);
	Py_DecRef(after.exception);
	Py_DecRef(after.waiter);
	Py_DecRef(after.coro);
	error_restore(&error);
}

/* Before the step: what the task waited for is still in its place. */
static void woken(PyObject *task, PyObject *args, const struct task_step *step)
{
	PyObject *future = attr_of(task, ATTR_WAITER), *coro = attr_of(task, ATTR_COROUTINE);
	PyObject *exception = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;

	if (future)
		wakeup_begin(task, coro, future, step->begin_ns);
	else if (exception && PyExceptionInstance_Check(exception))
		wakeup_received(task, coro, exception, step->begin_ns);
	Py_DecRef(coro);
	Py_DecRef(future);
}

static PyObject *on_step(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct task_step step;
	PyObject *result, *loop;

	if (!task_due())
		return descriptor_call(&hooks[METHOD_STEP], self, args, kwargs);
	loop = attr_of(self, ATTR_LOOP);
	task_step_begin(self, loop, &step);
	Py_DecRef(loop);
	woken(self, args, &step);
	result = descriptor_call(&hooks[METHOD_STEP], self, args, kwargs);
	step_done(self, &step);
	return result;
}

static PyObject *on_eager_start(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct task_birth birth;
	struct task_step step;
	PyObject *result;

	if (!task_due())
		return descriptor_call(&hooks[METHOD_EAGER_START], self, args, kwargs);
	if (eager_take(self, &birth))
		born(self, &birth);
	task_step_begin(self, NULL, &step);
	result = descriptor_call(&hooks[METHOD_EAGER_START], self, args, kwargs);
	step_done(self, &step);
	return result;
}

static PyObject *on_cancel(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *result = descriptor_call(&hooks[METHOD_CANCEL], self, args, kwargs);

	if (result == Py_True && agent_ours())
		task_cancel_write(self, task_here());
	return result;
}

static PyObject *on_set_name(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *result = descriptor_call(&hooks[METHOD_SET_NAME], self, args, kwargs);

	if (result && agent_ours()) {
		thread_seen();
		named(self);
	}
	return result;
}

static void gone_write(PyObject *self)
{
	PyObject *exception;
	uint32_t flags = 0;

	if (state_of(self) == TASK_PENDING) {
		flags = GONE_PENDING | (attr_true(self, ATTR_LOG_PENDING) ? 0 : GONE_QUIET);
	} else if (attr_true(self, ATTR_LOG_TRACEBACK)) {
		exception = attr_of(self, ATTR_EXCEPTION);
		flags = exception ? GONE_UNRETRIEVED : 0;
		Py_DecRef(exception);
	}
	if (!flags)
		return;
	thread_seen();
	task_gone_write(self, flags);
}

static PyObject *on_del(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct error_aside error;
	PyObject *coro;

	if (agent_ours()) {
		error_put_aside(&error);
		coro = attr_of(self, ATTR_COROUTINE);
		if (coro)
			gone_write(self);
		Py_DecRef(coro);
		error_restore(&error);
	}
	return descriptor_call(&hooks[METHOD_DEL], self, args, kwargs);
}

static struct descriptor hooks[METHODS] = {
	[METHOD_INIT] = {.def = DESCRIPTOR_DEF("__init__", on_init, NULL)},
	[METHOD_STEP] = {.def = DESCRIPTOR_DEF("_Task__step", on_step, NULL), .function = "__step"},
	[METHOD_CANCEL] = {.def = DESCRIPTOR_DEF("cancel", on_cancel, NULL)},
	[METHOD_SET_NAME] = {.def = DESCRIPTOR_DEF(
				     "set_name", on_set_name, "set_name($self, value)\n--\n\n")},
	[METHOD_DEL] = {.def = DESCRIPTOR_DEF("__del__", on_del, NULL)},
	[METHOD_EAGER_START] = {.def = DESCRIPTOR_DEF("_Task__eager_start", on_eager_start, NULL),
		.function = "__eager_start"},
};

/* As the functions' own, Lib/asyncio/tasks.py@3.8, @3.9, @3.11 and @3.12. */
static void signatures_choose(void)
{
	const char *init = "__init__($self, coro, *, loop=None, name=None)\n--\n\n";

	if (agent.minor >= 12)
		init = "__init__($self, coro, *, loop=None, name=None, context=None, "
		       "eager_start=False)\n--\n\n";
	else if (agent.minor == 11)
		init = "__init__($self, coro, *, loop=None, name=None, context=None)\n--\n\n";
	hooks[METHOD_INIT].def.ml_doc = init;
	hooks[METHOD_CANCEL].def.ml_doc =
		agent.minor < 9 ? "cancel($self)\n--\n\n" : "cancel($self, msg=None)\n--\n\n";
}

static const char *keys_make(void)
{
	int i;

	for (i = 0; i < ATTRS; i++) {
		attr_keys[i] = PyUnicode_InternFromString(attr_names[i]);
		if (!attr_keys[i])
			return "out of memory";
	}
	return NULL;
}

int pytask_open(void)
{
	PyObject *type = module_attr("asyncio.tasks", "_PyTask");
	const char *reason = type && PyType_Check(type) ? NULL : "not there";
	size_t count = agent.minor < 12 ? METHOD_EAGER_START : METHODS;

	signatures_choose();
	if (!reason)
		reason = keys_make();
	if (!reason)
		reason = descriptors_place(type, "asyncio.tasks", hooks, count);
	hook_report("asyncio.tasks._PyTask", reason);
	return reason ? -EPROTO : 0;
}
