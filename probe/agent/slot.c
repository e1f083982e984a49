/* See slot.h. Called at installation only. */
#include "probe/agent/slot.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define DESCR_TYPE_OFF 16   /* PyDescrObject.d_type */
#define DESCR_METHOD_OFF 40 /* PyMethodDescrObject.d_method */
#define DESCR_GETSET_OFF 40 /* PyGetSetDescrObject.d_getset */
#define MAPS_BYTES 8192
#define SUBCLASS_DEPTH_MAX 16

struct maps { /* /proc/self/maps, line by line, without allocation */
	int fd;
	size_t used, at;
	char buf[MAPS_BYTES];
};

static bool maps_line(struct maps *m, const char **ret)
{
	char *end;
	ssize_t n;

	for (;;) {
		end = memchr(m->buf + m->at, '\n', m->used - m->at);
		if (end) {
			*end = '\0';
			*ret = m->buf + m->at;
			m->at = (size_t)(end - m->buf) + 1;
			return true;
		}
		memmove(m->buf, m->buf + m->at, m->used - m->at);
		m->used -= m->at;
		m->at = 0;
		n = m->used < sizeof(m->buf)
			    ? read(m->fd, m->buf + m->used, sizeof(m->buf) - m->used)
			    : 0;
		if (n <= 0)
			return false;
		m->used += (size_t)n;
	}
}

static const char *hex_read(const char *p, uint64_t *ret)
{
	uint64_t value = 0;

	for (;; p++) {
		if (*p >= '0' && *p <= '9')
			value = value << 4 | (uint64_t)(*p - '0');
		else if (*p >= 'a' && *p <= 'f')
			value = value << 4 | (uint64_t)(*p - 'a' + 10);
		else
			break;
	}
	*ret = value;
	return p;
}

/* Whether a pointer can be written at address: "begin-end rw..." (proc(5)) */
static bool address_writable(const void *address)
{
	uint64_t begin, end, where = (uint64_t)(uintptr_t)address;
	struct maps maps = {.fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)};
	const char *line;
	bool writable = false;

	if (maps.fd < 0)
		return false;
	while (!writable && maps_line(&maps, &line)) {
		line = hex_read(line, &begin);
		if (*line != '-')
			break;
		line = hex_read(line + 1, &end);
		writable = where >= begin && where + sizeof(void *) <= end &&
			   strncmp(line, " rw", 3) == 0;
	}
	close(maps.fd);
	return writable;
}

static void pointer_put(void *p, long off, void *value)
{
	__atomic_store_n((void **)((char *)p + off), value, __ATOMIC_RELEASE);
}

/* name in the type's own dict. New reference, or NULL without an error. */
static PyObject *own_attr(PyTypeObject *type, const char *name)
{
	PyObject *dict = PyObject_GetAttrString((PyObject *)type, "__dict__");
	PyObject *value = dict ? PyMapping_GetItemString(dict, name) : NULL;

	Py_DecRef(dict);
	PyErr_Clear();
	return value;
}

static int refuse(const char *name, const char *reason)
{
	hook_report(name, reason);
	return -EPROTO;
}

int slot_place(PyTypeObject *type, long slot, const char *wrapper, void *hook, void **ret_original,
	const char *name)
{
	PyObject *descr = own_attr(type, wrapper);
	void *original = object_at(type, slot);
	const char *reason = NULL;

	if (!descr || strcmp(object_type_name(descr), "wrapper_descriptor") != 0)
		reason = "the type has no wrapper of its own for this slot";
	else if (object_at(descr, DESCR_TYPE_OFF) != type)
		reason = "the wrapper belongs to another type";
	else if (!original || object_at(descr, DESCR_WRAPPED_OFF) != original)
		reason = "slot and wrapper do not agree";
	else if (!address_writable((char *)type + slot) ||
		 !address_writable((char *)descr + DESCR_WRAPPED_OFF))
		reason = "the slot is not writable";
	if (!reason) {
		*ret_original = original;
		pointer_put(type, slot, hook);
		pointer_put(descr, DESCR_WRAPPED_OFF, hook);
	}
	Py_DecRef(descr);
	if (reason)
		return refuse(name, reason);
	hook_report(name, NULL);
	return 0;
}

