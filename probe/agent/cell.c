/*
 * Cells: two C callables among IPython's events. The shell is looked for when tasks are made, since
 * a kernel makes some before its first cell; appended to the lists themselves, because
 * EventManager.register() compiles a signature in some releases.
 */
#include "probe/agent/handle.h"
#include "probe/agent/task.h"

#define SOURCE_MAX (256u << 10)
#define CELL_ID_MAX 256
#define ERROR_NAME_MAX 256

static enum {
	CELL_NO_IPYTHON,
	CELL_NO_SHELL,
	CELL_LOOKING, /* traitlets run code of theirs, which may make tasks */
	CELL_PLACED
} cell_state;
static PyObject *shell; /* owned: IPython keeps its one shell as long */

void cell_expect(void)
{
	if (cell_state == CELL_NO_IPYTHON)
		cell_state = CELL_NO_SHELL;
}

/* New reference; NULL: not there. Errors are dropped. */
static PyObject *attr_get(PyObject *o, const char *name)
{
	PyObject *value = o ? PyObject_GetAttrString(o, name) : NULL;

	if (!value)
		PyErr_Clear();
	return value;
}

static int32_t count_of(PyObject *o)
{
	PyObject *value = attr_get(o, "execution_count");
	long count = value && PyLong_Check(value) ? PyLong_AsLong(value) : -1;

	PyErr_Clear();
	Py_DecRef(value);
	return (int32_t)count;
}

static void begin_write(PyObject *source, PyObject *cell_id, uint64_t task)
{
	int32_t count = count_of(shell);
	struct text source_utf8, id_utf8;
	struct ev_cell_begin *e;
	char *at;

	text_of(source, SOURCE_MAX, &source_utf8);
	text_of(cell_id, CELL_ID_MAX, &id_utf8);
	e = ring_new(cell_begin, source_utf8.size + id_utf8.size, 0);
	if (e) {
		e->task = task;
		e->execution_count = count;
		e->cut = (uint32_t)source_utf8.cut;
		e->source_len = (uint32_t)source_utf8.size;
		e->cell_id_len = (uint32_t)id_utf8.size;
		at = tail_put((char *)(e + 1), source_utf8.data, source_utf8.size);
		tail_put(at, id_utf8.data, id_utf8.size);
		ring_end(e);
	}
	text_free(&id_utf8);
	text_free(&source_utf8);
}

/* The exception of a result, before or in the cell's code; NULL: none. New reference. */
static PyObject *error_of(PyObject *result)
{
	PyObject *error = attr_get(result, "error_before_exec");

	if (error && error != Py_None)
		return error;
	Py_DecRef(error);
	error = attr_get(result, "error_in_exec");
	if (error && error != Py_None)
		return error;
	Py_DecRef(error);
	return NULL;
}

static void end_record(int32_t count, bool failed, const char *error)
{
	size_t size = strnlen(error, ERROR_NAME_MAX);
	struct ev_cell_end *e = ring_new(cell_end, size, 0);

	if (!e)
		return;
	e->execution_count = count;
	e->failed = failed;
	e->error_len = (uint32_t)size;
	tail_put((char *)(e + 1), error, size);
	ring_end(e);
}

/* result None: ipykernel's coroutine was cancelled, there is no result. */
static void end_write(PyObject *result)
{
	PyObject *error = error_of(result);

	end_record(
		count_of(result), error || result == Py_None, error ? object_type_name(error) : "");
	Py_DecRef(error);
}

static PyObject *on_pre_run_cell(PyObject *self, PyObject *info)
{
	PyObject *source, *cell_id;

	if (agent_ours() &&
		agent_thread.cells++ == 0) { /* run_cell() inside a cell is no cell of its own */
		source = attr_get(info, "raw_cell");
		cell_id = attr_get(info, "cell_id");
		thread_seen();
		begin_write(source, cell_id, task_here());
		Py_DecRef(cell_id);
		Py_DecRef(source);
	}
	Py_IncRef(Py_None);
	return Py_None;
}

static PyObject *on_post_run_cell(PyObject *self, PyObject *result)
{
	if (agent_ours() && agent_thread.cells > 0 && --agent_thread.cells == 0)
		end_write(result);
	Py_IncRef(Py_None);
	return Py_None;
}

