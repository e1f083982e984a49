/* Loops: when each ran and who asked for it, when it was closed, what it refused. */
#include "collector/model_state.h"

#include <stdlib.h>
#include <string.h>

static void put_loop(struct model *model, struct dirty *d)
{
	const struct loop *l =
		(const struct loop *)((const char *)d - offsetof(struct loop, dirty));

	STORE_PUT(model->store, loop, NUMBER(l->id), NUMBER(l->process->id), NUMBER(l->thread->id),
		TEXT_OF(l->kind), TEXT_OF(l->type), NUMBER(l->coarse), NUMBER(l->began_ns),
		NUMBER_IF(l->stopped, l->ended_ns), NUMBER_IF(l->closed, l->closed_ns),
		ID(l->stack), NUMBER(l->iterations), NUMBER(l->busy_ns), NUMBER(l->select_ns),
		NUMBER(l->max_busy_ns));
}

struct loop *thread_loop(const struct thread *t)
{
	return t->depth ? t->loops[t->depth - 1] : NULL;
}

void loop_free(void *loop, void *ctx)
{
	struct loop *l = loop;

	(void)ctx;
	if (l) {
		free(l->window);
		free(l->early);
	}
	free(l);
}

static struct loop *loop_new(const struct model *model)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l || !model->options.keep_ns)
		return l;
	l->window = calloc(1, sizeof(*l->window));
	if (l->window)
		return l;
	free(l);
	return NULL;
}

struct loop *loop_get(
	struct model *model, struct process *p, struct thread *t, uint64_t id, uint64_t time_ns)
{
	struct loop *l = map_get(&p->loops, id);

	if (l)
		return l;
	if (model->loops >= LOOPS_MAX) {
		loss_add(model, p, "loops beyond the limit", 1);
		return NULL;
	}
	l = loop_new(model);
	if (!l || map_put(&p->loops, id, l)) {
		loop_free(l, NULL);
		loss_add(model, p, "records without memory", 1);
		return NULL;
	}
	l->dirty.put = put_loop;
	l->id = ++model->loops;
	l->process = p;
	l->thread = t;
	l->kind = "asyncio";
	l->type = "";
	l->began_ns = time_ns;
	model_dirty(model, &l->dirty);
	return l;
}

void loop_enter(struct model *model, struct thread *t, struct loop *l)
{
	for (unsigned int i = 0; i < t->depth; i++)
		if (t->loops[i] == l)
			return; /* re-entered, as nest_asyncio does: one loop, one series of
				   iterations */
	if (t->depth == LOOP_DEPTH) {
		/* Ends were lost; the outermost is the least likely to be running. */
		memmove(t->loops, t->loops + 1, sizeof(t->loops) - sizeof(t->loops[0]));
		t->depth--;
	}
	t->loops[t->depth++] = l;
	l->thread = t;
	l->running = true;
	l->stopped = false;
	l->span = (struct span){0};
	model_dirty(model, &l->dirty);
}

/* ---- runs */

static void put_run(struct model *model, struct dirty *d)
{
	struct loop_run *run = (struct loop_run *)d;

	if (!live_room(model, &run->live))
		return;
	if (!model->full)
		run->task_kept = true; /* its row is in this batch at the latest */
	else if (!run->task_kept)
		run->task_id = 0;
	STORE_PUT(model->store, loop_run, NUMBER(run->id), NUMBER(run->loop->id),
		NUMBER(run->thread->id), ID(run->cell ? run->cell->id : 0), ID(run->task_id),
		NUMBER(run->began_ns), NUMBER_IF(run->ended, run->ended_ns), ID(run->stack),
		TEXT_OF(run->site.file), NUMBER_IF(run->site.line, run->site.line),
		TEXT_OF(run->site.function));
}

static void settled(struct model *model, struct loop_run *run)
{
	run->settled = true;
	model_dirty(model, &run->live.dirty);
	if (run->ended)
		live_done(model, &run->live);
}

void loop_settle(struct model *model, struct thread *t, const struct task *task, uint64_t begin_ns,
	uint64_t end_ns)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < t->inner_runs; i++) {
		struct loop_run *run = t->inner_run[i];

		if (run->began_ns < begin_ns || run->began_ns > end_ns) {
			t->inner_run[left++] = run;
			continue;
		}
		run->task_id = task_row(task);
		run->task_kept = task && task->kept;
		if (!run->cell)
			run->cell = cell_for_work(t, task, run->started, begin_ns, end_ns);
		settled(model, run);
	}
	t->inner_runs = left;
}

