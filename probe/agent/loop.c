/*
 * Which loop runs on which thread. A run begins when the loop sets the async generator hooks
 * (run_forever of asyncio and uvloop) or becomes the running loop (nest_asyncio, also while it is
 * that already), and ends when that is undone; runs nest. Under the GIL, on the thread itself.
 */
#include "probe/agent/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/agent/frame.h"
#include "probe/agent/got.h"
#include "probe/agent/object.h"
#include "probe/agent/ring_fixed.h"
#include "probe/agent/slot.h"
#include "probe/agent/symver.h"

/* That have run a loop and still live, as many as have a ring; of more, loops are counted as lost.
 */
#define THREADS_MAX (RING_SLOTS - 1)
#define TYPE_BYTES 256

static struct loop_thread threads[THREADS_MAX];
static uint32_t threads_pid; /* process they belong to */
static pthread_key_t key;
static bool key_made;

static PyCFunction set_running_original;
static PyObject *get_hooks;                  /* sys.get_asyncgen_hooks */
static PyObject *self_name, *thread_id_name; /* "__self__", "_thread_id" */

/* ---- threads ----------------------------------------------------------------------------- */

static void thread_release(void *p)
{
	struct loop_thread *thread = p;

	agent_thread.loop = NULL;
	loop_clocks_close(thread);
	__atomic_store_n(&thread->taken, 0, __ATOMIC_RELEASE);
}

/*
 * In a child of fork() the parent's threads are gone, but for the one that forked, and its loop
 * does not run here.
 */
static void threads_forget(void)
{
	for (unsigned int i = 0; i < THREADS_MAX; i++) {
		if (threads[i].taken)
			loop_clocks_close(&threads[i]);
		threads[i].taken = 0;
	}
	agent_thread.loop = NULL;
	pthread_setspecific(key, NULL);
	threads_pid = agent.pid;
}

static struct loop_thread *thread_take(void)
{
	struct loop_thread *thread;

	if (!key_made) /* then 0 is somebody else's key */
		return NULL;
	if (threads_pid != agent.pid)
		threads_forget();
	thread = pthread_getspecific(key);
	if (thread)
		return thread;
	for (unsigned int i = 0; i < THREADS_MAX && !thread; i++)
		if (!__atomic_load_n(&threads[i].taken, __ATOMIC_ACQUIRE))
			thread = &threads[i];
	if (!thread)
		return NULL;
	memset(thread, 0, sizeof(*thread));
	thread->pid = agent.pid;
	thread->taken = 1;
	thread->faults = loop_faults();
	loop_clocks_open(thread);
	if (pthread_setspecific(key, thread)) {
		thread_release(thread);
		return NULL;
	}
	return thread;
}

/* ---- runs -------------------------------------------------------------------------------- */

static void selector_forget(struct loop_thread *thread)
{
	thread->selector = NULL;
	thread->stranger = NULL;
	thread->armed = false;
}

/* A bit each; the kernel's sigset_t, whatever the libc's. */
static uint64_t signals_blocked(void)
{
	uint64_t set = 0;

	syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &set, sizeof(set));
	return set;
}

/* A handler's own signal is blocked in it, unless it asked for SA_NODEFER. */
bool loop_frames_stand(const struct loop_thread *thread)
{
	return !agent_gil_held() || (!agent.quiet && signals_blocked() == thread->blocked);
}

static void start_announce(const struct loop_run *run, const char *type, uint32_t stack)
{
	size_t len = strlen(type);
	struct ev_loop_start *ev = ring_new(loop_start, len, 0);

	if (!ev)
		return;
	ev->loop = run->id;
	ev->stack = stack;
	ev->flags = run->flags;
	ev->type_len = (uint32_t)len;
	memcpy(ev + 1, type, len);
	ring_end(ev);
}

/* Asked for at every step of a loop that is not known to run: told once a run. */
static void run_lost(void)
{
	if (!agent_thread.beyond)
		agent_thread.beyond = lost_report(1, LOST_LOOPS);
}

