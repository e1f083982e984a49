/*
 * The life of a trace: opened, fed with records, committed in batches, closed. What each kind of
 * record means stands in model_<noun>.c. The recorder calls this; nothing here logs or ends the
 * recording for what a target wrote.
 */
#include "collector/model_sample.h"
#include "collector/model_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/source.h"
#include "probe/base/cleanup.h"

#define COMMIT_NS 250000000ull /* of CLOCK_MONOTONIC between commits */
#define COMMIT_ROWS 50000u
#define COMMIT_CHANGED 16384u       /* rows kept current: tasks that have ended live until it */
#define CHECKPOINT_NS 2000000000ull /* a copy of the file without its WAL is at most this old */
#define FOLD_LINES_MAX 1024u  /* totals kept in memory before they are committed, 2 KiB each */
#define FOLD_FLOOR_NS 100000u /* where min_step is 0, folding by size begins here */
#define FOLD_LEVELS 14u       /* doublings of min_step on the way to max_bytes */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void started_at(struct model *model, uint64_t realtime_ns)
{
	time_t seconds = (time_t)(realtime_ns / 1000000000u);
	char text[64], whole[32];
	struct tm tm;

	if (model->started_known || !gmtime_r(&seconds, &tm))
		return;
	strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text, sizeof(text), "%s.%03uZ", whole,
		(unsigned int)(realtime_ns / 1000000u % 1000u));
	meta_text(model, "started_at", text);
	model->started_known = true;
}

static void set_zero(struct model *model, uint64_t t0_ns)
{
	model->t0_ns = t0_ns;
	model->t0_known = true;
	meta_number(model, "t0_ns", (int64_t)t0_ns);
}

static void first_facts(struct model *model, int exclusive)
{
	const struct model_options *o = &model->options;

	meta_text(model, "version", AWAITSCOPE_VERSION);
	meta_text(model, "mode", o->mode ? o->mode : "run");
	meta_text(model, "sensor", o->sensor ? o->sensor : "auto");
	meta_number(model, "stall_ns", (int64_t)o->stall_ns);
	meta_number(model, "min_step_ns", (int64_t)o->min_step_ns);
	meta_number(model, "min_block_ns", (int64_t)o->min_block_ns);
	if (o->keep_ns)
		meta_number(model, "keep_ns", (int64_t)o->keep_ns);
	meta_number(model, "complete", 0);
	if (exclusive)
		model_coverage(model, "note", "none",
			"this file system cannot share a WAL: the trace is readable once it is "
			"closed");
	if (!o->t0_ns)
		return;
	set_zero(model, o->t0_ns);
	started_at(model, clock_ns(CLOCK_REALTIME) - (clock_ns(CLOCK_MONOTONIC) - o->t0_ns));
}

static void free_losses(struct model *model)
{
	for (struct loss *l = model->losses, *next; l; l = next) {
		next = l->next;
		free(l);
	}
	for (struct fact *f = model->facts, *next; f; f = next) {
		next = f->next;
		free(f);
	}
}

void model_free(struct model *model)
{
	if (!model)
		return;
	store_free(model->store);
	for (struct process *p = model->process, *next; p; p = next) {
		next = p->next;
		process_free(p);
	}
	free_losses(model);
	map_free(&model->processes);
	stack_free(model);
	fold_free(&model->steps);
	fold_free(&model->iterations);
	fold_free(&model->timers);
	live_free(model);
	source_cache_free(model->sources);
	pool_free(&model->pool);
	free(model);
}

uint64_t model_time(const struct model *model, uint64_t time_ns)
{
	uint64_t t = time_ns > model->t0_ns ? time_ns - model->t0_ns : 0;

	return t < INT64_MAX / 2
		       ? t
		       : INT64_MAX / 2; /* a stamp that no clock gave; sums stay in range */
}

void model_dirty(struct model *model, struct dirty *dirty)
{
	dirty->changed = true;
	if (dirty->queued)
		return;
	dirty->queued = true;
	model->dirtied++;
	dirty->next = model->dirty;
	model->dirty = dirty;
}

