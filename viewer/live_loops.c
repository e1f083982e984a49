/* Loops in the live view: their iterations as they come, and what they lost their time to. */
#include "viewer/live_model.h"

#include <errno.h>

#include "viewer/report.h"

#define NS_PER_S 1000000000ull
/* Lag by class: each octave from 2^OCTAVE_LEAST ns on is divided in 1 << OCTAVE_BITS, so that a
 * class is 3 % wide; its mean is exact. */
#define OCTAVE_BITS 5
#define OCTAVE_LEAST 14 /* 16 µs; shorter ones are of no interest to a percentile shown */
#define OCTAVES 34
#define CLASSES ((OCTAVES << OCTAVE_BITS) + 1)
/* Turns of a loop kept for the window; older ones give way, and the window is shorter then. 6 MB.
 */
#define TURNS_MOST 400000u

#define CAUSE_COLUMN 4 /* of QUERY_live_iteration, as of QUERY_iteration */

/* ---- the loops themselves ---------------------------------------------------------------- */

static struct live_loop *loop_get(struct live_model *model, int64_t id)
{
	struct live_loop *loop = live_loop_of(model, id);

	if (loop)
		return loop;
	loop = list_add(&model->loops);
	if (loop)
		loop->id = id;
	return loop;
}

static const struct live_process *process_of(const struct live_model *model, int64_t id)
{
	for (size_t i = 0; i < model->processes.n; i++)
		if (model->processes.at[i].id == id)
			return &model->processes.at[i];
	return NULL;
}

static bool kernel_has(const struct live_model *model)
{
	for (size_t i = 0; i < model->processes.n; i++)
		if (model->processes.at[i].is_kernel)
			return true;
	return false;
}

/*
 * A loop is the user's that has run a cell or a task of user code (live_sites.c, live_tasks.c say
 * so), and all are where there is no kernel. Else of a kernel it is the main thread's, of what runs
 * it those that user code started.
 */
static int user_mark(struct live_model *model, struct live_loop *loop, int64_t stack, bool is_main)
{
	const struct live_process *process = process_of(model, loop->process);
	sqlite3_stmt *rows;
	int rc;

	if (loop->user)
		return 0;
	if (!kernel_has(model) || (process && process->is_kernel)) {
		loop->user = !kernel_has(model) || is_main;
		return 0;
	}
	rows = live_rows(model, QUERY_stack_user);
	if (!rows)
		return -EIO;
	sqlite3_bind_int64(rows, 1, stack);
	sqlite3_bind_int(rows, 2, STACK_DEPTH_MAX);
	rc = trace_next(model->trace, rows);
	loop->user = rc == 1 && sqlite3_column_int(rows, 0);
	return rc < 0 ? rc : 0;
}

int live_loops_read(struct live_model *model)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_loop);
	int rc = rows ? 0 : -EIO;

	while (!rc && (rc = trace_next(model->trace, rows)) == 1) {
		struct live_loop *loop = loop_get(model, sqlite3_column_int64(rows, 0));

		if (!loop)
			return -ENOMEM;
		loop->process = sqlite3_column_int64(rows, 1);
		loop->thread = sqlite3_column_int64(rows, 2);
		loop->thread_name = live_text(model, rows, 3);
		loop->kind = live_text(model, rows, 4);
		loop->began_ns = column_ns(rows, 5);
		loop->ended_ns = column_ns(rows, 6);
		loop->iterations = column_ns(rows, 7);
		loop->busy_ns = column_ns(rows, 8);
		loop->select_ns = column_ns(rows, 9);
		loop->max_busy_ns = column_ns(rows, 10);
		if (!loop->thread_name || !loop->kind)
			return -ENOMEM;
		rc = user_mark(model, loop, sqlite3_column_int64(rows, 11),
			sqlite3_column_int(rows, 12) != 0);
	}
	return rc;
}

/* ---- iterations -------------------------------------------------------------------------- */

static int class_of(uint64_t ns)
{
	int octave = 63 - __builtin_clzll(ns | 1);

	if (octave < OCTAVE_LEAST)
		return 0;
	if (octave >= OCTAVE_LEAST + OCTAVES)
		return CLASSES - 1;
	return 1 + ((octave - OCTAVE_LEAST) << OCTAVE_BITS) +
	       (int)(ns >> (octave - OCTAVE_BITS) & ((1u << OCTAVE_BITS) - 1));
}

static int lag_add(struct live_lag *lag, uint64_t busy_ns)
{
	struct busy *class;

	if (!lag->class)
		lag->class = calloc(CLASSES, sizeof(*lag->class));
	if (!lag->class)
		return -ENOMEM;
	class = &lag->class[class_of(busy_ns)];
	class->ns += busy_ns; /* the sum, until it is read */
	class->count++;
	return 0;
}

