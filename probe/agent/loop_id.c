/*
 * Loop objects: their ids, what they are, what they poll. Knows them by weak references, so that a
 * new loop at an old address gets a new id and a loop that runs again keeps its own. Under the GIL.
 */
#include "probe/agent/got.h"
#include "probe/agent/loop.h"
#include "probe/agent/object.h"

#define LOOPS_MAX 256u /* alive at once; more have id 0 */

struct loop_slot {
	const void *loop; /* NULL: free */
	PyObject *ref;    /* weak; NULL: the type takes none, then the address is the loop */
	uint64_t id;
};

static struct loop_slot slots[LOOPS_MAX];
static unsigned int slots_used;
static uint64_t id_last;

static bool slot_dead(const struct loop_slot *slot)
{
	return slot->ref && PyWeakref_GetObject(slot->ref) != slot->loop;
}

static struct loop_slot *slot_of(PyObject *loop)
{
	for (unsigned int i = 0; i < slots_used; i++)
		if (slots[i].loop == loop)
			return slot_dead(&slots[i]) ? NULL : &slots[i];
	return NULL;
}

uint64_t loop_id(PyObject *loop)
{
	struct loop_run *run;
	struct loop_slot *slot;

	if (agent_thread.loop) {
		run = loop_innermost(agent_thread.loop);
		if (run->loop == loop)
			return run->id;
	}
	slot = slot_of(loop);
	return slot ? slot->id : 0;
}

static struct loop_slot *slot_free(void)
{
	for (unsigned int i = 0; i < slots_used; i++)
		if (slot_dead(&slots[i]))
			return &slots[i];
	return slots_used < LOOPS_MAX ? &slots[slots_used++] : NULL;
}

uint64_t loop_id_take(PyObject *loop)
{
	struct loop_slot *slot = slot_of(loop);
	PyObject *ref;

	if (slot)
		return slot->id;
	/* first: a collection that it begins may make loops, which take slots */
	ref = PyWeakref_NewRef(loop, NULL);
	if (!ref)
		PyErr_Clear();
	slot = slot_free();
	if (!slot) {
		Py_DecRef(ref);
		return 0;
	}
	Py_DecRef(slot->ref);
	*slot = (struct loop_slot){.loop = loop, .ref = ref, .id = ++id_last};
	return slot->id;
}

PyObject *loop_alive(const void *loop, uint64_t id)
{
	for (unsigned int i = 0; i < slots_used; i++)
		if (slots[i].id == id && id)
			return slots[i].ref && !slot_dead(&slots[i]) && slots[i].loop == loop
				       ? PyWeakref_GetObject(slots[i].ref)
				       : NULL;
	return NULL;
}

/* ---- what it is -------------------------------------------------------------------------- */

/* A str attribute of a class; returns its length, 0 if there is none. */
static size_t class_text(PyObject *class, const char *name, char *buf, size_t size)
{
	PyObject *value = PyObject_GetAttrString(class, name);
	struct text text;
	size_t n;

	text_of(value, size, &text);
	n = text.size;
	memcpy(buf, text.data, n);
	text_free(&text);
	Py_DecRef(value);
	PyErr_Clear();
	return n;
}

static bool is_uvloop(PyObject *loop)
{
	PyObject *mro = PyObject_GetAttrString((PyObject *)Py_TYPE(loop), "__mro__");
	bool found = false;
	char module[64];

	for (Py_ssize_t i = 0; mro && i < PyTuple_Size(mro) && !found; i++) {
		size_t n =
			class_text(PyTuple_GetItem(mro, i), "__module__", module, sizeof(module));

		found = (n == 6 || (n > 6 && module[6] == '.')) && !memcmp(module, "uvloop", 6);
	}
	Py_DecRef(mro);
	PyErr_Clear();
	return found;
}

/*
 * loop._selector._selector: the select.epoll of a selectors.EpollSelector. New reference or NULL,
 * no error left.
 */
static PyObject *poller_of(PyObject *loop)
{
	static PyObject *name;
	PyObject *selector, *poller;

	if (!name)
		name = PyUnicode_InternFromString("_selector");
	selector = name ? object_get(loop, name) : NULL;
	poller = selector ? object_get(selector, name) : NULL;
	Py_DecRef(selector);
	PyErr_Clear();
	return poller;
}

bool loop_polls(PyObject *loop, const void *epoll)
{
	PyObject *poller = poller_of(loop);

	Py_DecRef(poller); /* the selector keeps it */
	return poller && poller == epoll;
}

uint32_t loop_describe(PyObject *loop, char *type, size_t size)
{
	PyObject *class = (PyObject *)Py_TYPE(loop), *poller;
	size_t n = class_text(class, "__module__", type, size - 2);
	uint32_t flags = 0;

	type[n++] = '.';
	n += class_text(class, "__qualname__", type + n, size - n - 1);
	type[n] = '\0';
	if (is_uvloop(loop))
		return got_selector_uvloop() ? LOOP_UVLOOP : LOOP_UVLOOP | LOOP_COARSE;
	poller = poller_of(loop);
	if (!poller || strcmp(object_type_name(poller), "select.epoll") != 0)
		flags = LOOP_COARSE;
	Py_DecRef(poller);
	return flags;
}