bool model_room(struct model *model)
{
	if (!model->full)
		return true;
	loss_add(model, NULL, "rows beyond --max-size", 1);
	return false;
}

static void put_step_total(void *ctx, const struct fold_line *l, unsigned int b)
{
	struct model *model = ctx;

	STORE_PUT(model->store, step_total, NUMBER(l->loop), NUMBER(l->cell), NUMBER(l->second),
		NUMBER(b), NUMBER(l->bucket[b].count), NUMBER(l->bucket[b].sum_ns));
}

static void put_iteration_total(void *ctx, const struct fold_line *l, unsigned int b)
{
	struct model *model = ctx;

	STORE_PUT(model->store, iteration_total, NUMBER(l->loop), NUMBER(l->cell),
		NUMBER(l->second), NUMBER(b), NUMBER(l->bucket[b].count),
		NUMBER(l->bucket[b].sum_ns), NUMBER(l->bucket[b].extra_ns));
}

static void put_timer_total(void *ctx, const struct fold_line *l, unsigned int b)
{
	struct model *model = ctx;

	STORE_PUT(model->store, timer_total, NUMBER(l->loop), NUMBER(l->cell), NUMBER(l->second),
		NUMBER(b), NUMBER(l->bucket[b].count), NUMBER(l->bucket[b].sum_ns),
		NUMBER(l->bucket[b].max_ns));
}

/*
 * From a quarter of max_bytes on, each doubling of min_step halves what still grows; at three
 * quarters only totals and what lives on are kept current. The last quarter is for the indexes made
 * at close.
 */
static void fold_further(struct model *model)
{
	uint64_t max = model->options.max_bytes, bytes, from = max / 4,
		 each = max / 2 / (FOLD_LEVELS + 1);
	unsigned int level;

	if (!max)
		return;
	bytes = store_bytes(model->store);
	if (bytes < from || !each)
		return;
	level = (unsigned int)((bytes - from) / each < FOLD_LEVELS ? (bytes - from) / each
								   : FOLD_LEVELS);
	model->full = bytes >= max / 4 * 3;
	if (level <= model->fold_level)
		return;
	model->fold_level = level;
	model->fold_ns = (model->options.min_step_ns > FOLD_FLOOR_NS ? model->options.min_step_ns
								     : FOLD_FLOOR_NS)
			 << level;
	meta_number(model, "folded_ns", (int64_t)model->fold_ns);
}

/* Everything that is kept current: rows that changed, totals. Returns the list of what was put. */
static struct dirty *put_current(struct model *model)
{
	struct dirty *put = NULL;

	while (model->dirty) {
		struct dirty *list = model->dirty, *next;

		model->dirty =
			NULL; /* putting a row may need a stack, or say that something was lost */
		for (struct dirty *d = list; d; d = next) {
			next = d->next;
			d->changed = false;
			d->put(model, d);
			d->next = put;
			put = d;
		}
	}
	stack_put_new(model);
	fold_each(&model->steps, put_step_total, model);
	fold_each(&model->iterations, put_iteration_total, model);
	fold_each(&model->timers, put_timer_total, model);
	return put;
}

/* After a commit the rows are the file's; after a refusal they are put again with the next one. */
static void settle(struct model *model, struct dirty *put, bool stored)
{
	for (struct dirty *d = put, *next; d; d = next) {
		next = d->next;
		d->queued = false;
		if (!stored || d->changed)
			model_dirty(model, d);
		else if (d->stored)
			d->stored(model, d);
	}
	model->dirtied = 0;
	model->refused = !stored;
	if (!stored) {
		stack_refused(model);
		return;
	}
	stack_stored(model);
	fold_clear(&model->steps);
	fold_clear(&model->iterations);
	fold_clear(&model->timers);
}

