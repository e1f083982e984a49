/*
 * Samples: where a loop's thread was while an iteration lasted. Each is a row; together they say
 * which line an iteration spent its time on, and where a loop is that has not come back yet.
 */
#include "collector/model_sample.h"

#include <errno.h>
#include <stdlib.h>

#define STAYS_MAX 32u  /* of one iteration; then the oldest gives way */
#define PLACES_MAX 64u /* of one iteration; then the least of them gives way */

struct place_time {
	struct site site;
	uint64_t ns, running_ns; /* that its samples stand for; of those not off CPU */
};

struct stay { /* samples one after the other that found the same stack */
	uint64_t first_ns, last_ns;
	struct stack *stack;
	uint64_t task; /* address */
};

struct samples {                    /* of the open iteration of a thread */
	uint64_t begin_ns, last_ns; /* of the iteration; of its last sample */
	uint32_t count, places;
	uint64_t fault_ns; /* that those stand for which waited for a page */
	uint32_t faults;   /* how many they are */
	struct site last;  /* the last one's place */
	const struct stack *stack;
	bool last_is_cell; /* the task whose step was open then runs cells */
	struct place_time place[PLACES_MAX];
	struct stay stay[STAYS_MAX]; /* the newest is at (stays - 1) % STAYS_MAX */
	uint32_t stays;
};

static const char *kind_name(uint32_t kind)
{
	static const char *const names[] = {
		[SAMPLE_UNKNOWN] = "unknown",
		[SAMPLE_PYTHON] = "python",
		[SAMPLE_NATIVE] = "native",
		[SAMPLE_KERNEL] = "kernel",
		[SAMPLE_GC] = "gc",
	};

	return names[kind < sizeof(names) / sizeof(*names) ? kind : SAMPLE_UNKNOWN];
}

static struct samples *samples_get(struct thread *t, uint64_t begin_ns)
{
	if (!t->samples)
		t->samples = calloc(1, sizeof(*t->samples));
	if (t->samples && (t->samples->begin_ns != begin_ns || !t->samples->count))
		*t->samples = (struct samples){.begin_ns = begin_ns};
	return t->samples;
}

static struct place_time *place_get(struct samples *s, struct site site)
{
	struct place_time *p, *least = &s->place[0];

	for (uint32_t i = 0; i < s->places; i++) {
		p = &s->place[i];
		if (p->site.file == site.file && p->site.function == site.function &&
			p->site.line == site.line)
			return p;
		least = p->ns < least->ns ? p : least;
	}
	p = s->places < PLACES_MAX ? &s->place[s->places++] : least;
	*p = (struct place_time){.site = site};
	return p;
}

/* Two sensors may take samples of one iteration: what the other's stands for is not told again. */
static uint64_t stands_for(const struct samples *s, const struct ev_sample *r, uint64_t time_ns)
{
	uint64_t since_ns = s && s->count ? s->last_ns : s ? s->begin_ns : time_ns;

	if (r->stands_for_ns)
		return r->stands_for_ns;
	return time_ns > since_ns ? time_ns - since_ns : 0;
}

static void samples_add(struct samples *s, const struct ev_sample *r, struct site site,
	uint64_t time_ns, uint64_t stands_for_ns)
{
	struct place_time *p;

	s->count++;
	s->last_ns = time_ns > s->last_ns ? time_ns : s->last_ns;
	s->last = site;
	s->faults += r->faults != 0;
	s->fault_ns += r->faults ? stands_for_ns : 0;
	if (!site.file)
		return;
	p = place_get(s, site);
	p->ns += stands_for_ns;
	p->running_ns += r->state == 'R' || !r->state ? stands_for_ns : 0;
}

static void stay_add(struct samples *s, struct stack *stack, uint64_t task, uint64_t time_ns)
{
	struct stay *last = s->stays ? &s->stay[(s->stays - 1) % STAYS_MAX] : NULL;

	if (last && last->stack == stack && last->task == task)
		last->last_ns = time_ns;
	else
		s->stay[s->stays++ % STAYS_MAX] = (struct stay){time_ns, time_ns, stack, task};
}

/* A thread that waits in one system call does not move. */
struct stack *samples_stack(
	const struct thread *t, uint64_t begin_ns, uint64_t end_ns, uint64_t *ret_task)
{
	const struct samples *s = t->samples;
	uint32_t n = s && s->count ? (s->stays < STAYS_MAX ? s->stays : STAYS_MAX) : 0;

	for (uint32_t i = 0; i < n; i++) {
		if (s->stay[i].first_ns > end_ns || s->stay[i].last_ns < begin_ns)
			continue;
		*ret_task = s->stay[i].task;
		return s->stay[i].stack;
	}
	return NULL;
}

