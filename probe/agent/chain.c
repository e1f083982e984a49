/*
 * Chains of suspended coroutines, generators and async generators, and tracebacks, as stacks.
 * Called under the GIL by the task hooks. Frames are read raw; what awaits what is asked of the
 * objects themselves. Runs no Python code.
 */
#include <dlfcn.h>

#include "probe/agent/agent.h"
#include "probe/agent/intern.h"
#include "probe/agent/slot.h"
#include "probe/agent/symver.h"

#define CHAIN_MAX 4096u /* awaitables or traceback entries followed */

/*
 * Where the C wrappers of asyncgens, anext() and __await__() keep what they drive: their first
 * member, on 3.8 to 3.14.
 */
#define WRAPPED_OFF 16

enum awaitable {
	AWAITABLE_UNKNOWN,
	AWAITABLE_COROUTINE,
	AWAITABLE_GENERATOR,
	AWAITABLE_ASYNC_GENERATOR,
	AWAITABLES_WITH_FRAME,
	AWAITABLE_WRAPPER = AWAITABLES_WITH_FRAME,
};

static const char *const wrapper_names[] = {
	/* tp_name */
	"async_generator_asend",
	"async_generator_athrow",
	"coroutine_wrapper",
	"anext_awaitable",
};
#define WRAPPERS (sizeof(wrapper_names) / sizeof(wrapper_names[0]))

static void *frame_types[AWAITABLES_WITH_FRAME];
/* what gives that which is awaited; NULL: asked for by name, at several times the cost */
static const struct getset_def *nexts[AWAITABLES_WITH_FRAME];
static PyObject *next_names[AWAITABLES_WITH_FRAME];
static const void *wrapper_types[WRAPPERS]; /* learnt when first met */
static const void *last_unknown;            /* most chains end in one and the same type */
static PyObject *tb_next_name, *tb_frame_name, *tb_lasti_name, *f_code_name;

static bool names_ready(void)
{
	static const char *const types[] = {NULL, "PyCoro_Type", "PyGen_Type", "PyAsyncGen_Type"};
	static const char *const names[] = {NULL, "cr_await", "gi_yieldfrom", "ag_await"};

	if (f_code_name)
		return true;
	for (unsigned int i = AWAITABLE_COROUTINE; i < AWAITABLES_WITH_FRAME; i++) {
		frame_types[i] = dlsym(RTLD_DEFAULT, types[i]);
		next_names[i] = PyUnicode_InternFromString(names[i]);
		if (frame_types[i])
			nexts[i] = getset_find((PyTypeObject *)frame_types[i], names[i]);
	}
	tb_next_name = PyUnicode_InternFromString("tb_next");
	tb_frame_name = PyUnicode_InternFromString("tb_frame");
	tb_lasti_name = PyUnicode_InternFromString("tb_lasti");
	f_code_name = PyUnicode_InternFromString("f_code");
	PyErr_Clear();
	return f_code_name != NULL;
}

static bool wrapper_is(void *type)
{
	const char *name;

	if (type == last_unknown)
		return false;
	for (size_t i = 0; i < WRAPPERS; i++)
		if (type == wrapper_types[i])
			return true;
	/* static ones: a class of the target's may have such a name */
	if (!(PyType_GetFlags((PyTypeObject *)type) & Py_TPFLAGS_HEAPTYPE)) {
		name = type_name(type);
		for (size_t i = 0; i < WRAPPERS; i++)
			if (!wrapper_types[i] && !strcmp(name, wrapper_names[i])) {
				wrapper_types[i] = type;
				return true;
			}
	}
	last_unknown = type;
	return false;
}

static enum awaitable awaitable_of(PyObject *object)
{
	void *type = Py_TYPE(object);

	for (unsigned int i = AWAITABLE_COROUTINE; i < AWAITABLES_WITH_FRAME; i++)
		if (type == frame_types[i])
			return (enum awaitable)i;
	return wrapper_is(type) ? AWAITABLE_WRAPPER : AWAITABLE_UNKNOWN;
}

/* What `object` waits for, a new reference; NULL: nothing. */
static PyObject *awaited_by(PyObject *object, enum awaitable kind)
{
	PyObject *next;

	if (kind == AWAITABLE_WRAPPER) {
		memcpy(&next, (const char *)object + WRAPPED_OFF, sizeof(next));
		Py_IncRef(next);
		return next;
	}
	next = nexts[kind] ? nexts[kind]->get(object, nexts[kind]->closure)
			   : PyObject_GetAttr(object, next_names[kind]);
	if (!next)
		PyErr_Clear();
	return next;
}

