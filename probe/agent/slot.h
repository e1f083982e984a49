/*
 * Places hooks in type slots and method tables. Each is proven first: two independent places must
 * agree on the function, both on writable pages. Refusals are reported by name; nothing is changed
 * then.
 */
#ifndef PROBE_AGENT_SLOT_H
#define PROBE_AGENT_SLOT_H

#include "probe/agent/object.h"

/* Offsets in PyTypeObject, the same from 3.8 to 3.14 on 64-bit; each use is proven, most by
 * slot_place().
 */
#define SLOT_CALL 128
#define SLOT_DESCR_GET 272
#define SLOT_INIT 296
#define SLOT_FINALIZE 392
#define CFUNCTION_DEF_OFF 16 /* PyCFunctionObject.m_ml */
#define DESCR_WRAPPED_OFF 48 /* PyWrapperDescrObject.d_wrapped */

/*
 * Put `hook` where type keeps its slot, and in the wrapper_descriptor `wrapper` ("__init__") of the
 * type's own dict. *ret_original is set before the first write. 0 or -EPROTO, reported as name.
 */
int slot_place(PyTypeObject *type, long slot, const char *wrapper, void *hook, void **ret_original,
	const char *name);
/*
 * The same for a class that defines `method` in Python: its slot must hold what those of other such
 * classes do. NULL, or the reason. GIL
 */
const char *slot_place_python(
	PyObject *type, long slot, const char *method, void *hook, void **ret_original);
/* The classes below type that inherited the slot's original value get the hook too. */
void slot_inherit(PyTypeObject *type, long slot, void *original, void *hook);

/*
 * Calling conventions of PyMethodDef, Include/methodobject.h; FASTCALL and METHOD are not in the
 * limited API of 3.8.
 */
#define CALL_FASTCALL 0x0080
#define CALL_FASTCALL_KEYWORDS (CALL_FASTCALL | METH_KEYWORDS)
#define CALL_METHOD (0x0200 | CALL_FASTCALL_KEYWORDS)

struct method_def { /* PyMethodDef, whose ml_meth we exchange; layout of every version */
	const char *name;
	void *function;
	int flags;
	const char *doc;
};

/*
 * The PyMethodDef behind a method_descriptor of type's own dict; NULL: none of that name, or no
 * proof.
 */
struct method_def *method_find(PyTypeObject *type, const char *name);
/*
 * The one behind a function of a C module that is imported; NULL: no such function, or no proof.
 */
struct method_def *function_find(const char *module, const char *name);

struct getset_def { /* PyGetSetDef; layout of every version */
	const char *name;
	getter get;
	setter set;
	const char *doc;
	void *closure;
};
/* The one behind a getset_descriptor of type's own dict; NULL: none of that name, or no proof. */
const struct getset_def *getset_find(PyTypeObject *type, const char *name);

/* Exchange its function. 0, or -EPROTO, reported as name. */
int method_place(struct method_def *def, void *hook, const char *name);

#endif
