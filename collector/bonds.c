/* See bonds.h. */
#include "collector/bonds.h"

#include <string.h>

#include "probe/target/bonds.h"

struct telling {
	struct outside *outside;
	const struct target_task *task;
	const struct ev_head *head;
	uint64_t era;
	struct record_queue *to;
};

static void lock_put(const struct telling *t, const struct target_lock *held)
{
	struct target_frame frame[TARGET_CHAIN_MAX];
	uint32_t stack = 0, n = t->task->frames - held->frame;
	struct ev_task_lock *ev;

	memcpy(frame, t->task->frame + held->frame, n * sizeof(*frame));
	frame[0].position = held->position;
	if (held->position && outside_stack(t->outside, frame, n, t->task->cut, t->head->tid,
				      t->head->time_ns, t->era, &stack))
		stack = 0;
	ev = RECORD_NEW(t->to, task_lock, 0, t->head->tid, t->head->time_ns);
	if (!ev)
		return;
	ev->task = t->task->task;
	ev->lock = held->lock;
	ev->stack = stack;
	ev->holds = 1;
}

static void wait_put(const struct telling *t, uint64_t lock)
{
	struct ev_task_lock *ev = RECORD_NEW(t->to, task_lock, 0, t->head->tid, t->head->time_ns);

	if (!ev)
		return;
	ev->task = t->task->task;
	ev->lock = lock;
}

static void group_put(const struct telling *t, const struct target_bonds *bonds)
{
	size_t size = bonds->member_count * sizeof(bonds->member[0]);
	struct ev_group *ev = RECORD_NEW(t->to, group, size, t->head->tid, t->head->time_ns);

	if (!ev)
		return;
	ev->task = t->task->task;
	ev->one = bonds->one;
	ev->members_len = (uint32_t)size;
	record_tail_put(ev + 1, bonds->member, size);
}

static void timeout_put(const struct telling *t, uint64_t due_ns)
{
	struct ev_timeout *ev = RECORD_NEW(t->to, timeout, 0, t->head->tid, t->head->time_ns);

	if (!ev)
		return;
	ev->task = t->task->task;
	ev->due_ns = due_ns == BONDS_DUE_UNKNOWN ? INT64_MAX : due_ns;
}

void bonds_tell(struct outside *outside, const struct target_task *task, const struct ev_head *head,
	uint64_t era, struct record_queue *to)
{
	const struct telling t = {outside, task, head, era, to};
	struct target_bonds bonds;

	if (target_bonds_read(outside->target, task, &bonds))
		return;
	for (uint32_t i = 0; i < bonds.held_count; i++)
		lock_put(&t, &bonds.held[i]);
	if (bonds.member_count)
		group_put(&t, &bonds);
	if (bonds.due_ns)
		timeout_put(&t, bonds.due_ns);
	if (bonds.lock)
		wait_put(&t, bonds.lock);
}
