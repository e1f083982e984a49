/* See known.h. */
#include "probe/agent/known.h"

#include "probe/agent/frame.h"

/* Its place among those names, *ret_count of them; -1: none. */
static Py_ssize_t name_place(
	PyObject *code, const char *names_of, const char *variable, Py_ssize_t *ret_count)
{
	PyObject *names = PyObject_GetAttrString(code, names_of), *name;
	Py_ssize_t i, n = names && PyTuple_Check(names) ? PyTuple_Size(names) : 0, found = -1;

	for (i = 0; i < n; i++) {
		name = PyTuple_GetItem(names, i);
		if (PyUnicode_CompareWithASCIIString(name, variable) == 0)
			found = i;
	}
	Py_DecRef(names);
	*ret_count = n;
	return found;
}

/*
 * Its place among the fast locals, which begin with co_varnames on every version; -1: none. Cells
 * follow those to 3.10, and stand in their places since (Objects/frameobject.c).
 */
static Py_ssize_t variable_place(PyObject *code, const char *variable)
{
	Py_ssize_t variables, cells, found = name_place(code, "co_varnames", variable, &variables);
	Py_ssize_t cell = agent.minor < 11 ? name_place(code, "co_cellvars", variable, &cells) : -1;

	return cell < 0 ? found : variables + cell;
}

bool known_find(PyObject *function, const char *variable, struct known *ret)
{
	PyObject *code = NULL;
	Py_ssize_t place = 0;

	if (function && strcmp(object_type_name(function), "function") == 0)
		code = PyObject_GetAttrString(function, "__code__");
	if (code && variable)
		place = variable_place(code, variable);
	PyErr_Clear();
	if (!code || !code_is(code) || place < 0) {
		Py_DecRef(code);
		return false;
	}
	ret->code = code;
	ret->place = (unsigned int)place;
	return true;
}

bool known_find_in(const char *module, const char *class, const char *name, const char *variable,
	struct known *ret)
{
	PyObject *owner = class ? module_attr(module, class) : module_find(module);
	PyObject *function;
	bool found;

	Py_IncRef(owner);
	function = owner ? PyObject_GetAttrString(owner, name) : NULL;
	found = known_find(function, variable, ret);
	PyErr_Clear();
	Py_DecRef(function);
	Py_DecRef(owner);
	return found;
}

bool known_is(const struct known *known, const void *frame)
{
	return frame && known->code && frame_code(frame) == known->code;
}

PyObject *known_variable(const struct known *known, const void *frame)
{
	return known_is(known, frame) ? frame_variable(frame, known->place) : NULL;
}
