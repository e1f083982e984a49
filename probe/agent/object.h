/*
 * Looking at the target's objects without running its code: raw reads at proven offsets, C
 * descriptors, modules that are already imported. Reference counts go through Py_IncRef/Py_DecRef
 * only: 3.8's inlined ones would break immortal objects.
 */
#ifndef PROBE_AGENT_OBJECT_H
#define PROBE_AGENT_OBJECT_H

#include "probe/agent/agent.h"

#include <string.h>

#define TYPE_NAME_OFF 24 /* PyTypeObject.tp_name, 3.8 to 3.14; object_open() proves it */

/* The pointer at p + off. */
static inline void *object_at(const void *p, long off)
{
	void *value;

	memcpy(&value, (const char *)p + off, sizeof(value));
	return value;
}

static inline int32_t object_int_at(const void *p, long off)
{
	int32_t value;

	memcpy(&value, (const char *)p + off, sizeof(value));
	return value;
}

/* -EPROTO where this interpreter keeps type names elsewhere. GIL */
int object_open(void);
/*
 * tp_name: "_asyncio.Future", and without its module for classes made by a class statement; owned
 * by the type. GIL
 */
const char *object_type_name(PyObject *o);
/* Of the interpreter's own type of that name, not of a class of the target's called so. GIL */
bool object_is_native(PyObject *o, const char *type);

/* sys.modules[module].name, borrowed; NULL: not there. Never imports, never leaves an error. GIL */
PyObject *module_find(const char *module);
PyObject *module_attr(const char *module, const char *name);
/*
 * An attribute through object's own lookup, past any __getattribute__ of the target's; what a class
 * computes (a property) is none. New reference, or NULL without an error. GIL
 */
PyObject *object_get(PyObject *o, PyObject *name);
/*
 * What the C descriptor says of o, where o's class has hidden it. New reference, or NULL without an
 * error. GIL
 */
PyObject *object_described(PyObject *descriptor, PyObject *o);
bool object_described_true(PyObject *descriptor, PyObject *o);

struct text {            /* UTF-8 of a str; text_free() */
	PyObject *bytes; /* what holds it: a bytes object, or an ASCII str itself */
	const char *data;
	size_t size;
	size_t cut; /* left out at the end: bytes at least, exactly where it is ASCII */
};

/* The text of a str, at most max bytes; of anything else (and NULL): empty. GIL */
void text_of(PyObject *o, size_t max, struct text *ret);
void text_free(struct text *text);
/* The longest beginning of at most max bytes that ends between two characters. */
size_t text_fit(const char *data, size_t size, size_t max);
/* A record's next tail; returns where the one after it goes. */
char *tail_put(char *at, const char *data, size_t size);

/* Keeps a pending error aside while a hook looks around. */
struct error_aside {
	PyObject *type, *value, *traceback;
};
void error_put_aside(struct error_aside *ret);
void error_restore(struct error_aside *error);

#endif
