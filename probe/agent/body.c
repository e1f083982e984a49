/*
 * What the code of coroutines does: its instructions and the names they use, once for each code
 * object, with the interpreter's own names of its opcodes. Called by chain.c under the GIL; makes
 * nothing that a collection could begin at.
 */
#include <errno.h>

#include "probe/agent/frame.h"
#include "probe/agent/object.h"

#define OPCODES_BYTES 8192u
#define INSTRUCTIONS_MAX (64u << 10) /* bytes; of longer functions nothing is told */
#define NAMES_BYTES 8192u            /* of each list; of code with more nothing is told */

struct name_list { /* separated by NUL */
	size_t size;
	bool cut;
	char text[NAMES_BYTES];
};

static struct { /* opcodes by name; size 0: not known, and no body is told */
	size_t names_size, count;
	char names[OPCODES_BYTES];
	unsigned char numbers[256];
} opcodes;

static void opcodes_write(void)
{
	struct ev_opcodes *e;

	if (!opcodes.count)
		return;
	e = ring_new(opcodes, opcodes.names_size + opcodes.count, 0);
	if (!e)
		return;
	e->names_len = (uint32_t)opcodes.names_size;
	e->numbers_len = (uint32_t)opcodes.count;
	tail_put(tail_put((char *)(e + 1), opcodes.names, opcodes.names_size),
		(const char *)opcodes.numbers, opcodes.count);
	ring_end(e);
}

/* Opcodes above 255 are the compiler's own and in no code object. */
static void opcode_add(PyObject *name, PyObject *number)
{
	long value = PyLong_Check(number) ? PyLong_AsLong(number) : -1;
	char *at = opcodes.names + opcodes.names_size;
	size_t n, room = sizeof(opcodes.names) - opcodes.names_size;

	if (value < 0 || value > 255 || opcodes.count == sizeof(opcodes.numbers) || room < 2)
		return;
	n = str_read(name, at, room - 1);
	if (!n)
		return;
	at[n] = '\0';
	opcodes.names_size += n + 1;
	opcodes.numbers[opcodes.count++] = (unsigned char)value;
}

int body_open(void)
{
	PyObject *map = module_attr("opcode", "opmap"), *name, *number;
	Py_ssize_t at = 0;

	opcodes.count = opcodes.names_size = 0;
	while (map && PyDict_Check(map) && PyDict_Next(map, &at, &name, &number))
		opcode_add(name, number);
	PyErr_Clear();
	hook_report("coroutine code", opcodes.count ? NULL : "opcode.opmap was not found");
	opcodes_write();
	return opcodes.count ? 0 : -EPROTO;
}

void body_forked(void)
{
	opcodes_write();
}

static void names_add(struct name_list *list, PyObject *tuple)
{
	for (Py_ssize_t i = 0; tuple && i < PyTuple_Size(tuple); i++) {
		size_t room = sizeof(list->text) - list->size, n;

		n = room > 1
			    ? str_read(PyTuple_GetItem(tuple, i), list->text + list->size, room - 1)
			    : 0;
		list->cut |= !n;
		if (!n)
			return;
		list->size += n;
		list->text[list->size++] = '\0';
	}
}

/* A tuple that the code object holds anyway, borrowed; NULL: none. */
static PyObject *tuple_of(PyObject *code, const char *name)
{
	PyObject *tuple = PyObject_GetAttrString(code, name);

	PyErr_Clear();
	Py_DecRef(tuple);
	return tuple && PyTuple_Check(tuple) ? tuple : NULL;
}

/* 3.11+ makes other tuples of names anew each time, which could begin a collection. */
static size_t locals_add(PyObject *code, struct name_list *locals, struct name_list *free)
{
	PyObject *cells;

	if (agent.minor >= 11) {
		names_add(locals, code_local_names(code));
		return 0;
	}
	cells = tuple_of(code, "co_cellvars");
	names_add(locals, tuple_of(code, "co_varnames"));
	names_add(locals, cells);
	names_add(locals, tuple_of(code, "co_freevars"));
	names_add(free, tuple_of(code, "co_freevars"));
	return cells ? (size_t)PyTuple_Size(cells) : 0;
}

static void body_write(uint32_t id, size_t cells, const char *instructions, size_t size,
	const struct name_list *lists)
{
	size_t tails = size + lists[0].size + lists[1].size + lists[2].size;
	struct ev_body *e = ring_new(body, tails, 0);
	char *at;

	if (!e)
		return;
	e->code = id;
	e->cells = (uint32_t)cells;
	e->instructions_len = (uint32_t)size;
	e->names_len = (uint32_t)lists[0].size;
	e->locals_len = (uint32_t)lists[1].size;
	e->free_len = (uint32_t)lists[2].size;
	at = tail_put((char *)(e + 1), instructions, size);
	for (unsigned int i = 0; i < 3; i++)
		at = tail_put(at, lists[i].text, lists[i].size);
	ring_end(e);
}

void body_tell(PyObject *code)
{
	static struct name_list lists[3]; /* names, locals, free; under the GIL */
	PyObject *instructions;
	const void *bytes;
	size_t size = 0, cells;

	if (!opcodes.count)
		return;
	instructions = PyObject_GetAttrString(code, "co_code");
	PyErr_Clear();
	bytes = bytes_read(instructions, &size);
	for (unsigned int i = 0; i < 3; i++)
		lists[i].size = lists[i].cut = 0;
	names_add(&lists[0], tuple_of(code, "co_names"));
	cells = locals_add(code, &lists[1], &lists[2]);
	if (bytes && size <= INSTRUCTIONS_MAX && !lists[0].cut && !lists[1].cut && !lists[2].cut)
		body_write(code_id(code), cells, bytes, size, lists);
	Py_DecRef(instructions);
}
