/* Processes, their threads, names and hooks; and what the trace says about itself: facts, coverage,
 * losses. */
#include "collector/model_sample.h"
#include "collector/model_state.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/ring.h"

#define CONTAINER(type, d) ((type *)((char *)(d)-offsetof(type, dirty)))

const char *tail_text(struct model *model, const struct ev_head *r, unsigned int n)
{
	size_t size;
	const void *bytes = record_tail(r, n, &size);

	return pool_text(&model->pool, bytes, size);
}

static uint64_t id_of_process(const struct process *p)
{
	return p ? p->id : 0;
}

/* ---- losses, facts, coverage */

static void put_loss(struct model *model, struct dirty *d)
{
	const struct loss *l = CONTAINER(struct loss, d);

	STORE_PUT(model->store, lost, NUMBER(l->id), ID(id_of_process(l->process)),
		TEXT_OF(l->what), NUMBER(l->count));
}

void loss_add(struct model *model, struct process *p, const char *what, uint64_t count)
{
	struct loss *l;

	if (!count)
		return;
	if (p)
		p->lost += count;
	for (l = model->losses; l; l = l->next)
		if (l->process == p && !strcmp(l->what, what))
			break;
	if (!l && model->losses_count >= LOSSES_MAX && strcmp(what, "other losses")) {
		loss_add(model, NULL, "other losses", count);
		return;
	}
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return;
		*l = (struct loss){.dirty.put = put_loss,
			.next = model->losses,
			.id = ++model->losses_count,
			.process = p,
			.what = what};
		model->losses = l;
	}
	l->count = count < LOSS_MAX - l->count ? l->count + count : LOSS_MAX;
	model_dirty(model, &l->dirty);
}

static void put_meta(struct model *model, struct dirty *d)
{
	const struct fact *f = CONTAINER(struct fact, d);

	STORE_PUT(model->store, meta, TEXT_OF(f->key),
		f->is_number ? NUMBER(f->number) : TEXT_OF(f->value));
}

static void put_coverage(struct model *model, struct dirty *d)
{
	const struct fact *f = CONTAINER(struct fact, d);

	STORE_PUT(model->store, coverage, NUMBER(f->id), ID(id_of_process(f->process)),
		TEXT_OF(f->key), TEXT_OF(f->value), TEXT_OF(f->detail));
}

static struct fact *fact_get(
	struct model *model, const char *key, void (*put)(struct model *, struct dirty *))
{
	struct fact *f;

	for (f = put == put_meta ? model->facts : NULL; f; f = f->next)
		if (f->dirty.put == put && !strcmp(f->key, key))
			return f; /* coverage has a row for each time something is said */
	f = calloc(1, sizeof(*f));
	if (!f)
		return NULL;
	*f = (struct fact){.dirty.put = put,
		.next = model->facts,
		.key = pool_text(&model->pool, key, strlen(key))};
	model->facts = f;
	return f;
}

void meta_text(struct model *model, const char *key, const char *value)
{
	struct fact *f = fact_get(model, key, put_meta);

	if (!f)
		return;
	f->value = pool_text(&model->pool, value, strlen(value));
	f->is_number = false;
	model_dirty(model, &f->dirty);
}

void meta_number(struct model *model, const char *key, int64_t value)
{
	struct fact *f = fact_get(model, key, put_meta);

	if (!f)
		return;
	f->number = value;
	f->is_number = true;
	model_dirty(model, &f->dirty);
}

void coverage_add(struct model *model, struct process *p, const char *what, const char *sensor,
	const char *detail)
{
	struct fact *f;

	if (model->coverage_count >= COVERAGE_MAX) {
		loss_add(model, p, "coverage rows beyond the limit", 1);
		return;
	}
	f = fact_get(model, what, put_coverage);
	if (!f)
		return;
	f->id = ++model->coverage_count;
	f->process = p;
	f->value = pool_text(&model->pool, sensor, strlen(sensor));
	f->detail = pool_text(&model->pool, detail ? detail : "", detail ? strlen(detail) : 0);
	model_dirty(model, &f->dirty);
}

