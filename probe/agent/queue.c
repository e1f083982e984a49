/*
 * Sizes of asyncio's queues: each is remembered by a weak reference when it is made, and looked at
 * about once a second while tasks step. Only lists and deques are asked, whose length is C code.
 */
#include <errno.h>

#include "probe/agent/descriptor.h"
#include "probe/agent/task.h"

#define QUEUES_MAX 256u /* alive at once; more are counted as lost */
#define TYPE_BYTES 256

struct queue {
	const void *queue; /* NULL: free */
	PyObject *ref;     /* weak; owned */
	uint32_t stack;
	bool said;     /* it has a record with `size` */
	uint64_t size; /* of the newest record */
};

static struct queue queues[QUEUES_MAX];
static unsigned int queues_used;
static uint64_t beyond; /* queues made when all places were taken, not yet told */
static PyObject *items_name, *maxsize_name;
static PyObject *deque_type;
static struct descriptor methods[1];

static bool queue_dead(const struct queue *q)
{
	return !q->queue || PyWeakref_GetObject(q->ref) != q->queue;
}

/* Its __init__() ran before. */
static bool queue_known(const void *queue)
{
	for (unsigned int i = 0; i < queues_used; i++)
		if (queues[i].queue == queue && !queue_dead(&queues[i]))
			return true;
	return false;
}

static struct queue *queue_place(void)
{
	for (unsigned int i = 0; i < queues_used; i++)
		if (queue_dead(&queues[i]))
			return &queues[i];
	return queues_used < QUEUES_MAX ? &queues[queues_used++] : NULL;
}

static void queue_keep(PyObject *queue)
{
	struct queue *place;
	PyObject *ref;

	if (queue_known(queue))
		return;
	/* first: a collection that it begins may make queues, which take places */
	ref = PyWeakref_NewRef(queue, NULL);
	PyErr_Clear();
	if (!ref)
		return;
	place = queue_place();
	if (!place) {
		beyond++;
		Py_DecRef(ref);
		return;
	}
	Py_DecRef(place->ref);
	*place = (struct queue){.queue = queue, .ref = ref, .stack = stack_here()};
	if (agent.look_ns == UINT64_MAX)
		agent.look_ns = 0;
}

static PyObject *on_init(PyObject *self, PyObject *args, PyObject *kwargs)
{
	PyObject *result = descriptor_call(&methods[0], self, args, kwargs);

	if (result && agent_ours()) {
		thread_seen();
		queue_keep(self);
	}
	return result;
}

/* ---- looking ----------------------------------------------------------------------------- */

/* -1: neither a list nor a deque, exactly. */
static Py_ssize_t size_of(PyObject *queue)
{
	PyObject *items = object_get(queue, items_name);
	Py_ssize_t size = -1;

	if (items && PyList_CheckExact(items))
		size = PyList_Size(items);
	else if (items && (PyObject *)Py_TYPE(items) == deque_type)
		size = PyObject_Size(items);
	Py_DecRef(items);
	return size;
}

static uint64_t maxsize_of(PyObject *queue)
{
	PyObject *value = object_get(queue, maxsize_name);
	long size = value && PyLong_CheckExact(value) ? PyLong_AsLong(value) : 0;

	PyErr_Clear();
	Py_DecRef(value);
	return size > 0 ? (uint64_t)size : 0;
}

static void queue_write(PyObject *queue, const struct queue *q)
{
	const char *type = object_type_name(queue);
	size_t len = strnlen(type, TYPE_BYTES);
	uint64_t maxsize = maxsize_of(queue);
	struct ev_queue *e = ring_new(queue, len, 0);

	if (!e)
		return;
	e->queue = (uint64_t)(uintptr_t)queue;
	e->size = q->size;
	e->maxsize = maxsize;
	e->stack = q->stack;
	e->type_len = (uint32_t)len;
	tail_put((char *)(e + 1), type, len);
	ring_end(e);
}

static void queue_look(struct queue *q)
{
	PyObject *queue = PyWeakref_GetObject(q->ref);
	Py_ssize_t size;

	Py_IncRef(queue);
	size = size_of(queue);
	if (size >= 0 && (!q->said || size || q->size)) { /* one that stays empty is told once */
		q->said = true;
		q->size = (uint64_t)size;
		queue_write(queue, q);
	}
	Py_DecRef(queue);
}

void queues_look(void)
{
	for (unsigned int i = 0; i < queues_used; i++)
		if (!queue_dead(&queues[i]))
			queue_look(&queues[i]);
	if (beyond && lost_report(beyond, LOST_QUEUES))
		beyond = 0;
}

void queues_forked(void)
{
	for (unsigned int i = 0; i < queues_used; i++) {
		queues[i].stack = 0; /* ids were the parent's */
		queues[i].said = false;
	}
}

static struct descriptor methods[1] = {
	{.def = DESCRIPTOR_DEF("__init__", on_init, NULL)},
};

int queue_open(void)
{
	const char *reason;

	agent.look_ns = UINT64_MAX;
	methods[0].def.ml_doc = agent.minor < 10
					? "__init__($self, maxsize=0, *, loop=None)\n--\n\n"
					: "__init__($self, maxsize=0)\n--\n\n";
	deque_type = module_attr("_collections", "deque");
	Py_IncRef(deque_type);
	items_name = PyUnicode_InternFromString("_queue");
	maxsize_name = PyUnicode_InternFromString("_maxsize");
	if (!items_name || !maxsize_name)
		reason = "out of memory";
	else
		reason = descriptors_place(
			module_attr("asyncio.queues", "Queue"), "asyncio.queues", methods, 1);
	hook_report("asyncio.Queue", reason);
	return reason ? -EPROTO : 0;
}
