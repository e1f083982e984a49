/* The feed of one process seen from outside: its life, its turns, its losses. See bpf_feed.h. */
#include "collector/bpf_feed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/bpf_process.h"
#include "probe/base/cleanup.h"

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void free_value(void *value, void *ctx)
{
	free(value);
}

static void feed_free(struct feed *feed)
{
	struct bpf_feed *f = (struct bpf_feed *)feed;

	if (!f)
		return;
	bpf_sensor_free(f->sensor);
	bpf_python_clear(&f->python);
	bpf_threads_clear(&f->threads);
	iopub_close(f->iopub);
	record_queue_free(&f->cells);
	record_queue_free(&f->queue);
	map_each(&f->types, free_value, NULL);
	map_free(&f->types);
	map_free(&f->names);
	map_free(&f->sites);
	map_free(&f->told);
	map_free(&f->outermost);
	waits_clear(&f->waits);
	bpf_native_clear(&f->native);
	target_free(f->options.target);
	if (f->options.points)
		points_clear(f->options.points);
	free(f->options.points);
	free(f);
}

/* ---- turns ------------------------------------------------------------------------------ */

int bpf_feed_hand_out(struct bpf_feed *f)
{
	int rc;

	record_queue_keep(&f->queue);
	rc = record_queue_hand_out(&f->queue, f->options.pid, UINT64_MAX, f->sink, f->ctx);
	return rc;
}

static int take_record(void *ctx, void *record, size_t size)
{
	struct bpf_feed *f = ctx;
	const struct ev_head *head = record;
	int rc;

	if (record_check(record, size)) {
		f->damaged++;
		return 0;
	}
	f->handed++;
	if (head->time_ns > f->last_ns)
		f->last_ns = head->time_ns;
	rc = record_queue_hand_out(&f->cells, f->options.pid, head->time_ns, f->sink, f->ctx);
	if (rc)
		return rc;
	waits_record(&f->waits, head);
	translate(f, head);
	return bpf_feed_hand_out(f);
}

static const char *const loss_names[LOSSES] = {
	[LOSS_RING] = "records: the kernel's ring was full",
	[LOSS_STEPS] = "short steps left out: the kernel's ring was more than half full",
	[LOSS_SLOTS] = "threads beyond the limit",
	[LOSS_TASKS] = "tasks beyond the kernel's table",
};

static void losses_tell(struct bpf_feed *f)
{
	for (unsigned int i = 0; i < LOSSES; i++) {
		if (!loss_names[i])
			continue; /* told at the end, see gaps_tell() */
		uint64_t now = bpf_sensor_loss(f->sensor, (enum kernel_loss)i);

		translate_lost(f, loss_names[i], now - f->loss_told[i], f->last_ns);
		f->loss_told[i] = now;
	}
	translate_lost(f, "records with wrong bytes", f->damaged, f->last_ns);
	f->damaged = 0;
}

/* A record_fn: it waits for its turn among the kernel's. */
static int take_cell(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct bpf_feed *f = ctx;
	size_t size = (size_t)record->size_words * 8;
	void *copy =
		record_queue_new(&f->cells, record->kind, size, 0, record->tid, record->time_ns);

	if (copy)
		memcpy(copy, record, size);
	else
		f->damaged++;
	return 0;
}

static void cells_tell(struct bpf_feed *f)
{
	struct kernel_cells_counts counts = iopub_counts(f->iopub);
	char text[192];

	if (!counts.missed)
		return;
	snprintf(text, sizeof(text),
		"%" PRIu64 " ran in subshells, or began before anybody listened: what they did is "
		"told by the names of their code, when they began and ended is not",
		counts.missed);
	bpf_feed_hook(f, "cells of the kernel", text, f->last_ns);
}

/* What is missing though no record is. */
static void gaps_tell(struct bpf_feed *f)
{
	uint64_t stacks = bpf_sensor_loss(f->sensor, LOSS_FRAMES),
		 tasks = bpf_sensor_loss(f->sensor, LOSS_PYTHON);
	size_t untold = waits_untold(&f->waits);
	char text[96];

	if (untold) {
		snprintf(text, sizeof(text),
			"%zu had begun to wait just before the end: for whom is not known", untold);
		bpf_feed_hook(f, "waits of tasks", text, f->last_ns);
	}

	if (tasks) {
		snprintf(text, sizeof(text),
			"%" PRIu64
			" were made in asyncio's Python code, whose steps have no probes",
			tasks);
		bpf_feed_hook(f, "tasks of Python code", text, f->last_ns);
	}
	if (f->iopub)
		cells_tell(f);
	if (!stacks && !f->python.outside.gone)
		return;
	snprintf(text, sizeof(text),
		"%" PRIu64 " of them could not be read, and the code of %" PRIu64
		" frame%s was gone by then",
		stacks, f->python.outside.gone, f->python.outside.gone == 1 ? "" : "s");
	bpf_feed_hook(f, "Python stacks", text, f->last_ns);
}

