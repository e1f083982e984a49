/*
 * The work that loops are given without a task: handles of call_soon(), call_later(), add_reader(),
 * signals, and what futures call when they are done. While a handle's function runs it stands where
 * the task of an open step does, in agent_thread.task, with WORK_CALLBACK in its address.
 */
#ifndef PROBE_AGENT_HANDLE_H
#define PROBE_AGENT_HANDLE_H

#include "probe/agent/agent.h"

/*
 * The handle whose function returned this coroutine to its loop, which drops it, as it would stand
 * in agent_thread.task; 0: none did. GIL
 */
uint64_t handle_of_returned(PyObject *coroutine);

/* Handle, TimerHandle, Context.run, add_done_callback; once, where cells run. GIL */
void handle_open(void);

#endif