/* The last FRAMES_MAX frames met, so the innermost ones are kept. */
struct chain {
	struct frame_ref frames[FRAMES_MAX];
	size_t met;
};

static void chain_add(struct chain *chain, const struct frame_ref *frame)
{
	chain->frames[chain->met++ % FRAMES_MAX] = *frame;
}

static void bodies_tell(const struct frame_ref *frames, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (code_body_due(frames[i].code))
			body_tell((PyObject *)frames[i].code);
}

static uint32_t chain_intern(const struct chain *chain)
{
	size_t n = chain->met < FRAMES_MAX ? chain->met : FRAMES_MAX;
	struct frame_ref frames[FRAMES_MAX];
	uint32_t id;
	bool told;

	if (!n)
		return 0;
	for (size_t i = 0; i < n; i++)
		frames[i] = chain->frames[(chain->met - 1 - i) % FRAMES_MAX];
	id = stack_intern(frames, n, (uint32_t)(chain->met - n), &told);
	if (id && !told)
		bodies_tell(frames, n);
	return id;
}

/* From `at` on, whose reference it takes. */
static void chain_follow(PyObject *at, struct chain *chain, struct innermost *ret)
{
	for (unsigned int i = 0; at && i < CHAIN_MAX; i++) {
		enum awaitable kind = awaitable_of(at);
		struct frame_ref frame;
		PyObject *next = kind == AWAITABLE_UNKNOWN ? NULL : awaited_by(at, kind);

		if (kind != AWAITABLE_UNKNOWN && kind < AWAITABLES_WITH_FRAME &&
			frame_of_generator(at, &frame)) {
			chain_add(chain, &frame);
			*ret = (struct innermost){at, frame.code};
		}
		Py_DecRef(at);
		at = next;
	}
	Py_DecRef(at);
}

uint32_t stack_of_coroutine(PyObject *coro, struct innermost *ret)
{
	struct innermost innermost = {0};
	struct chain chain;

	chain.met = 0;
	Py_IncRef(coro);
	if (frame_of_generator_proven() && names_ready())
		chain_follow(coro, &chain, &innermost);
	else
		Py_DecRef(coro);
	if (ret)
		*ret = innermost;
	return chain_intern(&chain);
}

uint32_t code_of_coroutine(PyObject *coro)
{
	struct frame_ref frame;
	enum awaitable kind;
	uint32_t id;

	if (!frame_of_generator_proven() || !names_ready())
		return 0;
	kind = awaitable_of(coro);
	if (kind == AWAITABLE_UNKNOWN || kind >= AWAITABLES_WITH_FRAME ||
		!frame_of_generator(coro, &frame))
		return 0;
	id = code_id((PyObject *)frame.code);
	if (id && code_body_due(frame.code))
		body_tell((PyObject *)frame.code);
	return id;
}

static bool traceback_read(PyObject *tb, struct frame_ref *ret)
{
	PyObject *frame = PyObject_GetAttr(tb, tb_frame_name);
	PyObject *code = frame ? PyObject_GetAttr(frame, f_code_name) : NULL;
	PyObject *lasti = PyObject_GetAttr(tb, tb_lasti_name);
	long at = lasti ? PyLong_AsLong(lasti) : -1;

	Py_DecRef(lasti);
	Py_DecRef(frame);
	ret->code = code; /* the traceback holds its frame, and that its code */
	ret->position = at > 0 ? (uint32_t)at : 0;
	Py_DecRef(code);
	return code_is(ret->code);
}

uint32_t stack_of_traceback(PyObject *tb)
{
	PyObject *type, *value, *traceback;
	struct chain chain;
	PyObject *at = tb;
	uint32_t id;

	if (!tb || !names_ready())
		return 0;
	PyErr_Fetch(&type, &value, &traceback);
	chain.met = 0;
	Py_IncRef(at);
	for (unsigned int i = 0; at && at != Py_None && i < CHAIN_MAX; i++) {
		struct frame_ref frame;
		PyObject *next = PyObject_GetAttr(at, tb_next_name);

		if (traceback_read(at, &frame))
			chain_add(&chain, &frame);
		Py_DecRef(at);
		at = next;
	}
	Py_DecRef(at);
	id = chain_intern(&chain); /* before anything can be freed that holds its codes */
	PyErr_Clear();
	PyErr_Restore(type, value, traceback);
	return id;
}