static int model_commit(struct model *model, uint64_t now_ns)
{
	bool checkpoint = now_ns - model->checkpointed_at >= CHECKPOINT_NS;
	struct dirty *put;
	size_t facts;
	int rc;

	if (checkpoint)
		task_refresh(model);
	facts = store_pending(model->store);
	put = put_current(model);
	STORE_PUT(model->store, meta, TEXT_OF("committed_ns"), NUMBER(model->last_ns));
	STORE_PUT(model->store, meta, TEXT_OF("duration_ns"), NUMBER(model->last_ns));
	rc = store_commit(model->store);
	model->committed_at = now_ns;
	if (rc == -EBUSY) {
		/* The batch waits in its transaction; a row put twice is the same row, but totals
		 * would count twice. */
		settle(model, put, true);
		return 0;
	}
	settle(model, put, !rc);
	if (rc) {
		loss_add(model, NULL, "rows that the disk refused", facts);
		if (!model->error)
			model->error = rc;
		return rc;
	}
	if (checkpoint) {
		store_checkpoint(model->store);
		model->checkpointed_at = now_ns;
		keep_forget(model, now_ns, false);
	}
	fold_further(model);
	return 0;
}

static void model_freep(struct model **model)
{
	model_free(*model);
}

int model_open(const char *path, const struct model_options *options, struct model **ret)
{
	cleanup(model_freep) struct model *model = calloc(1, sizeof(*model));
	int exclusive, rc;

	if (!model)
		return -ENOMEM;
	model->options = *options;
	model->fold_ns = options->min_step_ns;
	model->pool.limit_bytes = TEXT_BYTES_MAX;
	rc = source_cache_new(&model->sources);
	if (!rc)
		rc = store_open(path, &model->store, &exclusive);
	if (rc)
		return rc;
	first_facts(model, exclusive);
	rc = model_commit(model, clock_ns(CLOCK_MONOTONIC));
	if (rc)
		return rc;
	*ret = TAKE(model);
	return 0;
}

int model_tick(struct model *model, uint64_t now_ns)
{
	bool pending = model->dirty || model->stepped || model->steps.count ||
		       model->iterations.count || model->timers.count ||
		       store_pending(model->store);

	if (!pending || now_ns - model->committed_at < COMMIT_NS)
		return 0;
	return model_commit(model, now_ns);
}

