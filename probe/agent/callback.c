/*
 * See callback.h. The handle of a callback is the self of Handle._run() on the stack. Those that
 * call_soon_threadsafe() returned to other threads are known by weak references.
 */
#include "probe/agent/callback.h"

#include <errno.h>
#include <string.h>

#include "probe/agent/descriptor.h"
#include "probe/agent/frame.h"
#include "probe/agent/known.h"

#define DEPTH_MAX 64u   /* frames between a callback's handle and where it is asked about */
#define ASKINGS_MAX 64u /* calls at once; of more it is not told who asked */
#define ASKED_MAX 1024u /* handles of other threads kept; a power of two, newer ones replace */

static PyObject *timer_type;    /* asyncio.events.TimerHandle */
static struct known handle_run; /* Handle._run(self) */
/* asyncio's helpers that set the future they are given */
#define HELPERS 2
static PyObject *helpers[HELPERS];
static struct known helper_calls[HELPERS];
static PyObject *release_waiter; /* asyncio.tasks._release_waiter; NULL: not there */
static PyObject *callback_name, *args_name, *self_name;

struct asker { /* a thread that asked for a callback */
	uint64_t by;
	uint32_t tid, stack;
};

struct asked {
	const void *handle;
	PyObject *ref; /* weak; owned */
	struct asker asker;
};

static struct asked asked[ASKED_MAX];
static bool asked_any;

/*
 * Calls of call_soon_threadsafe() that have not returned: the loop may run the callback before the
 * caller gets its handle. In a table, and not on the callers' stacks: greenlets move these, and the
 * end of the interpreter takes them from daemon threads in the middle of a call.
 */
struct asking {
	PyObject *args; /* the call's: callback and its arguments; borrowed; NULL: free */
	struct asker asker;
};
static struct asking askings[ASKINGS_MAX];
static unsigned int askings_open;

static struct asked *asked_slot(const void *handle)
{
	uint64_t h = ((uint64_t)(uintptr_t)handle >> 4) * 0x9e3779b97f4a7c15ull; /* 2^64 / phi */

	return &asked[h >> 54 & (ASKED_MAX - 1)];
}

static void asked_keep(PyObject *handle, const struct asker *asker)
{
	struct asked *slot = asked_slot(handle);
	PyObject *ref = PyWeakref_NewRef(handle, NULL);

	if (!ref) {
		PyErr_Clear();
		return;
	}
	Py_DecRef(slot->ref);
	*slot = (struct asked){.handle = handle, .ref = ref, .asker = *asker};
	asked_any = true;
}

/* NULL: too many at once, this one is not known until it has returned. */
static struct asking *asking_put(PyObject *args, const struct asker *asker)
{
	for (unsigned int i = 0; i < ASKINGS_MAX; i++) {
		if (askings[i].args)
			continue;
		askings[i] = (struct asking){.args = args, .asker = *asker};
		askings_open++;
		return &askings[i];
	}
	return NULL;
}

static void asking_remove(struct asking *asking, const PyObject *args)
{
	if (!asking || asking->args != args)
		return; /* forgotten by a child of fork() in between */
	asking->args = NULL;
	askings_open--;
}

/* The handle's callback and arguments are those of the call, the same objects. */
static bool asking_is(const struct asking *asking, PyObject *callback, PyObject *args)
{
	Py_ssize_t i, n = PyTuple_Size(asking->args);

	if (n < 1 || PyTuple_GetItem(asking->args, 0) != callback || PyTuple_Size(args) != n - 1)
		return false;
	for (i = 1; i < n; i++)
		if (PyTuple_GetItem(asking->args, i) != PyTuple_GetItem(args, i - 1))
			return false;
	return true;
}

static const struct asker *asking_find(PyObject *handle)
{
	PyObject *callback = object_get(handle, callback_name);
	PyObject *args = object_get(handle, args_name);
	const struct asker *found = NULL;

	for (unsigned int i = 0; i < ASKINGS_MAX && !found; i++)
		if (callback && args && PyTuple_Check(args) && askings[i].args &&
			asking_is(&askings[i], callback, args))
			found = &askings[i].asker;
	Py_DecRef(args);
	Py_DecRef(callback);
	return found;
}

/* Who asked for it with call_soon_threadsafe(); NULL: nobody did. */
static const struct asker *asker_find(PyObject *handle)
{
	const struct asked *slot = asked_slot(handle);

	if (asked_any && slot->handle == handle && PyWeakref_GetObject(slot->ref) == handle)
		return &slot->asker;
	return askings_open ? asking_find(handle) : NULL;
}

/* ---- what runs here ---------------------------------------------------------------------- */

static bool is_helper(const void *frame)
{
	for (size_t i = 0; i < HELPERS; i++)
		if (known_is(&helper_calls[i], frame))
			return true;
	return false;
}

/* The handle whose callback this thread is in; *ret_bare as in struct callback. */
static PyObject *handle_here(bool *ret_bare)
{
	const void *frame = frame_outside(NULL);
	unsigned int i = is_helper(frame) ? 1 : 0, first = i;

	if (i)
		frame = frame_outside(frame);
	for (; frame && i < DEPTH_MAX; i++, frame = frame_outside(frame)) {
		if (known_is(&handle_run, frame)) {
			*ret_bare = i == first;
			return known_variable(&handle_run, frame);
		}
	}
	return NULL;
}

