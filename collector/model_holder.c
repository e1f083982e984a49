/*
 * Who kept a loop's thread waiting: the threads that had the GIL meanwhile, and the one that let go
 * of a lock. Of short iterations nothing is stored.
 */
#include "collector/model_state.h"

#include <stdlib.h>

#define EARLY_MAX 64u       /* what has no room adds to the one before */
#define HELD_NS 20000000ull /* iterations of that age are looked at; see sampler.c */

struct early { /* who had the GIL, in an iteration that is not that old yet */
	struct thread *holder;
	struct stack *stack;
	uint64_t time_ns, duration_ns;
};

struct holders { /* of the open iteration of a thread */
	uint64_t begin_ns;
	uint32_t count;
	struct early early[EARLY_MAX];
};

static void put(
	struct model *model, struct thread *t, uint64_t begin_ns, const struct early *e, bool exact)
{
	struct site site = stack_site(e->stack);

	if (!model_room(model))
		return;
	if (model->samples >= SAMPLES_MAX) {
		loss_add(model, t->process, "samples beyond the limit", 1);
		return;
	}
	model->samples++;
	STORE_PUT(model->store, gil_sample, NUMBER(t->process->id), NUMBER(t->id),
		ID(e->holder ? e->holder->id : 0), NUMBER(begin_ns), NUMBER(e->time_ns),
		NUMBER(e->duration_ns), NUMBER(exact), ID(stack_row(model, e->stack)),
		TEXT_OF(site.file), NUMBER_IF(site.line, site.line), TEXT_OF(site.function));
}

static void early_put(struct model *model, struct thread *t, uint64_t begin_ns)
{
	struct holders *h = t->holders;

	if (!h || h->begin_ns != begin_ns)
		return;
	for (uint32_t i = 0; i < h->count; i++)
		put(model, t, begin_ns, &h->early[i], true);
	h->count = 0;
}

static void early_add(struct thread *t, uint64_t begin_ns, const struct early *e)
{
	struct holders *h = t->holders;

	if (!h)
		h = t->holders = calloc(1, sizeof(*h));
	if (!h)
		return;
	if (h->begin_ns != begin_ns) {
		h->begin_ns = begin_ns;
		h->count = 0;
	}
	if (h->count < EARLY_MAX)
		h->early[h->count++] = *e;
	else
		h->early[EARLY_MAX - 1].duration_ns += e->duration_ns;
}

void gil_holder_record(struct model *model, struct process *p, const struct ev_gil_holder *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->busy_since_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct early e = {.holder = r->holder ? thread_get(model, p, r->holder, time_ns) : NULL,
		.stack = stack_get(model, p, r->stack),
		.time_ns = time_ns,
		.duration_ns = model_time(model, model->t0_ns + r->stands_for_ns)};

	if (!t)
		return;
	if (r->exact && time_ns < begin_ns + HELD_NS) {
		early_add(t, begin_ns, &e);
		return;
	}
	early_put(model, t, begin_ns);
	put(model, t, begin_ns, &e, r->exact);
}

void holders_end(struct model *model, struct thread *t, uint64_t begin_ns, uint64_t busy_ns)
{
	if (busy_ns >= HELD_NS)
		early_put(model, t, begin_ns);
	else if (t->holders)
		t->holders->count = 0;
}

void block_ended_record(struct model *model, struct process *p, const struct ev_block_ended *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);

	if (t)
		t->ended = (struct ended){.by = thread_get(model, p, r->by, time_ns),
			.stack = stack_get(model, p, r->stack),
			.time_ns = time_ns};
}

struct ended ended_take(struct thread *t, uint64_t begin_ns, uint64_t end_ns)
{
	struct ended ended = t->ended;

	t->ended = (struct ended){0};
	return ended.time_ns >= begin_ns && ended.time_ns <= end_ns ? ended : (struct ended){0};
}