static void run_push(PyObject *loop, bool hooked)
{
	struct loop_thread *thread = thread_take();
	char type[TYPE_BYTES];
	struct loop_run run;

	if (!thread)
		run_lost();
	if (!thread || thread->depth == RUNS_MAX)
		return;
	agent_thread.beyond = 0;
	thread_seen();
	ring_acquire();
	announce_thread(true);
	got_rescan(); /* uvloop's own object may have come a moment ago */
	run = (struct loop_run){
		.loop = loop,
		.id = loop_id_take(loop), /* and a collection may begin, in which loops run */
		.flags = loop_describe(loop, type, sizeof(type)),
		.stack = stack_here(),
		.hooked = hooked,
	};
	if (run.flags & LOOP_UVLOOP)
		base_loop_missed();
	selector_forget(thread);
	start_announce(&run, type, run.stack);
	thread->runs[thread->depth++] = run;
	thread->blocked = agent.quiet ? 0 : signals_blocked();
	agent_thread.loop = thread;
}

static void stop_announce(const struct loop_run *run)
{
	struct ev_loop_stop *ev = ring_new(loop_stop, 0, 0);

	if (!ev)
		return;
	ev->loop = run->id;
	ring_end(ev);
}

/* ---- the same loop again, inside its own run: its turns stay one series --------------------- */

static void reentry_pop(struct loop_thread *thread, const struct loop_run *run)
{
	if (thread->reentries[--thread->reentered].told)
		stop_announce(run);
}

/*
 * The innermost loop was made the running loop although it was: a run inside its run begins, or
 * ends, where the function that began it does so again. One outside of all steps is not followed.
 */
static void reentry_seen(struct loop_thread *thread, struct loop_run *run)
{
	const void *frame = frame_outside(NULL);

	for (uint32_t i = thread->reentered; frame && i-- > 0;) {
		if (thread->reentries[i].frame != frame || thread->reentries[i].loop != run->loop)
			continue;
		while (thread->reentered > i)
			reentry_pop(thread, run);
		return;
	}
	if (frame && task_here() && thread->reentered < RUNS_MAX)
		thread->reentries[thread->reentered++] =
			(struct reentry){run->loop, frame, stack_here(), false};
}

void loop_reentries_tell(struct loop_thread *thread)
{
	const struct loop_run *run = loop_innermost(thread);
	PyObject *loop = loop_alive(run->loop, run->id);
	char type[TYPE_BYTES];

	Py_IncRef(loop);
	for (uint32_t i = 0; loop && i < thread->reentered; i++) {
		struct reentry *r = &thread->reentries[i];

		if (r->told || r->loop != loop)
			continue;
		loop_describe(loop, type, sizeof(type));
		start_announce(run, type, r->stack);
		r->told = true;
	}
	Py_DecRef(loop);
}

static void run_pop(struct loop_thread *thread)
{
	struct loop_run *run = loop_innermost(thread);

	iteration_end(thread, run, clock_now_ns());
	announce_thread(false);
	while (thread->reentered && thread->reentries[thread->reentered - 1].loop == run->loop)
		reentry_pop(thread, run);
	stop_announce(run);
	selector_forget(thread);
	if (!--thread->depth)
		agent_thread.loop = NULL;
	else
		ring_busy_since(loop_innermost(thread)->begin_ns);
}

/* The run of that loop on this thread; NULL: none. */
static struct loop_run *run_of(struct loop_thread *thread, const void *loop)
{
	for (uint32_t i = thread ? thread->depth : 0; i-- > 0;)
		if (thread->runs[i].loop == loop)
			return &thread->runs[i];
	return NULL;
}

/* This process's runs of the calling thread. */
static struct loop_thread *thread_here(void)
{
	struct loop_thread *thread = agent_thread.loop;

	return thread && thread->pid == agent.pid ? thread : NULL;
}

