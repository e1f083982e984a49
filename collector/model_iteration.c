/*
 * Iterations, and what the time of each went to. With the agent alone: CPU, GIL and run-queue time
 * are measured over the whole iteration, waits one by one in the calls that block; what nothing
 * explains is `unknown`.
 */
#include "collector/model_sample.h"
#include "collector/model_state.h"

#include <stdlib.h>
#include <string.h>

#define TURNS_MAX 1000000u            /* of a record that a kernel writes ten times a second */
#define ITERATION_MAX_NS (1ull << 62) /* none is as long: a tape with wrong numbers */
#define SET_RIGHT_PART 16u /* one part in so many of a wait is more than ever was set right */
#define NEARLY_ALL 5       /* but for one part in so many: the rest is between two samples */

/* ---- what happens inside an iteration that is still open; for every loop that is inside another
 * on this thread */

static void span_grow(struct span *s, uint64_t begin_ns, uint64_t end_ns)
{
	if (!s->last_ns || begin_ns < s->first_ns)
		s->first_ns = begin_ns;
	if (end_ns > s->last_ns)
		s->last_ns = end_ns;
}

static void wait_add(struct span *s, const struct early_wait *wait)
{
	uint64_t wall_ns = wait->end_ns - wait->begin_ns;

	s->blocked_ns[wait->class] += wait->off_ns;
	if (wall_ns <= s->longest_block_ns)
		return;
	s->longest_block_ns = wall_ns;
	s->block_site = wait->site;
}

/* The room is doubled whenever it is full: where there are a power of two of them. */
static void early_keep(struct loop *l, const struct early_wait *wait)
{
	struct early_wait *room = l->early;

	if (l->earlies < EARLY_WAITS_MAX && !(l->earlies & (l->earlies - 1)))
		room = realloc(l->early, (l->earlies ? l->earlies * 2 : 1) * sizeof(*room));
	if (l->earlies >= EARLY_WAITS_MAX || !room) {
		l->earlies = EARLY_WAITS_MAX + 1;
		return;
	}
	l->early = room;
	l->early[l->earlies++] = *wait;
}

/*
 * Of a loop's first iteration, which uvloop begins with the first poll only: what ran before, in
 * the same turn of its own, is not part of it.
 */
static void early_take_out(struct loop *l, uint64_t begin_ns)
{
	if (l->earlies <= EARLY_WAITS_MAX && l->earlies && l->early[0].end_ns <= begin_ns) {
		memset(l->span.blocked_ns, 0, sizeof(l->span.blocked_ns));
		l->span.longest_block_ns = 0;
		for (unsigned int i = 0; i < l->earlies; i++)
			if (l->early[i].end_ns > begin_ns)
				wait_add(&l->span, &l->early[i]);
	}
	free(l->early);
	l->early = NULL;
	l->earlies = 0;
}

void span_block(struct thread *t, enum block_class class, uint64_t begin_ns, uint64_t end_ns,
	uint64_t off_ns, struct site site)
{
	const struct early_wait wait = {begin_ns, end_ns, off_ns, class, site};

	for (unsigned int i = 0; i < t->depth; i++) {
		struct loop *l = t->loops[i];

		span_grow(&l->span, begin_ns, end_ns);
		wait_add(&l->span, &wait);
		if (!l->iterations)
			early_keep(l, &wait);
	}
}

void span_short(struct thread *t, enum block_class class, uint64_t ns)
{
	for (unsigned int i = 0; i < t->depth; i++)
		t->loops[i]->span.short_ns[class] += ns;
}

void span_gc(struct thread *t, uint64_t begin_ns, uint64_t end_ns, uint64_t cpu_ns)
{
	uint64_t wall_ns = end_ns - begin_ns;

	for (unsigned int i = 0; i < t->depth; i++) {
		struct span *s = &t->loops[i]->span;

		span_grow(s, begin_ns, end_ns);
		s->gc_cpu_ns += cpu_ns < wall_ns ? cpu_ns : wall_ns;
	}
}

void span_wait(struct thread *t, enum block_class raw, enum block_class class, uint64_t off_ns)
{
	for (unsigned int i = 0; raw != class && i < t->depth; i++) {
		t->loops[i]->span.raw_ns[raw] += off_ns;
		t->loops[i]->span.known_ns[class] += off_ns;
	}
}

