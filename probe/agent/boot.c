/*
 * See boot.h. The loop is a C type that keeps what call_soon() is given; the coroutines are
 * asyncio's own sleep() and StreamReader.read(), so no source is compiled and no type cache of
 * asyncio learns of us.
 */
#include "probe/agent/boot.h"

#include <errno.h>

#define CFUNCTION_DEF_OFF 16 /* PyCFunctionObject.m_ml */
#define METHOD_DEF_FUNCTION_OFF 8
#define OBJECT_HEAD 16           /* ob_refcnt, ob_type */
#define WRAPPER_EXCEPTION_OFF 24 /* of a step wrapper: after its task, and the last */

static PyObject *caught; /* the newest callback the loop was given; owned */
static PyObject *future_type;

static PyObject *none_new(void)
{
	Py_IncRef(Py_None);
	return Py_None;
}

static PyObject *loop_call_soon(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *callback = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : Py_None, *before;

	before = caught;
	Py_IncRef(callback);
	caught = callback;
	Py_DecRef(before);
	return none_new();
}

static PyObject *loop_false(PyObject *self, PyObject *args)
{
	Py_IncRef(Py_False);
	return Py_False;
}

static PyObject *loop_ignore(PyObject *self, PyObject *args)
{
	return none_new();
}

/* type(*args, loop=loop, name=name); name may be NULL */
static PyObject *make(PyObject *type, PyObject *loop, PyObject *arg, PyObject *name)
{
	PyObject *args = arg ? PyTuple_Pack(1, arg) : PyTuple_New(0), *kwargs = PyDict_New(),
		 *made = NULL;

	if (args && kwargs && PyDict_SetItemString(kwargs, "loop", loop) == 0 &&
		(!name || PyDict_SetItemString(kwargs, "name", name) == 0))
		made = PyObject_Call(type, args, kwargs);
	Py_DecRef(args);
	Py_DecRef(kwargs);
	return made;
}

static PyObject *loop_create_future(PyObject *self, PyObject *args)
{
	return make(future_type, self, NULL, NULL);
}

static PyMethodDef loop_methods[] = {
	{"call_soon", (PyCFunction)(void (*)(void))loop_call_soon, METH_VARARGS | METH_KEYWORDS,
		NULL},
	{"get_debug", loop_false, METH_NOARGS, NULL},
	{"is_running", loop_false, METH_NOARGS, NULL},
	{"create_future", loop_create_future, METH_NOARGS, NULL},
	{"call_exception_handler", loop_ignore, METH_O, NULL},
	{NULL, NULL, 0, NULL},
};
static PyType_Slot loop_slots[] = {{Py_tp_methods, loop_methods}, {0, NULL}};
static PyType_Spec loop_spec = {
	"awaitscope.ProbeLoop", OBJECT_HEAD, 0, Py_TPFLAGS_DEFAULT, loop_slots};

struct probe { /* everything made for the proof; probe_drop() */
	PyObject *loop, *coro[2], *name[2], *task[2], *step, *wakeup, *reader, *waiter;
	PyObject *pending, *cancelled, *done, *failed, *error;
	long task_size, future_size;
};

static bool call_method(PyObject *o, const char *name, PyObject *arg)
{
	PyObject *method = o ? PyObject_GetAttrString(o, name) : NULL;
	PyObject *result = method ? PyObject_CallFunctionObjArgs(method, arg, NULL) : NULL;

	Py_DecRef(method);
	Py_DecRef(result);
	return result != NULL;
}

static void probe_drop(struct probe *p)
{
	PyObject *all[] = {p->step, p->wakeup, p->waiter, p->task[0], p->task[1], p->coro[0],
		p->coro[1], p->reader, p->pending, p->cancelled, p->done, p->failed, p->error,
		p->name[0], p->name[1], p->loop, caught};
	size_t i;

	PyErr_Clear();
	call_method(p->coro[0], "close", NULL); /* one that never ran would warn */
	call_method(p->coro[1], "close", NULL);
	PyErr_Clear();
	caught = NULL;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		Py_DecRef(all[i]);
	PyErr_Clear();
}

