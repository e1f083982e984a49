/* All about one row of the live view. */
#include <errno.h>
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "viewer/live_page.h"
#include "viewer/names.h"
#include "viewer/text_parts.h"

#define FRAMES_MOST 60
#define SOURCE_LINES 500

static void time_line(struct live_paper *paper, const char *what, uint64_t ns)
{
	char text[DURATION_BYTES];

	live_line(paper, STYLE_plain, "  %-14s %s", what, ns ? duration_text(ns, text) : "-");
}

static void place_line(
	const struct live_model *model, struct live_paper *paper, const struct live_place *place)
{
	cleanup(freep) char *where = live_place_text(model, place, paper->near);

	if (place->file)
		live_line(paper, STYLE_plain, "    %s  %s", where ? where : "?", place->function);
	else
		live_line(paper, STYLE_dim, "    not seen: before the recording");
}

/* ---- a loop */

static void causes_lines(struct live_paper *paper, const struct causes *causes)
{
	for (int i = 0; i < CAUSE_COUNT; i++)
		if (causes->ns[i])
			time_line(paper, cause_keys[i], causes->ns[i]);
}

static void lag_line(const struct live_model *model, struct live_paper *paper, const char *what,
	const struct lag *lag, uint64_t ns)
{
	char text[LIVE_LAG_BYTES];

	live_line(paper, STYLE_plain, "  %-14s %s", what,
		live_lag_text(model, lag, ns, text, sizeof(text)));
}

static int loop_detail(struct live_model *model, int64_t id, struct live_paper *paper)
{
	const struct live_loop *loop = live_loop_of(model, id);
	const struct live_figures *f = loop ? &loop->figures : NULL;

	if (!loop)
		return -ENOENT;
	live_line(paper, STYLE_bold, "Loop on %s (%s)", loop->thread_name, loop->kind);
	live_line(paper, STYLE_plain, "  %-14s %" PRIu64, "iterations", loop->iterations);
	time_line(paper, "busy", loop->busy_ns);
	time_line(paper, "in select", loop->select_ns);
	time_line(paper, "longest", loop->max_busy_ns);
	live_line(paper, STYLE_bold, "In the window");
	time_line(paper, "window", f->window_ns);
	live_line(paper, STYLE_plain, "  %-14s %" PRIu64, "iterations", f->iterations);
	time_line(paper, "busy", f->busy_ns);
	lag_line(model, paper, "lag p50", &f->lag, f->lag.p50_ns);
	lag_line(model, paper, "lag p90", &f->lag, f->lag.p90_ns);
	lag_line(model, paper, "lag p99", &f->lag, f->lag.p99_ns);
	lag_line(model, paper, "lag max", &f->lag, f->lag.max_ns);
	live_line(paper, STYLE_bold, "What it was busy with");
	causes_lines(paper, &f->causes);
	if (!loop->held.begin_ns)
		return 0;
	live_line(paper, STYLE_red, "Held now");
	time_line(paper, "for", model->now_ns - loop->held.begin_ns);
	return loop->held.stack ? live_stack(model, paper, loop->held.stack, FRAMES_MOST) : 0;
}

/* ---- a task */

static const struct live_task *task_of(const struct live_model *model, int64_t id)
{
	for (size_t i = 0; i < model->tasks.n; i++)
		if (model->tasks.at[i].id == id)
			return &model->tasks.at[i];
	return NULL;
}

static int born_lines(
	struct live_model *model, struct live_paper *paper, const struct live_task *task)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_task_born);
	int64_t stack = 0;
	int rc;

	if (!rows)
		return -EIO;
	sqlite3_bind_int64(rows, 1, task->id);
	rc = trace_next(model->trace, rows);
	if (rc < 0)
		return rc;
	if (rc) {
		const char *parent = column_text(rows, 4);

		stack = sqlite3_column_int64(rows, 0);
		if (*column_text(rows, 1))
			live_line(
				paper, STYLE_red, "  %-14s %s", "exception", column_text(rows, 1));
		if (*parent)
			live_line(paper, STYLE_bold, "Created by task %s of %s",
				column_text(rows, 3), parent);
		else
			live_line(paper, STYLE_bold, "Created");
	}
	sqlite3_reset(rows);
	if (stack)
		return live_stack(model, paper, stack, FRAMES_MOST);
	place_line(model, paper, &task->created);
	return 0;
}