void callback_here(struct callback *ret)
{
	PyObject *handle;
	const struct asker *asker;

	*ret = (struct callback){.kind = CALLBACK_PLAIN};
	handle = handle_here(&ret->bare);
	if (!handle)
		return;
	if (callback_is_timer(handle)) {
		ret->kind = CALLBACK_TIMER;
		return;
	}
	asker = asker_find(handle);
	if (!asker || asker->tid == thread_tid())
		return;
	ret->kind = CALLBACK_THREAD;
	ret->by = asker->by;
	ret->tid = asker->tid;
	ret->stack = asker->stack;
}

bool callback_is_timer(PyObject *handle)
{
	return handle_run.code && (PyObject *)Py_TYPE(handle) == timer_type;
}

bool callback_sets(const PyObject *function)
{
	for (size_t i = 0; i < HELPERS; i++)
		if (function == helpers[i])
			return true;
	return false;
}

uint64_t callback_future(PyObject *handle)
{
	PyObject *function = object_get(handle, callback_name);
	PyObject *args = object_get(handle, args_name);
	uint64_t future = 0;

	for (size_t i = 0; i < HELPERS && function; i++)
		if (function == helpers[i] && args && PyTuple_Check(args) && PyTuple_Size(args) > 0)
			future = (uint64_t)(uintptr_t)PyTuple_GetItem(args, 0);
	Py_DecRef(args);
	Py_DecRef(function);
	return future;
}

/*
 * asyncio.timeout() and async_timeout: Timeout._on_timeout; aiohttp: TimeoutHandle.__call__; anyio:
 * CancelScope._timeout or _deliver_cancellation.
 */
static bool owner_interrupts(PyObject *method)
{
	PyObject *owner = object_get(method, self_name);
	const char *type = owner ? object_type_name(owner) : "";
	bool found = strstr(type, "Timeout") || strstr(type, "CancelScope");

	Py_DecRef(owner);
	return found;
}

bool callback_interrupts(PyObject *handle)
{
	PyObject *function = object_get(handle, callback_name);
	bool found = false;

	if (function && function == release_waiter)
		found = true; /* wait_for() to 3.11, wait() */
	else if (function && strcmp(object_type_name(function), "method") == 0)
		found = owner_interrupts(function);
	Py_DecRef(function);
	return found;
}

void callback_forked(void)
{
	for (size_t i = 0; i < ASKED_MAX; i++)
		Py_DecRef(asked[i].ref);
	memset(asked, 0, sizeof(asked));
	asked_any = false;
	memset(askings, 0, sizeof(askings));
	askings_open = 0;
}

/* ---- call_soon_threadsafe() -------------------------------------------------------------- */

static struct descriptor threadsafe[1];

static PyObject *on_call_soon_threadsafe(PyObject *self, PyObject *args, PyObject *kwargs)
{
	struct asking *asking;
	struct asker asker;
	PyObject *handle;

	if (!agent_ours())
		return descriptor_call(&threadsafe[0], self, args, kwargs);
	thread_seen();
	asker = (struct asker){
		.by = task_here(),
		.tid = thread_tid(),
		.stack = stack_here(),
	};
	asking = asking_put(args, &asker);
	handle = descriptor_call(&threadsafe[0], self, args, kwargs);
	asking_remove(asking, args);
	if (handle && agent.on)
		asked_keep(handle, &asker);
	return handle;
}

static struct descriptor threadsafe[1] = {
	{.def = DESCRIPTOR_DEF("call_soon_threadsafe", on_call_soon_threadsafe,
		 "call_soon_threadsafe($self, callback, *args, context=None)\n--\n\n"
		 "Like call_soon(), but thread-safe.")},
};

/* ---- installation ------------------------------------------------------------------------ */

static void helper_take(unsigned int i, const char *module, const char *name)
{
	helpers[i] = module_attr(module, name);
	Py_IncRef(helpers[i]);
	known_find(helpers[i], NULL, &helper_calls[i]);
}

static const char *handles_find(void)
{
	PyObject *handle = module_attr("asyncio.events", "Handle");

	timer_type = module_attr("asyncio.events", "TimerHandle");
	callback_name = PyUnicode_InternFromString("_callback");
	args_name = PyUnicode_InternFromString("_args");
	self_name = PyUnicode_InternFromString("__self__");
	release_waiter = module_attr("asyncio.tasks", "_release_waiter");
	Py_IncRef(release_waiter);
	if (!callback_name || !args_name || !self_name)
		return "out of memory";
	if (!handle || !timer_type || !PyType_Check(handle) || !PyType_Check(timer_type) ||
		!PyType_IsSubtype((PyTypeObject *)timer_type, (PyTypeObject *)handle))
		return "not there";
	Py_IncRef(timer_type);
	if (!known_find_in("asyncio.events", "Handle", "_run", "self", &handle_run))
		return "its _run() is no plain function";
	return NULL;
}

int callback_open(void)
{
	const char *reason = handles_find();

	helper_take(0, "asyncio.futures", "_set_result_unless_cancelled");
	helper_take(1, "asyncio.tasks", "_release_waiter"); /* 3.8 to 3.11: wait_for() */
	hook_report("asyncio.events.Handle", reason);
	if (reason)
		return -EPROTO;
	reason = descriptors_place(module_attr("asyncio.base_events", "BaseEventLoop"),
		"asyncio.base_events", threadsafe, 1);
	hook_report("asyncio.BaseEventLoop.call_soon_threadsafe", reason);
	return reason ? -EPROTO : 0;
}
