/*
 * Walks from the end of a wait to its begin along the edges of who woke whom. What no wait explains
 * is charged to the blocking calls of that time, then to the loop. Called by the text and JSON
 * reports.
 */
#include "viewer/path.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/rule.h"

#define PART_SHARE 20 /* a wait of less than --stall/20 is no link of its own */
#define PATH_SHARE 50 /* nor is one of less than a part in so many of a path */
#define PATHS_MOST 5
#define CANDIDATES_MOST 500 /* waits that are looked at for these */
#define LINKS_MOST 64       /* of a path; more are added to their parent's PATH_ran */
#define DEPTH_MOST 8
#define ROWS_MOST                                                                                  \
	500000 /* waits and tasks read; the longest of a trace with more are not all seen */

struct path_wait {
	int64_t task, on_task, woken_by, stack;
	uint64_t begin_ns, end_ns, set_ns;
	bool set_seen;
	int64_t thread;
	const char *what, *how;
};

typedef LIST(struct path_wait) wait_list;

struct child {
	int64_t parent, task;
	uint64_t created_ns, ended_ns;
};

struct timer { /* that was late by a part worth a link */
	int64_t task;
	uint64_t due_ns, seen_ns;
};

struct window { /* of a task that a path has told already */
	int64_t task;
	uint64_t from_ns, to_ns;
};

struct stack_place {
	int64_t stack;
	struct place place; /* file NULL: no user code */
};

struct task_row {
	int process, loop, cell;
	const char *name, *coro;
	uint64_t created_ns;
};

struct walk {
	struct report *report;
	wait_list longest;           /* longest first */
	wait_list waits;             /* by task and begin */
	uint64_t from_ns, to_ns;     /* from the first begin of the longest to their last end */
	uint64_t part_ns;            /* shorter waits are no links */
	LIST(struct child) children; /* by parent and end */
	LIST(struct timer) timers;   /* by task and when they were seen */
	LIST(struct window) told;
	LIST(struct stack_place) places;
	struct path *path;
};

const char *path_kind_name(enum path_kind kind)
{
	static const char *const names[] = {
		"task", "woken", "slept", "thread", "waited", "held", "late", "ran"};

	return names[kind];
}

/* ---- reading */

static int wait_take(struct walk *walk, wait_list *waits, sqlite3_stmt *rows)
{
	struct path_wait *w = list_add(waits);

	if (!w)
		return -ENOMEM;
	w->task = sqlite3_column_int64(rows, 0);
	w->begin_ns = column_ns(rows, 1);
	w->end_ns = w->begin_ns + column_ns(rows, 2);
	w->what = keep_column(walk->report, rows, 3);
	w->on_task = sqlite3_column_int64(rows, 4);
	w->how = keep_column(walk->report, rows, 5);
	w->woken_by = sqlite3_column_int64(rows, 6);
	w->thread = sqlite3_column_int64(rows, 7);
	w->set_seen = sqlite3_column_type(rows, 8) != SQLITE_NULL;
	w->set_ns = column_ns(rows, 8);
	w->stack = sqlite3_column_int64(rows, 9);
	return w->what && w->how ? 0 : -ENOMEM;
}

static int waits_read(
	struct walk *walk, enum query query, uint64_t least_ns, int most, wait_list *waits)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(walk->report->trace, query, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)least_ns);
	sqlite3_bind_int(rows, 2, most);
	sqlite3_bind_int64(rows, 3, (sqlite3_int64)walk->from_ns); /* the longest ask for none */
	sqlite3_bind_int64(rows, 4, (sqlite3_int64)walk->to_ns);
	while ((rc = trace_next(walk->report->trace, rows)) == 1)
		if (wait_take(walk, waits, rows))
			return -ENOMEM;
	return rc;
}

/* The name of a thread, "" where it is not known. */
static int thread_name(struct walk *walk, int64_t thread, const char **ret)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(walk->report->trace, QUERY_path_thread, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, thread);
	rc = trace_next(walk->report->trace, rows);
	if (rc < 0)
		return rc;
	*ret = string_keep(&walk->report->strings, rc ? column_text(rows, 0) : "");
	return *ret ? 0 : -ENOMEM;
}

static int children_read(struct walk *walk)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = walk->report;
	int rc = trace_rows(report->trace, QUERY_path_child, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)walk->part_ns);
	sqlite3_bind_int(rows, 2, ROWS_MOST);
	while ((rc = trace_next(report->trace, rows)) == 1) {
		struct child *c = list_add(&walk->children);

		if (!c)
			return -ENOMEM;
		c->parent = sqlite3_column_int64(rows, 0);
		c->task = sqlite3_column_int64(rows, 1);
		c->created_ns = column_ns(rows, 2);
		c->ended_ns = column_ns(rows, 3);
	}
	return rc;
}

