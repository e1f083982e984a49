/* Work given to thread pools: how long it waited for a worker. */
#include "collector/model_state.h"

struct job {
	struct live live; /* first */
	uint64_t id;
	struct process *process;
	uint64_t task_id; /* 0: none */
	const struct cell *cell;
	const struct thread *worker; /* NULL: not known to have been taken up */
	uint32_t workers;
	bool default_pool;
	uint64_t given_ns, began_ns, ended_ns;
	uint32_t stack; /* row */
	struct site site;
};

static void put_job(struct model *model, struct dirty *d)
{
	struct job *j = (struct job *)d;

	if (!live_room(model, &j->live))
		return;
	STORE_PUT(model->store, executor_job, NUMBER(j->id), NUMBER(j->process->id), ID(j->task_id),
		ID(j->cell ? j->cell->id : 0), ID(j->workers), NUMBER(j->default_pool),
		ID(j->worker ? j->worker->id : 0), NUMBER(j->given_ns),
		NUMBER_IF(j->worker, j->began_ns), NUMBER_IF(j->worker, j->ended_ns), ID(j->stack),
		TEXT_OF(j->site.file), NUMBER_IF(j->site.line, j->site.line),
		TEXT_OF(j->site.function));
}

/* Its memory was given to another: cancelled before a worker took it, or its end was lost. */
static void forget(struct model *model, struct process *p, uint64_t address)
{
	struct job *j = map_get(&p->jobs, address);

	if (!j)
		return;
	map_remove(&p->jobs, address);
	live_done(model, &j->live);
}

void job_new(struct model *model, struct process *p, const struct ev_job_new *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	const struct task *task = task_get(p, r->task);
	struct stack *s = stack_get(model, p, r->stack);
	struct job *j;

	if (!t)
		return;
	forget(model, p, r->job);
	if (model->jobs - model->jobs_forgotten >= JOBS_MAX || p->jobs.count >= JOBS_LIVE_MAX) {
		loss_add(model, p, "executor jobs beyond the limit", 1);
		return;
	}
	j = live_new(model, sizeof(*j), put_job);
	if (!j) {
		loss_add(model, p, "records without memory", 1);
		return;
	}
	j->id = ++model->jobs;
	j->process = p;
	j->task_id = task_row(task);
	j->cell = cell_for_worker(t, r->task, s, time_ns, time_ns);
	j->workers = r->workers;
	j->default_pool = r->default_pool == 1;
	j->given_ns = time_ns;
	j->stack = stack_row(model, s);
	j->site = stack_site(s);
	if (map_put(&p->jobs, r->job, j)) {
		loss_add(model, p, "records without memory", 1);
		live_done(model, &j->live);
	}
}

void job_run(struct model *model, struct process *p, const struct ev_job_run *r)
{
	uint64_t end_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->begin_ns);
	struct job *j = map_get(&p->jobs, r->job);

	if (!j)
		return; /* given before the agent, or beyond the limit */
	map_remove(&p->jobs, r->job);
	j->worker = thread_get(model, p, r->head.tid, end_ns);
	j->ended_ns = end_ns > j->given_ns ? end_ns : j->given_ns;
	j->began_ns = begin_ns < j->ended_ns ? begin_ns : j->ended_ns;
	if (j->began_ns < j->given_ns)
		j->began_ns = j->given_ns;
	live_done(model, &j->live);
}
