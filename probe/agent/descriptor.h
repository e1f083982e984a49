/*
 * C descriptors in the place of Python functions of a class. What they replace is called through
 * them, so no frame is added; each is proven to be the function that asyncio ships.
 */
#ifndef PROBE_AGENT_DESCRIPTOR_H
#define PROBE_AGENT_DESCRIPTOR_H

#include "probe/agent/object.h"

struct descriptor {
	PyMethodDef def;      /* ml_name: the key in the class's dict; static */
	const char *function; /* __name__ of the function there; NULL: the key itself */
	PyObject *original;   /* set once it is found; kept for good */
};

/* A PyMethodDef for a hook that takes (self, args, kwargs); `doc` holds the text signature. */
#define DESCRIPTOR_DEF(key, hook, doc)                                                             \
	{                                                                                          \
		key, (PyCFunction)(void (*)(void))(hook), METH_VARARGS | METH_KEYWORDS, doc        \
	}

/*
 * Exchange all of them, or none. Each must be a plain function of that name, made in `module` and
 * found in the class's own dict. NULL, or the reason. GIL
 */
const char *descriptors_place(
	PyObject *type, const char *module, struct descriptor *all, size_t count);
/* Put the functions back where ours still are. GIL */
void descriptors_remove(PyObject *type, struct descriptor *all, size_t count);
/* The class's own function with self before the arguments; kwargs may be NULL. GIL */
PyObject *descriptor_call(
	const struct descriptor *d, PyObject *self, PyObject *args, PyObject *kwargs);

#endif