static int late_timers_read(struct walk *walk)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(walk->report->trace, QUERY_task_timer, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, (sqlite3_int64)walk->part_ns);
	while ((rc = trace_next(walk->report->trace, rows)) == 1) {
		struct timer *timer = list_add(&walk->timers);

		if (!timer)
			return -ENOMEM;
		*timer = (struct timer){
			sqlite3_column_int64(rows, 0), column_ns(rows, 1), column_ns(rows, 2)};
	}
	return rc;
}

/* 1: it is there; 0: it is not. */
static int task_read(struct walk *walk, int64_t task, struct task_row *ret)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = walk->report;
	int rc = trace_rows(report->trace, QUERY_path_task, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, task);
	rc = trace_next(report->trace, rows);
	if (rc != 1)
		return rc;
	ret->process = process_index(report, sqlite3_column_int64(rows, 0));
	ret->loop = loop_index(report, sqlite3_column_int64(rows, 1));
	ret->cell = cell_index(report, sqlite3_column_int64(rows, 2));
	ret->name = keep_column(report, rows, 3);
	ret->coro = keep_column(report, rows, 4);
	ret->created_ns = column_ns(rows, 5);
	return ret->name && ret->coro ? 1 : -ENOMEM;
}

/* The innermost frame of user code in a chain of coroutines. */
static int place_find(struct walk *walk, int64_t stack, struct place *ret)
{
	frame_list frames = {0};
	struct stack_place *p;
	int rc;

	for (size_t i = 0; i < walk->places.n; i++)
		if (walk->places.at[i].stack == stack) {
			*ret = walk->places.at[i].place;
			return 0;
		}
	p = list_add(&walk->places);
	if (!p)
		return -ENOMEM;
	p->stack = stack;
	rc = stack ? report_stack(walk->report, stack, &frames) : 0;
	for (size_t i = 0; i < frames.n && !p->place.file; i++)
		if (frames.at[i].user)
			p->place = frames.at[i].place;
	free(frames.at);
	*ret = p->place;
	return rc;
}

/* ---- links */

static struct path_link *link_find(struct path *path, const struct path_link *like)
{
	for (size_t i = 0; i < path->links.n; i++) {
		struct path_link *l = &path->links.at[i];

		if (l->parent == like->parent && l->kind == like->kind && l->what == like->what &&
			l->task == like->task && l->coro == like->coro &&
			l->place.file == like->place.file && l->place.line == like->place.line)
			return l;
	}
	return NULL;
}

/* Texts are of the report's set, so that equal ones are one. Returns an index or -ENOMEM. */
static int link_charge(struct walk *walk, struct path_link link, uint64_t ns)
{
	struct path *path = walk->path;
	struct path_link *l;

	if (!link.what)
		link.what = string_keep(&walk->report->strings, "");
	if (!link.task)
		link.task = string_keep(&walk->report->strings, "");
	if (!link.coro)
		link.coro = string_keep(&walk->report->strings, "");
	if (!link.what || !link.task || !link.coro)
		return -ENOMEM;
	l = link_find(path, &link);
	if (!l) {
		l = list_add(&path->links);
		if (!l)
			return -ENOMEM;
		*l = link;
	}
	l->count++;
	l->ns += ns;
	return (int)(l - path->links.at);
}

/* First call of a loop that ends after `from`. */
static size_t call_after(const struct report *report, int loop, uint64_t from)
{
	size_t low = 0, high = report->calls.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct call *c = &report->calls.at[mid];

		if (c->loop < loop || (c->loop == loop && c->end_ns <= from))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* A time in which nothing was waited for: the blocking calls in it, and the rest. */
static int busy_charge(
	struct walk *walk, size_t parent, int loop, uint64_t from, uint64_t to, enum path_kind rest)
{
	const struct report *report = walk->report;
	uint64_t rest_ns = to - from;

	for (size_t i = call_after(report, loop, from); i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];
		const struct site *site = &report->sites.at[c->site];
		uint64_t begin = c->begin_ns > from ? c->begin_ns : from;
		uint64_t end = c->end_ns < to ? c->end_ns : to;
		struct path_link link = {.parent = parent,
			.kind = PATH_held,
			.what = site->words,
			.place = site->place};

		if (c->loop != loop || c->begin_ns >= to)
			break;
		if (end <= begin || walk->path->links.n >= LINKS_MOST)
			continue;
		if (link_charge(walk, link, end - begin) < 0)
			return -ENOMEM;
		rest_ns -= end - begin < rest_ns ? end - begin : rest_ns;
	}
	if (rest_ns &&
		link_charge(walk, (struct path_link){.parent = parent, .kind = rest}, rest_ns) < 0)
		return -ENOMEM;
	return 0;
}

/* ---- the walk */