static int consume(struct bpf_feed *f, enum waits_when when)
{
	int rc = bpf_sensor_consume(f->sensor);

	return rc < 0 ? rc : waits_turn(f, clock_ns(CLOCK_MONOTONIC), when);
}

static int drain(struct feed *feed, int final, record_fn sink, void *ctx)
{
	struct bpf_feed *f = (struct bpf_feed *)feed;
	int rc;

	f->sink = sink;
	f->ctx = ctx;
	f->handed = 0;
	loops_expect(f);
	rc = bpf_feed_hand_out(f); /* what was said when it began */
	if (!rc && !f->listed) {
		f->listed = true;
		rc = tasks_list(f, f->last_ns, false);
	}
	if (!rc && f->iopub)
		rc = iopub_drain(f->iopub, take_cell, f);
	record_queue_keep(&f->cells);
	if (!rc)
		rc = consume(f, final ? WAITS_END : WAITS_GO_ON);
	if (final) {
		bpf_sensor_unwatch(f->sensor);
		if (rc >= 0)
			rc = consume(f, WAITS_OVER);
	}
	if (rc < 0)
		return rc;
	if (final) {
		finish(f, clock_ns(CLOCK_MONOTONIC));
		tasks_list(f, clock_ns(CLOCK_MONOTONIC), true);
		gaps_tell(f);
		bpf_sensor_detach(f->sensor);
	}
	rc = record_queue_hand_out(&f->cells, f->options.pid, UINT64_MAX, sink, ctx);
	losses_tell(f);
	if (!rc)
		rc = bpf_feed_hand_out(f);
	return rc ? rc : f->handed;
}

/* ---- busy loops ------------------------------------------------------------------------- */

static size_t busy(const struct feed *feed, struct busy_loop *buf, size_t max)
{
	struct bpf_feed *f = (struct bpf_feed *)feed;
	const struct loop_slot *slots = bpf_sensor_slots(f->sensor);
	size_t n = 0;

	for (uint32_t i = 0; i < SLOTS_MAX && n < max; i++) {
		const volatile struct loop_slot *s = &slots[i];
		uint64_t since_ns = s->busy_since_ns;
		uint32_t steps = s->steps;

		if (!s->tid || !since_ns)
			continue;
		buf[n++] = (struct busy_loop){.pid = f->options.pid,
			.slot = i,
			.loop = {.tid = s->tid,
				.thread_id = s->thread_id,
				.busy_since_ns = since_ns,
				.gil_since_ns = s->part.syscall == PART_GIL ? s->enter_ns : 0,
				.task = steps && steps <= SLOT_STEPS ? s->step[steps - 1].task
								     : 0}};
	}
	for (size_t i = 0; i < n; i++)
		bpf_threads_look(&f->threads, buf[i].loop.busy_since_ns, clock_ns(CLOCK_MONOTONIC));
	return n;
}

/* Asked before and after each sample: between two runs of a loop its thread is not busy with it. */
static int still_busy(const struct feed *feed, const struct busy_loop *loop)
{
	struct bpf_feed *f = (struct bpf_feed *)feed;
	const volatile struct loop_slot *s = &bpf_sensor_slots(f->sensor)[loop->slot];

	if (s->tid != loop->loop.tid || s->busy_since_ns != loop->loop.busy_since_ns)
		return 0;
	if (loops_turning(f, (const struct loop_slot *)s)) {
		bpf_sensor_turn_seen(f->sensor, loop->slot, loop->loop.busy_since_ns);
		return 1;
	}
	bpf_sensor_turn_forget(f->sensor, loop->slot);
	return 0;
}

static int waits_for_gil(const struct feed *feed, const struct busy_loop *loop)
{
	const struct bpf_feed *f = (const struct bpf_feed *)feed;
	const volatile struct loop_slot *s = &bpf_sensor_slots(f->sensor)[loop->slot];

	return s->tid == loop->loop.tid && s->busy_since_ns == loop->loop.busy_since_ns &&
	       s->part.syscall == PART_GIL;
}

static const struct native_moment *native(const struct feed *feed, const struct busy_loop *busy)
{
	const struct native_moment *m = ((const struct bpf_feed *)feed)->native.moment;

	return m && m->tid == busy->loop.tid && m->time_ns > busy->loop.busy_since_ns ? m : NULL;
}

static unsigned int processes(const struct feed *feed)
{
	return 1;
}

static int poll_fd(const struct feed *feed)
{
	return bpf_sensor_fd(((const struct bpf_feed *)feed)->sensor);
}

struct feed *bpf_feed_base(struct bpf_feed *f)
{
	return &f->feed;
}

unsigned int bpf_feed_loops(const struct bpf_feed *f)
{
	return f->loops;
}

bool bpf_feed_execed(const struct bpf_feed *f)
{
	return bpf_sensor_exec_ns(f->sensor) != 0;
}

/* ---- beginning -------------------------------------------------------------------------- */

