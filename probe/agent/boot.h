/*
 * What the hooks on tasks must know about this interpreter's _asyncio, found out on objects made
 * for it.
 */
#ifndef PROBE_AGENT_BOOT_H
#define PROBE_AGENT_BOOT_H

#include "probe/agent/object.h"

struct task_layout {
	PyTypeObject *task; /* _asyncio.Task; the caller of boot_task() gives it back */
	PyTypeObject *step; /* TaskStepMethWrapper */
	PyTypeObject
		*wakeup; /* TaskWakeupMethWrapper (3.8, 3.9); NULL: a PyCFunction over wakeup_def */
	void *wakeup_def; /* PyMethodDef of task_wakeup (3.10+) */
	/* offsets in a task */
	long name, coro, waiter, loop, exception, state;
	long step_exception; /* in a step wrapper; 0: not known */
	/* C descriptors; owned for good */
	PyObject *log_traceback, *log_destroy_pending;
};

#define WRAPPER_TASK_OFF 16 /* the task in step and wakeup wrappers; proven by boot_task() */

/*
 * Make a few tasks on a loop of our own, run them to their end, and find the layout. Leaves nothing
 * pending, no numbered task name taken, the running loop as it was. 0, or -EPROTO with the reason
 * in *ret_reason. GIL
 */
int boot_task(struct task_layout *ret, const char **ret_reason);

#endif
