/*
 * What the C and the pure-Python task hooks share: the records, from what either kind of task says
 * of itself.
 */
#ifndef PROBE_AGENT_TASK_H
#define PROBE_AGENT_TASK_H

#include "probe/agent/object.h"

struct task_birth { /* what task_new says, taken when __init__ began; all borrowed */
	uint64_t time_ns, parent;
	uint32_t stack, code, flags;
	PyObject *coro; /* NULL: not known */
};

/*
 * Anything a new task makes due: IPython's events, objects loaded since, the ring of a forked
 * child. False: do not record. GIL
 */
SELDOM bool task_due_look(void);
static inline bool task_due(void)
{
	bool due = agent.rescan || agent.gil_lost || !agent_thread.known;

	return (__builtin_expect(!due, 1) && agent_ours()) || task_due_look();
}
/* What asyncio gives its loop for a step of a task of the C module. GIL */
bool task_is_step(PyObject *function);
/* The coroutine of a call Task(coro, ...), borrowed; NULL: the call will fail. */
PyObject *task_coro_arg(PyObject *args, Py_ssize_t at, PyObject *kwargs);
void task_birth_take(PyObject *coro, uint32_t flags, struct task_birth *ret);
/* name: a str, or the int of an unnamed task (3.12+), or NULL */
void task_birth_write(
	const struct task_birth *birth, PyObject *task, PyObject *loop, PyObject *name);
void task_name_write(PyObject *task, PyObject *name);
/* A coroutine of an async def: the one kind that Task() is sure to take. NULL: none */
bool task_coro_native(PyObject *coro);
/* Does Task(..., eager_start=True) ask for the first step within __init__ (3.12+)? */
bool task_is_eager(PyObject *kwargs);
/*
 * Announces an eager task before its __init__ runs that step: still without the name it will get.
 * False: not done, since its __init__ may yet refuse what it is given.
 */
bool task_birth_eager(struct task_birth *birth, PyObject *task, PyObject *kwargs);

/*
 * An open step; task_step_begin() and _end() come in pairs, also nested. Greenlets end them in any
 * order, so nothing may point at one.
 */
struct task_step {
	uint64_t begin_ns, task_before, begin_before_ns;
};
void task_step_begin(PyObject *task, PyObject *loop, struct task_step *ret);
/* Closes it on the thread, records nothing. Returns its end. */
uint64_t task_step_end(PyObject *task, const struct task_step *step);

struct task_after { /* what the task looks like after a step; all borrowed */
	PyObject *coro, *waiter, *exception; /* waiter, exception: NULL where none */
	uint32_t state;
};
/* It is pending and waits for nothing: it runs again at once. */
void task_step_again(PyObject *task, const struct task_step *step, uint64_t end_ns);
void task_step_write(PyObject *task, const struct task_step *step, uint64_t end_ns,
	const struct task_after *after);

/* cancel() returned True; the stack is its caller's. */
void task_cancel_write(PyObject *task, uint64_t by);
void task_gone_write(PyObject *task, uint32_t flags);

/*
 * The message of an exception, only where it is a str already: its own __str__ is the target's
 * code. text_free()
 */
void exception_text(PyObject *exception, struct text *ret);
/* qualname of a native coroutine, generator or async generator, else the type's name. */
void coro_text(PyObject *coro, struct text *ret);

#endif