/* Where the object's only copy of pointer lies; -1: nowhere, or in two places */
static long pointer_find(PyObject *o, const void *pointer, long size)
{
	long off, found = -1;

	for (off = OBJECT_HEAD; off + (long)sizeof(void *) <= size; off += (long)sizeof(void *)) {
		if (object_at(o, off) != pointer)
			continue;
		if (found >= 0)
			return -1;
		found = off;
	}
	return found;
}

static long size_of_type(PyObject *type)
{
	PyObject *value = PyObject_GetAttrString(type, "__basicsize__");
	long size = value ? PyLong_AsLong(value) : -1;

	Py_DecRef(value);
	return size;
}

static bool call_caught(PyObject *arg)
{
	PyObject *callback = caught, *result;

	caught = NULL;
	result = callback ? PyObject_CallFunctionObjArgs(callback, arg, NULL) : NULL;
	Py_DecRef(callback);
	Py_DecRef(result);
	return result != NULL;
}

/*
 * A coroutine of asyncio's, as a task on our loop. False: an error is set, or something is not what
 * it must be.
 */
static bool task_make(struct probe *p, int i, PyObject *task_type)
{
	if (!p->coro[i] || strcmp(object_type_name(p->coro[i]), "coroutine") != 0)
		return false;
	p->name[i] = PyUnicode_FromFormat("awaitscope probe %d", i);
	p->task[i] = p->name[i] ? make(task_type, p->loop, p->coro[i], p->name[i]) : NULL;
	return p->task[i] && caught;
}

/*
 * The wakeup callback of the task: the only callback of the future it waits for. New reference or
 * NULL.
 */
static PyObject *wakeup_of(PyObject *waiter)
{
	PyObject *list = PyObject_GetAttrString(waiter, "_callbacks");
	PyObject *pair = list && PyList_Check(list) && PyList_Size(list) == 1
				 ? PyList_GetItem(list, 0)
				 : NULL;
	PyObject *callback = pair && PyTuple_Check(pair) && PyTuple_Size(pair) > 0
				     ? PyTuple_GetItem(pair, 0)
				     : NULL;

	Py_IncRef(callback);
	Py_DecRef(list);
	return callback;
}

/* Task 0 runs to its end, task 1 waits for a future: the moment to look at both. */
static const char *tasks_run(
	struct probe *p, PyObject *task_type, PyObject *sleep, PyObject *reader)
{
	p->coro[0] = PyObject_CallFunction(sleep, "i", 0);
	if (!task_make(p, 0, task_type))
		return "no task could be made on a loop of ours";
	p->step = caught;
	Py_IncRef(p->step);
	if (!call_caught(NULL) || !call_caught(NULL))
		return "a task did not run on a loop of ours";
	p->reader = make(reader, p->loop, NULL, NULL);
	p->coro[1] = p->reader ? PyObject_CallMethod(p->reader, "read", "i", 1) : NULL;
	if (!task_make(p, 1, task_type) || !call_caught(NULL))
		return "a task did not wait on a loop of ours";
	p->waiter = PyObject_GetAttrString(p->reader, "_waiter");
	p->wakeup = p->waiter ? wakeup_of(p->waiter) : NULL;
	return p->wakeup ? NULL : "the future a task waits for has no wakeup";
}

static const char *tasks_make(struct probe *p, PyObject *task_type)
{
	PyObject *sleep = module_attr("asyncio.tasks", "sleep"),
		 *reader = module_attr("asyncio.streams", "StreamReader");
	const char *reason = "asyncio lacks sleep() or StreamReader";

	Py_IncRef(sleep);
	Py_IncRef(reader);
	if (sleep && reader)
		reason = tasks_run(p, task_type, sleep, reader);
	Py_DecRef(reader);
	Py_DecRef(sleep);
	return reason;
}

static const char *futures_make(struct probe *p)
{
	p->pending = make(future_type, p->loop, NULL, NULL);
	p->cancelled = make(future_type, p->loop, NULL, NULL);
	p->done = make(future_type, p->loop, NULL, NULL);
	p->failed = make(future_type, p->loop, NULL, NULL);
	p->error = PyObject_CallFunctionObjArgs(PyExc_ValueError, NULL);
	if (!p->pending || !p->error || !call_method(p->cancelled, "cancel", NULL) ||
		!call_method(p->done, "set_result", Py_None) ||
		!call_method(p->failed, "set_exception", p->error))
		return "no futures could be made on a loop of ours";
	return NULL;
}

