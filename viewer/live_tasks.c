/*
 * Tasks in the live view. Each new row is read once; of those that had not ended the row is read
 * again, some at a time where they are many.
 */
#include "viewer/live_model.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull
#define TASKS_MOST 20000u             /* kept; of later ones only the number is */
#define ENDED_SHOWN_NS (3 * NS_PER_S) /* after its end */
#define NAME_MOST 200                 /* bytes of a name or what is waited for */

enum column { /* of LIVE_TASK in query.def */
	COLUMN_id,
	COLUMN_process,
	COLUMN_loop,
	COLUMN_cell,
	COLUMN_runs_cell,
	COLUMN_name,
	COLUMN_coro,
	COLUMN_user,
	COLUMN_created_ns,
	COLUMN_file,
	COLUMN_line,
	COLUMN_function,
	COLUMN_ended_ns,
	COLUMN_state,
	COLUMN_steps,
	COLUMN_busy_ns,
	COLUMN_max_step_ns,
	COLUMN_last_ns,
	COLUMN_awaiting,
	COLUMN_await_stack,
	COLUMN_await_file,
	COLUMN_await_line,
	COLUMN_await_function,
	COLUMN_leaked,
};

static void task_end(struct live_task *task)
{
	free(task->name);
	free(task->awaiting);
	free(task->state);
}

void live_tasks_free(struct live_model *model)
{
	for (size_t i = 0; i < model->tasks.n; i++)
		task_end(&model->tasks.at[i]);
	free(model->tasks.at);
}

/* The text of a column in place of the one before. */
static int text_renew(char **text, sqlite3_stmt *rows, int column)
{
	const char *new = column_text(rows, column);

	if (*text && !strcmp(*text, new))
		return 0;
	free(*text);
	*text = strndup(new, NAME_MOST);
	return *text ? 0 : -ENOMEM;
}

/* What can change. */
static int task_renew(struct live_model *model, struct live_task *task, sqlite3_stmt *rows)
{
	task->loop = sqlite3_column_int64(rows, COLUMN_loop);
	task->cell = sqlite3_column_int64(rows, COLUMN_cell);
	task->runs_cell = sqlite3_column_int(rows, COLUMN_runs_cell) != 0;
	task->ended_ns = column_ns(rows, COLUMN_ended_ns);
	task->steps = column_ns(rows, COLUMN_steps);
	task->busy_ns = column_ns(rows, COLUMN_busy_ns);
	task->max_step_ns = column_ns(rows, COLUMN_max_step_ns);
	task->last_ns = column_ns(rows, COLUMN_last_ns);
	task->await_stack = sqlite3_column_int64(rows, COLUMN_await_stack);
	task->leaked = sqlite3_column_int(rows, COLUMN_leaked) != 0;
	if (text_renew(&task->name, rows, COLUMN_name) ||
		text_renew(&task->state, rows, COLUMN_state) ||
		text_renew(&task->awaiting, rows, COLUMN_awaiting))
		return -ENOMEM;
	return live_place_of(model, rows, COLUMN_await_file, &task->await);
}

static int task_take(struct live_model *model, sqlite3_stmt *rows)
{
	struct live_task *task;

	model->task_id = sqlite3_column_int64(rows, COLUMN_id);
	if (sqlite3_column_type(rows, COLUMN_ended_ns) != SQLITE_NULL &&
		!sqlite3_column_int(rows, COLUMN_leaked))
		return 0;
	if (model->tasks.n >= TASKS_MOST) {
		model->tasks_cut++;
		return 0;
	}
	task = list_add(&model->tasks);
	if (!task)
		return -ENOMEM;
	task->id = model->task_id;
	task->process = sqlite3_column_int64(rows, COLUMN_process);
	task->user = sqlite3_column_int(rows, COLUMN_user) != 0;
	task->created_ns = column_ns(rows, COLUMN_created_ns);
	task->coro = live_text(model, rows, COLUMN_coro);
	if (!task->coro || live_place_of(model, rows, COLUMN_file, &task->created))
		return -ENOMEM;
	if (task->user)
		live_loop_is_users(model, sqlite3_column_int64(rows, COLUMN_loop));
	return task_renew(model, task, rows);
}

static int again(struct live_model *model, struct live_task *task)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_task);
	int rc;

	if (!rows)
		return -EIO;
	sqlite3_bind_int64(rows, 1, task->id);
	rc = trace_next(model->trace, rows);
	if (rc != 1) {
		task->gone = !rc; /* --keep took it */
		return rc;
	}
	return task_renew(model, task, rows);
}

/* Each of the first n once, beginning where the last reading stopped. */
static int all_again(struct live_model *model, size_t n, uint64_t deadline_ns)
{
	int rc = 0;

	for (size_t i = 0; i < n && !rc && !live_late(deadline_ns); i++) {
		struct live_task *task = &model->tasks.at[model->task_next++ % n];

		model->task_next %= n;
		if (!task->ended_ns)
			rc = again(model, task);
	}
	return rc;
}

static bool is_over(const struct live_model *model, const struct live_task *task)
{
	return task->gone ||
	       (task->ended_ns && !task->leaked && task->ended_ns + ENDED_SHOWN_NS < model->now_ns);
}

static void over_forget(struct live_model *model)
{
	size_t left = 0;

	for (size_t i = 0; i < model->tasks.n; i++) {
		if (is_over(model, &model->tasks.at[i]))
			task_end(&model->tasks.at[i]);
		else
			model->tasks.at[left++] = model->tasks.at[i];
	}
	model->tasks.n = left;
}

static void cells_count(struct live_model *model)
{
	for (size_t i = 0; i < model->tasks.n; i++) {
		const struct live_task *task = &model->tasks.at[i];
		struct live_cell *cell = live_cell_of(model, task->cell);

		if (cell && !task->ended_ns)
			cell->pending++;
	}
}

int live_tasks_read(struct live_model *model, uint64_t deadline_ns, uint64_t again_ns)
{
	sqlite3_stmt *rows = live_rows(model, QUERY_live_task_new);
	size_t old = model->tasks.n;
	int rc = rows ? 0 : -EIO;

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, model->task_id);
	while (!rc && (rc = trace_next(model->trace, rows)) == 1) {
		rc = task_take(model, rows);
		if (rc || !live_late(deadline_ns))
			continue;
		model->behind = true;
		break;
	}
	if (!rc)
		rc = all_again(model, old, again_ns);
	over_forget(model);
	cells_count(model);
	return rc;
}

const struct live_loop *live_task_holds(
	const struct live_model *model, const struct live_task *task)
{
	for (size_t i = 0; i < model->loops.n && !task->ended_ns; i++)
		if (model->loops.at[i].held.task == task->id)
			return &model->loops.at[i];
	return NULL;
}

enum live_state live_task_state(const struct live_model *model, const struct live_task *task)
{
	if (task->ended_ns)
		return LIVE_ENDED;
	if (live_task_holds(model, task))
		return LIVE_RUNNING;
	if (*task->awaiting)
		return LIVE_WAITING;
	return task->steps ? LIVE_READY : LIVE_NEW;
}
