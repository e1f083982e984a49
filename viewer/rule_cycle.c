/* AS212: tasks that wait for each other. */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define PASSES_MAX                                                                                 \
	64u /* beyond, where one of several is enough to go on it is believed to come              \
	     */

struct edge { /* a task and one that it waits for */
	int64_t task, waits_for;
	struct row_place at;
	const char *coro, *name;
	bool one;  /* each such task alone is enough to end the wait */
	bool free; /* something else may end the wait */
	bool lock; /* that one holds it, taken at `held` */
	struct place held;
};

typedef LIST(struct edge) edge_list;

struct cycle_walk {
	const edge_list *edges; /* by task */
	bool *seen;             /* an edge led nowhere, or into a circle that is told */
	size_t *path;           /* edges walked, one from each task */
	size_t depth;
};

/* Columns: task, waits for, process, loop, cell, file, line, function, coro, name, lock, where that
 * was taken, one. */
static int edges_read(struct judge *judge, edge_list *edges)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	int rc = trace_rows(report->trace, QUERY_await_edge, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct edge *e = list_add(edges);

		if (!e)
			return -ENOMEM;
		e->task = sqlite3_column_int64(rows, 0);
		e->waits_for = sqlite3_column_int64(rows, 1);
		e->at.process = process_index(report, sqlite3_column_int64(rows, 2));
		e->at.cell = sqlite3_column_type(rows, 4) == SQLITE_NULL
				     ? NONE
				     : cell_index(report, sqlite3_column_int64(rows, 4));
		e->coro = keep_column(report, rows, 8);
		e->name = keep_column(report, rows, 9);
		e->lock = sqlite3_column_type(rows, 10) != SQLITE_NULL;
		e->one = sqlite3_column_int(rows, 14);
		rc = keep_place(report, rows, 5, &e->at.place);
		if (!rc)
			rc = keep_place(report, rows, 11, &e->held);
		if (rc || !e->coro || !e->name)
			return -ENOMEM;
	}
	return rc;
}

/* The first edge of a task, or edges->n. */
static size_t edge_of(const edge_list *edges, int64_t task)
{
	size_t low = 0, high = edges->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (edges->at[mid].task < task)
			low = mid + 1;
		else
			high = mid;
	}
	return low < edges->n && edges->at[low].task == task ? low : edges->n;
}

static bool is_stuck(const edge_list *edges, int64_t task)
{
	size_t at = edge_of(edges, task);

	return at < edges->n && !edges->at[at].free;
}

/* Whether a task with those edges goes on once those that are not stuck have ended. */
static bool goes_on(const edge_list *edges, size_t first, size_t end)
{
	bool waits = false;

	for (size_t i = first; i < end; i++) {
		bool stuck = is_stuck(edges, edges->at[i].waits_for);

		if (edges->at[i].one && !stuck)
			return true;
		waits |= stuck;
	}
	return !waits;
}

/* Leaves the tasks that wait for nothing but each other. */
static void edges_prune(edge_list *edges)
{
	bool changed = true;
	size_t left = 0;

	for (unsigned int pass = 0; pass < PASSES_MAX && changed; pass++) {
		changed = false;
		for (size_t i = 0, end; i < edges->n; i = end) {
			for (end = i + 1;
				end < edges->n && edges->at[end].task == edges->at[i].task;)
				end++;
			if (edges->at[i].free || !goes_on(edges, i, end))
				continue;
			changed = true;
			for (size_t k = i; k < end; k++)
				edges->at[k].free = true;
		}
	}
	for (size_t i = 0; i < edges->n; i++)
		if (!edges->at[i].free && !(edges->at[i].one && changed))
			edges->at[left++] = edges->at[i];
	edges->n = left;
}

/* "left waits for right waits for left". malloc'd; NULL: out of memory. */
static char *cycle_names(const struct cycle_walk *w, size_t first)
{
	char *names = NULL;
	size_t size;
	FILE *out = open_memstream(&names, &size);

	for (size_t i = first; out && i < w->depth; i++)
		fprintf(out, "%s waits for ", w->edges->at[w->path[i]].coro);
	if (out)
		fputs(w->depth - first > 1 ? w->edges->at[w->path[first]].coro : "itself", out);
	if (out && fclose(out)) {
		free(names);
		return NULL;
	}
	return names;
}

static void place_put(const struct judge *judge, const struct edge *e, const char *word,
	const struct place *place, FILE *out)
{
	if (!place->file)
		return;
	fprintf(out, " %s ", word);
	place_print(judge->report, e->at.cell, place, out);
}

/*
 * The same with locks in it: "Task-2 (transfer) holds a lock, taken in app.py:4, and waits in
 * app.py:6 for the one of Task-3 (transfer); ...", from the holder of a lock on.
 */