#define RECORD(kind, fn)                                                                           \
	case EV_##kind:                                                                            \
		fn(model, p, (const struct ev_##kind *)r);                                         \
		break;

/* What other records refer to, and what is told of the process as such. */
static void dispatch_known(struct model *model, struct process *p, const struct ev_head *r)
{
	switch (r->kind) {
		RECORD(opcodes, body_opcodes)
		RECORD(body, body_record)
		RECORD(code, stack_code)
		RECORD(stack, stack_record)
		RECORD(name, process_name)
		RECORD(thread, process_thread)
		RECORD(hook, process_hook)
		RECORD(lost, process_lost)
	default:
		break; /* a kind of a newer sensor: not ours to judge */
	}
}

/* What happened. */
static void dispatch(struct model *model, struct process *p, const struct ev_head *r)
{
	switch (r->kind) {
		RECORD(step, task_step)
		RECORD(iteration, iteration_record)
		RECORD(unfinished, unfinished_record)
		RECORD(turns, turns_record)
		RECORD(wakeup, wakeup_record)
		RECORD(timer, timer_record)
		RECORD(timeout, timeout_record)
		RECORD(group, group_record)
		RECORD(task_new, task_new)
		RECORD(task_name, task_name)
		RECORD(callback_new, callback_record)
		RECORD(task_cancel, task_cancel)
		RECORD(task_gone, task_gone)
		RECORD(task_failed, task_failed)
		RECORD(block, block_record)
		RECORD(short_calls, short_calls_record)
		RECORD(short_wait, short_wait_record)
		RECORD(faults, faults_record)
		RECORD(causes, causes_record)
		RECORD(cpu_taken, cpu_taken_record)
		RECORD(machine, machine_record)
		RECORD(watched, watched_record)
		RECORD(call_wait, call_wait_record)
		RECORD(await_chain, chain_record)
		RECORD(task_lock, lock_record)
		RECORD(gc, gc_record)
		RECORD(audit, audit_record)
		RECORD(never_awaited, never_awaited_record)
		RECORD(cell_begin, cell_begin)
		RECORD(cell_end, cell_end)
		RECORD(cell_known, cell_known)
		RECORD(loop_start, loop_start)
		RECORD(loop_stop, loop_stop)
		RECORD(loop_close, loop_close)
		RECORD(refused, refused_record)
		RECORD(job_new, job_new)
		RECORD(job_run, job_run)
		RECORD(queue, queue_record)
		RECORD(asyncgen_left, asyncgen_left_record)
		RECORD(gathered, gathered_record)
		RECORD(received, received_record)
		RECORD(sample, sample_record)
		RECORD(gil_holder, gil_holder_record)
		RECORD(block_ended, block_ended_record)
	default:
		dispatch_known(model, p, r);
	}
}
#undef RECORD

/* What waits for the commit takes memory. */
static bool batch_is_full(const struct model *model)
{
	if (store_pending(model->store) >= COMMIT_ROWS || model->dirtied >= COMMIT_CHANGED)
		return true;
	/* Totals that the disk refused are all still here: not tried again at each record. */
	return !model->refused &&
	       (model->steps.count > FOLD_LINES_MAX || model->iterations.count > FOLD_LINES_MAX ||
		       model->timers.count > FOLD_LINES_MAX);
}

int model_record(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct model *model = ctx;
	struct process *p;
	uint64_t time_ns;

	if (!model->t0_known)
		set_zero(model, record->time_ns);
	time_ns = model_time(model, record->time_ns);
	if (time_ns > model->last_ns)
		model->last_ns = time_ns;
	if (record->kind == EV_process) {
		const struct ev_process *r = (const struct ev_process *)record;

		process_record(model, pid, r);
		started_at(model, r->realtime_ns - time_ns);
		return 0;
	}
	p = process_get(model, pid, time_ns);
	if (!p) {
		loss_add(model, NULL, "records without memory", 1);
		return 0;
	}
	p->last_ns = time_ns;
	dispatch(model, p, record);
	if (batch_is_full(model))
		model_commit(model,
			clock_ns(CLOCK_MONOTONIC)); /* its error is model->error, told at close */
	return 0;
}

int model_process_end(struct model *model, uint32_t pid, uint64_t time_ns, int wait_status)
{
	struct process *p = map_get(&model->processes, pid);

	if (!p || p->ended)
		return 0;
	process_end(model, p, model_time(model, time_ns), wait_status);
	return 0;
}

int model_meta(struct model *model, const char *key, const char *value)
{
	meta_text(model, key, value);
	return 0;
}

int model_coverage(struct model *model, const char *what, const char *sensor, const char *detail)
{
	coverage_add(model, NULL, what, sensor, detail);
	return 0;
}

int model_lost(struct model *model, const char *what, uint64_t count)
{
	loss_add(model, NULL, pool_text(&model->pool, what, strlen(what)), count);
	return 0;
}

int model_tell(struct model *model)
{
	for (struct process *p = model->process; p; p = p->next)
		process_tell(model, p);
	task_refresh(model);
	return model_commit(model, clock_ns(CLOCK_MONOTONIC));
}

int model_close(struct model *model, uint64_t end_ns)
{
	uint64_t end = model_time(model, end_ns), now = clock_ns(CLOCK_MONOTONIC);
	int rc;

	if (end > model->last_ns && model->t0_known)
		model->last_ns = end;
	for (struct process *p = model->process; p; p = p->next)
		process_close(model, p);
	if (model->pool.cut)
		loss_add(model, NULL, "texts beyond the limit", model->pool.cut);
	task_refresh(model);
	rc = model_commit(model, now);
	if (!rc) {
		keep_forget(model, now, true);
		meta_number(model, "complete", 1);
		rc = model_commit(model, now);
	}
	if (!rc)
		rc = store_finish(model->store);
	if (rc && !model->error)
		model->error = rc;
	rc = model->error;
	store_free(TAKE(model->store));
	return rc;
}