void causes_record(struct model *model, struct process *p, const struct ev_causes *r)
{
	struct thread *t = thread_get(model, p, r->head.tid, model_time(model, r->head.time_ns));

	for (unsigned int i = 0; t && i < t->depth; i++)
		t->loops[i]->span.exact = *r;
}

void faults_record(struct model *model, struct process *p, const struct ev_faults *r)
{
	struct thread *t = thread_get(model, p, r->head.tid, model_time(model, r->head.time_ns));

	for (unsigned int i = 0; t && i < t->depth; i++)
		t->loops[i]->span.faults += r->count;
}

void span_step(struct thread *t, uint64_t duration_ns, struct site site)
{
	for (unsigned int i = 0; i < t->depth; i++) {
		struct span *s = &t->loops[i]->span;

		if (duration_ns <= s->longest_step_ns)
			continue;
		s->longest_step_ns = duration_ns;
		s->step_site = site;
	}
}

/* ---- causes */

struct causes {
	uint64_t cpu_ns, user_ns, kernel_ns, gc_ns, gil_ns, runq_ns, unknown_ns;
	uint64_t blocked_ns[CLASSES];
};

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t measured(int64_t ns, uint64_t most)
{
	return ns > 0 ? least((uint64_t)ns, most) : 0;
}

static uint64_t blocked_sum(const struct causes *c)
{
	uint64_t sum = 0;

	for (int i = 0; i < CLASSES; i++)
		sum += c->blocked_ns[i];
	return sum;
}

/* Take `over` from the blocked times, each by its share; the rest of the division from the largest.
 * Returns what they had not. */
static uint64_t reduce_blocked(struct causes *c, uint64_t over)
{
	uint64_t sum = blocked_sum(c), take = least(over, sum), left = take;
	int largest = 0;

	if (!take)
		return over;
	for (int i = 0; i < CLASSES; i++) {
		uint64_t share = (uint64_t)((__uint128_t)take * c->blocked_ns[i] / sum);

		c->blocked_ns[i] -= share;
		left -= share;
		if (c->blocked_ns[i] > c->blocked_ns[largest])
			largest = i;
	}
	for (int i = largest, n = 0; left && n < CLASSES; n++, i = (i + 1) % CLASSES) {
		uint64_t part = least(left, c->blocked_ns[i]);

		c->blocked_ns[i] -= part;
		left -= part;
	}
	return over - take;
}

static uint64_t reduce(uint64_t *part, uint64_t over)
{
	uint64_t take = least(*part, over);

	*part -= take;
	return over - take;
}

/*
 * Of the calls too short for records the part that is off CPU is what CPU time leaves. It goes to
 * the calls that may have waited, each by its share; beyond them it is blocked:other. Off CPU in no
 * call at all, where pages were read from disk, or samples found it waiting for a page nearly all
 * that time: that was the wait for them.
 */
static void settle_rest(
	struct causes *c, const struct span *s, uint64_t short_ns, uint64_t sampled_fault_ns)
{
	uint64_t part = least(c->unknown_ns, short_ns), left;
	__uint128_t told = 0; /* of times that a target may have made up */

	for (int i = 0; i < CLASSES; i++)
		told += s->short_ns[i];
	c->unknown_ns -= part;
	left = part;
	for (int i = 0; i < CLASSES && told; i++) {
		uint64_t of = told < part ? (uint64_t)told : part;
		uint64_t share = (uint64_t)((__uint128_t)of * s->short_ns[i] / told);

		c->blocked_ns[i] += share;
		left -= share;
	}
	c->blocked_ns[CLASS_other] += left;
	part = c->unknown_ns;
	if (!s->faults && sampled_fault_ns < part - part / NEARLY_ALL)
		part = sampled_fault_ns;
	c->blocked_ns[CLASS_fault] += part;
	c->unknown_ns -= part;
}

/*
 * The parts sum exactly to busy_ns. Where they exceed the whole, the waits give way first, as they
 * may hold run-queue time that could not be told from them, then the GIL's, and what was measured
 * over the whole iteration last. Returns by how much the accounts disagree beyond that overlap.
 */
