/*
 * Tasks that were pending when a recording began late, from inside: listed once, with what they
 * wait for. Reads what asyncio keeps of its tasks; steps of those not found here tell of them
 * later.
 */
#include "probe/agent/task.h"

/* The names are asyncio's, in its C tasks as in those of Python, 3.8 to 3.14. */
static PyObject *part_get(PyObject *task, const char *name)
{
	PyObject *key = PyUnicode_FromString(name), *value = key ? object_get(task, key) : NULL;

	Py_DecRef(key);
	PyErr_Clear();
	return value;
}

/* By asyncio's own function, not by what a program's class has in its place. */
static PyObject *name_get(PyObject *task)
{
	PyObject *type = module_attr("_asyncio", "Task"), *get, *name;

	Py_IncRef(type);
	get = type ? PyObject_GetAttrString(type, "get_name") : NULL;
	name = get ? PyObject_CallFunctionObjArgs(get, task, NULL) : NULL;
	PyErr_Clear(); /* a task of Python code is none of that type */
	Py_DecRef(get);
	Py_DecRef(type);
	return name ? name : part_get(task, "_name");
}

static void chain_write(PyObject *task, PyObject *waiter, PyObject *coro)
{
	struct innermost innermost;
	uint32_t stack = stack_of_coroutine(coro, &innermost);
	uint32_t type = name_id(object_type_name(waiter));
	struct ev_await_chain *e = ring_new(await_chain, 0, 0);

	if (!e)
		return;
	e->task = (uint64_t)(uintptr_t)task;
	e->future = (uint64_t)(uintptr_t)waiter;
	e->stack = stack;
	e->type = type;
	ring_end(e);
}

static void task_write(PyObject *task)
{
	PyObject *coro = part_get(task, "_coro"), *loop = part_get(task, "_loop");
	PyObject *waiter = part_get(task, "_fut_waiter");
	PyObject *name = name_get(task);
	struct task_birth birth = {.flags = TASK_LATE, .coro = coro};

	birth.time_ns = clock_now_ns();
	birth.code = coro ? code_of_coroutine(coro) : 0;
	task_birth_write(&birth, task, loop, name);
	if (coro && waiter && waiter != Py_None)
		chain_write(task, waiter, coro);
	Py_DecRef(name);
	Py_DecRef(waiter);
	Py_DecRef(loop);
	Py_DecRef(coro);
}

void tasks_late(void)
{
	PyObject *all = module_attr("asyncio.tasks", "all_tasks"), *tasks, *items, *task;

	Py_IncRef(all);
	tasks = all ? PyObject_CallFunctionObjArgs(all, NULL) : NULL; /* NULL: no loop runs here */
	items = tasks ? PyObject_GetIter(tasks) : NULL;
	while (items && (task = PyIter_Next(items))) {
		task_write(task);
		Py_DecRef(task);
	}
	PyErr_Clear();
	Py_DecRef(items);
	Py_DecRef(tasks);
	Py_DecRef(all);
}