/* The same, but in the place of what was said of that before. */
static void coverage_set(struct model *model, struct process *p, const char *what,
	const char *sensor, const char *detail)
{
	struct fact *f = model->facts;

	while (f && (f->dirty.put != put_coverage || f->process != p || strcmp(f->key, what)))
		f = f->next;
	if (!f) {
		coverage_add(model, p, what, sensor, detail);
		return;
	}
	f->value = pool_text(&model->pool, sensor, strlen(sensor));
	f->detail = pool_text(&model->pool, detail, strlen(detail));
	model_dirty(model, &f->dirty);
}

/* ---- processes */

static void put_process(struct model *model, struct dirty *d)
{
	const struct process *p = CONTAINER(struct process, d);

	STORE_PUT(model->store, process, NUMBER(p->id), NUMBER(p->pid), NUMBER(p->ppid),
		TEXT_OF(p->argv), TEXT_OF(p->executable), TEXT_OF(p->python), TEXT_OF(p->stdlib),
		NUMBER(p->began_ns), NUMBER_IF(p->ended, p->ended_ns), NUMBER(p->is_kernel));
}

/* Whose files the target may read; its own user, or ours where it is gone. */
static uint32_t owner_of(uint32_t pid)
{
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%u", pid);
	return stat(path, &st) ? geteuid() : st.st_uid;
}

static struct process *process_new(struct model *model, uint32_t pid, uint64_t time_ns)
{
	struct process *p = calloc(1, sizeof(*p));

	if (!p || map_put(&model->processes, pid, p)) {
		free(p);
		return NULL;
	}
	p->dirty.put = put_process;
	p->id = ++model->processes_count;
	p->pid = pid;
	p->uid = owner_of(pid);
	p->argv = "[]";
	p->executable = p->python = p->stdlib = "";
	p->began_ns = p->last_ns = time_ns;
	p->next = model->process;
	model->process = p;
	model->last_process = p;
	model_dirty(model, &p->dirty);
	return p;
}

struct process *process_get(struct model *model, uint32_t pid, uint64_t time_ns)
{
	struct process *p = model->last_process;

	if (p && p->pid == pid)
		return p;
	p = map_get(&model->processes, pid);
	if (!p)
		return process_new(model, pid, time_ns);
	model->last_process = p;
	return p;
}

/* NUL-separated arguments as a JSON array. */
static const char *json_of_argv(struct model *model, const char *bytes, size_t size)
{
	json_t *array = json_array();
	cleanup(freep) char *text = NULL;
	const char *interned;

	for (size_t at = 0; at < size;) {
		size_t n = strnlen(bytes + at, size - at);

		json_array_append_new(array, json_string(pool_text(&model->pool, bytes + at, n)));
		at += n + 1;
	}
	text = array ? json_dumps(array, JSON_COMPACT) : NULL;
	json_decref(array);
	interned = text ? pool_text(&model->pool, text, strlen(text)) : "[]";
	return interned;
}

static const char *version_text(struct model *model, uint32_t hexversion)
{
	static const char *const levels[16] = {[0xa] = "a", [0xb] = "b", [0xc] = "rc"};
	const char *level = levels[hexversion >> 4 & 15];
	char text[40];
	int n = snprintf(text, sizeof(text), "%u.%u.%u", hexversion >> 24, hexversion >> 16 & 255,
		hexversion >> 8 & 255);

	if (level)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%u", level, hexversion & 15);
	return pool_text(&model->pool, text, (size_t)n);
}

void process_record(struct model *model, uint32_t pid, const struct ev_process *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct process *p = process_get(model, pid, time_ns);
	size_t size;
	const char *argv = record_tail(&r->head, 0, &size);

	if (p && p->named) {
		/* exec: the same pid, another program. */
		process_end(model, p, time_ns, 0);
		p = process_new(model, pid, time_ns);
	}
	if (!p)
		return;
	p->named = true;
	p->outside = !r->abi;
	if (p->outside)
		process_calls_seen(model, p);
	p->ppid = r->ppid;
	p->argv = json_of_argv(model, argv, size);
	p->executable = tail_text(model, &r->head, 1);
	p->python = version_text(model, r->hexversion);
	p->stdlib = tail_text(model, &r->head, 3);
	model_dirty(model, &p->dirty);
}