static uint64_t partition(struct causes *c, const struct span *s, const struct ev_iteration *r,
	uint64_t busy_ns, uint64_t sampled_fault_ns)
{
	uint64_t cpu_ns = measured(r->cpu_ns, busy_ns), sum, over;

	*c = (struct causes){
		.gil_ns = least(r->gil_ns, busy_ns), .runq_ns = measured(r->runq_ns, busy_ns)};
	c->gc_ns = least(s->gc_cpu_ns, r->cpu_ns < 0 ? busy_ns : cpu_ns);
	c->cpu_ns = cpu_ns - (r->cpu_ns < 0 ? 0 : c->gc_ns);
	for (int i = 0; i < CLASSES; i++)
		c->blocked_ns[i] = least(s->blocked_ns[i], busy_ns);
	sum = c->cpu_ns + c->gc_ns + c->gil_ns + c->runq_ns + blocked_sum(c);
	if (sum <= busy_ns) {
		c->unknown_ns = busy_ns - sum;
		if (r->cpu_ns >= 0)
			settle_rest(c, s, r->short_ns, sampled_fault_ns);
		return 0;
	}
	over = sum - busy_ns;
	sum = over > c->runq_ns ? over - c->runq_ns : 0;
	over = reduce_blocked(c, over);
	over = reduce(&c->gil_ns, over);
	over = reduce(&c->runq_ns, over);
	over = reduce(&c->gc_ns, over);
	reduce(&c->cpu_ns, over);
	return sum;
}

/*
 * What single calls show to be of another class moves there, and never more of a class than the
 * iteration has of it: the kernel sets a wait right by some us after it has told of it, and what
 * does not move then is taken from the largest that does. Calls that began before this iteration
 * stay what they seemed.
 */
static void waits_move(struct causes *c, const struct span *s)
{
	uint64_t over = 0;
	int largest = 0;

	for (int i = 0; i < CLASSES; i++) {
		if (s->raw_ns[i] > c->blocked_ns[i] + s->raw_ns[i] / SET_RIGHT_PART)
			return;
		if (s->known_ns[i] > s->known_ns[largest])
			largest = i;
	}
	for (int i = 0; i < CLASSES; i++) {
		over += s->raw_ns[i] - least(s->raw_ns[i], c->blocked_ns[i]);
		c->blocked_ns[i] -= least(s->raw_ns[i], c->blocked_ns[i]);
	}
	for (int i = 0; i < CLASSES; i++)
		c->blocked_ns[i] += s->known_ns[i];
	c->blocked_ns[largest] -= over;
}

/*
 * The kernel's own partition, whose sum is exact: only what single calls show to be of another
 * class moves there.
 */
static void partition_exact(struct causes *c, const struct span *s)
{
	const struct ev_causes *e = &s->exact;

	*c = (struct causes){
		.user_ns = e->user_ns,
		.kernel_ns = e->kernel_ns,
		.gc_ns = e->gc_ns,
		.gil_ns = e->gil_ns,
		.runq_ns = e->runq_ns,
		.unknown_ns = e->unknown_ns,
		.blocked_ns = {[CLASS_sleep] = e->sleep_ns,
			[CLASS_network] = e->network_ns,
			[CLASS_file] = e->file_ns,
			[CLASS_subprocess] = e->subprocess_ns,
			[CLASS_dns] = e->dns_ns,
			[CLASS_database] = e->database_ns,
			[CLASS_lock] = e->lock_ns,
			[CLASS_fault] = e->fault_ns,
			[CLASS_other] = e->other_ns},
	};
	waits_move(c, s);
}

static uint64_t exact_sum(const struct ev_causes *e)
{
	uint64_t sum_ns = 0;

#define PART(name, NAME, id, doc) sum_ns += e->name##_ns;
#include "probe/part.def"
	return sum_ns;
}

/*
 * Whether the kernel's account is of this iteration. Its length then: an agent's iteration is the
 * kernel's, but for the moments between the two's looking at the clock.
 */
static bool is_exact(const struct ev_causes *e, const struct ev_iteration *r, uint64_t *ret_busy_ns)
{
	uint64_t sum_ns = exact_sum(e), wall_ns = r->head.time_ns - r->begin_ns;

	if (!e->head.time_ns || sum_ns > ITERATION_MAX_NS)
		return false;
	if (e->begin_ns ? e->loop != r->loop || e->head.time_ns != r->head.time_ns
			: sum_ns != wall_ns)
		return false;
	*ret_busy_ns = sum_ns;
	return true;
}

/* The longest thing seen; a call inside the longest step is the better answer unless the step is
 * much more than it. */
static struct site longest_site(const struct span *s)
{
	if (s->block_site.file && s->longest_block_ns >= s->longest_step_ns / 2)
		return s->block_site;
	return s->step_site;
}