void sample_record(struct model *model, struct process *p, const struct ev_sample *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->busy_since_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct stack *s = stack_get(model, p, r->stack);
	const struct task *task = task_get(p, r->task);
	struct site site = stack_site(callback_stack(callback_get(p, r->task), s));
	char state[2] = {r->state < 128 ? (char)r->state : 0};
	const struct cell *cell;
	struct samples *samples;
	uint64_t duration_ns;

	if (!t)
		return;
	samples = samples_get(t, begin_ns);
	duration_ns = stands_for(samples, r, time_ns);
	if (samples) {
		samples_add(samples, r, site, time_ns, duration_ns);
		samples->stack = s;
		if (s)
			stay_add(samples, s, r->task, time_ns);
		samples->last_is_cell = task && task->runs_cell;
	}
	if (!model_room(model))
		return;
	if (model->samples >= SAMPLES_MAX) {
		loss_add(model, p, "samples beyond the limit", 1);
		return;
	}
	model->samples++;
	cell = cell_for_worker(t, r->task, s, begin_ns, time_ns);
	STORE_PUT(model->store, sample, NUMBER(p->id), NUMBER(t->id), ID(task ? task->id : 0),
		ID(cell ? cell->id : 0), NUMBER(begin_ns), NUMBER(time_ns),
		NUMBER(model_time(model, model->t0_ns + duration_ns)), TEXT_OF(kind_name(r->kind)),
		TEXT_OF(*state ? state : NULL), ID(stack_row(model, s)), TEXT_OF(site.file),
		NUMBER_IF(site.line, site.line), TEXT_OF(site.function));
}

struct site samples_hottest(const struct thread *t, uint64_t begin_ns, bool running)
{
	const struct samples *s = t->samples;
	const struct place_time *hottest = NULL;
	uint64_t most = 0;

	if (!s || s->begin_ns != begin_ns || s->count < HOTTEST_SAMPLES_MIN)
		return (struct site){0};
	for (uint32_t i = 0; i < s->places; i++) {
		uint64_t ns = running ? s->place[i].running_ns : s->place[i].ns;

		if (ns <= most)
			continue;
		most = ns;
		hottest = &s->place[i];
	}
	return hottest ? hottest->site : (struct site){0};
}

uint64_t samples_fault(const struct thread *t, uint64_t begin_ns)
{
	const struct samples *s = t->samples;

	return s && s->begin_ns == begin_ns && s->faults >= HOTTEST_SAMPLES_MIN ? s->fault_ns : 0;
}

/* An iteration ended that began then: what was sampled of it, or of one before it, is told. */
void samples_end(struct thread *t, uint64_t begin_ns)
{
	if (t->samples && t->samples->begin_ns <= begin_ns)
		t->samples->count = 0;
}

bool samples_open(const struct thread *t, uint64_t *ret_begin_ns, uint64_t *ret_last_ns)
{
	if (!t->samples || !t->samples->count)
		return false;
	*ret_begin_ns = t->samples->begin_ns;
	*ret_last_ns = t->samples->last_ns;
	return true;
}

/* The agent hears the right number when a cell has ended; a kernel tells it when it begins. */
static int64_t number_of(const struct process *p, const struct cell *c)
{
	return c && (c->ended || p->outside) ? c->execution_count : -1;
}

int model_held(
	struct model *model, uint32_t pid, uint32_t tid, uint64_t since_ns, struct model_held *ret)
{
	const struct process *p = map_get(&model->processes, pid);
	const struct thread *t = p ? map_get(&p->threads, tid) : NULL;
	const struct samples *s = t ? t->samples : NULL;
	const struct cell *cell;

	if (!s || !s->count || s->begin_ns != model_time(model, since_ns) || !s->last.file)
		return -ENOENT;
	cell = cell_for_file(p, s->last.file);
	*ret = (struct model_held){
		.file = s->last.file,
		.function = s->last.function,
		.line = s->last.line,
		.execution_count = number_of(p, cell),
		.in_cell = cell != NULL,
		.stack = s->stack,
		.process = p,
		.own_cell = s->last_is_cell,
	};
	return 0;
}

size_t model_held_frames(const struct model_held *held, struct model_frame *ret, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; held->stack && i < held->stack->count && n < max; i++) {
		const struct frame *f = held->stack->at[i].frame;

		ret[n++] = (struct model_frame){f->file, f->function, f->line, frame_is_user(f),
			number_of(held->process, cell_for_file(held->process, f->file))};
	}
	return n;
}