/*
 * The only int that is 0 in what is pending, 1 in what is cancelled, 2 in what is done; -1: none,
 * or two
 */
static long state_find(const struct probe *p)
{
	long off, found = -1;

	for (off = OBJECT_HEAD; off + (long)sizeof(int32_t) <= p->future_size;
		off += (long)sizeof(int32_t)) {
		if (object_int_at(p->pending, off) != TASK_PENDING ||
			object_int_at(p->cancelled, off) != TASK_CANCELLED ||
			object_int_at(p->done, off) != TASK_FINISHED ||
			object_int_at(p->failed, off) != TASK_FINISHED ||
			object_int_at(p->task[0], off) != TASK_FINISHED ||
			object_int_at(p->task[1], off) != TASK_PENDING)
			continue;
		if (found >= 0)
			return -1;
		found = off;
	}
	return found;
}

static const char *offsets_find(const struct probe *p, struct task_layout *l)
{
	l->name = pointer_find(p->task[1], p->name[1], p->task_size);
	l->coro = pointer_find(p->task[1], p->coro[1], p->task_size);
	l->waiter = pointer_find(p->task[1], p->waiter, p->task_size);
	l->loop = pointer_find(p->task[1], p->loop, p->future_size);
	l->exception = pointer_find(p->failed, p->error, p->future_size);
	l->state = state_find(p);
	if (l->name < 0 || l->coro < 0 || l->waiter < 0 || l->loop < 0 || l->exception < 0 ||
		l->state < 0)
		return "a task's fields were not found";
	if (object_at(p->task[0], l->name) != p->name[0] || object_at(p->task[0], l->waiter) ||
		object_at(p->task[0], l->loop) != p->loop || object_at(p->task[0], l->exception) ||
		object_at(p->task[1], l->exception) || object_at(p->pending, l->loop) != p->loop)
		return "two tasks do not agree on the fields";
	return NULL;
}

static const char *callbacks_prove(const struct probe *p, struct task_layout *l)
{
	l->step = Py_TYPE(p->step);
	if (!strstr(object_type_name(p->step), "TaskStepMethWrapper") ||
		object_at(p->step, WRAPPER_TASK_OFF) != p->task[0])
		return "the step callback is of a new kind";
	if (size_of_type((PyObject *)l->step) == WRAPPER_EXCEPTION_OFF + (long)sizeof(void *) &&
		!object_at(p->step, WRAPPER_EXCEPTION_OFF))
		l->step_exception = WRAPPER_EXCEPTION_OFF;
	if (strstr(object_type_name(p->wakeup), "TaskWakeupMethWrapper")) {
		l->wakeup = Py_TYPE(p->wakeup);
		return object_at(p->wakeup, WRAPPER_TASK_OFF) == p->task[1]
			       ? NULL
			       : "the wakeup callback has no task";
	}
	if (Py_TYPE(p->wakeup) != &PyCFunction_Type ||
		PyCFunction_GetSelf(p->wakeup) != p->task[1] ||
		PyCFunction_GetFlags(p->wakeup) != METH_O)
		return "the wakeup callback is of a new kind";
	l->wakeup_def = object_at(p->wakeup, CFUNCTION_DEF_OFF);
	if (object_at(l->wakeup_def, METHOD_DEF_FUNCTION_OFF) !=
		(void *)PyCFunction_GetFunction(p->wakeup))
		return "the wakeup callback's method table is elsewhere";
	return NULL;
}

static const char *descriptors_find(
	const struct probe *p, PyObject *task_type, struct task_layout *l)
{
	l->log_traceback = PyObject_GetAttrString(future_type, "_log_traceback");
	l->log_destroy_pending = PyObject_GetAttrString(task_type, "_log_destroy_pending");
	if (!l->log_traceback || !l->log_destroy_pending ||
		!object_described_true(l->log_traceback, p->failed) ||
		object_described_true(l->log_traceback, p->done) ||
		!object_described_true(l->log_destroy_pending, p->task[1]))
		return "the log flags of tasks were not found";
	return NULL;
}

