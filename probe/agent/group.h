/* The futures behind gather() and wait(), told when a task begins to wait for them. Under the GIL.
 */
#ifndef PROBE_AGENT_GROUP_H
#define PROBE_AGENT_GROUP_H

#include "probe/agent/agent.h"

/* A step ended that waits for this. Right after the step's stack_of_coroutine(). */
void group_tell(PyObject *task, PyObject *waiter);
void group_open(void);

#endif
