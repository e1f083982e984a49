/*
 * Thread records: who the threads are that have records, written by whoever writes a thread's first
 * one; and who the others are, when a loop waited for the GIL that one of them had.
 */
#include "probe/agent/object.h"

#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREAD_NAME_MAX 256
#define COMM_BYTES 16         /* TASK_COMM_LEN, include/linux/sched.h */
#define THREADS_NS 100000000u /* between two tellings of all threads' names */
#define THREADS_MAX 64        /* told at one time; further ones stay without a name */

/* threading._active[ident], a new reference; NULL where threading does not know this thread */
static PyObject *active_thread(unsigned long ident)
{
	PyObject *active = module_attr("threading", "_active");
	PyObject *key = PyLong_FromUnsignedLong(ident);
	PyObject *thread = NULL;

	if (key && active && PyDict_Check(active))
		thread = PyDict_GetItemWithError(active, key);
	Py_IncRef(thread);
	Py_DecRef(key);
	return thread;
}

/*
 * Out of the instance's own dict: subclasses may compute what they show. New reference or NULL.
 */
static PyObject *thread_member(PyObject *thread, const char *name)
{
	PyObject *key = PyUnicode_FromString("__dict__");
	PyObject *dict = key ? object_get(thread, key) : NULL;
	PyObject *value = dict && PyDict_Check(dict) ? PyDict_GetItemString(dict, name) : NULL;

	Py_IncRef(value);
	Py_DecRef(dict);
	Py_DecRef(key);
	return value;
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
	name = thread ? thread_member(thread, "_name") : NULL;
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
	Py_DecRef(thread);
	error_restore(&error);
}

/* tid 0: the thread has not begun. */
static void thread_write(uint32_t tid, uint64_t ident, PyObject *name)
{
	struct ev_thread *e;
	struct text text;

	text_of(name, THREAD_NAME_MAX, &text);
	e = tid && text.size ? ring_new(thread, text.size, 0) : NULL;
	if (e) {
		e->head.tid = tid;
		e->ident = ident;
		e->name_len = (uint32_t)text.size;
		tail_put((char *)(e + 1), text.data, text.size);
		ring_end(e);
	}
	text_free(&text);
}

static void active_write(PyObject *key, PyObject *thread)
{
	PyObject *tid = thread_member(thread, "_native_id");
	PyObject *name = thread_member(thread, "_name");

	if (tid && PyLong_Check(tid))
		thread_write((uint32_t)PyLong_AsUnsignedLongMask(tid),
			PyLong_AsUnsignedLongMask(key), name);
	Py_DecRef(name);
	Py_DecRef(tid);
}

/*
 * What asks a thread makes objects, so a collection may begin, and code of the target's take any
 * thread out of the dict: nothing in it is only borrowed meanwhile.
 */
static void active_announce(PyObject *active)
{
	PyObject *key, *thread;
	unsigned int told = 0;
	Py_ssize_t at = 0;

	Py_IncRef(active);
	while (told++ < THREADS_MAX && PyDict_Next(active, &at, &key, &thread)) {
		if (!PyLong_Check(key))
			continue;
		Py_IncRef(key);
		Py_IncRef(thread);
		active_write(key, thread);
		Py_DecRef(thread);
		Py_DecRef(key);
	}
	Py_DecRef(active);
}

void threads_announce(void)
{
	static uint64_t told_ns;
	uint64_t now_ns = clock_now_ns();
	struct error_aside error;
	PyObject *active;

	if (now_ns - told_ns < THREADS_NS)
		return;
	told_ns = now_ns;
	agent.gil_lost = false;
	error_put_aside(&error);
	active = module_attr("threading", "_active");
	if (active && PyDict_Check(active))
		active_announce(active);
	PyErr_Clear();
	error_restore(&error);
}
