/* Which rows a view of the live view has, and in which order. */
#include "viewer/live_page.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_S 1000000000ull
#define KEYS_MOST 5

typedef int (*compare_fn)(const void *a, const void *b, const struct live_model *model);

/* Larger first. */
static int larger(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

/* ---- loops */

static int loop_by_lag(const void *a, const void *b, const struct live_model *model)
{
	const struct live_loop *x = a, *y = b;

	if (!x->held.begin_ns != !y->held.begin_ns)
		return x->held.begin_ns ? -1 : 1;
	return larger(x->figures.lag.max_ns, y->figures.lag.max_ns);
}

static int loop_by_busy(const void *a, const void *b, const struct live_model *model)
{
	const struct live_loop *x = a, *y = b;

	return larger(x->figures.busy_ns, y->figures.busy_ns);
}

static int loop_by_name(const void *a, const void *b, const struct live_model *model)
{
	const struct live_loop *x = a, *y = b;

	return strcmp(x->thread_name, y->thread_name);
}

/* One that has ended before the window has nothing to show. */
static bool loop_is_hidden(
	const struct live_model *model, const struct live_look *look, const void *row)
{
	const struct live_loop *loop = row;

	if (look->seconds && loop->ended_ns &&
		loop->ended_ns + look->seconds * NS_PER_S < model->now_ns)
		return true;
	return !loop->user;
}

/* ---- tasks */

static int task_by_age(const void *a, const void *b, const struct live_model *model)
{
	const struct live_task *x = a, *y = b;

	return larger(y->created_ns, x->created_ns);
}

/* What runs, what could, what waits, what has ended; the longest waits first. */
static int task_by_state(const void *a, const void *b, const struct live_model *model)
{
	const struct live_task *x = a, *y = b;
	int p = (int)live_task_state(model, x), q = (int)live_task_state(model, y);

	return p != q ? p - q : larger(y->last_ns, x->last_ns);
}

static int task_by_busy(const void *a, const void *b, const struct live_model *model)
{
	const struct live_task *x = a, *y = b;

	return larger(x->busy_ns, y->busy_ns);
}

static int task_by_name(const void *a, const void *b, const struct live_model *model)
{
	const struct live_task *x = a, *y = b;
	int order = strcmp(x->coro, y->coro);

	return order ? order : strcmp(x->name, y->name);
}

static bool task_is_hidden(
	const struct live_model *model, const struct live_look *look, const void *row)
{
	const struct live_task *task = row;

	return !task->user;
}

/* ---- blocking calls */

static int site_by_total(const void *a, const void *b, const struct live_model *model)
{
	const struct live_site *x = a, *y = b;

	return larger(x->total_ns, y->total_ns);
}

static int site_by_longest(const void *a, const void *b, const struct live_model *model)
{
	const struct live_site *x = a, *y = b;

	return larger(x->longest_ns, y->longest_ns);
}

static int site_by_count(const void *a, const void *b, const struct live_model *model)
{
	const struct live_site *x = a, *y = b;

	return larger(x->count, y->count);
}

static int site_by_last(const void *a, const void *b, const struct live_model *model)
{
	const struct live_site *x = a, *y = b;

	return larger(x->last_ns, y->last_ns);
}

static bool site_is_hidden(
	const struct live_model *model, const struct live_look *look, const void *row)
{
	const struct live_site *site = row;
	const struct live_loop *loop = live_loop_of(model, site->loop);

	return loop && !loop->user;
}

/* ---- cells */

static int cell_by_time(const void *a, const void *b, const struct live_model *model)
{
	const struct live_cell *x = a, *y = b;

	return larger(x->began_ns, y->began_ns);
}

static uint64_t stall_ns(const struct live_model *model, int64_t cell)
{
	for (size_t i = 0; i < model->stalls.n; i++)
		if (model->stalls.at[i].cell == cell)
			return model->stalls.at[i].ns;
	return 0;
}

static int cell_by_stalls(const void *a, const void *b, const struct live_model *model)
{
	const struct live_cell *x = a, *y = b;

	return larger(stall_ns(model, x->id), stall_ns(model, y->id));
}

static int cell_by_wall(const void *a, const void *b, const struct live_model *model)
{
	const struct live_cell *x = a, *y = b;

	return larger((x->ended_ns ? x->ended_ns : model->now_ns) - x->began_ns,
		(y->ended_ns ? y->ended_ns : model->now_ns) - y->began_ns);
}

static bool cell_is_hidden(
	const struct live_model *model, const struct live_look *look, const void *row)
{
	return false;
}

/* ---- views */

static const struct view {
	const char *name;
	bool (*is_hidden)(
		const struct live_model *model, const struct live_look *look, const void *row);
	struct {
		const char *name;
		compare_fn compare;
	} keys[KEYS_MOST]; /* the first is the one at the beginning */
} views[LIVE_VIEWS] = {
	[LIVE_LOOPS] = {"Loops", loop_is_hidden,
		{{"lag", loop_by_lag}, {"busy", loop_by_busy}, {"thread", loop_by_name}}},
	[LIVE_TASKS] = {"Tasks", task_is_hidden,
		{{"state", task_by_state}, {"age", task_by_age}, {"busy", task_by_busy},
			{"coroutine", task_by_name}}},
	[LIVE_SITES] = {"Blocking", site_is_hidden,
		{{"total", site_by_total}, {"longest", site_by_longest}, {"count", site_by_count},
			{"latest", site_by_last}}},
	[LIVE_CELLS] = {"Cells", cell_is_hidden,
		{{"latest", cell_by_time}, {"stalls", cell_by_stalls}, {"wall", cell_by_wall}}},
};

static size_t rows_of(const struct live_model *model, enum live_view view)
{
	const size_t n[LIVE_VIEWS] = {
		model->loops.n, model->tasks.n, model->sites.n, model->cells.n};

	return n[view];
}

static const void *row_at(const struct live_model *model, enum live_view view, size_t index)
{
	switch (view) {
	case LIVE_LOOPS:
		return &model->loops.at[index];
	case LIVE_TASKS:
		return &model->tasks.at[index];
	case LIVE_SITES:
		return &model->sites.at[index];
	default:
		return &model->cells.at[index];
	}
}

struct sorting {
	const struct live_model *model;
	enum live_view view;
	compare_fn compare;
};

/* Equal ones in the order of the model's list, so that they do not jump about. */
static int indexes_compare(const void *a, const void *b, void *context)
{
	const struct sorting *sorting = context;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;
	int order = sorting->compare(row_at(sorting->model, sorting->view, x),
		row_at(sorting->model, sorting->view, y), sorting->model);

	return order ? order : x < y ? -1 : x > y;
}

int live_sorted(
	const struct live_model *model, const struct live_look *look, struct live_order *ret)
{
	const struct view *view = &views[look->view];
	struct sorting sorting = {model, look->view, view->keys[look->sort[look->view]].compare};
	size_t n = rows_of(model, look->view);
	struct live_order order = {.at = calloc(n + 1, sizeof(*order.at))};

	if (!order.at)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		bool hides = view->is_hidden(model, look, row_at(model, look->view, i));

		if (hides && !look->all)
			order.hidden++;
		else
			order.at[order.n++] = i;
	}
	qsort_r(order.at, order.n, sizeof(*order.at), indexes_compare, &sorting);
	*ret = order;
	return 0;
}

const char *live_view_name(enum live_view view)
{
	return views[view].name;
}

const char *live_sort_name(const struct live_look *look, unsigned int *ret_keys)
{
	const struct view *view = &views[look->view];
	unsigned int n = 0;

	while (n < KEYS_MOST && view->keys[n].name)
		n++;
	*ret_keys = n;
	return view->keys[look->sort[look->view]].name;
}

int64_t live_row_id(const struct live_model *model, enum live_view view, size_t index)
{
	return *(const int64_t *)row_at(model, view, index); /* each begins with its id */
}
