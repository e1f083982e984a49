/*
 * Futures that tasks wait for, from the end of the step that waits until the task runs again, and
 * who set them. Under the GIL.
 */
#ifndef PROBE_AGENT_WAIT_H
#define PROBE_AGENT_WAIT_H

#include "probe/agent/agent.h"

struct wait {
	const void *future; /* NULL: free */
	uint64_t since_ns;  /* end of the first step that waits for it */
	uint64_t set_ns;    /* 0: nobody was seen to set it */
	uint64_t by;        /* as in ev_wakeup */
	uint32_t by_tid;
	uint32_t stack;
	uint32_t how;
	uint32_t waiters; /* tasks */
};

/* A step ended at now_ns that waits for it. */
void wait_begin(PyObject *future, uint64_t now_ns);
/* NULL: nobody waits for it, or too many waits are open. Until the next wait_begin() or _end(). */
struct wait *wait_find(const void *future);
/* One of its tasks runs again. */
void wait_end(struct wait *w);
/* The future was set: how is WAKE_RESULT, WAKE_EXCEPTION or WAKE_CANCEL. */
void wait_set(PyObject *future, uint32_t how);
/* The future is a task, which ended. */
void wait_task_done(PyObject *task, uint64_t now_ns);
/* Says how many waits were too many. */
void waits_look(void);
/* In a child of fork(): all of it was the parent's. */
void wait_forked(void);

/* Hooks on what sets the futures of the C module and of its Python twin. */
int future_open(void);

#endif
