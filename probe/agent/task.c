/*
 * Records of tasks, whatever made them: slot hooks on _asyncio.Task (ctask.c) or descriptors on
 * _PyTask (pytask.c). Runs no code of the target; each function leaves a pending error as it was.
 */
#include "probe/agent/task.h"
#include "probe/agent/clock.h"
#include "probe/agent/group.h"
#include "probe/agent/loop.h"
#include "probe/agent/ring_fixed.h"
#include "probe/agent/slot.h"
#include "probe/agent/wait.h"

#define TASK_NAME_MAX 1024
#define CORO_NAME_MAX 1024
#define MESSAGE_MAX 4096
#define NUMBER_BYTES 32
#define LOOK_NS 1000000000u

static PyObject *str_qualname, *str_coro, *str_loop, *str_eager_start;
static PyObject *exception_args; /* BaseException.args, the C descriptor */

/* Interned once; NULL only where memory ran out. */
static PyObject *name_of(PyObject **name, const char *text)
{
	if (!*name)
		*name = PyUnicode_InternFromString(text);
	return *name;
}

bool task_due_look(void)
{
	if (!agent_ours() && !agent_resume())
		return false;
	if (__builtin_expect(agent.rescan, 0)) {
		agent.rescan = false;
		got_rescan();
	}
	if (__builtin_expect(agent.gil_lost, 0))
		threads_announce();
	thread_seen();
	return true;
}

/* Borrowed; NULL: not given. */
static PyObject *named_arg(PyObject *kwargs, PyObject **name, const char *text)
{
	PyObject *key = kwargs ? name_of(name, text) : NULL;
	PyObject *value = key ? PyDict_GetItemWithError(kwargs, key) : NULL;

	if (!value)
		PyErr_Clear(); /* a name of a class of the target's may compare in its own way */
	return value;
}

PyObject *task_coro_arg(PyObject *args, Py_ssize_t at, PyObject *kwargs)
{
	if (PyTuple_Size(args) > at)
		return PyTuple_GetItem(args, at);
	return named_arg(kwargs, &str_coro, "coro");
}

/* The one of coroutines, which nearly all tasks run; NULL: another type, or it has none of its own.
 */
static const struct getset_def *qualname_getter(PyObject *coro)
{
	static PyTypeObject *type;
	static const struct getset_def *found;

	if (!type && task_coro_native(coro)) {
		type = Py_TYPE(coro);
		found = getset_find(type, "__qualname__");
	}
	return Py_TYPE(coro) == type ? found : NULL;
}

/*
 * Only static types are asked: theirs is C code, a class of the target's may compute its
 * __qualname__.
 */
void coro_text(PyObject *coro, struct text *ret)
{
	PyObject *name = NULL, *key = name_of(&str_qualname, "__qualname__");
	const struct getset_def *qualname;

	if (coro && (qualname = qualname_getter(coro)))
		name = qualname->get(coro, qualname->closure);
	else if (coro && key && !(PyType_GetFlags(Py_TYPE(coro)) & Py_TPFLAGS_HEAPTYPE))
		name = object_get(coro, key);
	text_of(name, CORO_NAME_MAX, ret);
	Py_DecRef(name);
	if (!ret->bytes && coro) {
		ret->data = object_type_name(coro);
		ret->size = strnlen(ret->data, CORO_NAME_MAX);
	}
}

/* "Task-7", at the end of buf: snprintf() is a tenth of what recording a creation costs. */
static const char *number_name(unsigned long long number, char buf[NUMBER_BYTES])
{
	static const char prefix[] = "Task-";
	char *at = buf + NUMBER_BYTES;

	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	at -= sizeof(prefix) - 1;
	memcpy(at, prefix, sizeof(prefix) - 1);
	return at;
}

/* The name of a task: a str, or the number of one that was given none. buf holds the latter. */
static void name_text(PyObject *name, char *buf, struct text *ret)
{
	text_of(name, TASK_NAME_MAX, ret);
	if (name && PyLong_Check(name)) { /* 3.12+: formatted when first asked for
					     (Modules/_asynciomodule.c) */
		ret->data = number_name(PyLong_AsUnsignedLongLong(name), buf);
		ret->size = (size_t)(buf + NUMBER_BYTES - ret->data);
		if (PyErr_Occurred())
			PyErr_Clear();
	}
}