bool loop_started_by(uint32_t stack)
{
	struct loop_thread *thread = thread_here();

	return stack && thread && thread->depth && loop_innermost(thread)->stack == stack;
}

/* Fakes that tests and probes make the running loop are none. */
static bool loop_like(PyObject *object)
{
	return PyObject_HasAttrString((PyObject *)Py_TYPE(object), "run_forever") &&
	       PyObject_HasAttrString((PyObject *)Py_TYPE(object), "call_soon");
}

/* A run that set hooks lies inside `run` (NULL: lies anywhere). */
static bool hooked_inside(const struct loop_thread *thread, const struct loop_run *run)
{
	uint32_t i = run ? (uint32_t)(run - thread->runs) + 1 : 0;

	for (; i < thread->depth; i++)
		if (thread->runs[i].hooked)
			return true;
	return false;
}

/*
 * The async generator hooks are `loop`'s from now on; NULL: nobody's. Runs that set them inside it
 * have put them back.
 */
static void hooks_belong(PyObject *loop)
{
	struct loop_thread *thread = thread_here();
	struct loop_run *run = loop ? run_of(thread, loop) : NULL;

	if (loop && !run) {
		if (loop_like(loop)) /* else of another framework */
			run_push(loop, true);
		return;
	}
	if (run)
		run->hooked = true;
	while (thread && hooked_inside(thread, run))
		run_pop(thread);
}

/*
 * `loop` is the running loop from now on; NULL: none is. Runs that set hooks end with these, not
 * here.
 */
static void running_is(PyObject *loop)
{
	struct loop_thread *thread = thread_here();
	struct loop_run *run = loop ? run_of(thread, loop) : NULL;

	if (loop && !run) {
		if (loop_like(loop))
			run_push(loop, false);
		return;
	}
	if (!loop)
		agent_thread.beyond = 0;
	if (run && run == loop_innermost(thread))
		reentry_seen(thread, run);
	while (thread && thread->depth && loop_innermost(thread) != run &&
		!loop_innermost(thread)->hooked)
		run_pop(thread);
}

/* ---- what tells us ----------------------------------------------------------------------- */

/* asyncio's and uvloop's hooks are methods of the loop. New reference; NULL: no method. */
static PyObject *hook_owner(PyObject *hook)
{
	return hook == Py_None ? NULL : object_get(hook, self_name);
}

/* This loop is the innermost run, and run_forever() of asyncio is on its way out. */
static bool run_ended(PyObject *loop)
{
	struct loop_thread *thread = thread_here();
	PyObject *owner_thread;

	if (!thread || loop_innermost(thread)->loop != loop)
		return false;
	owner_thread = object_get(loop, thread_id_name);
	Py_DecRef(owner_thread); /* None or an int of the loop's own */
	return owner_thread == Py_None;
}

/*
 * sys.set_asyncgen_hooks() sets the finalizer first, and each event comes before its own change
 * (Python/sysmodule.c, 3.8 to 3.14): when the first iteration's event comes, its hook is still the
 * old one and the finalizer the new.
 */
void loop_audit(const char *event, PyObject *args)
{
	struct error_aside error;
	PyObject *hooks, *before, *after;

	if (strcmp(event, "sys.set_asyncgen_hook_firstiter") != 0 || !get_hooks || !agent_ours())
		return;
	error_put_aside(&error);
	hooks = PyObject_CallFunctionObjArgs(get_hooks, NULL);
	before = hooks ? hook_owner(PyTuple_GetItem(hooks, 0)) : NULL;
	after = hooks ? hook_owner(PyTuple_GetItem(hooks, 1)) : NULL;
	if (before && !run_of(thread_here(), after) && run_ended(before))
		run_pop(thread_here()); /* what is back now was never seen: a child of fork() */
	else if (after || (hooks && PyTuple_GetItem(hooks, 1) == Py_None))
		hooks_belong(after);
	Py_DecRef(before);
	Py_DecRef(after);
	Py_DecRef(hooks);
	PyErr_Clear();
	error_restore(&error);
}

