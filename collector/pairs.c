/* The kernel's side of what an agent tells. See pairs.h. */
#include "collector/pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/map.h"

/* Between the kernel's clock and the agent's, which is told from the TSC (agent/clock.c). */
#define CLOCKS_APART_NS 20000u
#define PAIRS_NAME_BYTES 16u /* of a process, as the kernel has it */

struct takers {
	struct {
		struct ev_cpu_taken taken;
		char name[PAIRS_NAME_BYTES];
	} at[PAIRS_TAKERS_MAX];
	uint32_t count;
};

struct turn {
	struct turn *next;
	struct ev_causes causes;
	struct takers takers;
};

struct wait {
	struct wait *next;
	struct ev_call_wait call; /* its tail behind it */
};

struct pair_thread { /* oldest first */
	struct turn *turn, **turn_end;
	struct wait *wait, **wait_end;
	uint32_t turns, waits;
	struct takers takers; /* of the turn that comes next */
	bool told;            /* that it is watched */
};

struct pairs {
	struct map threads; /* pid << 32 | tid */
};

int pairs_new(struct pairs **ret)
{
	struct pairs *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	*ret = p;
	return 0;
}

static void turn_drop(struct pair_thread *t)
{
	struct turn *first = t->turn;

	t->turn = first->next;
	if (!t->turn)
		t->turn_end = &t->turn;
	t->turns--;
	free(first);
}

static void wait_drop(struct pair_thread *t)
{
	struct wait *first = t->wait;

	t->wait = first->next;
	if (!t->wait)
		t->wait_end = &t->wait;
	t->waits--;
	free(first);
}

static void thread_free(void *value, void *ctx)
{
	struct pair_thread *t = value;

	while (t->turn)
		turn_drop(t);
	while (t->wait)
		wait_drop(t);
	free(t);
}

void pairs_free(struct pairs *p)
{
	if (!p)
		return;
	map_each(&p->threads, thread_free, NULL);
	map_free(&p->threads);
	free(p);
}

/* ---- the kernel's ------------------------------------------------------------------------ */

static struct pair_thread *thread_get(const struct pairs *p, uint32_t pid, uint32_t tid)
{
	return map_get(&p->threads, (uint64_t)pid << 32 | tid);
}

int pairs_thread(struct pairs *p, uint32_t pid, uint32_t tid)
{
	struct pair_thread *t = thread_get(p, pid, tid);

	if (t) {
		t->told = false; /* another program that has its number, perhaps */
		return 0;
	}
	t = calloc(1, sizeof(*t));
	if (!t || map_put(&p->threads, (uint64_t)pid << 32 | tid, t)) {
		free(t);
		return -ENOMEM;
	}
	t->turn_end = &t->turn;
	t->wait_end = &t->wait;
	return 0;
}

int pairs_turn(struct pairs *p, uint32_t pid, const struct ev_causes *turn)
{
	struct pair_thread *t = thread_get(p, pid, turn->head.tid);
	struct turn *new = t ? malloc(sizeof(*new)) : NULL;

	if (!new)
		return t ? -ENOMEM : 0;
	*new = (struct turn){.causes = *turn, .takers = t->takers};
	t->takers.count = 0;
	*t->turn_end = new;
	t->turn_end = &new->next;
	if (++t->turns > PAIRS_TURNS_MAX)
		turn_drop(t);
	return 0;
}

int pairs_taken(struct pairs *p, uint32_t pid, const struct ev_cpu_taken *taken)
{
	struct pair_thread *t = thread_get(p, pid, taken->head.tid);
	size_t size = (size_t)taken->head.size_words * 8;

	if (!t || t->takers.count == PAIRS_TAKERS_MAX || size > sizeof(t->takers.at[0]))
		return 0;
	memcpy(&t->takers.at[t->takers.count++], taken, size);
	return 0;
}

int pairs_wait(struct pairs *p, uint32_t pid, const struct ev_call_wait *wait)
{
	struct pair_thread *t = thread_get(p, pid, wait->head.tid);
	size_t size = (size_t)wait->head.size_words * 8;
	struct wait *new = t ? malloc(sizeof(*new) - sizeof(new->call) + size) : NULL;

	if (!new)
		return t ? -ENOMEM : 0;
	new->next = NULL;
	memcpy(&new->call, wait, size);
	*t->wait_end = new;
	t->wait_end = &new->next;
	if (++t->waits > PAIRS_WAITS_MAX)
		wait_drop(t);
	return 0;
}

/* ---- the agent's ------------------------------------------------------------------------- */

static uint64_t middle(uint64_t begin_ns, uint64_t end_ns)
{
	return begin_ns + (end_ns > begin_ns ? (end_ns - begin_ns) / 2 : 0);
}

static uint64_t wait_middle(const struct wait *w)
{
	return w->call.begin_ns + (w->call.off_ns + w->call.cpu_ns + w->call.runq_ns) / 2;
}

