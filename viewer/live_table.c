/* The tables of the live view: a row of a list of the model is a row on the screen. */
#include "viewer/live_page.h"

#include <errno.h>
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "probe/base/units.h"
#include "viewer/names.h"
#include "viewer/text_parts.h"

#define NS_PER_S 1000000000ull
#define TARGET_MOST 40 /* columns */

static const struct column loop_columns[] = {
	{.title = "pid", .right = true},
	{.title = "loop on thread", .most = 24, .shrinks = 10},
	{.title = "kind", .drops = true},
	{.title = "held for", .right = true},
	{.title = "turns/s", .right = true},
	{.title = "busy", .right = true},
	{.title = "by what"},
	{.title = "most of it", .drops = true},
	{.title = "lag p50", .right = true},
	{.title = "p99", .right = true},
	{.title = "max", .right = true},
};

static const struct column task_columns[] = {
	{.title = "task", .most = 24, .shrinks = 8},
	{.title = "coroutine", .most = 32, .shrinks = 8},
	{.title = "cell"},
	{.title = "state"},
	{.title = "waits for", .most = 32, .shrinks = 8},
	{.title = "since", .right = true},
	{.title = "at", .most = 40, .keep_end = true, .shrinks = 10},
	{.title = "steps", .right = true, .drops = true},
	{.title = "longest", .right = true, .drops = true},
	{.title = "age", .right = true, .drops = true},
	{.title = "busy", .right = true},
};

static const struct column site_columns[] = {
	{.title = "call", .most = 40, .shrinks = 10},
	{.title = "class"},
	{.title = "line", .most = 40, .keep_end = true, .shrinks = 10},
	{.title = "count", .right = true},
	{.title = "total", .right = true},
	{.title = "longest", .right = true},
	{.title = "last", .right = true},
	{.title = "target", .most = TARGET_MOST, .drops = true},
};

static const struct column cell_columns[] = {
	{.title = "cell"},
	{.title = "status"},
	{.title = "wall", .right = true},
	{.title = "stalls", .right = true},
	{.title = "in all", .right = true},
	{.title = "longest", .right = true},
	{.title = "tasks", .right = true},
	{.title = "pending", .right = true},
	{.title = "first line", .most = 60, .shrinks = 10},
};

#define TABLE(list)                                                                                \
	{                                                                                          \
		.columns = list, .n = sizeof(list) / sizeof(*list)                                 \
	}

static const struct table tables[LIVE_VIEWS] = {
	[LIVE_LOOPS] = TABLE(loop_columns),
	[LIVE_TASKS] = TABLE(task_columns),
	[LIVE_SITES] = TABLE(site_columns),
	[LIVE_CELLS] = TABLE(cell_columns),
};

char *live_lag_text(
	const struct live_model *model, const struct lag *lag, uint64_t ns, char *buf, size_t size)
{
	char text[NAME_BYTES];

	if (!lag->known)
		snprintf(buf, size, "-");
	else if (ns < model->min_step_ns)
		snprintf(buf, size, "<%s", threshold_text(model->min_step_ns, text));
	else
		duration_format(ns, buf, size);
	return buf;
}

static void lag_cell(
	const struct live_model *model, struct table *table, const struct lag *lag, uint64_t ns)
{
	char text[LIVE_LAG_BYTES];

	table_add(table, STYLE_plain, "%s", live_lag_text(model, lag, ns, text, sizeof(text)));
}

static void duration_cell(struct table *table, uint64_t ns)
{
	char text[DURATION_BYTES];

	table_add(table, STYLE_plain, "%s", ns ? duration_text(ns, text) : "-");
}

static void pid_column(const struct live_model *model, struct table *table, int64_t process)
{
	for (size_t i = 0; i < model->processes.n && model->processes.n > 1; i++)
		if (model->processes.at[i].id == process) {
			table_add(table, STYLE_plain, "%" PRId64, model->processes.at[i].pid);
			return;
		}
	table_add(table, STYLE_plain, "%s", "");
}

static void loop_row(const struct live_model *model, struct table *table, size_t index)
{
	const struct live_loop *loop = &model->loops.at[index];
	const struct live_figures *f = &loop->figures;
	double seconds = (double)f->window_ns / NS_PER_S;
	double share = f->window_ns ? 100.0 * (double)f->busy_ns / (double)f->window_ns : 0;
	enum cause largest = causes_largest(&f->causes);
	char bar[BAR_BYTES];

	pid_column(model, table, loop->process);
	table_add(table, STYLE_plain, "%s", loop->thread_name);
	table_add(table, STYLE_plain, "%s", loop->kind);
	if (loop->held.begin_ns)
		duration_cell(table, model->now_ns - loop->held.begin_ns);
	else
		table_add(table, STYLE_plain, "%s", loop->ended_ns ? "ended" : "-");
	table_add(table, STYLE_plain, "%.0f", seconds > 0 ? (double)f->iterations / seconds : 0.0);
	table_add(table, STYLE_plain, "%.0f %%", share > 100 ? 100.0 : share);
	causes_bar(&f->causes, causes_total(&f->causes), bar);
	table_add(table, STYLE_bar, "%s", bar);
	table_add(table, STYLE_plain, "%s", f->causes.ns[largest] ? cause_name(largest) : "");
	lag_cell(model, table, &f->lag, f->lag.p50_ns);
	lag_cell(model, table, &f->lag, f->lag.p99_ns);
	lag_cell(model, table, &f->lag, f->lag.max_ns);
}