/*
 * From 3.14 a task steps only if its loop is the thread's running one (enter_task checks it);
 * before, nothing needs to be swapped.
 */
struct running {
	PyObject *loop, *task;
	bool swapped;
};

static PyObject *asyncio_call(const char *name, PyObject *a, PyObject *b)
{
	PyObject *function = module_attr("_asyncio", name), *result;

	Py_IncRef(function);
	result = function ? PyObject_CallFunctionObjArgs(function, a, b, NULL) : NULL;
	Py_DecRef(function);
	return result;
}

static int running_set(struct running *r, PyObject *loop)
{
	PyObject *done;

	if (agent.minor < 14)
		return 0;
	r->loop = asyncio_call("_get_running_loop", NULL, NULL);
	if (!r->loop)
		return -EPROTO;
	if (r->loop != Py_None) {
		r->task = asyncio_call("_swap_current_task", r->loop, Py_None);
		if (!r->task)
			return -EPROTO;
	}
	done = asyncio_call("_set_running_loop", loop, NULL);
	Py_DecRef(done);
	r->swapped = done != NULL;
	return done ? 0 : -EPROTO;
}

static void running_restore(struct running *r)
{
	PyErr_Clear();
	if (r->swapped)
		Py_DecRef(asyncio_call("_set_running_loop", r->loop, NULL));
	if (r->task)
		Py_DecRef(asyncio_call("_swap_current_task", r->loop, r->task));
	Py_DecRef(r->task);
	Py_DecRef(r->loop);
	PyErr_Clear();
}

/*
 * The proof itself, with our loop running where it must. Nothing stays pending or unlooked at,
 * whatever comes out.
 */
static const char *probe_look(struct probe *p, PyObject *task_type, struct task_layout *l)
{
	const char *reason = tasks_make(p, task_type);

	if (!reason)
		reason = futures_make(p);
	if (!reason)
		reason = offsets_find(p, l);
	if (!reason)
		reason = callbacks_prove(p, l);
	if (!reason)
		reason = descriptors_find(p, task_type, l);
	PyErr_Clear();
	if (p->waiter && call_method(p->waiter, "set_result", Py_None) && caught)
		call_caught(p->waiter);
	call_method(p->failed, "exception", NULL);
	if (!reason && object_int_at(p->task[1], l->state) != TASK_FINISHED)
		reason = "a task did not end on a loop of ours";
	return reason;
}

static const char *probe_run(struct probe *p, PyObject *task_type, struct task_layout *l)
{
	PyObject *loop_type = PyType_FromSpec(&loop_spec);
	struct running running = {0};
	const char *reason;

	p->loop = loop_type ? PyObject_CallFunctionObjArgs(loop_type, NULL) : NULL;
	Py_DecRef(loop_type);
	p->task_size = size_of_type(task_type);
	p->future_size = size_of_type(future_type);
	if (!p->loop || p->task_size < p->future_size || p->future_size < OBJECT_HEAD)
		return "no loop could be made";
	reason = running_set(&running, p->loop) ? "the running loop could not be exchanged"
						: probe_look(p, task_type, l);
	running_restore(&running);
	return reason;
}

int boot_task(struct task_layout *ret, const char **ret_reason)
{
	PyObject *task_type = module_attr("_asyncio", "Task");
	struct task_layout layout = {0};
	struct probe probe = {0};
	const char *reason;

	future_type = module_attr("_asyncio", "Future");
	if (!task_type || !future_type || !PyType_Check(task_type) || !PyType_Check(future_type)) {
		*ret_reason = "asyncio runs without its C module";
		return -EPROTO;
	}
	/* what a heap type holds (its module, and so the types of its callbacks) is held too */
	Py_IncRef(task_type);
	Py_IncRef(future_type);
	reason = probe_run(&probe, task_type, &layout);
	probe_drop(&probe);
	Py_DecRef(future_type);
	if (reason) {
		Py_DecRef(task_type);
		Py_DecRef(layout.log_traceback);
		Py_DecRef(layout.log_destroy_pending);
		*ret_reason = reason;
		return -EPROTO;
	}
	layout.task = (PyTypeObject *)task_type;
	*ret = layout;
	return 0;
}