/* Those in the span are handed out, those before it are not if they may belong to a longer one. */
static int waits_hand_out(struct pair_thread *t, uint64_t begin_ns, const struct ev_head *at,
	uint32_t inside, uint32_t pid, record_fn sink, void *ctx)
{
	struct wait **link = &t->wait, *w;
	int rc = 0;

	while (!rc && (w = *link) && wait_middle(w) <= at->time_ns) {
		if (wait_middle(w) < begin_ns) {
			link = &w->next;
			continue;
		}
		w->call.head.time_ns = at->time_ns;
		w->call.inside = inside;
		rc = sink(ctx, pid, &w->call.head);
		*link = w->next;
		if (!*link)
			t->wait_end = link;
		t->waits--;
		free(w);
	}
	return rc;
}

/*
 * It is that iteration, seen from both sides: the kernel's begins before the agent's, and ends
 * after. An iteration in which another loop turned is longer than any of the kernel's.
 */
static bool turn_is(const struct ev_causes *c, const struct ev_iteration *r)
{
	uint64_t at_ns = middle(r->begin_ns, r->head.time_ns);

	return c->begin_ns <= at_ns && at_ns <= c->head.time_ns &&
	       c->begin_ns <= r->begin_ns + CLOCKS_APART_NS &&
	       r->head.time_ns <= c->head.time_ns + CLOCKS_APART_NS;
}

/* Before it in time: no later record of the agent's is about that. */
static bool turn_is_past(const struct ev_causes *c, const struct ev_iteration *r)
{
	return c->head.time_ns < middle(r->begin_ns, r->head.time_ns);
}

static int turn_hand_out(struct pair_thread *t, const struct ev_iteration *r,
	const struct ev_head *at, uint32_t pid, record_fn sink, void *ctx)
{
	struct ev_causes causes;
	struct takers takers;
	int rc = 0;

	while (t->turn && turn_is_past(&t->turn->causes, r))
		turn_drop(t);
	if (!t->turn || !turn_is(&t->turn->causes, r))
		return 0;
	causes = t->turn->causes;
	causes.head.time_ns = at->time_ns;
	causes.loop = r->loop;
	takers = t->turn->takers;
	turn_drop(t);
	for (uint32_t i = 0; i < takers.count && !rc; i++) {
		takers.at[i].taken.head.time_ns = at->time_ns;
		rc = sink(ctx, pid, &takers.at[i].taken.head);
	}
	return rc ? rc : sink(ctx, pid, &causes.head);
}

static int told(
	struct pair_thread *t, const struct ev_head *at, uint32_t pid, record_fn sink, void *ctx)
{
	const struct ev_watched watched = {
		.head = {at->time_ns, at->tid, EV_watched, sizeof(watched) / 8}};

	if (t->told)
		return 0;
	t->told = true;
	return sink(ctx, pid, &watched.head);
}

/* The kernel tells of the turn too if the thread has ended in it: then, and not when that was seen.
 */
static int unfinished_hand_out(struct pair_thread *t, const struct ev_unfinished *r, uint32_t pid,
	record_fn sink, void *ctx)
{
	const struct ev_iteration begun = {.head.time_ns = r->begin_ns, .begin_ns = r->begin_ns};
	int rc = told(t, &r->head, pid, sink, ctx);

	if (!rc && r->call)
		rc = waits_hand_out(t, r->call_begin_ns, &r->head, 1, pid, sink, ctx);
	if (!rc)
		rc = waits_hand_out(t, r->begin_ns, &r->head, 0, pid, sink, ctx);
	return rc ? rc : turn_hand_out(t, &begun, &r->head, pid, sink, ctx);
}

int pairs_hand_out(
	struct pairs *p, uint32_t pid, const struct ev_head *record, record_fn sink, void *ctx)
{
	struct pair_thread *t;
	int rc;

	if (record->kind != EV_block && record->kind != EV_iteration &&
		record->kind != EV_unfinished)
		return 0;
	t = thread_get(p, pid, record->tid);
	if (!t)
		return 0;
	if (record->kind == EV_unfinished)
		return unfinished_hand_out(t, (const struct ev_unfinished *)record, pid, sink, ctx);
	if (record->kind == EV_block)
		return waits_hand_out(
			t, ((const struct ev_block *)record)->begin_ns, record, 1, pid, sink, ctx);
	rc = told(t, record, pid, sink, ctx);
	if (!rc)
		rc = waits_hand_out(t, ((const struct ev_iteration *)record)->begin_ns, record, 0,
			pid, sink, ctx);
	while (!rc && t->wait && wait_middle(t->wait) <= record->time_ns)
		wait_drop(t); /* before this iteration, in no call that an agent saw */
	return rc ? rc
		  : turn_hand_out(t, (const struct ev_iteration *)record, record, pid, sink, ctx);
}

bool pairs_awaits(
	const struct pairs *p, uint32_t pid, const struct ev_head *record, uint64_t min_turn_ns)
{
	const struct ev_iteration *r = (const struct ev_iteration *)record;
	const struct pair_thread *t;
	const struct turn *turn;

	if (record->kind != EV_iteration || r->head.time_ns - r->begin_ns < min_turn_ns)
		return false;
	t = thread_get(p, pid, record->tid);
	if (!t)
		return false;
	for (turn = t->turn; turn && turn_is_past(&turn->causes, r); turn = turn->next)
		;
	return !turn;
}