void process_calls_seen(struct model *model, struct process *p)
{
	if (p->saw_calls)
		return;
	p->saw_calls = true;
	coverage_add(model, p, "syscalls", p->outside ? "bpf" : "agent", "");
}

void watched_record(struct model *model, struct process *p, const struct ev_watched *r)
{
	if (p->watched)
		return;
	p->watched = p->saw_calls = true;
	coverage_set(model, p, "syscalls", "bpf", "beside the agent");
}

void process_hook(struct model *model, struct process *p, const struct ev_hook *r)
{
	char what[160];

	snprintf(what, sizeof(what), "hook:%s", tail_text(model, &r->head, 0));
	/* Calls are timed by redirecting the imports of one object: read@_io.so. */
	if (r->placed && strchr(what, '@'))
		process_calls_seen(model, p);
	coverage_add(
		model, p, what, r->placed ? "placed" : "refused", tail_text(model, &r->head, 1));
}

/* A bound of the agent's, or a loss beside it: all its records are here. */
static bool lost_by_bound(const char *what)
{
	static const char *const bounds[] = {
		LOST_WAITS, LOST_QUEUES, LOST_LOOPS, MODEL_LOST_BESIDE};

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
		if (!strcmp(what, bounds[i]))
			return true;
	return false;
}

void process_lost(struct model *model, struct process *p, const struct ev_lost *r)
{
	const char *what = tail_text(model, &r->head, 0);

	if (!lost_by_bound(what))
		p->unheard += r->count;
	loss_add(model, p, what, r->count);
}

void process_end(struct model *model, struct process *p, uint64_t time_ns, int wait_status)
{
	char text[64];

	if (p->ended)
		return;
	p->ended = true;
	p->ended_ns = time_ns > p->last_ns ? time_ns : p->last_ns;
	model_dirty(model, &p->dirty);
	if (!WIFSIGNALED(wait_status))
		return;
	snprintf(text, sizeof(text), "ended by signal %d", WTERMSIG(wait_status));
	coverage_add(model, p, "note", "none", text);
}

/* ---- threads and names */

static void put_thread(struct model *model, struct dirty *d)
{
	const struct thread *t = CONTAINER(struct thread, d);

	STORE_PUT(model->store, thread, NUMBER(t->id), NUMBER(t->process->id), NUMBER(t->tid),
		TEXT_OF(t->name), NUMBER(t->seen_ns));
}

struct thread *thread_get(struct model *model, struct process *p, uint32_t tid, uint64_t time_ns)
{
	struct thread *t = p->last_thread;

	if (t && t->tid == tid)
		return t;
	t = map_get(&p->threads, tid);
	if (t) {
		p->last_thread = t;
		return t;
	}
	if (model->threads >= THREADS_MAX) {
		loss_add(model, p, "threads beyond the limit", 1);
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t || map_put(&p->threads, tid, t)) {
		free(t);
		loss_add(model, p, "records without memory", 1);
		return NULL;
	}
	t->dirty.put = put_thread;
	t->id = ++model->threads;
	t->tid = tid;
	t->process = p;
	t->name = "";
	t->seen_ns = time_ns;
	p->last_thread = t;
	model_dirty(model, &t->dirty);
	return t;
}

void process_thread(struct model *model, struct process *p, const struct ev_thread *r)
{
	struct thread *t = thread_get(model, p, r->head.tid, model_time(model, r->head.time_ns));

	if (!t)
		return;
	t->name = tail_text(model, &r->head, 0);
	model_dirty(model, &t->dirty);
}

void process_name(struct model *model, struct process *p, const struct ev_name *r)
{
	if (map_put(&p->names, r->id, (void *)tail_text(model, &r->head, 0)))
		loss_add(model, p, "records without memory", 1);
}

const char *name_get(const struct process *p, uint32_t id)
{
	return id ? map_get(&p->names, id) : NULL;
}

/* ---- the end */

static void settle_thread(void *value, void *ctx)
{
	uint64_t begin_ns, last_ns;

	gc_settle(ctx, value, NULL, 0, UINT64_MAX);
	if (samples_open(value, &begin_ns, &last_ns))
		iteration_unfinished(ctx, value, begin_ns, last_ns);
}

