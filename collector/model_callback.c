/*
 * Who gave loops their work: a callback belongs to the cell whose code asked for it, whatever cell
 * its function is from. An address is one handle until the next record of it.
 */
#include "collector/model_state.h"

#include <stdlib.h>
#include <string.h>

/* Handles' addresses have WORK_CALLBACK, these keys have not. */
static uint64_t done_key(uint64_t future, uint64_t function)
{
	return map_mix(future, function) & ~(uint64_t)WORK_CALLBACK;
}

static void free_callback(void *callback, void *ctx)
{
	(void)ctx;
	free(callback);
}

void callback_free_all(struct process *p)
{
	map_each(&p->callbacks, free_callback, NULL);
	map_free(&p->callbacks);
	p->callbacks = (struct map){0};
}

static struct callback *callback_room(struct model *model, struct process *p, uint64_t key)
{
	struct callback *c = map_get(&p->callbacks, key);

	if (c)
		return c;
	if (p->callbacks.count >= CALLBACKS_MAX) {
		loss_add(model, p, "callbacks beyond the limit", p->callbacks.count);
		callback_free_all(p);
	}
	c = malloc(sizeof(*c));
	if (!c || map_put(&p->callbacks, key, c)) {
		free(c);
		loss_add(model, p, "records without memory", 1);
		return NULL;
	}
	return c;
}

/* What add_done_callback() was told of it, where that is what made the handle. */
static bool take_added(struct process *p, const struct ev_callback_new *r, struct callback *ret)
{
	uint64_t key = done_key(r->future, r->function);
	struct callback *added = r->callback && r->future ? map_get(&p->callbacks, key) : NULL;

	if (!added)
		return false;
	*ret = *added;
	map_remove(&p->callbacks, key);
	free(added);
	return ret->unheard == p->unheard;
}

void callback_record(struct model *model, struct process *p, const struct ev_callback_new *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct callback made, *c;

	if (!t)
		return;
	if (!take_added(p, r, &made)) {
		made.stack = stack_get(model, p, r->stack);
		made.cell = cell_for_birth(t, r->task, made.stack, time_ns);
		made.asking = made.cell ? NULL : cell_asking(t, time_ns);
		made.unheard = p->unheard;
	}
	c = callback_room(model, p, r->callback ? r->callback : done_key(r->future, r->function));
	if (c)
		*c = made;
}

const struct callback *callback_get(const struct process *p, uint64_t worker)
{
	const struct callback *c = worker & WORK_CALLBACK ? map_get(&p->callbacks, worker) : NULL;

	/* its memory may have been given to another handle in what was lost */
	return c && c->unheard == p->unheard ? c : NULL;
}

bool callback_is_run(const struct frame *f)
{
	const char *dot = strrchr(f->function, '.'); /* 3.11+: with its class */

	return !strcmp(f->module, "asyncio.events") && !strcmp(dot ? dot + 1 : f->function, "_run");
}

/* Does code of the user's run, and not only around the loop? */
static bool runs_user_code(const struct stack *s)
{
	for (uint32_t i = 0; i < s->count && !callback_is_run(s->at[i].frame); i++)
		if (frame_is_user(s->at[i].frame))
			return true;
	return false;
}

struct stack *callback_stack(const struct callback *callback, struct stack *s)
{
	if (!callback || !callback->stack || !callback->stack->user || !s || runs_user_code(s))
		return s;
	return callback->stack;
}
