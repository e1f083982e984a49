/* --keep: while the recording goes on, what ended before its window is deleted. */
#include "collector/model_state.h"

static void loop_recount(void *value, void *ctx)
{
	struct loop *l = value;
	struct model *model = ctx;
	struct window_counts c =
		window_sum(l->window, model->options.keep_ns, model->window_from_ns);

	l->iterations = c.iterations;
	l->busy_ns = c.busy_ns;
	l->select_ns = c.select_ns;
	l->max_busy_ns = c.max_busy_ns;
	model_dirty(model, &l->dirty);
}

void keep_forget(struct model *model, uint64_t now_ns, bool last)
{
	uint64_t until_ns = model_time(model, now_ns), from_ns;

	if (!model->options.keep_ns)
		return;
	if (until_ns > model->last_ns) /* a stamp of the future moves nothing out */
		until_ns = model->last_ns;
	from_ns = window_from(model->options.keep_ns, until_ns);
	/* The last time also for rows that refer to what had gone before them. */
	if (from_ns <= model->window_from_ns && !(last && from_ns))
		return;
	if (store_forget(model->store, from_ns))
		return; /* a reader holds the file: the next time */
	model->window_from_ns = from_ns;
	meta_number(model, "kept_from_ns", (int64_t)from_ns);
	for (const struct process *p = model->process; p; p = p->next)
		map_each(&p->loops, loop_recount, model);
	/* Bounds are of what is in the file; a slice more of each does no harm. */
	model->samples = model->audits = model->anomalies = model->short_waits = 0;
	model->refusals = model->queue_samples = 0;
	model->jobs_forgotten = model->jobs;
	model->loop_runs_forgotten = model->loop_runs;
}
