/*
 * The selector that a loop waits in: select.epoll.poll. Which epoll object is the innermost loop's
 * own, and how long its poll() took where the wrapped epoll_wait is not called. Under the GIL, on
 * the loop's thread; other threads go straight on.
 */
#include <errno.h>

#include "probe/agent/frame.h"
#include "probe/agent/loop.h"
#include "probe/agent/object.h"
#include "probe/agent/slot.h"

static const char hook_name[] = "select.epoll.poll";

typedef PyObject *poll_t(PyObject *, PyObject *const *, Py_ssize_t, PyObject *);
static poll_t *poll_original;

/* EpollSelector.select() called by a _run_once(): asyncio's own, or nest_asyncio's. */
static bool called_by_run_once(void)
{
	return frames_are("select", "_run_once");
}

/* Is this select.epoll the one the innermost loop waits in? Asked once per object and run. */
static SELDOM bool selector_found(struct loop_thread *thread, PyObject *epoll)
{
	struct loop_run *run = loop_innermost(thread);
	PyObject *loop;
	bool polls;

	if (thread->stranger == epoll || run->flags & (LOOP_UVLOOP | LOOP_COARSE))
		return false;
	loop = loop_alive(run->loop, run->id);
	Py_IncRef(loop);
	polls = loop && loop_polls(loop, epoll);
	Py_DecRef(loop);
	if (polls || (!thread->selector && called_by_run_once())) {
		thread->selector = epoll;
		thread->polled = false;
		thread->no_got = false;
		return true;
	}
	thread->stranger = epoll;
	return false;
}

static inline bool selector_is(struct loop_thread *thread, PyObject *epoll)
{
	return __builtin_expect(thread->selector == epoll, 1) || selector_found(thread, epoll);
}

/*
 * The wrapped epoll_wait times it from inside; where that is not called (a static build), the
 * method is timed.
 */
static PyObject *selector_poll(struct loop_thread *thread, PyObject *self, PyObject *const *args,
	Py_ssize_t n, PyObject *names)
{
	bool coarse = thread->no_got;
	PyObject *result;

	agent_thread.call = 0; /* a wrapped call that was left by a jump ends here at the latest */
	if (thread->reentered && task_here())
		loop_reentries_tell(thread);
	if (coarse)
		selector_enter(thread, clock_now_ns());
	thread->armed = !coarse;
	result = poll_original(self, args, n, names);
	thread->armed = false;
	if (result && !thread->polled)
		thread->no_got = true;
	if (coarse)
		selector_leave(thread, clock_now_ns(), result ? (int)PyList_Size(result) : -EINTR);
	return result;
}

static PyObject *hook_poll(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names)
{
	struct loop_thread *thread = loop_thread_active();
	bool armed;
	PyObject *result;

	if (!thread || !agent_ours())
		return poll_original(self, args, n, names);
	if (selector_is(thread, self))
		return selector_poll(thread, self, args, n, names);
	armed = thread->armed; /* a signal handler's poll() inside the selector's */
	thread->armed = false;
	result = poll_original(self, args, n, names);
	thread->armed = armed;
	return result;
}

static int refuse(const char *reason)
{
	hook_report(hook_name, reason);
	return -EPROTO;
}

int selector_open(void)
{
	PyObject *type = module_attr("select", "epoll");
	struct method_def *def;

	Py_IncRef(type);
	def = type && PyType_Check(type) ? method_find((PyTypeObject *)type, "poll") : NULL;
	Py_DecRef(type);
	if (!def)
		return refuse("not found");
	if (def->flags != CALL_FASTCALL_KEYWORDS)
		return refuse("it is called in another way");
	poll_original = (poll_t *)def->function;
	return method_place(def, (void *)hook_poll, hook_name);
}
