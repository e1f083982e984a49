/*
 * Who kept a loop's thread waiting: the threads that had the GIL meanwhile, and the one that let go
 * of a lock. Of short iterations nothing is stored.
 */
#include "collector/model_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define EARLY_MAX 64u        /* what has no room adds to the same thread's last, or is nobody's */
#define HELD_NS 20000000ull  /* iterations of that age are looked at; see sampler.c */
#define KEPT_NS 250000000ull /* what goes on is one row for so long */

#define PROCESS_TEXT_BYTES 64u

struct early { /* who had the GIL, in an iteration that is not that old yet; or who keeps it */
	struct thread *holder;
	struct stack *stack;
	uint64_t time_ns, duration_ns;
	uint32_t seen; /* enum gil_seen */
};

struct holders { /* of the open iteration of a thread */
	uint64_t begin_ns;
	uint32_t count;
	struct early early[EARLY_MAX];
	struct early kept; /* who was last seen to keep it */
};

static void put(struct model *model, struct thread *t, uint64_t begin_ns, const struct early *e)
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
		NUMBER(e->duration_ns), NUMBER(e->seen), ID(stack_row(model, e->stack)),
		TEXT_OF(site.file), NUMBER_IF(site.line, site.line), TEXT_OF(site.function));
}

static void early_put(struct model *model, struct thread *t, uint64_t begin_ns)
{
	struct holders *h = t->holders;

	if (!h || h->begin_ns != begin_ns)
		return;
	for (uint32_t i = 0; i < h->count; i++)
		put(model, t, begin_ns, &h->early[i]);
	h->count = 0;
}

/* The kernel tells again and again of one that stays where it is. */
static bool goes_on(const struct early *last, const struct early *e)
{
	return e->seen == GIL_KEPT && last->seen == GIL_KEPT && last->holder == e->holder &&
	       last->stack == e->stack && last->duration_ns < KEPT_NS;
}

/* The newest of that thread; NULL: none. */
static struct early *early_of(struct holders *h, const struct thread *holder)
{
	for (uint32_t i = h->count; i > 0; i--)
		if (h->early[i - 1].holder == holder)
			return &h->early[i - 1];
	return NULL;
}

/* How long what was last added has gone on. */
static uint64_t early_add(struct thread *t, uint64_t begin_ns, const struct early *e)
{
	struct holders *h = t->holders;
	struct early *last;

	if (!h)
		h = t->holders = calloc(1, sizeof(*h));
	if (!h)
		return 0;
	if (h->begin_ns != begin_ns) {
		h->begin_ns = begin_ns;
		h->count = 0;
	}
	last = h->count ? &h->early[h->count - 1] : NULL;
	if (!last || !goes_on(last, e))
		last = h->count == EARLY_MAX ? early_of(h, e->holder) : NULL;
	if (last) {
		last->duration_ns += e->duration_ns;
		last->time_ns = e->time_ns;
		return last->duration_ns;
	}
	if (h->count == EARLY_MAX)
		return 0;
	h->early[h->count++] = *e;
	return e->duration_ns;
}

/*
 * It has let go, and may be in other code already. If it was seen while it had it, all the time
 * since is taken for what it did then.
 */
static void let_go(const struct thread *t, struct early *e)
{
	const struct early *kept = t->holders ? &t->holders->kept : NULL;

	if (kept && kept->stack && kept->holder == e->holder &&
		kept->time_ns == e->time_ns - e->duration_ns)
		e->stack = kept->stack;
}

void gil_holder_record(struct model *model, struct process *p, const struct ev_gil_holder *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->busy_since_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct early e = {.holder = r->holder ? thread_get(model, p, r->holder, time_ns) : NULL,
		.stack = stack_get(model, p, r->stack),
		.time_ns = time_ns,
		.duration_ns = model_time(model, model->t0_ns + r->stands_for_ns),
		.seen = r->exact};
	bool old = time_ns >= begin_ns + HELD_NS;

	if (!t)
		return;
	if (r->exact == GIL_LET_GO)
		let_go(t, &e);
	if (r->exact == GIL_KEPT || (r->exact && !old)) {
		if (early_add(t, begin_ns, &e) >= KEPT_NS && old)
			early_put(model, t, begin_ns);
		if (t->holders && e.seen == GIL_KEPT)
			t->holders->kept = e;
		return;
	}
	if (r->exact)
		early_put(model, t, begin_ns);
	put(model, t, begin_ns, &e);
}

void holders_end(struct model *model, struct thread *t, uint64_t begin_ns, uint64_t busy_ns)
{
	if (busy_ns >= HELD_NS)
		early_put(model, t, begin_ns);
	else if (t->holders)
		t->holders->count = 0;
}

static const char *process_text(struct model *model, const struct ev_block_ended *r)
{
	char text[PROCESS_TEXT_BYTES];
	int n = snprintf(text, sizeof(text), "%s (pid %" PRIu32 ")", tail_text(model, &r->head, 0),
		r->by_pid);

	return pool_text(&model->pool, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

void block_ended_record(struct model *model, struct process *p, const struct ev_block_ended *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);

	if (!t)
		return;
	t->ended = (struct ended){.stack = stack_get(model, p, r->stack), .time_ns = time_ns};
	if (r->by_pid)
		t->ended.process = process_text(model, r);
	else
		t->ended.by = thread_get(model, p, r->by, time_ns);
}

struct ended ended_take(struct thread *t, uint64_t begin_ns, uint64_t end_ns)
{
	struct ended ended = t->ended;

	t->ended = (struct ended){0};
	return ended.time_ns >= begin_ns && ended.time_ns <= end_ns ? ended : (struct ended){0};
}
