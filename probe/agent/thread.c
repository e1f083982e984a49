/*
 * Thread records: who the threads are that have records. Written once per thread, by whoever writes
 * its first record.
 */
#include "probe/agent/object.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREAD_NAME_MAX 256
#define COMM_BYTES 16 /* TASK_COMM_LEN, include/linux/sched.h */

/* threading._active[ident], borrowed; NULL where threading does not know this thread */
static PyObject *active_thread(unsigned long ident)
{
	PyObject *active = module_attr("threading", "_active");
	PyObject *key = PyLong_FromUnsignedLong(ident);
	PyObject *thread = NULL;

	if (key && active && PyDict_Check(active))
		thread = PyDict_GetItemWithError(active, key);
	Py_DecRef(key);
	return thread;
}

/*
 * Thread._name out of the instance's own dict: subclasses may compute `name`. New reference or
 * NULL.
 */
static PyObject *thread_name(PyObject *thread)
{
	PyObject *key = PyUnicode_FromString("__dict__");
	PyObject *dict = key ? object_get(thread, key) : NULL;
	PyObject *name = dict && PyDict_Check(dict) ? PyDict_GetItemString(dict, "_name") : NULL;

	Py_IncRef(name);
	Py_DecRef(dict);
	Py_DecRef(key);
	return name;
}

void thread_announce(void)
{
	unsigned long ident = PyThread_get_thread_ident();
	char comm[COMM_BYTES] = "";
	struct error_aside error;
	PyObject *thread, *name;
	struct ev_thread *e;
	struct text text;

	agent_thread.known = 1; /* first: what follows may come here again */
	error_put_aside(&error);
	thread = active_thread(ident);
	name = thread ? thread_name(thread) : NULL;
	text_of(name, THREAD_NAME_MAX, &text);
	if (!text.size && !agent.quiet && prctl(PR_GET_NAME, comm) == 0) {
		text.data = comm;
		text.size = strnlen(comm, sizeof(comm));
	}
	e = ring_new(thread, text.size, 0);
	if (e) {
		e->ident = ident;
		e->name_len = (uint32_t)text.size;
		tail_put((char *)(e + 1), text.data, text.size);
		ring_end(e);
	}
	text_free(&text);
	Py_DecRef(name);
	error_restore(&error);
}
