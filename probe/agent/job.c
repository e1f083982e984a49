/*
 * Work given to thread pools: C descriptors on concurrent.futures' _WorkItem. That module is
 * imported when a pool is first asked for; until then the futures that every pool makes before an
 * item tell when it is there.
 */
#include <errno.h>

#include "probe/agent/descriptor.h"
#include "probe/agent/frame.h"
#include "probe/agent/known.h"

static const char thread_module[] = "concurrent.futures.thread";
static const char shown[] = "concurrent.futures.thread._WorkItem";
static PyObject *future_type; /* concurrent.futures.Future, owned */
static PyObject *workers_name, *default_name;
static PyObject *executor_type;
static struct known submit; /* ThreadPoolExecutor.submit(self, ...) */
static struct known asker;  /* BaseEventLoop.run_in_executor(self, ...) */

enum { ITEM_INIT, ITEM_RUN, ITEM_METHODS };
static struct descriptor item[ITEM_METHODS];
static struct descriptor future[1];

/* Of the pool whose submit() makes the item; 0: not known. */
static uint32_t workers_of_caller(void)
{
	PyObject *executor = known_variable(&submit, frame_outside(NULL)), *value;
	long workers;

	if (!executor || !executor_type ||
		!PyType_IsSubtype(Py_TYPE(executor), (PyTypeObject *)executor_type))
		return 0;
	value = object_get(executor, workers_name);
	workers = value && PyLong_CheckExact(value) ? PyLong_AsLong(value) : 0;
	PyErr_Clear();
	Py_DecRef(value);
	return workers > 0 ? (uint32_t)workers : 0;
}

/* Is it the default pool of the loop that asks? */
static bool pool_is_default(void)
{
	const void *frame = frame_outside(NULL);
	PyObject *executor = known_variable(&submit, frame), *value;
	PyObject *loop = executor ? known_variable(&asker, frame_outside(frame)) : NULL;

	if (!loop)
		return false;
	value = object_get(loop, default_name);
	Py_DecRef(value);
	return value == executor;
}

static PyObject *on_item_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct ev_job_new *e;
	uint32_t stack, workers;
	bool own;

	if (agent_ours()) {
		thread_seen();
		stack = stack_here();
		workers = workers_of_caller();
		own = pool_is_default();
		e = ring_new(job_new, 0, 0);
		if (e) {
			e->job = (uint64_t)(uintptr_t)self;
			e->task = agent_thread.task;
			e->stack = stack;
			e->workers = workers;
			e->default_pool = own;
			ring_end(e);
		}
	}
	return descriptor_call(&item[ITEM_INIT], self, args, kwargs);
}

static PyObject *on_item_run(PyObject *self, PyObject *args, PyObject *kwargs)
{
	uint64_t begin_ns, job = (uint64_t)(uintptr_t)self;
	struct error_aside error;
	struct ev_job_run *e;
	PyObject *result;

	if (!agent_ours())
		return descriptor_call(&item[ITEM_RUN], self, args, kwargs);
	begin_ns = clock_now_ns();
	result = descriptor_call(&item[ITEM_RUN], self, args, kwargs);
	if (!agent_ours())
		return result;
	error_put_aside(&error);
	thread_seen();
	e = ring_new(job_run, 0, 0);
	if (e) {
		e->job = job;
		e->begin_ns = begin_ns;
		ring_end(e);
	}
	error_restore(&error);
	return result;
}

static struct descriptor item[ITEM_METHODS] = {
	[ITEM_INIT] = {.def = DESCRIPTOR_DEF("__init__", on_item_init, NULL)},
	[ITEM_RUN] = {.def = DESCRIPTOR_DEF("run", on_item_run, NULL)},
};

static void items_place(void)
{
	executor_type = module_attr(thread_module, "ThreadPoolExecutor");
	if (executor_type && !PyType_Check(executor_type))
		executor_type = NULL;
	Py_IncRef(executor_type);
	known_find_in(thread_module, "ThreadPoolExecutor", "submit", "self", &submit);
	known_find_in("asyncio.base_events", "BaseEventLoop", "run_in_executor", "self", &asker);
	hook_report(shown, descriptors_place(module_attr(thread_module, "_WorkItem"), thread_module,
				   item, ITEM_METHODS));
}

/* Its import is over where the last thing it defines is there. */
static bool module_ready(void)
{
	return module_attr(thread_module, "ThreadPoolExecutor") != NULL;
}

static PyObject *on_future_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	static bool done;

	if (!done && agent_ours() && module_ready()) {
		done = true;
		items_place();
		descriptors_remove(future_type, future, 1);
	}
	return descriptor_call(&future[0], self, args, kwargs);
}

static struct descriptor future[1] = {
	{.def = DESCRIPTOR_DEF("__init__", on_future_init, "__init__($self)\n--\n\n")},
};

int job_open(void)
{
	const char *reason;

	workers_name = PyUnicode_InternFromString("_max_workers");
	default_name = PyUnicode_InternFromString("_default_executor");
	if (!workers_name || !default_name)
		return -ENOMEM;
	if (module_ready()) {
		items_place();
		return 0;
	}
	future_type = module_attr("concurrent.futures._base", "Future");
	Py_IncRef(future_type);
	reason = descriptors_place(future_type, "concurrent.futures._base", future, 1);
	if (reason)
		hook_report(shown, reason);
	return reason ? -EPROTO : 0;
}
