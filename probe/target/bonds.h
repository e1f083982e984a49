/*
 * What ties a pending task to others beyond the future it waits for: the futures behind gather()
 * and wait(), an asyncio.Lock, those it holds, a timeout that will end it. Silent.
 */
#ifndef PROBE_TARGET_BONDS_H
#define PROBE_TARGET_BONDS_H

#include "probe/target/task.h"

#define BONDS_MEMBERS_MAX 256u
#define BONDS_LOCKS_MAX 16u
#define BONDS_DUE_UNKNOWN UINT64_MAX

struct target_lock {
	uint64_t lock;
	uint32_t frame;    /* of the task: the coroutine that is inside `async with` of it */
	uint32_t position; /* of that in the code; 0: not known */
};

struct target_bonds {
	uint64_t lock; /* an asyncio.Lock that it waits for; 0: none */
	struct target_lock held[BONDS_LOCKS_MAX];
	uint32_t held_count;
	uint64_t member[BONDS_MEMBERS_MAX]; /* it waits for each of these */
	uint32_t member_count;
	bool one;        /* and goes on as soon as one of them is done */
	uint64_t due_ns; /* a timeout ends its wait then, at the latest; 0: none was found */
};

/*
 * Of a task as it was just read. What it holds by a bare acquire() leaves no trace in it. What says
 * so must be known not to have run since: a torn reading is an error, or nothing, but may be wrong.
 */
int target_bonds_read(
	struct target *target, const struct target_task *task, struct target_bonds *ret);

#endif