static bool defines_in_python(PyObject *type, const char *method)
{
	PyObject *function =
		type && PyType_Check(type) ? own_attr((PyTypeObject *)type, method) : NULL;
	bool does = function && strcmp(object_type_name(function), "function") == 0;

	Py_DecRef(function);
	return does;
}

/* In all classes that define the method in Python the interpreter keeps the same there. */
static bool slot_is_usual(void *value, long slot, const char *method)
{
	PyObject *condition = module_attr("threading", "Condition");
	PyObject *thread = module_attr("threading", "Thread");

	return value && value != object_at(&PyBaseObject_Type, slot) &&
	       defines_in_python(condition, method) && object_at(condition, slot) == value &&
	       defines_in_python(thread, method) && object_at(thread, slot) == value;
}

const char *slot_place_python(
	PyObject *type, long slot, const char *method, void *hook, void **ret_original)
{
	void *original;

	if (!defines_in_python(type, method))
		return "no class with a plain function of its own for this";
	original = object_at(type, slot);
	if (!slot_is_usual(original, slot, method))
		return "its slot is not as in other classes";
	if (!address_writable((char *)type + slot))
		return "the slot is not writable";
	*ret_original = original;
	pointer_put(type, slot, hook);
	return NULL;
}

static void inherit_below(
	PyTypeObject *type, long slot, void *original, void *hook, unsigned int depth)
{
	PyObject *list = PyObject_CallMethod(
		(PyObject *)&PyType_Type, "__subclasses__", "O", (PyObject *)type);
	Py_ssize_t i;
	PyObject *c;

	for (i = 0; list && i < PyList_Size(list); i++) {
		c = PyList_GetItem(list, i);
		if (object_at(c, slot) == original && address_writable((char *)c + slot))
			pointer_put(c, slot, hook);
		if (depth < SUBCLASS_DEPTH_MAX)
			inherit_below((PyTypeObject *)c, slot, original, hook, depth + 1);
	}
	Py_DecRef(list);
	PyErr_Clear();
}

void slot_inherit(PyTypeObject *type, long slot, void *original, void *hook)
{
	inherit_below(type, slot, original, hook, 0);
}

struct method_def *method_find(PyTypeObject *type, const char *name)
{
	PyObject *descr = own_attr(type, name);
	struct method_def *def = NULL;

	if (descr && strcmp(object_type_name(descr), "method_descriptor") == 0 &&
		object_at(descr, DESCR_TYPE_OFF) == type)
		def = object_at(descr, DESCR_METHOD_OFF);
	if (def && strcmp(def->name, name) != 0)
		def = NULL;
	Py_DecRef(descr); /* the type's dict keeps it; the table itself is static */
	return def;
}

const struct getset_def *getset_find(PyTypeObject *type, const char *name)
{
	PyObject *descr = own_attr(type, name);
	const struct getset_def *def = NULL;

	if (descr && strcmp(object_type_name(descr), "getset_descriptor") == 0 &&
		object_at(descr, DESCR_TYPE_OFF) == type)
		def = object_at(descr, DESCR_GETSET_OFF);
	if (def && (strcmp(def->name, name) != 0 || !def->get))
		def = NULL;
	Py_DecRef(descr);
	return def;
}

struct method_def *function_find(const char *module, const char *name)
{
	PyObject *function = module_attr(module, name);
	struct method_def *def;

	if (!function || !PyCFunction_Check(function))
		return NULL;
	def = object_at(function, CFUNCTION_DEF_OFF);
	if (def->function != (void *)PyCFunction_GetFunction(function) ||
		strcmp(def->name, name) != 0)
		return NULL;
	return def;
}

int method_place(struct method_def *def, void *hook, const char *name)
{
	if (!address_writable(&def->function))
		return refuse(name, "the method table is not writable");
	pointer_put(def, offsetof(struct method_def, function), hook);
	hook_report(name, NULL);
	return 0;
}
