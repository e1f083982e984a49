/*
 * See group.h. gather() gives a future that holds a list of them; wait() is a coroutine with a set
 * of them. Both are read without making anything, so that no collection begins here.
 */
#include "probe/agent/group.h"

#include <dlfcn.h>

#include "probe/agent/frame.h"
#include "probe/agent/known.h"
#include "probe/agent/object.h"

#define MEMBERS_MAX 256u

/* Include/cpython/setobject.h to 3.12; Include/internal/pycore_setobject.h since, a new reference
 */
typedef int set_next_t(PyObject *, Py_ssize_t *, PyObject **, Py_hash_t *);
static set_next_t *set_next;
static bool set_next_new; /* it gives new references */
static const void *gathering_type;
static struct known wait_call;  /* asyncio.tasks._wait(fs, ..., return_when, ...) */
static struct known wait_until; /* its return_when, in a cell; code NULL: not read */
static PyObject *children_name, *contents_name;

/* Of more than can be told one might be done that is not among those told. */
static void group_write(PyObject *task, const uint64_t *members, size_t n, bool one)
{
	bool told = n && !(one && n == MEMBERS_MAX);
	struct ev_group *e = told ? ring_new(group, n * sizeof(*members), 0) : NULL;

	if (!e)
		return;
	e->task = (uint64_t)(uintptr_t)task;
	e->one = one;
	e->members_len = (uint32_t)(n * sizeof(*members));
	tail_put((char *)(e + 1), (const char *)members, n * sizeof(*members));
	ring_end(e);
}

static size_t list_read(PyObject *list, uint64_t *members)
{
	size_t n = 0;

	for (Py_ssize_t i = 0; i < PyList_Size(list) && n < MEMBERS_MAX; i++)
		members[n++] = (uint64_t)(uintptr_t)PyList_GetItem(list, i);
	return n;
}

static size_t set_read(PyObject *set, uint64_t *members)
{
	Py_ssize_t at = 0;
	Py_hash_t hash;
	PyObject *one;
	size_t n = 0;

	while (n < MEMBERS_MAX && set_next(set, &at, &one, &hash)) {
		members[n++] = (uint64_t)(uintptr_t)one;
		if (set_next_new)
			Py_DecRef(one);
	}
	return n;
}

static bool is_set(PyObject *o)
{
	return o && (Py_TYPE(o) == &PySet_Type || Py_TYPE(o) == &PyFrozenSet_Type);
}

/* Whether that call of wait() may return with some of its futures not done. */
static bool one_is_enough(const void *call)
{
	PyObject *cell = wait_until.code ? variable_of_generator(call, wait_until.place) : NULL;
	PyObject *until = NULL;
	bool all;

	if (cell && object_is_native(cell, "cell"))
		until = object_get(cell, contents_name);
	all = until && PyUnicode_Check(until) &&
	      (!PyUnicode_CompareWithASCIIString(until, "ALL_COMPLETED") ||
		      !PyUnicode_CompareWithASCIIString(until, "FIRST_EXCEPTION"));
	Py_DecRef(until);
	return !all;
}

void group_tell(PyObject *task, PyObject *waiter, const struct innermost *innermost)
{
	uint64_t members[MEMBERS_MAX];
	PyObject *of;

	if (__builtin_expect((const void *)Py_TYPE(waiter) == gathering_type, 0)) {
		of = object_get(waiter, children_name);
		if (of && PyList_CheckExact(of))
			group_write(task, members, list_read(of, members), false);
		Py_DecRef(of);
	} else if (__builtin_expect(
			   innermost->coroutine && innermost->code == wait_call.code && set_next,
			   0)) {
		of = variable_of_generator(innermost->coroutine, wait_call.place);
		if (is_set(of))
			group_write(task, members, set_read(of, members),
				one_is_enough(innermost->coroutine));
	}
}

void group_open(void)
{
	const char *reason = NULL;

	gathering_type = module_attr("asyncio.tasks", "_GatheringFuture");
	children_name = PyUnicode_InternFromString("_children");
	contents_name = PyUnicode_InternFromString("cell_contents");
	set_next = (set_next_t *)dlsym(RTLD_DEFAULT, "_PySet_NextEntry");
	if (!set_next) {
		set_next = (set_next_t *)dlsym(RTLD_DEFAULT, "_PySet_NextEntryRef");
		set_next_new = true;
	}
	if (!known_find_in("asyncio.tasks", NULL, "_wait", "fs", &wait_call) || !set_next)
		reason = "its futures cannot be read";
	else if (!contents_name ||
		 !known_find_in("asyncio.tasks", NULL, "_wait", "return_when", &wait_until))
		reason = "its return_when cannot be read";
	if (!children_name)
		gathering_type = NULL;
	PyErr_Clear();
	hook_report("asyncio.wait", reason);
}