/* Where it computed, if that is most of it, or if no call explains it; samples know better than
 * steps. */
static struct site site_of(
	const struct loop *l, const struct causes *c, uint64_t begin_ns, uint64_t busy_ns)
{
	bool computes = c->cpu_ns + c->user_ns + c->kernel_ns >= busy_ns / 2;
	struct site hottest = {0};

	if (computes || l->span.longest_block_ns < busy_ns / 2)
		hottest = samples_hottest(l->thread, begin_ns, computes);
	return hottest.file ? hottest : longest_site(&l->span);
}

static void put_iteration(struct model *model, struct loop *l, const struct cell *cell,
	const struct ev_iteration *r, uint64_t begin_ns, uint64_t busy_ns, uint64_t select_ns)
{
	const struct ev_causes *exact = &l->span.exact;
	struct causes c;
	struct site site;
	uint64_t off = exact->discrepancy_ns, sum_ns;

	if (is_exact(exact, r, &sum_ns) && sum_ns == busy_ns)
		partition_exact(&c, &l->span);
	else
		off = partition(&c, &l->span, r, busy_ns, samples_fault(l->thread, begin_ns));
	site = site_of(l, &c, begin_ns, busy_ns);
	if (off > model->discrepancy_ns) {
		model->discrepancy_ns = off;
		meta_number(model, "discrepancy_ns", (int64_t)off);
	}
	takers_put(model, l, begin_ns, c.runq_ns);
	STORE_PUT(model->store, iteration, NUMBER(l->id), ID(cell ? cell->id : 0), NUMBER(begin_ns),
		NUMBER(busy_ns), NUMBER(select_ns), NUMBER(r->ready), NUMBER(c.cpu_ns),
		NUMBER(c.user_ns), NUMBER(c.kernel_ns), NUMBER(c.gc_ns), NUMBER(c.gil_ns),
		NUMBER(c.runq_ns), NUMBER(c.blocked_ns[CLASS_sleep]),
		NUMBER(c.blocked_ns[CLASS_network]), NUMBER(c.blocked_ns[CLASS_file]),
		NUMBER(c.blocked_ns[CLASS_subprocess]), NUMBER(c.blocked_ns[CLASS_dns]),
		NUMBER(c.blocked_ns[CLASS_database]), NUMBER(c.blocked_ns[CLASS_lock]),
		NUMBER(c.blocked_ns[CLASS_fault]), NUMBER(c.blocked_ns[CLASS_other]),
		NUMBER(c.unknown_ns), TEXT_OF(site.file), NUMBER_IF(site.line, site.line),
		TEXT_OF(site.function));
}

static void count_iteration(
	struct model *model, struct loop *l, uint64_t end_ns, uint64_t busy_ns, uint64_t select_ns)
{
	if (l->window)
		window_add(l->window, model->options.keep_ns, end_ns, busy_ns, select_ns);
	l->iterations++;
	l->busy_ns += busy_ns;
	l->select_ns += select_ns;
	if (busy_ns > l->max_busy_ns)
		l->max_busy_ns = busy_ns;
	model_dirty(model, &l->dirty);
}

static void count_source(struct process *p, bool exact, uint64_t busy_ns)
{
	p->coarse += !exact;
	if (exact)
		p->exact_ns += busy_ns;
	else
		p->coarse_ns += busy_ns;
}

static void causes_seen(struct model *model, struct process *p)
{
	if (p->saw_iterations)
		return;
	p->saw_iterations = true;
	if (p->outside || p->watched)
		coverage_add(model, p, "causes", "exact", "by the kernel's accounts");
	else
		coverage_add(model, p, "causes", "coarse",
			"CPU, GIL and run queue by iteration; waits by call");
}