static int task_explain(struct walk *walk, size_t parent, int64_t task, int loop, uint64_t from,
	uint64_t to, unsigned int depth);

/* The child that ended last, of a task that waits for several: gather(), wait(), a TaskGroup. 0:
 * none. */
static int64_t last_child(const struct walk *walk, int64_t parent, uint64_t from, uint64_t to)
{
	size_t low = 0, high = walk->children.n;
	const struct child *c;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		c = &walk->children.at[mid];
		if (c->parent < parent || (c->parent == parent && c->ended_ns <= to))
			low = mid + 1;
		else
			high = mid;
	}
	c = low ? &walk->children.at[low - 1] : NULL;
	return c && c->parent == parent && c->ended_ns > from ? c->task : 0;
}

/* When the task could have gone on: a late timer was due before it was seen. */
static uint64_t ready_ns(const struct walk *walk, const struct path_wait *w, uint64_t to)
{
	uint64_t set = w->set_seen && w->set_ns < to ? w->set_ns : to;
	size_t low = 0, high = walk->timers.n;
	const struct timer *t;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		t = &walk->timers.at[mid];
		if (t->task < w->task || (t->task == w->task && t->seen_ns <= w->end_ns))
			low = mid + 1;
		else
			high = mid;
	}
	t = low ? &walk->timers.at[low - 1] : NULL;
	if (t && t->task == w->task && t->due_ns >= w->begin_ns && t->due_ns < set &&
		!strcmp(w->how, "timer"))
		set = t->due_ns;
	return set;
}

/* The wait until `task` woke or ended, which is on the path from here on. */
static int target_explain(struct walk *walk, struct path_link link, int64_t task, uint64_t from,
	uint64_t to, unsigned int depth)
{
	struct task_row row;
	int rc = task_read(walk, task, &row), at;

	if (rc < 0)
		return rc;
	if (rc) {
		link.task = row.name;
		link.coro = row.coro;
	}
	at = link_charge(walk, link, to - from);
	if (at < 0 || !rc || depth >= DEPTH_MOST || walk->path->links.n >= LINKS_MOST)
		return at < 0 ? at : 0;
	if (row.created_ns > from && row.created_ns < to) {
		link = (struct path_link){.parent = (size_t)at, .kind = PATH_ran};
		if (link_charge(walk, link, row.created_ns - from) < 0)
			return -ENOMEM;
		from = row.created_ns;
	}
	return task_explain(walk, (size_t)at, task, row.loop, from, to, depth + 1);
}

static int wait_explain(struct walk *walk, size_t parent, const struct path_wait *w, int loop,
	uint64_t from, uint64_t to, unsigned int depth)
{
	struct path_link link = {.parent = parent, .what = w->what};
	uint64_t set = ready_ns(walk, w, to);
	int64_t child = 0;
	int rc = place_find(walk, w->stack, &link.place);

	if (!rc && set < from)
		set = from;
	if (!rc && set < to)
		rc = busy_charge(walk, parent, loop, set, to, PATH_late);
	if (rc || set == from)
		return rc;
	if (!w->on_task && (!w->woken_by || w->woken_by == w->task) && strcmp(w->how, "timer") != 0)
		child = last_child(walk, w->task, w->begin_ns, set);
	link.kind = !strcmp(w->how, "timer")    ? PATH_slept
		    : !strcmp(w->how, "thread") ? PATH_thread
						: PATH_waited;
	if (w->on_task || child) {
		link.kind = PATH_task;
		return target_explain(
			walk, link, w->on_task ? w->on_task : child, from, set, depth);
	}
	if (w->woken_by && w->woken_by != w->task && link.kind != PATH_slept) {
		link.kind = PATH_woken;
		return target_explain(walk, link, w->woken_by, from, set, depth);
	}
	if (link.kind == PATH_thread && thread_name(walk, w->thread, &link.task))
		return -ENOMEM;
	rc = link_charge(walk, link, set - from);
	return rc < 0 ? rc : 0;
}

