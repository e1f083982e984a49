/* See object.h. Called by every file of the agent that reads what the target owns; keeps nothing.
 */
#include "probe/agent/object.h"

#include <dlfcn.h>
#include <errno.h>

#include "probe/agent/frame.h"
#include "probe/agent/slot.h"

/* What a class has under a name, borrowed; runs no code. Not of the limited API, but there. */
static PyObject *(*class_lookup)(PyTypeObject *, PyObject *);

static bool descriptors_prove(void)
{
	PyObject *get = PyObject_GetAttrString((PyObject *)&PyProperty_Type, "__get__");
	bool proven =
		get && strcmp(object_type_name(get), "wrapper_descriptor") == 0 &&
		object_at(&PyProperty_Type, SLOT_DESCR_GET) == object_at(get, DESCR_WRAPPED_OFF) &&
		!object_at(&PyLong_Type, SLOT_DESCR_GET);

	Py_DecRef(get);
	PyErr_Clear();
	return proven;
}

int object_open(void)
{
	const char *name = object_at(&PyLong_Type, TYPE_NAME_OFF);
	PyObject *shown = PyObject_GetAttrString((PyObject *)&PyUnicode_Type, "__name__");
	int same = shown && PyUnicode_CompareWithASCIIString(
				    shown, object_at(&PyUnicode_Type, TYPE_NAME_OFF)) == 0;

	Py_DecRef(shown);
	PyErr_Clear();
	class_lookup =
		(PyObject * (*)(PyTypeObject *, PyObject *)) dlsym(RTLD_DEFAULT, "_PyType_Lookup");
	return same && strcmp(name, "int") == 0 && class_lookup && descriptors_prove() ? 0
										       : -EPROTO;
}

const char *object_type_name(PyObject *o)
{
	return object_at(Py_TYPE(o), TYPE_NAME_OFF);
}

bool object_is_native(PyObject *o, const char *type)
{
	return !(PyType_GetFlags(Py_TYPE(o)) & Py_TPFLAGS_HEAPTYPE) &&
	       strcmp(object_type_name(o), type) == 0;
}

PyObject *module_find(const char *module)
{
	PyObject *modules = PyImport_GetModuleDict();

	return modules && PyDict_Check(modules) ? PyDict_GetItemString(modules, module) : NULL;
}

PyObject *module_attr(const char *module, const char *name)
{
	PyObject *m = module_find(module);

	if (!m || !PyModule_Check(m))
		return NULL;
	return PyDict_GetItemString(PyModule_GetDict(m), name);
}

/* A property or any other descriptor but those of C members. */
static bool is_computed(PyTypeObject *type, PyObject *name)
{
	PyObject *found = class_lookup(type, name);
	const PyTypeObject *kind = found ? Py_TYPE(found) : NULL;

	return found && kind != &PyMemberDescr_Type && kind != &PyGetSetDescr_Type &&
	       object_at(kind, SLOT_DESCR_GET);
}

PyObject *object_get(PyObject *o, PyObject *name)
{
	PyObject *value = is_computed(Py_TYPE(o), name) ? NULL : PyObject_GenericGetAttr(o, name);

	if (!value)
		PyErr_Clear();
	return value;
}

PyObject *object_described(PyObject *descriptor, PyObject *o)
{
	PyObject *value = descriptor ? PyObject_CallMethod(descriptor, "__get__", "O", o) : NULL;

	if (!value)
		PyErr_Clear();
	return value;
}

bool object_described_true(PyObject *descriptor, PyObject *o)
{
	PyObject *value = object_described(descriptor, o);
	bool truth = value == Py_True;

	Py_DecRef(value);
	return truth;
}

size_t text_fit(const char *data, size_t size, size_t max)
{
	if (size <= max)
		return size;
	while (max > 0 && ((unsigned char)data[max] & 0xc0) == 0x80)
		max--;
	return max;
}

void text_of(PyObject *o, size_t max, struct text *ret)
{
	Py_ssize_t size = 0, chars, beyond;
	PyObject *head;
	char *data = NULL;
	size_t whole;

	*ret = (struct text){.data = ""};
	if (!o || !PyUnicode_Check(o))
		return;
	ret->data = str_ascii(o, &whole);
	if (ret->data) {
		Py_IncRef(o);
		ret->bytes = o;
		ret->size = whole < max ? whole : max;
		ret->cut = whole - ret->size;
		return;
	}
	ret->data = "";
	chars = PyUnicode_GetLength(o);
	beyond = chars > (Py_ssize_t)max ? chars - (Py_ssize_t)max : 0;
	head = beyond ? PyUnicode_Substring(o, 0, (Py_ssize_t)max) : o; /* never a copy of it all */
	if (head)
		ret->bytes = PyUnicode_AsEncodedString(
			head, "utf-8", "backslashreplace"); /* lone surrogates have no UTF-8 */
	if (beyond)
		Py_DecRef(head);
	if (!ret->bytes || PyBytes_AsStringAndSize(ret->bytes, &data, &size)) {
		PyErr_Clear();
		return;
	}
	ret->data = data;
	ret->size = text_fit(data, (size_t)size, max);
	ret->cut = (size_t)size - ret->size + (size_t)beyond;
}

void text_free(struct text *text)
{
	Py_DecRef(text->bytes);
	*text = (struct text){.data = ""};
}

char *tail_put(char *at, const char *data, size_t size)
{
	memcpy(at, data, size);
	return at + size;
}

void error_put_aside(struct error_aside *ret)
{
	PyErr_Fetch(&ret->type, &ret->value, &ret->traceback);
}

void error_restore(struct error_aside *error)
{
	PyErr_Restore(error->type, error->value, error->traceback);
}
