/*
 * Audit events that matter, on threads that run a loop: what a call that may block was asked for.
 * Arguments are summarized from plain values only; anything else shows as its type.
 */
#include "probe/agent/object.h"

#include <stdio.h>

#define DETAIL_MAX 512
#define NUMBER_BYTES 40
#define DEPTH_MAX 3 /* of tuples and lists within arguments */

static const struct audit_kind {
	const char *event;         /* a trailing '*' stands for any ending */
	unsigned int first, count; /* of its arguments */
} kinds[] = {
#define AUDIT(event, first, count) {event, first, count},
#include "probe/audit.def"
#undef AUDIT
};

struct detail {
	size_t size;
	char data[DETAIL_MAX];
};

static const struct audit_kind *kind_find(const char *event)
{
	size_t i, n;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].event[0] != event[0])
			continue;
		n = strlen(kinds[i].event) - 1;
		if (kinds[i].event[n] == '*' ? strncmp(kinds[i].event, event, n) == 0
					     : strcmp(kinds[i].event, event) == 0)
			return &kinds[i];
	}
	return NULL;
}

static void detail_put(struct detail *d, const char *data, size_t size)
{
	size = text_fit(data, size, sizeof(d->data) - d->size);
	memcpy(d->data + d->size, data, size);
	d->size += size;
}

static void number_put(struct detail *d, PyObject *o)
{
	char buf[NUMBER_BYTES];
	int n;

	if (PyFloat_Check(o))
		n = snprintf(buf, sizeof(buf), "%g", PyFloat_AsDouble(o));
	else
		n = snprintf(buf, sizeof(buf), "%lld", PyLong_AsLongLong(o));
	if (PyErr_Occurred()) { /* an int beyond 64 bits */
		PyErr_Clear();
		detail_put(d, "<int>", 5);
		return;
	}
	detail_put(d, buf, (size_t)n);
}

static void bytes_put(struct detail *d, PyObject *o)
{
	Py_ssize_t size = 0, i;
	char *data = NULL;
	char c;

	if (PyBytes_AsStringAndSize(o, &data, &size))
		return;
	for (i = 0; i < size && d->size < sizeof(d->data); i++) {
		c = data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '?';
		detail_put(d, &c, 1);
	}
}

static void value_put(struct detail *d, PyObject *o, const char *between, unsigned int depth);

/* Only exact tuples and lists: a subclass may iterate in its own way. */
static void items_put(struct detail *d, PyObject *o, Py_ssize_t from, Py_ssize_t to,
	const char *between, unsigned int depth)
{
	bool tuple = PyTuple_CheckExact(o);
	Py_ssize_t i;

	for (i = from; i < to && d->size < sizeof(d->data); i++) {
		if (i > from)
			detail_put(d, between, strlen(between));
		value_put(d, tuple ? PyTuple_GetItem(o, i) : PyList_GetItem(o, i), between,
			depth + 1);
	}
}

static void value_put(struct detail *d, PyObject *o, const char *between, unsigned int depth)
{
	struct text text;

	if (!o || o == Py_None)
		return;
	if (PyUnicode_Check(o)) {
		text_of(o, DETAIL_MAX, &text);
		detail_put(d, text.data, text.size);
		text_free(&text);
	} else if (PyBytes_Check(o)) {
		bytes_put(d, o);
	} else if (PyLong_Check(o) || PyFloat_Check(o)) {
		number_put(d, o);
	} else if (PyTuple_CheckExact(o) && depth < DEPTH_MAX) {
		items_put(d, o, 0, PyTuple_Size(o), between, depth);
	} else if (PyList_CheckExact(o) && depth < DEPTH_MAX) {
		items_put(d, o, 0, PyList_Size(o), between, depth);
	} else {
		detail_put(d, "<", 1);
		detail_put(d, object_type_name(o), strlen(object_type_name(o)));
		detail_put(d, ">", 1);
	}
}

/* An address reads host:port, a command's words are apart. */
static const char *separator(const char *event)
{
	bool address = strstr(event, "connect") || strncmp(event, "socket.", 7) == 0 ||
		       strstr(event, "open");

	return address && strcmp(event, "sqlite3.connect") != 0 ? ":" : " ";
}

static bool ends_with(const struct detail *d, const char *ending)
{
	size_t n = strlen(ending);

	return d->size >= n && memcmp(d->data + d->size - n, ending, n) == 0;
}

/* Files that an import reads, and files that are open already (open(fd)) */
static bool open_matters(PyObject *args, const struct detail *d)
{
	PyObject *path = PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0) : NULL;

	if (!path || PyLong_Check(path))
		return false;
	return !ends_with(d, ".py") && !ends_with(d, ".pyc") && !ends_with(d, ".so");
}

void audit_event(const char *event, PyObject *args)
{
	const struct audit_kind *kind = kind_find(event);
	struct detail detail;
	struct error_aside error;
	Py_ssize_t size, to;
	struct ev_audit *e;
	uint32_t stack, name;

	if (!kind || !args || !PyTuple_CheckExact(args))
		return;
	error_put_aside(&error);
	detail.size = 0;
	size = PyTuple_Size(args);
	to = (Py_ssize_t)(kind->first + kind->count);
	items_put(&detail, args, kind->first, to < size ? to : size, separator(event), 0);
	if (event[0] != 'o' || strcmp(event, "open") != 0 || open_matters(args, &detail)) {
		stack = stack_here();
		name = name_id(event);
		e = ring_new(audit, detail.size, 0);
		if (e) {
			e->task = agent_thread.task;
			e->stack = stack;
			e->event = name;
			e->detail_len = (uint32_t)detail.size;
			tail_put((char *)(e + 1), detail.data, detail.size);
			ring_end(e);
		}
	}
	error_restore(&error);
}