/* On its thread. Where the kernel told of it, it is as long as the kernel says. */
static void iteration_end(struct model *model, struct thread *t, struct loop *l,
	const struct ev_iteration *r, uint64_t begin_ns, uint64_t end_ns)
{
	struct process *p = t->process;
	uint64_t busy_ns = end_ns - begin_ns;
	uint64_t select_ns = least(r->select_ns, begin_ns); /* not before the trace began */
	bool exact = is_exact(&l->span.exact, r, &busy_ns);
	const struct cell *cell;

	causes_seen(model, p);
	cell_turned(t, end_ns);
	gc_settle(model, t, NULL, begin_ns, end_ns);
	if (l->span.last_ns && l->span.last_ns <= begin_ns)
		l->span = (struct span){.exact = l->span.exact}; /* before the loop's first poll */
	if (!l->iterations)
		early_take_out(l, begin_ns);
	count_iteration(model, l, end_ns, busy_ns, select_ns);
	cell = p->cells ? cell_for_span(t, begin_ns, end_ns) : NULL;
	if (busy_ns >= model->fold_ns)
		count_source(p, exact, busy_ns);
	if (busy_ns >= model->fold_ns && !model->full)
		put_iteration(model, l, cell, r, begin_ns, busy_ns, select_ns);
	else if (fold_add(&model->iterations, l->id, cell ? cell->id : 0, begin_ns, busy_ns,
			 select_ns))
		loss_add(model, p, "records without memory", 1);
	samples_end(t, begin_ns);
	holders_end(model, t, begin_ns, busy_ns);
	l->span = (struct span){0};
}

void iteration_record(struct model *model, struct process *p, const struct ev_iteration *r)
{
	uint64_t end_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->begin_ns);
	struct thread *t = thread_get(model, p, r->head.tid, end_ns);
	struct loop *l = t ? loop_get(model, p, t, r->loop, end_ns) : NULL;

	if (!l)
		return;
	if (!l->running || l->thread != t)
		loop_enter(model, t, l); /* its start was before the agent, or lost */
	iteration_end(model, t, l, r, begin_ns < end_ns ? begin_ns : end_ns, end_ns);
}

void unfinished_record(struct model *model, struct process *p, const struct ev_unfinished *r)
{
	const struct ev_iteration turn = {.head = r->head,
		.begin_ns = r->begin_ns,
		.cpu_ns = r->cpu_ns,
		.runq_ns = r->runq_ns,
		.gil_ns = r->gil_ns};
	uint64_t end_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->begin_ns), gc_ns;
	struct thread *t = thread_get(model, p, r->head.tid, end_ns);
	struct loop *l = t ? thread_loop(t) : NULL;

	if (!l || begin_ns >= end_ns)
		return;
	if (r->call)
		block_unfinished(model, p, t, r);
	gc_ns = model_time(model, r->gc_begin_ns);
	if (r->gc_begin_ns && gc_ns < end_ns && r->cpu_ns > 0)
		span_gc(t, gc_ns, end_ns, end_ns - gc_ns);
	iteration_end(model, t, l, &turn, begin_ns, end_ns);
}

/* How long each one was is not known, only of the longest: the others share what is left. */
void turns_record(struct model *model, struct process *p, const struct ev_turns *r)
{
	uint64_t end_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->begin_ns), left_ns = r->busy_ns;
	struct thread *t = thread_get(model, p, r->head.tid, end_ns);
	struct loop *l = t ? loop_get(model, p, t, r->loop, end_ns) : NULL;
	uint64_t cell;

	if (!l)
		return;
	causes_seen(model, p);
	if (!l->running || l->thread != t)
		loop_enter(model, t, l);
	cell = p->cells && cell_for_span(t, begin_ns, end_ns)
		       ? cell_for_span(t, begin_ns, end_ns)->id
		       : 0;
	cell_turned(t, end_ns);
	for (uint64_t left = least(r->count, TURNS_MAX); left; left--) {
		uint64_t busy_ns =
			left == r->count ? least(r->longest_ns, left_ns) : left_ns / left;
		uint64_t select_ns = left == 1 ? r->select_ns : 0;

		left_ns -= busy_ns;
		count_iteration(model, l, end_ns, busy_ns, select_ns);
		if (fold_add(&model->iterations, l->id, cell, begin_ns, busy_ns, select_ns))
			loss_add(model, p, "records without memory", 1);
	}
}

void iteration_unfinished(
	struct model *model, struct thread *t, uint64_t begin_ns, uint64_t last_ns)
{
	struct ev_iteration r = {.cpu_ns = -1, .runq_ns = -1};
	struct loop *l = thread_loop(t);
	const struct cell *cell;

	if (!l || last_ns <= begin_ns || model->full)
		return;
	cell = t->process->cells ? cell_for_span(t, begin_ns, last_ns) : NULL;
	count_iteration(model, l, last_ns, last_ns - begin_ns, 0);
	put_iteration(model, l, cell, &r, begin_ns, last_ns - begin_ns, 0);
	holders_end(model, t, begin_ns, last_ns - begin_ns);
}
