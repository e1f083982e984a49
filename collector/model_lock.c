/*
 * Who holds which asyncio.Lock, of tasks that wait: known while none of them steps. A lock that two
 * say they hold is nobody's.
 */
#include "collector/model_state.h"

#include <stdlib.h>
#include <string.h>

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

/* An asyncio.Lock's or, where code objects do not know their class (to 3.10), a semaphore's. */
static bool is_acquire(const struct frame *f)
{
	const char *dot = strrchr(f->function, '.');

	return !strcmp(f->module, "asyncio.locks") &&
	       (dot ? !strcmp(f->function, "Lock.acquire") : !strcmp(f->function, "acquire"));
}

/* Its children may wait for a lock of its own. */
static bool is_group_end(const struct frame *f)
{
	return !strcmp(f->module, "asyncio.taskgroups") && strstr(f->function, "aexit");
}

void lock_wait(struct model *model, struct task *t)
{
	struct stack *s = t->await_stack;
	struct process *p = t->process;

	if (s && !s->locks_known) {
		s->locks_known = true;
		s->locks = s->count && is_acquire(s->at[0].frame);
		s->groups = s->count && is_group_end(s->at[0].frame);
	}
	if (!s || !s->locks || t->locked_link)
		return;
	t->locked_next = p->locked;
	t->locked_link = &p->locked;
	if (t->locked_next)
		t->locked_next->locked_link = &t->locked_next;
	p->locked = t;
}

void lock_forget(struct task *t)
{
	struct map *holders = &t->process->holders;

	t->lock = 0;
	t->looked = false;
	if (t->locked_link) {
		*t->locked_link = t->locked_next;
		if (t->locked_next)
			t->locked_next->locked_link = t->locked_link;
		t->locked_link = NULL;
	}
	for (unsigned int i = 0; t->held && i < HELD_MAX && t->held[i].lock; i++)
		if (map_get(holders, t->held[i].lock) == t)
			map_remove(holders, t->held[i].lock);
	free(TAKE(t->held));
}

static bool is_due(const struct process *p, uint64_t before_ns)
{
	for (const struct task *t = p->locked; t; t = t->locked_next)
		if (t->last_ns <= before_ns)
			return true;
	return false;
}

/* Those that may hold a lock while a circle is closed over them. */
static int look(const struct process *p, model_locked_fn fn, void *ctx)
{
	for (struct task *t = p->task; t; t = t->next) {
		struct model_locked at = {p->pid, t->address, t->waits_on};
		int rc;

		if (!t->waits || t->looked || t->ended ||
			!(t->locked_link || t->await_task || t->group ||
				(t->await_stack && t->await_stack->groups)))
			continue;
		if (t->await_task)
			at.future = t->await_task->address;
		rc = fn(ctx, &at);
		if (rc < 0)
			return rc;
		t->looked = rc;
	}
	return 0;
}

int model_locked(struct model *model, uint64_t before_ns, model_locked_fn fn, void *ctx)
{
	uint64_t before = model_time(model, before_ns);
	int rc = 0;

	for (const struct process *p = model->process; p && !rc; p = p->next)
		if (!p->ended && !p->outside && is_due(p, before))
			rc = look(p, fn, ctx);
	return rc;
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