/*
 * To 3.11 the C module remembers what holds the last running loop without a reference, and looks at
 * it again in the interpreter's next life (Modules/_asynciomodule.c, cached_running_holder). That
 * it was still intact by then was luck that our objects could end, so the last one is kept.
 */
static void holder_keep(void)
{
	static PyObject *kept;
	PyObject *names = PyThreadState_GetDict(), *holder, *before = kept;

	holder = names ? PyDict_GetItemString(names, "__asyncio_running_event_loop__") : NULL;
	Py_IncRef(holder);
	kept = holder;
	Py_DecRef(before); /* last: it may free a loop, whose __del__() may come here again */
}

static PyObject *hook_set_running(PyObject *module, PyObject *loop)
{
	PyObject *result = set_running_original(module, loop);
	struct error_aside error;

	if (!result || !(agent_ours() || agent_resume()))
		return result;
	error_put_aside(&error);
	running_is(loop == Py_None ? NULL : loop);
	if (loop == Py_None && agent.minor < 12)
		holder_keep();
	PyErr_Clear();
	error_restore(&error);
	return result;
}

bool loop_runs_here(PyObject *loop)
{
	return run_of(thread_here(), loop) != NULL;
}

/* New reference; NULL: cannot be asked, with an error. */
static PyObject *running_loop(void)
{
	/* not kept: it would keep _asyncio, which then ends in another order */
	PyObject *get_running = module_attr("_asyncio", "_get_running_loop"), *running;

	Py_IncRef(get_running);
	running = get_running ? PyObject_CallFunctionObjArgs(get_running, NULL) : NULL;
	Py_DecRef(get_running);
	return running;
}

void loop_seen_anew(PyObject *loop)
{
	struct error_aside error;
	PyObject *running;

	if (!agent_active() || agent_thread.beyond || run_of(thread_here(), loop))
		return;
	error_put_aside(&error);
	running = running_loop();
	if (running == loop && loop_like(loop))
		run_push(loop, false);
	Py_DecRef(running);
	PyErr_Clear();
	error_restore(&error);
}

void loop_late(void)
{
	PyObject *running = running_loop();
	struct loop_thread *thread;

	PyErr_Clear();
	if (running && running != Py_None)
		loop_seen_anew(running);
	Py_DecRef(running);
	thread = thread_here();
	if (thread && thread->depth && agent_thread.ring)
		iteration_begin(thread, loop_innermost(thread), clock_now_ns());
}

void loop_rest(void)
{
	struct loop_thread *thread = thread_here();

	while (thread && thread->depth && agent_thread.ring)
		run_pop(thread);
}

/* ---- installation ------------------------------------------------------------------------ */

static int refuse(const char *name, const char *reason)
{
	hook_report(name, reason);
	return -EPROTO;
}

static int set_running_open(void)
{
	static const char name[] = "_asyncio._set_running_loop";
	struct method_def *def = function_find("_asyncio", "_set_running_loop");

	if (!def)
		return refuse(name, "not found");
	if (def->flags != METH_O)
		return refuse(name, "it is called in another way");
	set_running_original = (PyCFunction)def->function;
	return method_place(def, (void *)hook_set_running, name);
}

int loop_open(void)
{
	int rc;

	if (!key_made && pthread_key_create(&key, thread_release))
		return refuse("loops", "no thread-specific key is left");
	key_made = true;
	threads_pid = agent.pid;
	get_hooks = PySys_GetObject("get_asyncgen_hooks");
	Py_IncRef(get_hooks);
	self_name = PyUnicode_InternFromString("__self__");
	thread_id_name = PyUnicode_InternFromString("_thread_id");
	if (!get_hooks || !self_name || !thread_id_name)
		return refuse("sys.get_asyncgen_hooks", "not found");
	rc = set_running_open();
	return selector_open() ? -EPROTO : rc;
}