void bpf_feed_hook(struct bpf_feed *f, const char *name, const char *reason, uint64_t now_ns)
{
	size_t name_len = strlen(name), reason_len = strlen(reason);
	struct ev_hook *ev =
		RECORD_NEW(&f->queue, hook, name_len + reason_len, f->options.pid, now_ns);

	if (!ev)
		return;
	ev->placed = !reason_len;
	ev->name_len = (uint32_t)name_len;
	ev->reason_len = (uint32_t)reason_len;
	record_tail_put(record_tail_put(ev + 1, name, name_len), reason, reason_len);
}

static bool is_emulated(const struct points *points, enum point_kind kind)
{
	for (uint32_t i = 0; i < points->count; i++)
		if (points->point[i].kind == kind && points->point[i].cost != POINT_EMULATED)
			return false;
	return true;
}

/* Where every step is seen, what was read of a task between two of them holds until the next. */
static void waits_begin(struct bpf_feed *f, const char *why, uint64_t now_ns)
{
	f->waits.on = !why;
	bpf_feed_hook(f, "await graph", why ? why : "", now_ns);
}

/*
 * The ends of steps before their beginnings, and those before the creation of tasks, so that of a
 * task that was seen to be created each step is; without ends no step is probed at all, and without
 * steps the creation of tasks would tell of tasks whose fate is not seen.
 */
static void probes_place(struct bpf_feed *f, uint64_t now_ns)
{
	static const enum point_kind order[] = {POINT_GC_DONE, POINT_GC_START, POINT_AUDIT,
		POINT_PYTHON, POINT_SET, POINT_STEP_END, POINT_STEP, POINT_TASK_NEW};
	const struct points *points = f->options.points;
	bool ends = false;

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		enum point_kind kind = order[i];
		const char *why = points->why[kind];
		bool task = kind == POINT_TASK_NEW || kind == POINT_STEP;

		if (!why && task && !ends)
			why = "the ends of steps cannot be seen";
		if (!why && !is_emulated(points, kind))
			why = "its instruction would have to be stepped, ten times the cost";
		if (!why && bpf_sensor_probe(f->sensor, kind))
			why = "the kernel refused the probe";
		if (kind == POINT_STEP_END)
			ends = !why;
		if (kind == POINT_STEP)
			waits_begin(f, why, now_ns);
		bpf_feed_hook(f, point_kind_name(kind), why ? why : "", now_ns);
	}
}

/* Not being a kernel, or one whose channel cannot be reached, is no failure: names of files are
 * left. */
static void cells_open(struct bpf_feed *f)
{
	const char *why = "";
	int rc = f->options.jupyter ? iopub_open(f->options.pid, f->options.pid, &f->iopub, &why)
				    : -ENOENT;

	if (!f->options.jupyter || rc == -ENOENT)
		return;
	bpf_feed_hook(f, "cells of the kernel", rc ? why : "", f->last_ns);
	if (!rc)
		iopub_running(f->iopub, f->options.target, f->last_ns, take_cell, f);
}

static void folder_read(struct bpf_feed *f)
{
	char path[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cwd", f->options.pid);
	n = readlink(path, f->folder, sizeof(f->folder) - 1);
	if (n > 0)
		f->python.outside.folder = f->folder;
}

int bpf_feed_open(
	const struct bpf_feed_options *options, struct bpf_feed **ret, const char **ret_why)
{
	static const struct feed_ops ops = {
		.free = feed_free,
		.drain = drain,
		.busy = busy,
		.still_busy = still_busy,
		.waits_for_gil = waits_for_gil,
		.native = native,
		.processes = processes,
		.fd = poll_fd,
	};
	struct bpf_feed *f = calloc(1, sizeof(*f));
	struct bpf_sensor_options sensor = {.pid = options->pid,
		.min_block_ns = options->min_block_ns,
		.min_step_ns = options->min_step_ns,
		.points = options->points};
	int rc;

	*ret_why = "no memory";
	if (!f)
		return -ENOMEM;
	f->feed.ops = &ops;
	f->options = *options;
	f->memory = memory_of_process(options->pid);
	f->minor = (uint32_t)target_minor(options->target);
	f->python.outside =
		(struct outside){.target = options->target, .queue = &f->queue, .lenient = true};
	folder_read(f);
	target_constants(options->target, &f->constants);
	f->python.layout = f->constants.layout;
	f->threads.target = options->target;
	sensor.target = &f->constants;
	rc = bpf_sensor_open(&sensor, take_record, f, &f->sensor, ret_why);
	if (!rc) {
		f->last_ns = clock_ns(CLOCK_MONOTONIC);
		process_put(&f->queue, options->pid, (int)f->minor, options->points, f->last_ns);
		rc = bpf_sensor_watch(f->sensor, ret_why);
	}
	if (rc) {
		feed_free(&f->feed);
		return rc;
	}
	loops_expect(f);
	loops_find(f, f->last_ns);
	cells_open(f);
	bpf_feed_hook(f, "who keeps the GIL",
		f->constants.gil_last_holder
			? ""
			: "the thread that has it is not where the layout says",
		f->last_ns);
	probes_place(f, f->last_ns);
	*ret = f;
	return 0;
}