/*
 * Iterations that the kernel did not tell of have the agent's account: the last one of a process
 * that is killed, those around a loop that runs inside.
 */
#define COARSE_SHARE 100 /* of busy time, for the whole to be called exact */

static void close_causes(struct model *model, struct process *p)
{
	bool few = p->coarse_ns <= p->exact_ns / COARSE_SHARE;
	char text[96];

	snprintf(text, sizeof(text), "%" PRIu64 " iteration%s by the agent's account", p->coarse,
		p->coarse == 1 ? "" : "s");
	coverage_set(model, p, "causes", few ? "exact" : "coarse", text);
}

/* "agent" is said when first seen; here what was not. */
static void close_coverage(struct model *model, struct process *p)
{
	if (!p->saw_tasks)
		coverage_add(model, p, "tasks", "none", "no task was seen");
	if (!p->saw_calls)
		coverage_add(model, p, "syscalls", "none", "no call could be timed");
	if (!p->saw_iterations)
		coverage_add(model, p, "causes", "none", "no loop iteration was seen");
	if (p->watched && p->coarse)
		close_causes(model, p);
	if (!p->is_kernel && p->cells)
		coverage_add(model, p, "cells", "filename",
			"cells are known by the names of their code; when they ran is not");
	else if (!p->is_kernel)
		coverage_add(model, p, "cells", "none", "it ran no notebook cell");
	else if (p->outside && p->saw_tasks)
		coverage_add(model, p, "note", "uprobe",
			"when timers were due is not seen from outside: AS113 does not tell of "
			"tasks that only a timer (asyncio.sleep) was to wake");
}

/* Said, since no leak among them would read as if there was none. */
static void coverage_unsure(struct model *model, struct process *p, size_t tasks)
{
	char text[128];

	snprintf(text, sizeof(text),
		"%zu task%s may have ended unseen, records of that time were lost: not called "
		"leaked",
		tasks, tasks == 1 ? "" : "s");
	coverage_add(model, p, "note", "none", text);
}

/* A task that ends after all is decided anew then. */
void process_tell(struct model *model, struct process *p)
{
	for (struct task *t = p->task; t; t = t->next) {
		const char *leaked;

		task_find_cell(model, t);
		leaked = t->unheard == p->unheard ? leak_reason(t) : NULL;
		if (t->ended || leaked == t->leaked)
			continue;
		t->leaked = leaked;
		task_dirty(model, t);
	}
}

void process_close(struct model *model, struct process *p)
{
	size_t unsure = 0;

	map_each(&p->threads, settle_thread, model);
	for (struct task *t = p->task; t; t = t->next) {
		if (t->ended)
			continue; /* decided at its end */
		task_find_cell(model, t);
		t->unsure = t->unheard != p->unheard;
		t->leaked = t->unsure ? NULL : leak_reason(t);
		if (!t->unsure)
			wait_told(model, t);
		unsure += t->unsure;
		task_dirty(model, t);
	}
	if (unsure)
		coverage_unsure(model, p, unsure);
	close_coverage(model, p);
}

static void free_value(void *value, void *ctx)
{
	(void)ctx;
	free(value);
}

static void free_thread(void *value, void *ctx)
{
	struct thread *t = value;

	(void)ctx;
	free(t->gc);
	free(t->samples);
	free(t->holders);
	free(t);
}

void process_free(struct process *p)
{
	map_each(&p->threads, free_thread, NULL);
	map_each(&p->loops, loop_free, NULL);
	map_each(&p->codes, free_value, NULL);
	map_each(&p->stacks, free_value, NULL);
	task_free_all(p);
	for (uint32_t i = 0; i < p->cells; i++)
		free(p->cell[i]);
	free(p->cell);
	free(p->opcodes);
	map_free(&p->threads);
	map_free(&p->loops);
	map_free(&p->names);
	map_free(&p->codes);
	map_free(&p->stacks);
	map_free(&p->tasks);
	map_free(&p->jobs);
	map_free(&p->queues);
	callback_free_all(p);
	map_free(&p->waiting);
	map_free(&p->holders);
	map_free(&p->cell_by_file);
	free(p);
}
