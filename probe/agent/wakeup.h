/*
 * What a step begins with: who woke the task, the exception it is given, the failures that gather()
 * hands over as results. Written at the beginning of the step. Under the GIL.
 */
#ifndef PROBE_AGENT_WAKEUP_H
#define PROBE_AGENT_WAKEUP_H

#include "probe/agent/boot.h"

/* layout is kept; NULL: there are no tasks of the C module. */
void wakeup_open(const struct task_layout *layout);
/* The task, suspended in coro, goes on because `future` is done. */
void wakeup_begin(PyObject *task, PyObject *coro, PyObject *future, uint64_t begin_ns);
/* The step is given an exception that no future carries. */
void wakeup_received(PyObject *task, PyObject *coro, PyObject *exception, uint64_t begin_ns);

#endif