void task_birth_take(PyObject *coro, uint32_t flags, struct task_birth *ret)
{
	ret->parent = agent_thread.task;
	ret->flags = flags;
	ret->coro = coro;
	ret->stack = stack_here();
	ret->code = coro ? code_of_coroutine(coro) : 0;
	ret->time_ns = clock_now_ns();
}

void task_birth_write(
	const struct task_birth *birth, PyObject *task, PyObject *loop, PyObject *name)
{
	uint64_t loop_number = loop ? loop_id(loop) : 0;
	struct text name_utf8, coro;
	char number[NUMBER_BYTES];
	struct error_aside error;
	struct ev_task_new *e;
	char *at;

	error_put_aside(&error);
	name_text(name, number, &name_utf8);
	coro_text(birth->coro, &coro);
	e = ring_new(task_new, name_utf8.size + coro.size, birth->time_ns);
	if (e) {
		e->task = (uint64_t)(uintptr_t)task;
		e->parent = birth->parent;
		e->loop = loop_number;
		e->loop_object = (uint64_t)(uintptr_t)loop;
		e->stack = birth->stack;
		e->code = birth->code;
		e->flags = birth->flags;
		e->name_len = (uint32_t)name_utf8.size;
		e->coro_len = (uint32_t)coro.size;
		at = tail_put((char *)(e + 1), name_utf8.data, name_utf8.size);
		tail_put(at, coro.data, coro.size);
		ring_end(e);
	}
	text_free(&coro);
	text_free(&name_utf8);
	error_restore(&error);
}

/* Any true int will do (Modules/_asynciomodule.c: "p"); of other objects the truth may be code. */
bool task_is_eager(PyObject *kwargs)
{
	PyObject *value;

	if (agent.minor < 12)
		return false;
	value = named_arg(kwargs, &str_eager_start, "eager_start");
	return value && PyLong_Check(value) && PyObject_IsTrue(value) == 1;
}

bool task_coro_native(PyObject *coro)
{
	return coro && object_is_native(coro, "coroutine");
}

bool task_birth_eager(struct task_birth *birth, PyObject *task, PyObject *kwargs)
{
	birth->flags |= TASK_EAGER;
	if (!task_coro_native(birth->coro))
		return false;
	task_birth_write(birth, task, named_arg(kwargs, &str_loop, "loop"), NULL);
	return true;
}

void task_name_write(PyObject *task, PyObject *name)
{
	char number[NUMBER_BYTES];
	struct error_aside error;
	struct ev_task_name *e;
	struct text text;

	error_put_aside(&error);
	name_text(name, number, &text);
	e = ring_new(task_name, text.size, 0);
	if (e) {
		e->task = (uint64_t)(uintptr_t)task;
		e->name_len = (uint32_t)text.size;
		tail_put((char *)(e + 1), text.data, text.size);
		ring_end(e);
	}
	text_free(&text);
	error_restore(&error);
}

/* Once a second at most, while tasks step. */
static SELDOM void look_around(uint64_t now_ns)
{
	struct error_aside error;

	agent.look_ns = now_ns + LOOK_NS;
	error_put_aside(&error);
	queues_look();
	waits_look();
	error_restore(&error);
}

void task_step_begin(PyObject *task, PyObject *loop, struct task_step *ret)
{
	if (loop)
		loop_seen(loop);
	ret->task_before = agent_thread.task;
	ret->begin_before_ns = agent_thread.step_begin_ns;
	ret->begin_ns = clock_here_ns();
	if (__builtin_expect(ret->begin_ns >= agent.look_ns, 0))
		look_around(ret->begin_ns);
	agent_thread.task = (uint64_t)(uintptr_t)task;
	agent_thread.step_begin_ns = ret->begin_ns;
}

/*
 * A greenlet may have left its own step open on another stack, and what was open before this one
 * may have ended meanwhile: then no task is better than a wrong one.
 */
