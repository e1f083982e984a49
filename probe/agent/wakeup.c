/* See wakeup.h. Short waits without an exception are told nothing of. */
#include "probe/agent/wakeup.h"

#include "probe/agent/task.h"
#include "probe/agent/wait.h"

#define RESULTS_MAX 1024 /* of a gather() that are looked at */

static const struct task_layout *layout;
static PyTypeObject *future_type;    /* _asyncio.Future */
static PyTypeObject *python_type;    /* asyncio.futures._PyFuture; NULL: not there */
static PyTypeObject *gathering_type; /* asyncio.tasks._GatheringFuture; NULL: not there */
static PyTypeObject *cancelled_type; /* asyncio.CancelledError */
static PyObject *result_descriptor;  /* Future._result: no side effect, unlike result() */
static PyObject *str_exception, *str_state;

struct outcome {             /* what a done future raises in its waiter */
	PyObject *exception; /* owned; NULL: none, or cancelled without one */
	bool cancelled;
};

static bool is_a(PyObject *o, PyTypeObject *type)
{
	return type && (Py_TYPE(o) == type || PyType_IsSubtype(Py_TYPE(o), type));
}

static void outcome_python(PyObject *future, struct outcome *ret)
{
	PyObject *state = object_get(future, str_state);

	ret->exception = object_get(future, str_exception);
	if (ret->exception && !PyExceptionInstance_Check(ret->exception)) {
		Py_DecRef(ret->exception);
		ret->exception = NULL;
	}
	ret->cancelled = state && PyUnicode_Check(state) &&
			 PyUnicode_CompareWithASCIIString(state, "CANCELLED") == 0;
	Py_DecRef(state);
}

static void outcome_of(PyObject *future, struct outcome *ret)
{
	*ret = (struct outcome){0};
	if (layout && is_a(future, future_type)) {
		ret->cancelled = object_int_at(future, layout->state) == TASK_CANCELLED;
		ret->exception = object_at(future, layout->exception);
		if (__builtin_expect(ret->exception != NULL, 0))
			Py_IncRef(ret->exception);
	} else if (is_a(future, python_type)) {
		outcome_python(future, ret);
	}
}

/* w: a copy, since what is looked at here may begin and end waits. */
static void wakeup_write(PyObject *task, PyObject *future, const struct wait w,
	const struct outcome *outcome, uint64_t begin_ns)
{
	struct text message = {.data = ""};
	uint32_t exception = 0;
	struct ev_wakeup *e;

	if (outcome->exception) {
		exception = name_id(object_type_name(outcome->exception));
		exception_text(outcome->exception, &message);
	} else if (outcome->cancelled) {
		exception = name_id("CancelledError");
	}
	e = ring_new(wakeup, message.size, begin_ns);
	if (e) {
		e->task = (uint64_t)(uintptr_t)task;
		e->future = (uint64_t)(uintptr_t)future;
		e->set_ns = w.set_ns;
		e->by = w.by;
		e->by_tid = w.by_tid;
		e->how = w.how;
		e->stack = w.stack;
		e->exception = exception;
		e->message_len = (uint32_t)message.size;
		tail_put((char *)(e + 1), message.data, message.size);
		ring_end(e);
	}
	text_free(&message);
}

/* ---- gather() ---------------------------------------------------------------------------- */

static bool is_failure(PyObject *result)
{
	return PyExceptionInstance_Check(result) && !is_a(result, cancelled_type);
}

static void gathered_write(
	PyObject *task, PyObject *coro, PyObject *results, Py_ssize_t failures, PyObject *first)
{
	uint32_t stack = coro ? stack_of_coroutine(coro, NULL) : 0;
	uint32_t exception = name_id(object_type_name(first));
	struct ev_gathered *e = ring_new(gathered, 0, 0);

	if (!e)
		return;
	e->task = (uint64_t)(uintptr_t)task;
	e->results = (uint32_t)PyList_Size(results);
	e->failures = (uint32_t)failures;
	e->exception = exception;
	e->stack = stack;
	ring_end(e);
}