/* A loop inside a loop was started by a step, which is told when it ends; else no step is open. */
static void expect_step(struct model *model, struct thread *t, struct loop_run *run)
{
	if (!t->depth) {
		run->settled = true;
		return;
	}
	if (t->inner_runs == INNER_RUNS_MAX) {
		settled(model, t->inner_run[0]);
		t->inner_runs--;
		memmove(t->inner_run, t->inner_run + 1, t->inner_runs * sizeof(t->inner_run[0]));
	}
	t->inner_run[t->inner_runs++] = run;
}

static void begin_run(
	struct model *model, struct thread *t, struct loop *l, struct stack *s, uint64_t time_ns)
{
	struct loop_run *run =
		model->loop_runs - model->loop_runs_forgotten < LOOP_RUNS_MAX && !l->runs_cut
			? live_new(model, sizeof(*run), put_run)
			: NULL;

	if (!run) {
		loss_add(model, l->process, "runs of loops beyond the limit", 1);
		l->runs_cut++;
		return;
	}
	run->id = ++model->loop_runs;
	run->loop = l;
	run->thread = t;
	run->cell = cell_for_work(t, NULL, s, time_ns, time_ns);
	run->began_ns = time_ns;
	run->started = s;
	run->stack = stack_row(model, s);
	run->site = stack_site(s);
	run->outer = l->run;
	l->run = run;
	expect_step(model, t, run);
}

static void end_run(struct model *model, struct loop *l, uint64_t time_ns)
{
	struct loop_run *run = l->run;

	if (l->runs_cut) {
		l->runs_cut--;
		return;
	}
	if (!run)
		return; /* began before the agent */
	l->run = run->outer;
	run->ended = true;
	run->ended_ns = time_ns;
	model_dirty(model, &run->live.dirty);
	if (run->settled)
		live_done(model, &run->live);
}

void loop_start(struct model *model, struct process *p, const struct ev_loop_start *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct loop *l = t ? loop_get(model, p, t, r->loop, time_ns) : NULL;
	struct stack *s = stack_get(model, p, r->stack);

	if (!l)
		return;
	if (!l->entries) {
		l->began_ns = time_ns < l->began_ns ? time_ns : l->began_ns;
		l->stack = stack_row(model, s);
	}
	l->kind = r->flags & LOOP_UVLOOP ? "uvloop" : "asyncio";
	l->coarse = r->flags & LOOP_COARSE;
	l->type = tail_text(model, &r->head, 0);
	l->entries++;
	begin_run(model, t, l, s, time_ns);
	loop_enter(model, t, l);
	model_dirty(model, &l->dirty);
}

static void leave_loop(struct thread *t, const struct loop *l)
{
	for (unsigned int i = t->depth; i-- > 0;) {
		if (t->loops[i] != l)
			continue;
		t->depth--;
		memmove(t->loops + i, t->loops + i + 1, (t->depth - i) * sizeof(t->loops[0]));
	}
}

void loop_stop(struct model *model, struct process *p, const struct ev_loop_stop *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct loop *l = map_get(&p->loops, r->loop);

	if (!t || !l)
		return;
	end_run(model, l, time_ns);
	if (l->entries)
		l->entries--;
	if (l->entries)
		return; /* the inner run of a loop that was re-entered */
	l->running = false;
	l->stopped = true;
	l->ended_ns = time_ns;
	leave_loop(t, l);
	model_dirty(model, &l->dirty);
}

void loop_close(struct model *model, struct process *p, const struct ev_loop_close *r)
{
	struct loop *l = map_get(&p->loops, r->loop);

	if (!l || l->closed)
		return;
	l->closed = true;
	l->closed_ns = model_time(model, r->head.time_ns);
	model_dirty(model, &l->dirty);
}

/* ---- work refused */

void refused_record(struct model *model, struct process *p, const struct ev_refused *r)
{
	static const char *const why[] = {
		[REFUSED_RUNNING] = "running", [REFUSED_CLOSED] = "closed"};
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	const struct loop *l = map_get(&p->loops, r->loop);
	const struct task *task = task_get(p, r->task);
	struct stack *s = stack_get(model, p, r->stack);
	const struct cell *cell;
	struct site site = stack_site(s);

	p->refused[p->refused_next++ % REFUSED_KEPT] = r->coroutine;
	if (!t || r->why >= sizeof(why) / sizeof(*why) || !why[r->why] || !model_room(model))
		return;
	if (model->refusals >= REFUSALS_MAX) {
		loss_add(model, p, "refusals beyond the limit", 1);
		return;
	}
	model->refusals++;
	cell = cell_for_worker(t, r->task, s, time_ns, time_ns);
	STORE_PUT(model->store, refusal, NUMBER(p->id), NUMBER(t->id), ID(l ? l->id : 0),
		ID(task_row(task)), ID(cell ? cell->id : 0), NUMBER(time_ns), TEXT_OF(why[r->why]),
		ID(stack_row(model, s)), TEXT_OF(site.file), NUMBER_IF(site.line, site.line),
		TEXT_OF(site.function));
}
