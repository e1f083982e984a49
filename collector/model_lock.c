/*
 * Who holds which asyncio.Lock, of tasks that wait: known while none of them steps. A lock that two
 * say they hold is nobody's.
 */
#include "collector/model_state.h"

#include <stdlib.h>

#include "probe/base/cleanup.h"

#define HELD_MAX 16u /* by one task; the sensor tells no more */

struct held_lock {
	uint64_t lock; /* address; 0: no further one */
	struct stack *taken;
	bool doubted;
};

static struct held_lock *held_find(const struct task *t, uint64_t lock)
{
	for (unsigned int i = 0; t->held && i < HELD_MAX && t->held[i].lock; i++)
		if (t->held[i].lock == lock)
			return &t->held[i];
	return NULL;
}

static struct held_lock *held_add(struct task *t, uint64_t lock)
{
	if (!t->held)
		t->held = calloc(HELD_MAX, sizeof(*t->held));
	for (unsigned int i = 0; t->held && i < HELD_MAX; i++)
		if (!t->held[i].lock) {
			t->held[i].lock = lock;
			return &t->held[i];
		}
	return NULL;
}

void lock_record(struct model *model, struct process *p, const struct ev_task_lock *r)
{
	struct task *t = task_get(p, r->task), *other = map_get(&p->holders, r->lock);
	struct held_lock *held, *others = other ? held_find(other, r->lock) : NULL;

	if (!t || t->ended || !t->waits || !r->lock)
		return;
	if (!r->holds) {
		t->lock = r->lock;
		return;
	}
	held = held_find(t, r->lock);
	if (!held)
		held = held_add(t, r->lock);
	if (!held || map_put(&p->holders, r->lock, t)) {
		loss_add(model, p, "records without memory", 1);
		return;
	}
	held->taken = stack_get(model, p, r->stack);
	held->doubted = others && other != t;
	if (held->doubted)
		others->doubted = true;
}

void lock_forget(struct task *t)
{
	struct map *holders = &t->process->holders;

	t->lock = 0;
	for (unsigned int i = 0; t->held && i < HELD_MAX && t->held[i].lock; i++)
		if (map_get(holders, t->held[i].lock) == t)
			map_remove(holders, t->held[i].lock);
	free(TAKE(t->held));
}

const struct task *lock_holder(const struct task *t, struct stack **ret_taken)
{
	const struct task *holder = t->lock ? map_get(&t->process->holders, t->lock) : NULL;
	const struct held_lock *held = holder ? held_find(holder, t->lock) : NULL;

	if (!held || held->doubted)
		return NULL;
	*ret_taken = held->taken;
	return holder;
}
