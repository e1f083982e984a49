/*
 * The model of the live view: what it keeps between two readings of the trace, and the reading of
 * what is small (facts, processes). The rest is in live_loops.c, live_tasks.c, live_sites.c.
 */
#include "viewer/live_model.h"

#include <errno.h>
#include <stdbool.h>
#include <time.h>

#define NS_PER_S 1000000000ull
/* Of one reading, over which the view does not answer keys: its four parts that can be long. */
#define TURNS_NS 12000000ull
#define TASKS_NS 8000000ull
#define AGAIN_NS 6000000ull
#define SITES_NS 6000000ull
/* Rows that are looked at before the clock is asked again. */
#define LATE_EVERY 256u

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

bool live_late(uint64_t deadline_ns)
{
	static _Thread_local unsigned int calls;

	return ++calls % LATE_EVERY == 0 && clock_ns() > deadline_ns;
}

int live_model_new(struct trace *trace, struct live_model **ret)
{
	struct live_model *model = calloc(1, sizeof(*model));

	if (!model)
		return -ENOMEM;
	model->trace = trace;
	model->mode = model->notebook = "";
	*ret = model;
	return 0;
}

void live_model_free(struct live_model *model)
{
	if (!model)
		return;
	for (int i = 0; i < QUERY_COUNT; i++)
		sqlite3_finalize(model->rows[i]);
	for (size_t i = 0; i < model->loops.n; i++) {
		free(model->loops.at[i].lag.class);
		free(model->loops.at[i].turns.at);
	}
	live_tasks_free(model);
	live_cells_free(model);
	free(model->processes.at);
	free(model->loops.at);
	free(model->sites.at);
	free(model->site_slots);
	free(model->stalls.at);
	strings_free(&model->strings);
	free(model);
}

sqlite3_stmt *live_rows(struct live_model *model, enum query query)
{
	if (!model->rows[query] && trace_rows(model->trace, query, &model->rows[query]))
		return NULL;
	sqlite3_reset(model->rows[query]);
	return model->rows[query];
}

const char *live_text(struct live_model *model, sqlite3_stmt *rows, int column)
{
	return string_keep(&model->strings, column_text(rows, column));
}

int live_place_of(struct live_model *model, sqlite3_stmt *rows, int column, struct live_place *ret)
{
	struct live_place place = {0};

	if (sqlite3_column_type(rows, column) != SQLITE_NULL) {
		place.file = live_text(model, rows, column);
		place.function = live_text(model, rows, column + 2);
		place.line = sqlite3_column_int(rows, column + 1);
		if (!place.file || !place.function)
			return -ENOMEM;
	}
	*ret = place;
	return 0;
}

static void meta_take(struct live_model *model, const char *key, sqlite3_stmt *rows)
{
	const struct {
		const char *key;
		uint64_t *number;
	} numbers[] = {
		{"t0_ns", &model->t0_ns},
		{"duration_ns", &model->duration_ns},
		{"committed_ns", &model->committed_ns},
		{"stall_ns", &model->stall_ns},
		{"min_step_ns", &model->min_step_ns},
		{"min_block_ns", &model->min_block_ns},
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		if (!strcmp(key, numbers[i].key))
			*numbers[i].number = column_ns(rows, 1);
	if (!strcmp(key, "complete"))
		model->complete = sqlite3_column_int(rows, 1) != 0;
}

static int meta_read(struct live_model *model)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_meta);
	int rc = rows ? 0 : -EIO;

	while (!rc && (rc = trace_next(model->trace, rows)) == 1) {
		const char *key = column_text(rows, 0);
		const char **text = !strcmp(key, "mode")       ? &model->mode
				    : !strcmp(key, "notebook") ? &model->notebook
							       : NULL;

		rc = 0;
		meta_take(model, key, rows);
		if (!text)
			continue;
		*text = live_text(model, rows, 1);
		rc = *text ? 0 : -ENOMEM;
	}
	return rc;
}

static int lost_read(struct live_model *model)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_lost);
	int rc = rows ? trace_next(model->trace, rows) : -EIO;

	if (rc == 1)
		model->lost = column_ns(rows, 0);
	return rc < 0 ? rc : 0;
}

static int processes_read(struct live_model *model)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_process);
	int rc = rows ? 0 : -EIO;

	model->processes.n = 0;
	while (!rc && (rc = trace_next(model->trace, rows)) == 1) {
		struct live_process *p = list_add(&model->processes);

		if (!p)
			return -ENOMEM;
		p->id = sqlite3_column_int64(rows, 0);
		p->pid = sqlite3_column_int64(rows, 1);
		p->argv = live_text(model, rows, 2);
		p->python = live_text(model, rows, 3);
		p->ended = sqlite3_column_type(rows, 6) != SQLITE_NULL;
		p->is_kernel = sqlite3_column_int(rows, 7) != 0;
		rc = p->argv && p->python ? 0 : -ENOMEM;
	}
	return rc;
}

/*
 * While it is recorded time goes on, also where nothing happens. A trace from before the machine
 * was started, or from another one, has another clock: its end is what it says.
 */
static void now_find(struct live_model *model)
{
	uint64_t now_ns = clock_ns();

	model->recorded = !model->complete && trace_recorded(model->trace);
	model->now_ns =
		model->duration_ns > model->committed_ns ? model->duration_ns : model->committed_ns;
	if (model->recorded && model->t0_ns && now_ns > model->t0_ns + model->now_ns)
		model->now_ns = now_ns - model->t0_ns;
}

static void rows_reset(struct live_model *model)
{
	for (int i = 0; i < QUERY_COUNT; i++)
		sqlite3_reset(model->rows[i]);
}

/* In this order: what ended is known before what is asked of it. */
int live_model_read(struct live_model *model)
{
	uint64_t now_ns;
	int rc = meta_read(model);

	if (rc)
		return rc;
	now_find(model);
	model->behind = false;
	rc = processes_read(model);
	if (!rc)
		rc = lost_read(model);
	if (!rc)
		rc = live_loops_read(model);
	if (!rc)
		rc = live_cells_read(model);
	if (!rc)
		rc = live_turns_read(model, clock_ns() + TURNS_NS);
	if (!rc)
		rc = live_held_read(model);
	now_ns = clock_ns();
	if (!rc)
		rc = live_tasks_read(model, now_ns + TASKS_NS, now_ns + TASKS_NS + AGAIN_NS);
	if (!rc)
		rc = live_sites_read(model, clock_ns() + SITES_NS);
	rows_reset(model);
	return rc;
}

struct live_loop *live_loop_of(const struct live_model *model, int64_t id)
{
	for (size_t i = 0; i < model->loops.n; i++)
		if (model->loops.at[i].id == id)
			return &model->loops.at[i];
	return NULL;
}

void live_loop_is_users(const struct live_model *model, int64_t id)
{
	struct live_loop *loop = live_loop_of(model, id);

	if (loop)
		loop->user = true;
}

/* The newest is the first. */
struct live_cell *live_cell_of(const struct live_model *model, int64_t id)
{
	size_t low = 0, high = model->cells.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (model->cells.at[mid].id > id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < model->cells.n && model->cells.at[low].id == id ? &model->cells.at[low] : NULL;
}