static void second_add(struct live_loop *loop, uint64_t end_ns, const struct causes *causes)
{
	uint64_t second = end_ns / NS_PER_S;
	struct live_second *slot = &loop->seconds[second % LIVE_SLOTS];

	if (slot->second > second)
		return;
	if (slot->second != second)
		*slot = (struct live_second){.second = second};
	causes_add(&slot->causes, causes);
}

static int stall_add(struct live_model *model, int64_t cell, uint64_t busy_ns)
{
	struct live_stalls *stalls = NULL;

	for (size_t i = model->stalls.n; i > 0 && !stalls; i--)
		if (model->stalls.at[i - 1].cell == cell)
			stalls = &model->stalls.at[i - 1];
	if (!stalls)
		stalls = list_add(&model->stalls);
	if (!stalls)
		return -ENOMEM;
	stalls->cell = cell;
	stalls->count++;
	stalls->ns += busy_ns;
	if (busy_ns > stalls->longest_ns)
		stalls->longest_ns = busy_ns;
	return 0;
}

/* What held its loop is the longest thing seen in it; its stack is known where it was the last one
 * too. */
static int past_keep(struct live_model *model, const struct live_loop *loop, sqlite3_stmt *rows,
	const struct live_turn *turn)
{
	const struct live_held *held = &loop->held;
	struct live_past past = {loop->id, turn->busy_ns, turn->end_ns, 0, {0}};

	if (live_place_of(model, rows, CAUSE_COLUMN + CAUSE_COLUMNS + 1, &past.at))
		return -ENOMEM;
	if (held->begin_ns == turn->end_ns - turn->busy_ns && held->at.file == past.at.file &&
		held->at.line == past.at.line)
		past.stack = held->stack;
	model->past = past;
	return 0;
}

static void turns_forget(struct live_model *model, struct live_loop *loop)
{
	uint64_t window_ns = LIVE_SECONDS_MOST * NS_PER_S;
	uint64_t from_ns = model->now_ns > window_ns ? model->now_ns - window_ns : 0;
	size_t old = 0;

	while (old < loop->turns.n && loop->turns.at[old].end_ns < from_ns)
		old++;
	if (loop->turns.n - old > TURNS_MOST)
		old = loop->turns.n - TURNS_MOST;
	if (!old)
		return;
	loop->turns.n -= old;
	memmove(loop->turns.at, loop->turns.at + old, loop->turns.n * sizeof(*loop->turns.at));
}

static int turn_take(struct live_model *model, sqlite3_stmt *rows)
{
	struct live_loop *loop = loop_get(model, sqlite3_column_int64(rows, 0));
	uint64_t begin_ns = column_ns(rows, 1), busy_ns = column_ns(rows, 2);
	int64_t cell = sqlite3_column_int64(rows, 3);
	struct causes causes = {0};
	struct live_turn *turn = loop ? list_add(&loop->turns) : NULL;
	int rc;

	if (!turn)
		return -ENOMEM;
	*turn = (struct live_turn){begin_ns + busy_ns, busy_ns};
	for (int i = 0; i < CAUSE_COLUMNS; i++)
		causes.ns[i] = column_ns(rows, CAUSE_COLUMN + i);
	causes_add(&loop->causes, &causes);
	second_add(loop, turn->end_ns, &causes);
	if (begin_ns > loop->last_begin_ns)
		loop->last_begin_ns = begin_ns;
	rc = lag_add(&loop->lag, busy_ns);
	if (!rc && cell && busy_ns >= model->stall_ns)
		rc = stall_add(model, cell, busy_ns);
	if (!rc && loop->user && busy_ns >= model->stall_ns)
		rc = past_keep(model, loop, rows, turn);
	model->iteration_id = sqlite3_column_int64(rows, CAUSE_COLUMN + CAUSE_COLUMNS);
	return rc;
}

/* How far it has come, by the ids. */
static int share_find(struct live_model *model)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_last);
	int rc = rows ? trace_next(model->trace, rows) : -EIO;
	double last = rc == 1 ? (double)sqlite3_column_int64(rows, 0) : 0;

	model->read_share = last > 0 ? (double)model->iteration_id / last : 1;
	model->behind = true;
	return rc < 0 ? rc : 0;
}

int live_turns_read(struct live_model *model, uint64_t deadline_ns)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_iteration);
	bool late = false;
	int rc = rows ? 0 : -EIO;

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, model->iteration_id);
	while (!rc && !late && (rc = trace_next(model->trace, rows)) == 1) {
		rc = turn_take(model, rows);
		late = live_late(deadline_ns);
	}
	for (size_t i = 0; i < model->loops.n; i++)
		turns_forget(model, &model->loops.at[i]);
	return rc || !late ? rc : share_find(model);
}

/* ---- figures ----------------------------------------------------------------------------- */