static int task_detail(struct live_model *model, int64_t id, struct live_paper *paper)
{
	const struct live_task *task = task_of(model, id);
	const struct live_cell *cell = task ? live_cell_of(model, task->cell) : NULL;
	const struct live_loop *loop = task ? live_loop_of(model, task->loop) : NULL;
	uint64_t end_ns;
	char name[LIVE_CELL_BYTES];
	int rc = 0;

	if (!task)
		return -ENOENT;
	paper->near = task->cell;
	end_ns = task->ended_ns ? task->ended_ns : model->now_ns;
	live_line(paper, STYLE_bold, "Task %s of %s", task->name, task->coro);
	live_line(paper, STYLE_plain, "  %-14s %s%s", "state", live_task_state_text(model, task),
		task->leaked ? ", leaked" : "");
	if (cell)
		live_line(paper, STYLE_plain, "  %-14s %s", "cell",
			live_cell_name(cell, name, sizeof(name)));
	if (loop)
		live_line(paper, STYLE_plain, "  %-14s %s", "loop on", loop->thread_name);
	time_line(paper, "age", end_ns - task->created_ns);
	live_line(paper, STYLE_plain, "  %-14s %" PRIu64, "steps", task->steps);
	time_line(paper, "busy", task->busy_ns);
	time_line(paper, "longest step", task->max_step_ns);
	if (loop && loop->held.task == id && loop->held.stack) {
		live_line(paper, STYLE_red, "It runs, and holds the loop");
		rc = live_stack(model, paper, loop->held.stack, FRAMES_MOST);
	} else if (*task->awaiting && !task->ended_ns) {
		char since[DURATION_BYTES];

		live_line(paper, STYLE_bold, "Waits for %s, since %s", task->awaiting,
			task->last_ns ? duration_text(end_ns - task->last_ns, since)
				      : "before the recording");
		if (task->await_stack)
			rc = live_stack(model, paper, task->await_stack, FRAMES_MOST);
		else
			place_line(model, paper, &task->await);
	}
	return rc ? rc : born_lines(model, paper, task);
}

/* ---- a place that blocks */

static int site_detail(struct live_model *model, int64_t id, struct live_paper *paper)
{
	const struct live_site *site = NULL;

	for (size_t i = 0; i < model->sites.n && !site; i++)
		if (model->sites.at[i].id == id)
			site = &model->sites.at[i];
	if (!site)
		return -ENOENT;
	live_line(paper, STYLE_bold, "%s", site->call);
	live_line(paper, STYLE_plain, "  %-14s %s", "class", site->class);
	if (*site->target)
		live_line(paper, STYLE_plain, "  %-14s %s", "target", site->target);
	live_line(paper, STYLE_plain, "  %-14s %" PRIu64, "calls", site->count);
	time_line(paper, "in all", site->total_ns);
	time_line(paper, "longest", site->longest_ns);
	live_line(paper, STYLE_bold, "The longest was called by");
	if (site->stack)
		return live_stack(model, paper, site->stack, FRAMES_MOST);
	place_line(model, paper, &site->at);
	return 0;
}

/* ---- a cell */

static int source_lines(struct live_model *model, struct live_paper *paper, int64_t id)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_source);
	const char *p;
	int rc;

	if (!rows)
		return -EIO;
	sqlite3_bind_int64(rows, 1, id);
	rc = trace_next(model->trace, rows);
	p = rc == 1 ? column_text(rows, 0) : "";
	for (int i = 1; *p && i <= SOURCE_LINES; i++) {
		size_t n = strcspn(p, "\n");

		live_line(paper, STYLE_plain, "  %4d  %.*s", i, (int)n, p);
		p += n + (p[n] == '\n');
	}
	sqlite3_reset(rows);
	return rc < 0 ? rc : 0;
}

static int cell_detail(struct live_model *model, int64_t id, struct live_paper *paper)
{
	const struct live_cell *cell = live_cell_of(model, id);
	char name[LIVE_CELL_BYTES];

	if (!cell)
		return -ENOENT;
	live_line(paper, STYLE_bold, "%s", live_cell_name(cell, name, sizeof(name)));
	live_line(paper, STYLE_plain, "  %-14s %s", "status", cell->status);
	time_line(
		paper, "wall", (cell->ended_ns ? cell->ended_ns : model->now_ns) - cell->began_ns);
	live_line(paper, STYLE_plain, "  %-14s %" PRIu64 ", %" PRIu64 " pending", "tasks",
		cell->tasks, cell->pending);
	live_line(paper, STYLE_bold, "Its source");
	return source_lines(model, paper, id);
}

int live_detail(struct live_model *model, enum live_view view, int64_t id, struct live_paper *paper)
{
	static int (*const details[LIVE_VIEWS])(
		struct live_model * model, int64_t id, struct live_paper * paper) = {
		[LIVE_LOOPS] = loop_detail,
		[LIVE_TASKS] = task_detail,
		[LIVE_SITES] = site_detail,
		[LIVE_CELLS] = cell_detail,
	};

	return details[view](model, id, paper);
}