const char *live_task_state_text(const struct live_model *model, const struct live_task *task)
{
	static const char *const names[] = {[LIVE_RUNNING] = "running",
		[LIVE_READY] = "ready",
		[LIVE_WAITING] = "waiting",
		[LIVE_NEW] = "new"};
	enum live_state state = live_task_state(model, task);

	return state == LIVE_ENDED ? task->state : names[state];
}

/* Since its last step; one that made none since it has been watched waits at least for that long.
 */
static void since_cell(
	struct table *table, bool waits, uint64_t end_ns, const struct live_task *task)
{
	uint64_t since_ns = task->last_ns ? task->last_ns : task->created_ns;
	char text[DURATION_BYTES];

	if (waits && end_ns > since_ns)
		table_add(table, STYLE_plain, "%s%s", task->last_ns ? "" : ">",
			duration_text(end_ns - since_ns, text));
	else
		table_add(table, STYLE_plain, "-");
}

static void task_row(const struct live_model *model, struct table *table, size_t index)
{
	const struct live_task *task = &model->tasks.at[index];
	const struct live_cell *cell = live_cell_of(model, task->cell);
	const struct live_loop *holds = live_task_holds(model, task);
	const struct live_place *at = holds             ? &holds->held.at
				      : *task->awaiting ? &task->await
							: &task->created;
	cleanup(freep) char *where = live_place_text(model, at, task->cell);
	uint64_t end_ns = task->ended_ns ? task->ended_ns : model->now_ns;
	char name[LIVE_CELL_BYTES];
	bool waits = *task->awaiting && !task->ended_ns && !holds;

	table_add(table, STYLE_plain, "%s", *task->name ? task->name : "-");
	table_add(table, STYLE_plain, "%s", task->coro);
	table_add(table, STYLE_plain, "%s", cell ? live_cell_name(cell, name, sizeof(name)) : "");
	table_add(table, STYLE_plain, "%s", live_task_state_text(model, task));
	table_add(table, STYLE_plain, "%s", waits ? task->awaiting : "");
	since_cell(table, waits, end_ns, task);
	table_add(table, STYLE_plain, "%s", where ? where : "");
	table_add(table, STYLE_plain, "%" PRIu64, task->steps);
	duration_cell(table, task->max_step_ns);
	duration_cell(table, end_ns > task->created_ns ? end_ns - task->created_ns : 0);
	duration_cell(table, task->busy_ns);
}

static void site_row(const struct live_model *model, struct table *table, size_t index)
{
	const struct live_site *site = &model->sites.at[index];
	cleanup(freep) char *where = live_place_text(model, &site->at, 0);
	char ago[DURATION_BYTES];

	table_add(table, STYLE_plain, "%s", site->call);
	table_add(table, STYLE_plain, "%s", site->class);
	table_add(table, STYLE_plain, "%s", where ? where : "?");
	table_add(table, STYLE_plain, "%" PRIu64, site->count);
	duration_cell(table, site->total_ns);
	duration_cell(table, site->longest_ns);
	table_add(table, STYLE_plain, "%s ago",
		duration_text(
			model->now_ns > site->last_ns ? model->now_ns - site->last_ns : 0, ago));
	table_add(table, STYLE_plain, "%s", site->target);
}

static void cell_row(const struct live_model *model, struct table *table, size_t index)
{
	const struct live_cell *cell = &model->cells.at[index];
	struct live_stalls stalls = {0};
	char name[LIVE_CELL_BYTES];

	for (size_t i = 0; i < model->stalls.n; i++)
		if (model->stalls.at[i].cell == cell->id)
			stalls = model->stalls.at[i];
	table_add(table, STYLE_plain, "%s", live_cell_name(cell, name, sizeof(name)));
	table_add(table, STYLE_plain, "%s", cell->status);
	duration_cell(table, (cell->ended_ns ? cell->ended_ns : model->now_ns) - cell->began_ns);
	table_add(table, STYLE_plain, "%" PRIu64, stalls.count);
	duration_cell(table, stalls.ns);
	duration_cell(table, stalls.longest_ns);
	table_add(table, STYLE_plain, "%" PRIu64, cell->tasks);
	table_add(table, STYLE_plain, "%" PRIu64, cell->pending);
	table_add(table, STYLE_plain, "%s", cell->line);
}

int live_table(const struct live_model *model, const struct live_look *look,
	struct live_paper *paper, const size_t *rows, size_t n)
{
	static void (*const row_add[LIVE_VIEWS])(
		const struct live_model *model, struct table *table, size_t index) = {
		[LIVE_LOOPS] = loop_row,
		[LIVE_TASKS] = task_row,
		[LIVE_SITES] = site_row,
		[LIVE_CELLS] = cell_row,
	};
	struct table table = tables[look->view];
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		row_add[look->view](model, &table, rows[i]);
	if (n)
		rc = live_table_lines(paper, &table);
	table_free(&table);
	return rc;
}
