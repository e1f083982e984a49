/* What the files behind task.h share. */
#ifndef PROBE_TARGET_TASK_STATE_H
#define PROBE_TARGET_TASK_STATE_H

#include "probe/target/state.h"
#include "probe/target/task.h"

/*
 * Reads one task, and hands it over if it is pending; *ret_answer is what fn returned then.
 * -EPROTO: there is no task at this address, or it was torn.
 */
int task_read(struct target *t, uint64_t task, target_task_fn fn, void *ctx, bool *ret_pending,
	int *ret_answer);

/* The frame of a generator or coroutine. 1: it is suspended; 0: it has none; -EBUSY: it runs. */
int target_generator_frame(struct target *t, uint64_t generator, struct target_frame *ret);

/* Calls fn for each interpreter until it returns not 0, and returns that. */
int target_interpreters_each(
	struct target *t, int (*fn)(struct target *t, void *ctx, uint64_t interp), void *ctx);
/* The same for each thread state of one. */
int target_interpreter_threads_each(struct target *t, uint64_t interp,
	int (*fn)(struct target *t, void *ctx, uint64_t thread), void *ctx);

#endif