uint64_t task_step_end(PyObject *task, const struct task_step *step)
{
	bool innermost = agent_thread.task == (uint64_t)(uintptr_t)task;

	agent_thread.task = innermost ? step->task_before : 0;
	agent_thread.step_begin_ns = innermost ? step->begin_before_ns : 0;
	return clock_here_ns();
}

void exception_text(PyObject *exception, struct text *ret)
{
	PyObject *args;

	if (!exception_args)
		exception_args = PyObject_GetAttrString(PyExc_BaseException, "args");
	args = object_described(exception_args, exception);
	text_of(args && PyTuple_Check(args) && PyTuple_Size(args) > 0 ? PyTuple_GetItem(args, 0)
								      : NULL,
		MESSAGE_MAX, ret);
	Py_DecRef(args);
}

static void failed_write(PyObject *task, uint32_t name, PyObject *exception)
{
	PyObject *traceback = PyException_GetTraceback(exception);
	uint32_t stack = traceback ? stack_of_traceback(traceback) : 0;
	struct ev_task_failed *e;
	struct text message;

	Py_IncRef(exception);
	exception_text(exception, &message);
	e = ring_new(task_failed, message.size, 0);
	if (e) {
		e->task = (uint64_t)(uintptr_t)task;
		e->exception = name;
		e->stack = stack;
		e->message_len = (uint32_t)message.size;
		tail_put((char *)(e + 1), message.data, message.size);
		ring_end(e);
	}
	text_free(&message);
	Py_DecRef(exception);
	Py_DecRef(traceback);
}

void task_step_again(PyObject *task, const struct task_step *step, uint64_t end_ns)
{
	struct ev_step *e = ring_fixed_new(step, end_ns);

	if (!e)
		return;
	e->task = (uint64_t)(uintptr_t)task;
	e->begin_ns = step->begin_ns;
	e->waits_on = 0;
	e->state = TASK_PENDING;
	e->await_stack = 0;
	e->await_type = 0;
	e->exception = 0;
	ring_fixed_put(e);
}

void task_step_write(PyObject *task, const struct task_step *step, uint64_t end_ns,
	const struct task_after *after)
{
	bool failed = after->state == TASK_FINISHED && after->exception &&
		      PyExceptionInstance_Check(after->exception);
	uint32_t exception = failed ? name_id(object_type_name(after->exception)) : 0;
	struct innermost innermost = {0};
	uint32_t stack =
		after->waiter && after->coro ? stack_of_coroutine(after->coro, &innermost) : 0;
	uint32_t type = after->waiter ? name_id(object_type_name(after->waiter)) : 0;
	struct ev_step *e = ring_new(step, 0, end_ns);

	if (e) {
		e->task = (uint64_t)(uintptr_t)task;
		e->begin_ns = step->begin_ns;
		e->waits_on = (uint64_t)(uintptr_t)after->waiter;
		e->state = failed ? TASK_FAILED : after->state;
		e->await_stack = stack;
		e->await_type = type;
		e->exception = exception;
		ring_end(e);
	}
	if (failed)
		failed_write(task, exception, after->exception);
	if (after->waiter) {
		group_tell(task, after->waiter, &innermost);
		wait_begin(after->waiter, end_ns);
	} else if (after->state != TASK_PENDING)
		wait_task_done(task, end_ns);
}

void task_cancel_write(PyObject *task, uint64_t by)
{
	struct ev_task_cancel *e;
	uint32_t stack;

	thread_seen();
	stack = stack_here();
	e = ring_new(task_cancel, 0, 0);
	if (!e)
		return;
	e->task = (uint64_t)(uintptr_t)task;
	e->by = by;
	e->stack = stack;
	e->accepted = 1;
	ring_end(e);
}

void task_gone_write(PyObject *task, uint32_t flags)
{
	uint32_t stack = stack_here();
	struct ev_task_gone *e = ring_new(task_gone, 0, 0);

	if (!e)
		return;
	e->task = (uint64_t)(uintptr_t)task;
	e->flags = flags | (agent_finalizing() ? GONE_AT_EXIT : 0);
	e->stack = stack;
	ring_end(e);
}