/* Index after the last wait of the task that begins before `to`. */
static size_t wait_after(const struct walk *walk, int64_t task, uint64_t to)
{
	size_t low = 0, high = walk->waits.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct path_wait *w = &walk->waits.at[mid];

		if (w->task < task || (w->task == task && w->begin_ns < to))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static int task_explain(struct walk *walk, size_t parent, int64_t task, int loop, uint64_t from,
	uint64_t to, unsigned int depth)
{
	struct window *told = list_add(&walk->told);
	size_t i = wait_after(walk, task, to);
	int rc = 0;

	if (!told)
		return -ENOMEM;
	*told = (struct window){task, from, to};
	while (to > from && !rc) {
		const struct path_wait *w =
			i && walk->waits.at[i - 1].task == task ? &walk->waits.at[i - 1] : NULL;
		uint64_t ran = w && w->end_ns > from ? w->end_ns : from;

		if (ran < to) {
			rc = busy_charge(walk, parent, loop, ran, to, PATH_ran);
			to = ran;
		}
		if (rc || !w || w->end_ns <= from)
			break;
		ran = w->begin_ns > from ? w->begin_ns : from;
		if (ran < to)
			rc = wait_explain(walk, parent, w, loop, ran, to, depth);
		to = ran < to ? ran : to;
		i--;
	}
	return rc;
}

/* ---- which waits */

static bool is_told(const struct walk *walk, const path_list *paths, const struct path_wait *w,
	const struct place *place)
{
	for (size_t i = 0; i < walk->told.n; i++)
		if (walk->told.at[i].task == w->task && walk->told.at[i].from_ns <= w->begin_ns &&
			walk->told.at[i].to_ns >= w->end_ns)
			return true;
	for (size_t i = 0; i < paths->n; i++)
		if (paths->at[i].place.file == place->file &&
			paths->at[i].place.line == place->line)
			return true;
	return false;
}

static bool leads_on(const struct path *path)
{
	for (size_t i = 0; i < path->links.n; i++)
		if (path->links.at[i].kind == PATH_task || path->links.at[i].kind == PATH_woken)
			return true;
	return false;
}

static int path_make(struct walk *walk, path_list *paths, const struct path_wait *w)
{
	size_t told = walk->told.n;
	struct place place;
	struct task_row row;
	struct path *path;
	int rc = place_find(walk, w->stack, &place);

	if (rc || !place.file || is_told(walk, paths, w, &place))
		return rc;
	rc = task_read(walk, w->task, &row);
	if (rc != 1 || (row.loop != NONE && walk->report->loops.at[row.loop].machinery))
		return rc < 0 ? rc : 0;
	path = list_add(paths);
	if (!path)
		return -ENOMEM;
	*path = (struct path){.process = row.process,
		.loop = row.loop,
		.cell = row.cell,
		.task = w->task,
		.name = row.name,
		.coro = row.coro,
		.what = w->what,
		.place = place,
		.begin_ns = w->begin_ns,
		.ns = w->end_ns - w->begin_ns,
		.part_ns = walk->part_ns};
	walk->path = path;
	rc = wait_explain(walk, PATH_ROOT, w, row.loop, w->begin_ns, w->end_ns, 0);
	if (rc || leads_on(path))
		return rc;
	free(path->links.at);
	paths->n--;
	walk->told.n = told;
	return 0;
}

/* What is read of the rest: the time of the longest waits, and parts that can matter in those. */
static void walk_bound(struct walk *walk)
{
	const wait_list *longest = &walk->longest;
	size_t told = longest->n < PATHS_MOST ? longest->n : PATHS_MOST;
	const struct path_wait *last = &longest->at[told - 1];

	walk->part_ns = walk->report->stall_ns / PART_SHARE;
	if ((last->end_ns - last->begin_ns) / PATH_SHARE > walk->part_ns)
		walk->part_ns = (last->end_ns - last->begin_ns) / PATH_SHARE;
	walk->from_ns = UINT64_MAX;
	for (size_t i = 0; i < longest->n; i++) {
		const struct path_wait *w = &longest->at[i];

		walk->from_ns = w->begin_ns < walk->from_ns ? w->begin_ns : walk->from_ns;
		walk->to_ns = w->end_ns > walk->to_ns ? w->end_ns : walk->to_ns;
	}
}

static int walk_all(struct walk *walk, path_list *paths)
{
	int rc = waits_read(
		walk, QUERY_path_longest, walk->report->stall_ns, CANDIDATES_MOST, &walk->longest);

	if (rc || !walk->longest.n)
		return rc;
	walk_bound(walk);
	rc = waits_read(walk, QUERY_path_wait, walk->part_ns, ROWS_MOST, &walk->waits);
	if (!rc)
		rc = children_read(walk);
	if (!rc)
		rc = late_timers_read(walk);
	for (size_t i = 0; i < walk->longest.n && paths->n < PATHS_MOST && !rc; i++)
		rc = path_make(walk, paths, &walk->longest.at[i]);
	return rc;
}

int paths_find(struct report *report, path_list *ret)
{
	struct walk walk = {.report = report};
	path_list paths = {0};
	int rc = walk_all(&walk, &paths);

	free(walk.longest.at);
	free(walk.waits.at);
	free(walk.children.at);
	free(walk.timers.at);
	free(walk.told.at);
	free(walk.places.at);
	if (rc) {
		paths_free(&paths);
		return rc;
	}
	*ret = paths;
	return 0;
}

void paths_free(path_list *paths)
{
	for (size_t i = 0; i < paths->n; i++)
		free(paths->at[i].links.at);
	free(paths->at);
	*paths = (path_list){0};
}