static char *cycle_locks(const struct judge *judge, const struct cycle_walk *w, size_t first)
{
	size_t size, n = w->depth - first;
	const struct edge *before = &w->edges->at[w->path[w->depth - 1]];
	char *text = NULL;
	FILE *out = open_memstream(&text, &size);

	for (size_t i = 0; out && i < n; i++) {
		const struct edge *e = &w->edges->at[w->path[first + i]];
		const struct edge *next = &w->edges->at[w->path[first + (i + 1) % n]];

		fprintf(out, "%s%s (%s) ", i ? "; " : "", e->name, e->coro);
		if (before->lock) {
			fputs("holds a lock", out);
			place_put(judge, e, "taken in", &before->held, out);
			fputs(" and ", out);
		}
		fputs("waits", out);
		place_put(judge, e, "in", &e->at.place, out);
		if (n == 1)
			fputs(" for it again", out);
		else
			fprintf(out, e->lock ? " for the lock of %s" : " for %s", next->name);
		before = e;
	}
	if (out && fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* The circle is path[first] on; it is told at its first await in user code. */
static int cycle_find(
	struct judge *judge, const struct rule *rule, const struct cycle_walk *w, size_t first)
{
	cleanup(freep) char *names = cycle_names(w, first), *locks = NULL;
	const struct edge *at = NULL;
	size_t n = w->depth - first, by_locks = 0;
	struct finding *f;

	for (size_t i = first; i < w->depth; i++) {
		const struct edge *e = &w->edges->at[w->path[i]];

		if (!at && file_is_user(judge->report, e->at.place.file))
			at = e;
		by_locks += e->lock;
	}
	if (by_locks)
		locks = cycle_locks(judge, w, first);
	if (!names || (by_locks && !locks))
		return -ENOMEM;
	if (!at)
		return 0;
	f = finding_at(judge, rule, at->at.process, at->at.cell, &at->at.place);
	if (!f)
		return -ENOMEM;
	f->count++;
	if (by_locks == n)
		f->advice = n == 1 ? "An asyncio.Lock is not for taking twice: take it once, "
				     "around both."
				   : "Take such locks in the same order everywhere, or have one "
				     "for both.";
	finding_say(judge, f, "%zu task%s wait%s in a circle that none of them can end: %s", n,
		n == 1 ? "" : "s", n == 1 ? "s" : "", locks ? locks : names);
	finding_evidence(judge, f,
		json_pack("{s:I,s:I,s:s}", "tasks", (json_int_t)n, "locks", (json_int_t)by_locks,
			"cycle", utf8_keep(judge, names)));
	return 0;
}

/* One step further along the path, or back; 1: a circle was closed, *ret_first is where it begins.
 */
static int walk_on(struct cycle_walk *w, size_t *ret_first)
{
	const edge_list *edges = w->edges;
	size_t at = w->path[w->depth - 1];
	const struct edge *e = &edges->at[at];
	size_t next = edge_of(edges, e->waits_for);

	for (size_t i = 0; i < w->depth; i++) {
		if (edges->at[w->path[i]].task != e->waits_for)
			continue;
		*ret_first = i;
		return 1;
	}
	while (next < edges->n && edges->at[next].task == e->waits_for && w->seen[next])
		next++;
	if (next < edges->n && edges->at[next].task == e->waits_for) {
		w->path[w->depth++] = next;
		return 0;
	}
	w->seen[at] = true; /* back to the next edge of the task before */
	w->depth--;
	if (at + 1 < edges->n && edges->at[at + 1].task == e->task && !w->seen[at + 1])
		w->path[w->depth++] = at + 1;
	return 0;
}

static int cycles_walk(struct judge *judge, const struct rule *rule, struct cycle_walk *w)
{
	size_t first;
	int rc = 0;

	for (size_t i = 0; i < w->edges->n && !rc; i++) {
		if (w->seen[i])
			continue;
		w->path[0] = i;
		w->depth = 1;
		while (w->depth && !rc) {
			if (!walk_on(w, &first))
				continue;
			rc = cycle_find(judge, rule, w, first);
			for (size_t k = 0; k < w->depth; k++)
				w->seen[w->path[k]] = true;
			w->depth = 0;
		}
	}
	return rc;
}

int rule_cycle(struct judge *judge, const struct rule *rule)
{
	edge_list edges = {0};
	struct cycle_walk w = {.edges = &edges};
	int rc = edges_read(judge, &edges);

	if (!rc)
		edges_prune(&edges);
	if (!rc && edges.n) {
		w.seen = calloc(edges.n, sizeof(*w.seen));
		w.path = calloc(edges.n, sizeof(*w.path));
		rc = w.seen && w.path ? cycles_walk(judge, rule, &w) : -ENOMEM;
	}
	free(w.seen);
	free(w.path);
	free(edges.at);
	return rc;
}
