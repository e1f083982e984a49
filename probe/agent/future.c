/*
 * Who sets futures: hooks on set_result(), set_exception() and cancel() of _asyncio.Future, and C
 * descriptors on those of its Python twin (nest_asyncio makes it asyncio's). A future that no task
 * waits for costs a look into one cache line.
 */
#include <errno.h>

#include "probe/agent/descriptor.h"
#include "probe/agent/slot.h"
#include "probe/agent/wait.h"

typedef PyObject *(*fast_fn)(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
typedef PyObject *(*class_fn)(PyObject *, PyTypeObject *, PyObject *const *, size_t, PyObject *);

static union original {
	void *pointer;
	PyCFunction method;
	fast_fn fast;
	class_fn in_class;
} set_result, set_exception, cancel;

/* After the original: NULL where it failed. */
static inline PyObject *was_set(PyObject *future, PyObject *result, uint32_t how)
{
	if (result && agent_ours())
		wait_set(future, how);
	return result;
}

static inline PyObject *was_cancelled(PyObject *future, PyObject *result)
{
	return result == Py_True ? was_set(future, result, WAKE_CANCEL) : result;
}

/* ---- the C module's ---------------------------------------------------------------------- */

static PyObject *on_set_result(PyObject *self, PyObject *value)
{
	return was_set(self, set_result.method(self, value), WAKE_RESULT);
}

static PyObject *on_set_result_class(
	PyObject *self, PyTypeObject *type, PyObject *const *args, size_t count, PyObject *names)
{
	return was_set(self, set_result.in_class(self, type, args, count, names), WAKE_RESULT);
}

static PyObject *on_set_exception(PyObject *self, PyObject *value)
{
	return was_set(self, set_exception.method(self, value), WAKE_EXCEPTION);
}

static PyObject *on_set_exception_class(
	PyObject *self, PyTypeObject *type, PyObject *const *args, size_t count, PyObject *names)
{
	return was_set(
		self, set_exception.in_class(self, type, args, count, names), WAKE_EXCEPTION);
}

static PyObject *on_cancel(PyObject *self, PyObject *none)
{
	return was_cancelled(self, cancel.method(self, none));
}

static PyObject *on_cancel_fast(
	PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	return was_cancelled(self, cancel.fast(self, args, count, names));
}

static PyObject *on_cancel_class(
	PyObject *self, PyTypeObject *type, PyObject *const *args, size_t count, PyObject *names)
{
	return was_cancelled(self, cancel.in_class(self, type, args, count, names));
}

struct setter_hooks {
	const char *name, *shown;
	union original *original;
	/* hooks by calling convention; NULL: no version has it */
	void *no_args, *one_arg, *fast, *in_class;
};

static void setter_place(PyTypeObject *type, const struct setter_hooks *hooks)
{
	struct method_def *def = type ? method_find(type, hooks->name) : NULL;
	void *hook = NULL;

	if (def && def->flags == METH_NOARGS)
		hook = hooks->no_args;
	else if (def && def->flags == METH_O)
		hook = hooks->one_arg;
	else if (def && def->flags == CALL_FASTCALL_KEYWORDS)
		hook = hooks->fast;
	else if (def && def->flags == CALL_METHOD)
		hook = hooks->in_class;
	if (!hook) {
		hook_report(hooks->shown, "not a method of a known kind");
		return;
	}
	hooks->original->pointer = def->function;
	method_place(def, hook, hooks->shown);
}

/* ---- its Python twin --------------------------------------------------------------------- */

enum { PY_SET_RESULT, PY_SET_EXCEPTION, PY_CANCEL, PY_METHODS };
static struct descriptor python[PY_METHODS];

static PyObject *on_py_set_result(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return was_set(
		self, descriptor_call(&python[PY_SET_RESULT], self, args, kwargs), WAKE_RESULT);
}

static PyObject *on_py_set_exception(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return was_set(self, descriptor_call(&python[PY_SET_EXCEPTION], self, args, kwargs),
		WAKE_EXCEPTION);
}

static PyObject *on_py_cancel(PyObject *self, PyObject *args, PyObject *kwargs)
{
	return was_cancelled(self, descriptor_call(&python[PY_CANCEL], self, args, kwargs));
}

static struct descriptor python[PY_METHODS] = {
	[PY_SET_RESULT] = {.def = DESCRIPTOR_DEF("set_result", on_py_set_result,
				   "set_result($self, result)\n--\n\n"
				   "Mark the future done and set its result.")},
	[PY_SET_EXCEPTION] = {.def = DESCRIPTOR_DEF("set_exception", on_py_set_exception,
				      "set_exception($self, exception)\n--\n\n"
				      "Mark the future done and set an exception.")},
	[PY_CANCEL] = {.def = DESCRIPTOR_DEF("cancel", on_py_cancel,
			       "cancel($self, msg=None)\n--\n\n"
			       "Cancel the future and schedule callbacks.")},
};

int future_open(void)
{
	static const struct setter_hooks setters[] = {
		{"set_result", "_asyncio.Future.set_result", &set_result, .one_arg = on_set_result,
			.in_class = on_set_result_class},
		{"set_exception", "_asyncio.Future.set_exception", &set_exception,
			.one_arg = on_set_exception, .in_class = on_set_exception_class},
		{"cancel", "_asyncio.Future.cancel", &cancel, .no_args = on_cancel,
			.fast = on_cancel_fast, .in_class = on_cancel_class},
	};
	PyObject *type = module_attr("_asyncio", "Future");
	const char *reason;

	Py_IncRef(type);
	for (size_t i = 0; i < sizeof(setters) / sizeof(setters[0]); i++)
		setter_place(
			(PyTypeObject *)(type && PyType_Check(type) ? type : NULL), &setters[i]);
	Py_DecRef(type);
	reason = descriptors_place(
		module_attr("asyncio.futures", "_PyFuture"), "asyncio.futures", python, PY_METHODS);
	hook_report("asyncio.futures._PyFuture", reason);
	return 0;
}
