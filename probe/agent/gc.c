/*
 * Garbage collections: a C callable in gc.callbacks, called by the collector with the GIL when one
 * begins and when it ends.
 */
#include "probe/agent/object.h"

#include <dlfcn.h>
#include <errno.h>

#include "probe/agent/symver.h"

/* One collection runs at a time in an interpreter (gcstate->collecting). */
static struct {
	uint64_t begin_ns, cpu_ns;
	bool open;
} collection;

static uint32_t info_number(PyObject *info, const char *key)
{
	PyObject *value = PyDict_GetItemString(info, key);
	unsigned long number = value ? PyLong_AsUnsignedLong(value) : 0;

	PyErr_Clear();
	return (uint32_t)number;
}

/* A system call. */
static uint64_t cpu_clock_ns(void)
{
	return agent.quiet ? 0 : clock_thread_cpu_ns();
}

static void collection_write(PyObject *info)
{
	uint64_t cpu_ns = cpu_clock_ns() - collection.cpu_ns;
	struct ev_gc *e;
	uint32_t generation = info_number(info, "generation"),
		 collected = info_number(info, "collected");

	thread_seen();
	e = ring_new(gc, 0, 0);
	if (!e)
		return;
	e->begin_ns = collection.begin_ns;
	e->cpu_ns = cpu_ns;
	e->generation = generation;
	e->collected = collected;
	ring_end(e);
}

static PyObject *on_gc(PyObject *self, PyObject *args)
{
	PyObject *phase, *info;

	if (agent_ours() && PyTuple_Size(args) == 2) {
		phase = PyTuple_GetItem(args, 0);
		info = PyTuple_GetItem(args, 1);
		if (PyUnicode_Check(phase) &&
			PyUnicode_CompareWithASCIIString(phase, "start") == 0) {
			announce_collection(true);
			collection.open = true;
			collection.cpu_ns = cpu_clock_ns();
			collection.begin_ns = clock_now_ns();
			ring_gc_since(collection.begin_ns);
		} else if (collection.open && PyDict_Check(info)) {
			announce_collection(false);
			collection.open = false;
			ring_gc_since(0);
			collection_write(info);
		}
	}
	Py_IncRef(Py_None);
	return Py_None;
}

static PyMethodDef callback = {"awaitscope_gc", on_gc, METH_VARARGS, NULL};

/*
 * gc.callbacks belongs to the interpreter, but only the module shows it, and few programs import
 * that. So make a module object of it for a moment: no import, no entry in sys.modules. New
 * reference or NULL.
 */
static PyObject *gc_module(void)
{
	PyObject *module = module_find("gc"), *sys = module_find("sys"), *spec, *made;
	PyObject *(*init)(void);

	if (module) {
		Py_IncRef(module);
		return module;
	}
	init = (PyObject * (*)(void)) dlsym(RTLD_DEFAULT, "PyInit_gc");
	if (!init || !sys)
		return NULL;
	made = init();
	if (!made || PyModule_Check(made))
		return made;                            /* single-phase, up to 3.10 */
	spec = PyObject_GetAttrString(sys, "__spec__"); /* anything with a name will do */
	module = spec ? PyModule_FromDefAndSpec((PyModuleDef *)made, spec) : NULL;
	Py_DecRef(spec);
	if (module && PyModule_ExecDef(module, (PyModuleDef *)made)) {
		Py_DecRef(module);
		module = NULL;
	}
	return module;
}

int gc_open(void)
{
	PyObject *module = gc_module();
	PyObject *list = module ? PyObject_GetAttrString(module, "callbacks") : NULL;
	PyObject *function = PyCFunction_NewEx(&callback, NULL, NULL);
	int rc = list && PyList_Check(list) && function ? PyList_Append(list, function) : -1;

	Py_DecRef(function);
	Py_DecRef(list);
	Py_DecRef(module);
	PyErr_Clear();
	hook_report("gc.callbacks", rc ? "the list was not found" : NULL);
	return rc ? -EPROTO : 0;
}