/* Iterations too short for rows of their own. */
static int short_add(struct live_model *model, const struct live_loop *loop, uint64_t from_ns,
	struct live_figures *figures)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_total);
	int rc = rows ? 0 : -EIO;

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, loop->id);
	sqlite3_bind_int64(rows, 2, (sqlite3_int64)(from_ns / NS_PER_S));
	sqlite3_bind_int64(rows, 3, (sqlite3_int64)from_ns);
	rc = trace_next(model->trace, rows);
	if (rc == 1) {
		figures->iterations += column_ns(rows, 0);
		figures->busy_ns += column_ns(rows, 1);
		figures->causes.ns[CAUSE_short] += column_ns(rows, 1);
	}
	sqlite3_reset(rows);
	return rc < 0 ? rc : 0;
}

/* The part of an iteration that lies in the window. */
static uint64_t part_ns(uint64_t begin_ns, uint64_t end_ns, uint64_t from_ns)
{
	begin_ns = begin_ns > from_ns ? begin_ns : from_ns;
	return end_ns > begin_ns ? end_ns - begin_ns : 0;
}

static int held_add(const struct live_model *model, const struct live_loop *loop, uint64_t from_ns,
	struct busy_set *busy, struct live_figures *figures)
{
	uint64_t ns;

	if (!loop->held.begin_ns)
		return 0;
	ns = part_ns(loop->held.begin_ns, model->now_ns, from_ns);
	figures->busy_ns += ns;
	figures->causes.ns[CAUSE_unknown] += ns; /* until it has ended */
	return busy_add(busy, ns, 1);
}

static int window_read(struct live_model *model, const struct live_loop *loop, uint64_t from_ns,
	struct live_figures *figures)
{
	struct busy_set busy = {0};
	int rc = 0;

	for (size_t i = 0; i < loop->turns.n && !rc; i++) {
		const struct live_turn *turn = &loop->turns.at[i];
		uint64_t ns;

		if (turn->end_ns < from_ns)
			continue;
		ns = part_ns(turn->end_ns - turn->busy_ns, turn->end_ns, from_ns);
		figures->iterations++;
		figures->busy_ns += ns;
		rc = busy_add(&busy, ns, 1);
	}
	for (int i = 0; i < LIVE_SLOTS; i++)
		if (loop->seconds[i].second >= from_ns / NS_PER_S)
			causes_add(&figures->causes, &loop->seconds[i].causes);
	if (!rc)
		rc = held_add(model, loop, from_ns, &busy, figures);
	if (!rc)
		rc = short_add(model, loop, from_ns, figures);
	if (!rc)
		figures->lag = lag_of(&busy, figures->window_ns);
	figures->lag.known = figures->lag.known || figures->iterations;
	busy_free(&busy);
	return rc;
}

/* A loop's row counts everything, short iterations too. */
static int whole_read(
	struct live_model *model, const struct live_loop *loop, struct live_figures *figures)
{
	struct busy_set busy = {0};
	uint64_t sum;
	int rc = 0;

	figures->iterations = loop->iterations;
	figures->busy_ns = loop->busy_ns;
	figures->causes = loop->causes;
	sum = causes_total(&loop->causes);
	if (loop->busy_ns > sum)
		figures->causes.ns[CAUSE_short] += loop->busy_ns - sum;
	for (int i = 0; loop->lag.class && i < CLASSES && !rc; i++) {
		const struct busy *class = &loop->lag.class[i];

		rc = class->count ? busy_add(&busy, class->ns / class->count, class->count) : 0;
	}
	if (!rc)
		rc = held_add(model, loop, 0, &busy, figures);
	if (!rc)
		figures->lag = lag_of(&busy, figures->window_ns);
	figures->lag.known = figures->lag.known || figures->iterations;
	if (loop->max_busy_ns > figures->lag.max_ns)
		figures->lag.max_ns = loop->max_busy_ns;
	busy_free(&busy);
	return rc;
}

static int figures_of(struct live_model *model, struct live_loop *loop, unsigned int seconds)
{
	uint64_t end_ns = loop->ended_ns ? loop->ended_ns : model->now_ns, from_ns = 0;
	struct live_figures *figures = &loop->figures;

	if (seconds && model->now_ns > seconds * NS_PER_S)
		from_ns = model->now_ns - seconds * NS_PER_S;
	if (seconds && loop->turns.n == TURNS_MOST && loop->turns.at[0].end_ns > from_ns)
		from_ns = loop->turns.at[0].end_ns;
	/* Short iterations are told by the second. */
	from_ns = (from_ns + NS_PER_S - 1) / NS_PER_S * NS_PER_S;
	if (from_ns < loop->began_ns)
		from_ns = loop->began_ns;
	*figures = (struct live_figures){.window_ns = end_ns > from_ns ? end_ns - from_ns : 0};
	return seconds ? window_read(model, loop, from_ns, figures)
		       : whole_read(model, loop, figures);
}

int live_figures_read(struct live_model *model, unsigned int seconds)
{
	int rc = 0;

	for (size_t i = 0; i < model->loops.n && !rc; i++)
		rc = figures_of(model, &model->loops.at[i], seconds);
	return rc;
}
