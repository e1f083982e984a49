/* The futures behind gather() and wait(), told when a task begins to wait for them. Under the GIL.
 */
#ifndef PROBE_AGENT_GROUP_H
#define PROBE_AGENT_GROUP_H

#include "probe/agent/agent.h"

/*
 * A step ended that waits for this, in that coroutine: as stack_of_coroutine() just said, with
 * nothing run since.
 */
void group_tell(PyObject *task, PyObject *waiter, const struct innermost *innermost);
void group_open(void);

#endif
