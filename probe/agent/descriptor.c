/* See descriptor.h. */
#include "probe/agent/descriptor.h"

#include <dlfcn.h>

PyObject *descriptor_call(
	const struct descriptor *d, PyObject *self, PyObject *args, PyObject *kwargs)
{
	Py_ssize_t i, n = args ? PyTuple_Size(args) : 0;
	PyObject *all = PyTuple_New(n + 1), *item, *result;

	if (!all)
		return NULL;
	Py_IncRef(self);
	PyTuple_SetItem(all, 0, self);
	for (i = 0; i < n; i++) {
		item = PyTuple_GetItem(args, i);
		Py_IncRef(item);
		PyTuple_SetItem(all, i + 1, item);
	}
	result = PyObject_Call(d->original, all, kwargs);
	Py_DecRef(all);
	return result;
}

/* `name` of a function is the text `expected`; both are asked of C. */
static bool function_says(PyObject *function, const char *name, const char *expected)
{
	PyObject *value = PyObject_GetAttrString(function, name);
	bool same = value && PyUnicode_Check(value) &&
		    PyUnicode_CompareWithASCIIString(value, expected) == 0;

	PyErr_Clear();
	Py_DecRef(value);
	return same;
}

static const char *original_find(PyObject *dict, const char *module, struct descriptor *d)
{
	const char *name = d->function ? d->function : d->def.ml_name;
	PyObject *original = PyMapping_GetItemString(dict, d->def.ml_name);

	PyErr_Clear();
	if (!original)
		return "a method is missing";
	if (strcmp(object_type_name(original), "function") != 0 ||
		!function_says(original, "__name__", name) ||
		!function_says(original, "__module__", module)) {
		Py_DecRef(original);
		return "a method is not the one that was shipped";
	}
	Py_DecRef(d->original);
	d->original = original;
	return NULL;
}

static const char *originals_find(
	PyObject *type, const char *module, struct descriptor *all, size_t count)
{
	PyObject *dict = PyObject_GetAttrString(type, "__dict__");
	const char *reason = dict ? NULL : "the class has no dict";
	size_t i;

	for (i = 0; i < count && !reason; i++)
		reason = original_find(dict, module, &all[i]);
	Py_DecRef(dict);
	PyErr_Clear();
	return reason;
}

void descriptors_remove(PyObject *type, struct descriptor *all, size_t count)
{
	PyObject *now;
	size_t i;

	for (i = 0; i < count; i++) {
		now = PyObject_GetAttrString(type, all[i].def.ml_name);
		if (now && strcmp(object_type_name(now), "method_descriptor") == 0)
			PyObject_SetAttrString(type, all[i].def.ml_name, all[i].original);
		Py_DecRef(now);
	}
	PyErr_Clear();
}

/*
 * What goes into the class's dict. inspect.signature() of 3.13+ binds a class's __init__ to the
 * class itself, which a function allows and a method descriptor does not: an instancemethod around
 * it does.
 */
static PyObject *descriptor_make(PyTypeObject *type, struct descriptor *d)
{
	PyObject *(*instancemethod)(PyObject *) = NULL;
	PyObject *descr = PyDescr_NewMethod(type, &d->def), *wrapped;

	if (!descr || strcmp(d->def.ml_name, "__init__") != 0)
		return descr;
	instancemethod = (PyObject * (*)(PyObject *)) dlsym(RTLD_DEFAULT, "PyInstanceMethod_New");
	wrapped = instancemethod ? instancemethod(descr) : NULL;
	Py_DecRef(descr);
	return wrapped;
}

static const char *originals_exchange(PyObject *type, struct descriptor *all, size_t count)
{
	PyObject *descr;
	int rc = 0;
	size_t i;

	for (i = 0; i < count && rc == 0; i++) {
		descr = descriptor_make((PyTypeObject *)type, &all[i]);
		rc = descr ? PyObject_SetAttrString(type, all[i].def.ml_name, descr) : -1;
		Py_DecRef(descr);
	}
	if (rc == 0)
		return NULL;
	descriptors_remove(type, all, i);
	PyErr_Clear();
	return "its methods could not be exchanged";
}

const char *descriptors_place(
	PyObject *type, const char *module, struct descriptor *all, size_t count)
{
	const char *reason;

	if (!type || !PyType_Check(type))
		return "not there";
	Py_IncRef(type); /* mostly borrowed of a module that the target may change */
	reason = originals_find(type, module, all, count);
	if (!reason)
		reason = originals_exchange(type, all, count);
	Py_DecRef(type);
	return reason;
}
