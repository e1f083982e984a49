/*
 * What ties a pending task to others, as records: locks, members of a gather() or wait(), a
 * timeout. Read from a target's memory, of a task that target_task_read() hands over. Silent.
 */
#ifndef COLLECTOR_BONDS_H
#define COLLECTOR_BONDS_H

#include "collector/outside.h"
#include "probe/target/task.h"

/*
 * head: whose tid and time the records have; era: as outside_stack() wants it; to: where they go,
 * after what outside->queue has. What cannot be read is left out.
 */
void bonds_tell(struct outside *outside, const struct target_task *task, const struct ev_head *head,
	uint64_t era, struct record_queue *to);

#endif