static void gathered_look(PyObject *task, PyObject *coro, PyObject *future)
{
	PyObject *results = object_described(result_descriptor, future), *first = NULL, *result;
	Py_ssize_t i, n, failures = 0;

	if (results && PyList_CheckExact(results)) {
		n = PyList_Size(results);
		for (i = 0; i < n && i < RESULTS_MAX; i++) {
			result = PyList_GetItem(results, i);
			if (!is_failure(result))
				continue;
			first = first ? first : result;
			failures++;
		}
		if (failures)
			gathered_write(task, coro, results, failures, first);
	}
	Py_DecRef(results);
}

/* ---- the step begins --------------------------------------------------------------------- */

void wakeup_begin(PyObject *task, PyObject *coro, PyObject *future, uint64_t begin_ns)
{
	struct wait *w = wait_find(future);
	struct error_aside error;
	struct outcome outcome;

	outcome_of(future, &outcome);
	if (outcome.exception || outcome.cancelled ||
		(w && begin_ns - w->since_ns >= agent.min_step_ns)) {
		error_put_aside(&error);
		wakeup_write(task, future, w ? *w : (struct wait){0}, &outcome, begin_ns);
		Py_DecRef(outcome.exception);
		error_restore(&error);
		w = wait_find(future);
	}
	if (w)
		wait_end(w);
	if (__builtin_expect(gathering_type && Py_TYPE(future) == gathering_type, 0)) {
		error_put_aside(&error);
		gathered_look(task, coro, future);
		error_restore(&error);
	}
}

void wakeup_received(PyObject *task, PyObject *coro, PyObject *exception, uint64_t begin_ns)
{
	struct error_aside error;
	struct ev_received *e;
	struct text message;
	uint32_t name, stack;

	error_put_aside(&error);
	name = name_id(object_type_name(exception));
	stack = coro ? stack_of_coroutine(coro, NULL) : 0;
	exception_text(exception, &message);
	e = ring_new(received, message.size, begin_ns);
	if (e) {
		e->task = (uint64_t)(uintptr_t)task;
		e->exception = name;
		e->stack = stack;
		e->message_len = (uint32_t)message.size;
		tail_put((char *)(e + 1), message.data, message.size);
		ring_end(e);
	}
	text_free(&message);
	error_restore(&error);
}

/* ---- installation ------------------------------------------------------------------------ */

static PyTypeObject *type_find(const char *module, const char *name)
{
	PyObject *type = module_attr(module, name);

	if (!type || !PyType_Check(type))
		return NULL;
	Py_IncRef(type);
	return (PyTypeObject *)type;
}

static void gathering_open(void)
{
	const char *reason = NULL;

	gathering_type = type_find("asyncio.tasks", "_GatheringFuture");
	if (future_type)
		result_descriptor = PyObject_GetAttrString((PyObject *)future_type, "_result");
	if (!future_type || !gathering_type || !PyType_IsSubtype(gathering_type, future_type))
		reason = "no future of the C module";
	else if (!result_descriptor ||
		 strcmp(object_type_name(result_descriptor), "getset_descriptor") != 0)
		reason = "its results cannot be looked at";
	if (reason)
		gathering_type = NULL;
	PyErr_Clear();
	hook_report("asyncio.tasks._GatheringFuture", reason);
}

void wakeup_open(const struct task_layout *known)
{
	layout = known;
	future_type = type_find("_asyncio", "Future");
	python_type = type_find("asyncio.futures", "_PyFuture");
	cancelled_type = type_find("asyncio.exceptions", "CancelledError");
	str_exception = PyUnicode_InternFromString("_exception");
	str_state = PyUnicode_InternFromString("_state");
	if (!str_exception || !str_state)
		python_type = NULL;
	gathering_open();
}
