/*
 * C descriptors on asyncio.tasks._PyTask, which nest_asyncio makes asyncio's Task: the same records
 * as of C tasks. The class's own Python functions are called through them, so no frame is added.
 */
#include "probe/agent/task.h"

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

enum method { METHOD_INIT, METHOD_STEP, METHOD_CANCEL, METHOD_SET_NAME, METHOD_DEL, METHODS };
static PyObject *originals[METHODS];

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

/* The class's own function with self before the arguments. */
static PyObject *original_call(enum method method, PyObject *self, PyObject *args, PyObject *kwargs)
{
	Py_ssize_t i, n = PyTuple_Size(args);
	PyObject *all = PyTuple_New(n + 1), *item, *result;

	if (!all)
		return NULL;
	Py_IncRef(self);
	PyTuple_SetItem(all, 0, self);
	for (i = 0; i < n; i++) {
		item = PyTuple_GetItem(args, i);
		Py_IncRef(item);
		PyTuple_SetItem(all, i + 1, item);
	}
	result = PyObject_Call(originals[method], all, kwargs);
	Py_DecRef(all);
	return result;
}

static PyObject *on_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct task_birth birth;
	PyObject *result, *loop, *name;

	if (!task_due())
		return original_call(METHOD_INIT, self, args, kwargs);
	cell_try();
	task_birth_take(task_coro_arg(args, 0, kwargs), TASK_PYTHON, &birth);
	result = original_call(METHOD_INIT, self, args, kwargs);
	if (!result || !agent.on)
		return result;
	loop = attr_of(self, ATTR_LOOP);
	name = attr_of(self, ATTR_NAME);
	birth.coro = attr_of(self, ATTR_COROUTINE);
	task_birth_write(&birth, self, loop, name);
	Py_DecRef(birth.coro);
	Py_DecRef(name);
	Py_DecRef(loop);
	return result;
}

static void step_done(PyObject *task, const struct task_step *step)
{
	uint64_t end_ns = task_step_end(step);
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

static PyObject *on_step(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct task_step step;
	PyObject *result, *loop;

	if (!task_due())
		return original_call(METHOD_STEP, self, args, kwargs);
	loop = attr_of(self, ATTR_LOOP);
	task_step_begin(self, loop, &step);
	Py_DecRef(loop);
	result = original_call(METHOD_STEP, self, args, kwargs);
	step_done(self, &step);
	return result;
}

static PyObject *on_cancel(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *result;
	uint32_t stack;

	if (!agent_ours())
		return original_call(METHOD_CANCEL, self, args, kwargs);
	thread_seen();
	stack = stack_here();
	result = original_call(METHOD_CANCEL, self, args, kwargs);
	if (result && agent.on)
		task_cancel_write(self, agent_thread.task, stack, result);
	return result;
}

static PyObject *on_set_name(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *result = original_call(METHOD_SET_NAME, self, args, kwargs), *name;

	if (result && agent_ours()) {
		thread_seen();
		name = attr_of(self, ATTR_NAME);
		task_name_write(self, name);
		Py_DecRef(name);
	}
	return result;
}

static void gone_write(PyObject *self)
{
	PyObject *exception;
	uint32_t flags = 0;

	if (state_of(self) == TASK_PENDING) {
		if (attr_true(self, ATTR_LOG_PENDING))
			flags = GONE_PENDING;
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
	return original_call(METHOD_DEL, self, args, kwargs);
}

#define HOOK(function) (PyCFunction)(void (*)(void)) function, METH_VARARGS | METH_KEYWORDS, NULL
static PyMethodDef hooks[METHODS] = {
	[METHOD_INIT] = {"__init__", HOOK(on_init)},
	[METHOD_STEP] = {"_Task__step", HOOK(on_step)},
	[METHOD_CANCEL] = {"cancel", HOOK(on_cancel)},
	[METHOD_SET_NAME] = {"set_name", HOOK(on_set_name)},
	[METHOD_DEL] = {"__del__", HOOK(on_del)},
};
#undef HOOK

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

/* Every one must be a plain function of the class itself; only then is any exchanged. */
static const char *originals_find(PyObject *type)
{
	PyObject *dict = PyObject_GetAttrString(type, "__dict__");
	int i;

	for (i = 0; i < METHODS && dict; i++) {
		originals[i] = PyMapping_GetItemString(dict, hooks[i].ml_name);
		if (!originals[i] || strcmp(object_type_name(originals[i]), "function") != 0)
			break;
	}
	Py_DecRef(dict);
	PyErr_Clear();
	return i == METHODS ? NULL : "a method is missing or no plain function";
}

static const char *hooks_place(PyObject *type)
{
	PyObject *descr;
	int i, rc = 0;

	for (i = 0; i < METHODS && rc == 0; i++) {
		descr = PyDescr_NewMethod((PyTypeObject *)type, &hooks[i]);
		rc = descr ? PyObject_SetAttrString(type, hooks[i].ml_name, descr) : -1;
		Py_DecRef(descr);
	}
	if (rc == 0)
		return NULL;
	while (i-- > 0)
		PyObject_SetAttrString(type, hooks[i].ml_name, originals[i]);
	PyErr_Clear();
	return "its methods could not be exchanged";
}

int pytask_open(void)
{
	PyObject *type = module_attr("asyncio.tasks", "_PyTask");
	const char *reason = type && PyType_Check(type) ? NULL : "not there";

	if (!reason)
		reason = keys_make();
	if (!reason)
		reason = originals_find(type);
	if (!reason)
		reason = hooks_place(type);
	hook_report("asyncio.tasks._PyTask", reason);
	return reason ? -EPROTO : 0;
}
