/*
 * Python functions of the standard library that are recognized on the stack, by their code objects,
 * and the local variable of theirs that is read there.
 */
#ifndef PROBE_AGENT_KNOWN_H
#define PROBE_AGENT_KNOWN_H

#include "probe/agent/object.h"

struct known {
	const void *code;   /* kept alive; NULL: not found, it is never recognized */
	unsigned int place; /* of the variable in its frames */
};

/*
 * `function` (NULL: none) must be a plain function with that variable (NULL: none is read). What is
 * read of a variable that an inner function uses is its cell. GIL
 */
bool known_find(PyObject *function, const char *variable, struct known *ret);
/* The same for a function or, with `class`, a method of a module that is imported. GIL */
bool known_find_in(const char *module, const char *class, const char *name, const char *variable,
	struct known *ret);
/* Whether the frame (NULL: no) is one of its calls. any */
bool known_is(const struct known *known, const void *frame);
/* The variable of one of its frames, borrowed; NULL: unset, or frames cannot be read so. GIL */
PyObject *known_variable(const struct known *known, const void *frame);

#endif
