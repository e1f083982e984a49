/*
 * Coroutines dropped without an await: a C function in the place of
 * warnings._warn_unawaited_coroutine, so the warning itself, its text, filters and stacklevel stay
 * what they are. The other anomalies are seen where tasks are finalized (ctask.c, pytask.c).
 */
#include "probe/agent/task.h"

#include <errno.h>

#include "probe/agent/handle.h"

static PyObject *warn_original;

static void never_awaited_write(PyObject *coro)
{
	uint32_t stack = stack_here(), code = code_of_coroutine(coro);
	uint64_t handle = handle_of_returned(coro);
	struct ev_never_awaited *e;
	struct text text;

	coro_text(coro, &text);
	e = ring_new(never_awaited, text.size, 0);
	if (e) {
		e->task = handle ? handle : agent_thread.task;
		e->stack = stack;
		e->code = code;
		e->coroutine = (uint64_t)(uintptr_t)coro;
		e->coro_len = (uint32_t)text.size;
		tail_put((char *)(e + 1), text.data, text.size);
		ring_end(e);
	}
	text_free(&text);
}

static PyObject *on_warn(PyObject *self, PyObject *coro)
{
	struct error_aside error;

	if (agent_ours()) {
		error_put_aside(&error);
		thread_seen();
		never_awaited_write(coro);
		error_restore(&error);
	}
	return PyObject_CallFunctionObjArgs(warn_original, coro, NULL);
}

static PyMethodDef warn_def = {"_warn_unawaited_coroutine", on_warn, METH_O, NULL};

int anomaly_open(void)
{
	PyObject *module = module_find("warnings"), *function = NULL;
	int rc = -1;

	Py_IncRef(module);
	warn_original = module_attr("warnings", "_warn_unawaited_coroutine");
	if (warn_original && PyCallable_Check(warn_original)) {
		Py_IncRef(warn_original);
		function = PyCFunction_NewEx(&warn_def, NULL, NULL);
		rc = function ? PyDict_SetItemString(
					PyModule_GetDict(module), warn_def.ml_name, function)
			      : -1;
	}
	Py_DecRef(function);
	Py_DecRef(module);
	PyErr_Clear();
	hook_report("warnings._warn_unawaited_coroutine", rc ? "not there" : NULL);
	return rc ? -EPROTO : 0;
}
