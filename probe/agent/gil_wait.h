/*
 * A loop's thread waits for the GIL: the condition variables that the interpreter's own object
 * waits on are its GIL's.
 */
#ifndef PROBE_AGENT_GIL_WAIT_H
#define PROBE_AGENT_GIL_WAIT_H

#include "probe/agent/call.h"

/* The wrapper of such a call; NULL: the interpreter's calls of that name are like any other's. */
void *gil_wrapper(enum call_id id);

#endif