static PyMethodDef pre_def = {"awaitscope_pre_run_cell", on_pre_run_cell, METH_O, NULL};
static PyMethodDef post_def = {"awaitscope_post_run_cell", on_post_run_cell, METH_O, NULL};

static int callback_insert(PyObject *lists, PyMethodDef *def, const char *event, Py_ssize_t at)
{
	PyObject *list = PyDict_GetItemString(lists, event), *function = NULL;
	int rc = -1;

	Py_IncRef(list);
	if (list && PyList_Check(list))
		function = PyCFunction_NewEx(def, NULL, NULL);
	if (function)
		rc = PyList_Insert(list, at < 0 ? PyList_Size(list) : at, function);
	Py_DecRef(function);
	Py_DecRef(list);
	return rc;
}

/* Before the first callback, after the last: what others do for the cell belongs to it. */
static void callbacks_place(PyObject *lists)
{
	int rc = -1;

	if (PyDict_Check(lists) && PyDict_GetItemString(lists, "post_run_cell")) {
		rc = callback_insert(lists, &pre_def, "pre_run_cell", 0);
		if (rc == 0)
			rc = callback_insert(lists, &post_def, "post_run_cell", -1);
	}
	PyErr_Clear();
	if (rc == 0)
		handle_open();
	hook_report("IPython cells", rc ? "its events have no lists" : NULL);
}

void cell_try(void)
{
	PyObject *type, *found, *events, *lists;
	struct error_aside error;

	if (__builtin_expect(cell_state != CELL_NO_SHELL, 1))
		return;
	cell_state = CELL_LOOKING;
	error_put_aside(&error);
	type = module_attr("IPython.core.interactiveshell", "InteractiveShell");
	Py_IncRef(type);
	found = type && PyType_Check(type) ? attr_get(type, "_instance") : NULL;
	events = found && found != Py_None ? attr_get(found, "events") : NULL;
	lists = attr_get(events, "callbacks");
	if (lists) {
		Py_IncRef(found);
		shell = found;
		callbacks_place(lists); /* placed or refused: not looked for again */
	}
	cell_state = lists ? CELL_PLACED : CELL_NO_SHELL;
	Py_DecRef(lists);
	Py_DecRef(events);
	Py_DecRef(found);
	Py_DecRef(type);
	error_restore(&error);
}

/* The task whose step runs the cell; 0: none. */
static uint64_t task_current(void)
{
	PyObject *current = module_attr("_asyncio", "current_task"), *task;

	if (!current) /* before 3.12 it is a Python function */
		current = module_attr("asyncio.tasks", "current_task");
	Py_IncRef(current);
	task = current ? PyObject_CallFunctionObjArgs(current, NULL) : NULL;
	PyErr_Clear(); /* no loop runs */
	Py_DecRef(current);
	Py_DecRef(task); /* its step holds it */
	return task == Py_None ? 0 : (uint64_t)(uintptr_t)task;
}

/* Its event has been; its source is the last of the shell's history, which counts from 1. */
void cell_late(void)
{
	PyObject *history, *inputs;
	int32_t count;

	cell_try();
	count = shell && cell_state == CELL_PLACED ? count_of(shell) : -1;
	if (count < 1 || agent_thread.cells)
		return;
	history = attr_get(shell, "history_manager");
	inputs = attr_get(history, "input_hist_raw");
	if (inputs && PyList_Check(inputs) && PyList_Size(inputs) == (Py_ssize_t)count + 1) {
		agent_thread.cells = 1;
		begin_write(PyList_GetItem(inputs, count), NULL, task_current());
	}
	Py_DecRef(inputs);
	Py_DecRef(history);
}

/* In a terminal a shell makes no task before it runs cells. */
void cell_exec(void)
{
	struct error_aside error;

	if (__builtin_expect(cell_state != CELL_NO_SHELL, 1))
		return;
	error_put_aside(&error);
	thread_seen();
	cell_late();
	error_restore(&error);
}

void cell_rest(void)
{
	if (!agent_thread.cells)
		return;
	agent_thread.cells = 0;
	end_record(count_of(shell), false, "");
}
