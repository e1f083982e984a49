/*
 * The callback that a loop of this thread runs now: whether a timer brought it, or another thread
 * asked for it. Under the GIL.
 */
#ifndef PROBE_AGENT_CALLBACK_H
#define PROBE_AGENT_CALLBACK_H

#include "probe/agent/agent.h"

enum callback_kind {
	CALLBACK_PLAIN, /* of call_soon(), of a descriptor, or not known */
	CALLBACK_TIMER,
	CALLBACK_THREAD, /* of call_soon_threadsafe() in another thread */
};

struct callback {
	enum callback_kind kind;
	bool bare; /* no function but asyncio's own helper stands between the loop and here */
	/* who asked, where it was another thread */
	uint64_t by;
	uint32_t tid, stack;
};

void callback_here(struct callback *ret);
/* asyncio.events.TimerHandle exactly */
bool callback_is_timer(PyObject *handle);
/* The future that a handle is there to set, borrowed by address; 0: it does something else. */
uint64_t callback_future(PyObject *handle);
/* asyncio's own helper that sets the future it is given. */
bool callback_sets(const PyObject *function);
/* It is there to interrupt what a task waits for: a timeout, of asyncio or a library. */
bool callback_interrupts(PyObject *handle);
/* In a child of fork(): other threads' wishes are gone with them. */
void callback_forked(void);

#endif
