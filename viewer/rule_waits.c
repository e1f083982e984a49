/* AS212, AS401, AS402 and AS403: tasks that wait for each other, for a thread, for a lock, and work
 * that waits for nobody. */
#include <errno.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

/* ---- AS212 */

struct edge { /* a task and one that it waits for */
	int64_t task, waits_for;
	struct row_place at;
	const char *coro, *name;
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

/* Columns: task, waits for, process, loop, cell, file, line, function, coro, name, lock, and where
 * that was taken. */
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
	finding_say(judge, f, "%zu task%s wait%s in a circle that nothing can end: %s", n,
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

/*
 * Is the stack asyncio's own, as of gather(to_thread(f)) or wait_for(lock.acquire()), which make a
 * task of it? Then the work is that of who created the task; other libraries have their own.
 */
static bool is_asyncio_alone(const struct judge *judge)
{
	for (size_t i = 0; i < judge->frames.n; i++) {
		const char *file = judge->frames.at[i].place.file;
		const char *inside = file ? library_path(file) : NULL;

		if (!inside || (strncmp(inside, "asyncio/", strlen("asyncio/")) &&
				       strncmp(inside, "concurrent/futures/",
					       strlen("concurrent/futures/"))))
			return false;
	}
	return judge->frames.n > 0;
}

/* ---- AS402 */

/* Columns: process, loop, cell, stack, duration, what, holder's coro, coro, how, user, and the
 * place that its task was created at. */
static int lock_take(struct judge *judge, const struct rule *rule, sqlite3_stmt *rows)
{
	struct report *report = judge->report;
	int process = process_index(report, sqlite3_column_int64(rows, 0)), user;
	int cell = sqlite3_column_type(rows, 2) == SQLITE_NULL
			   ? NONE
			   : cell_index(report, sqlite3_column_int64(rows, 2));
	bool lock = !strcmp(column_text(rows, 5), "Lock.acquire");
	const char *holder = keep_column(report, rows, 6);
	uint64_t ns = column_ns(rows, 4);
	struct place place;
	struct finding *f;
	int rc = step_frames(judge, sqlite3_column_int64(rows, 3), &user);

	if (!rc && user == NONE)
		rc = keep_place(judge->report, rows, 10, &place);
	else if (!rc)
		place = judge->frames.at[user].place;
	if (rc || process == NONE ||
		(user == NONE && (!sqlite3_column_int(rows, 9) || !is_asyncio_alone(judge))))
		return rc;
	/* nobody released it: a timeout or cancel ended the wait */
	if (!strcmp(column_text(rows, 8), "cancel") || !strcmp(column_text(rows, 8), "exception"))
		return 0;
	f = finding_at(judge, rule, process, cell, &place);
	if (!f || !holder)
		return -ENOMEM;
	if (!f->count) {
		f->severity = lock && *holder ? rule->severity : SEVERITY_note;
		f->detail = lock ? "an asyncio.Lock" : "a semaphore";
		if (!lock) /* which is meant to make them wait */
			f->advice =
				"If that is too long: hold it for less, or let more in at once.";
	}
	if (lock && *holder)
		f->severity = rule->severity;
	if (*holder)
		f->subject = holder;
	f->count++;
	f->costed = true;
	if (ns > f->longest_ns)
		f->longest_ns = f->cost_ns = ns;
	return 0;
}

int rule_lock(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = trace_rows(report->trace, QUERY_lock_wait, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)report->stall_ns);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = lock_take(judge, rule, rows);
	for (size_t i = first; i < report->findings.n && !rc; i++) {
		struct finding *f = &report->findings.at[i];

		finding_say(judge, f, "%llu task%s waited %s%s for %s%s%s",
			(unsigned long long)f->count, f->count == 1 ? "" : "s",
			f->count == 1 ? "" : "up to ", time_text(f->longest_ns), f->detail,
			*f->subject ? " that was held by " : "", f->subject);
		finding_evidence(judge, f,
			json_pack("{s:I,s:f,s:s}", "waits", (json_int_t)f->count, "longest_ms",
				(double)(f->longest_ns / 1000) / 1000.0, "holder",
				utf8_keep(judge, f->subject)));
	}
	return rc;
}

/* ---- AS401 */

/* Work for the loop's default pool: asked for by to_thread() or the like, or known to be its. */
static bool is_default_pool(const struct judge *judge, bool known)
{
	for (size_t i = 0; i < judge->frames.n && !known; i++) {
		const struct frame *f = &judge->frames.at[i];
		const char *name = name_last(f->place.function);

		if (f->user)
			return false;
		known = !strcmp(name, "to_thread") || !strcmp(name, "getaddrinfo");
	}
	return known;
}

/* Columns: row_place, waited, workers, stack, default pool, and the place that its task was created
 * at. */
static int job_take(struct judge *judge, const struct rule *rule, sqlite3_stmt *rows)
{
	struct report *report = judge->report;
	struct row_place at;
	struct finding *f;
	int user, rc = row_place_take(judge, rows, &at);

	if (!rc)
		rc = step_frames(judge, sqlite3_column_int64(rows, 8), &user);
	if (rc || at.process == NONE || !is_default_pool(judge, sqlite3_column_int(rows, 9)))
		return rc;
	if (user != NONE)
		at.place = judge->frames.at[user].place;
	else if (!is_asyncio_alone(judge))
		return 0;
	else if (keep_place(report, rows, 10, &at.place))
		return -ENOMEM;
	if (!file_is_user(report, at.place.file))
		return 0;
	f = finding_at(judge, rule, at.process, at.cell, &at.place);
	if (!f)
		return -ENOMEM;
	f->count++;
	f->costed = true;
	if (column_ns(rows, 6) > f->longest_ns)
		f->longest_ns = f->cost_ns = column_ns(rows, 6);
	f->delayed = (uint32_t)sqlite3_column_int(rows, 7); /* its workers */
	return 0;
}

int rule_executor(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = trace_rows(report->trace, QUERY_executor_wait, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)report->stall_ns);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = job_take(judge, rule, rows);
	for (size_t i = first; i < report->findings.n && !rc; i++) {
		struct finding *f = &report->findings.at[i];
		char workers[48] = "";

		if (f->delayed)
			snprintf(workers, sizeof(workers), ", which has %u", f->delayed);
		finding_say(judge, f,
			"%llu job%s waited up to %s for a thread of the loop's default pool%s",
			(unsigned long long)f->count, f->count == 1 ? "" : "s",
			time_text(f->longest_ns), workers);
		finding_evidence(judge, f,
			json_pack("{s:I,s:f,s:o}", "jobs", (json_int_t)f->count, "longest_ms",
				(double)(f->longest_ns / 1000) / 1000.0, "workers",
				f->delayed ? json_integer(f->delayed) : json_null()));
		f->delayed = 0;
	}
	return rc;
}

/* ---- AS403 */

#define GROWTH_NS 10000000000
#define LOOK_NS 1000000000 /* sizes are looked at about once a second */
#define LOOKS_LEAST 5      /* that found it larger: one burst is no growth */

struct growth { /* of one queue, since it last shrank */
	int64_t queue;
	struct row_place at;
	const char *type;
	uint64_t since_ns, last_ns, from, to;
	unsigned int looks;                                     /* that found it larger */
	bool later;                                             /* it has shrunk before */
	uint64_t longest_ns, grew_from, grew_to, grew_since_ns; /* the longest so far */
};

typedef LIST(struct growth) growth_list;

/* A queue was empty when it was made: what the first look found came at the same pace. */
static uint64_t growth_before(const struct growth *g)
{
	uint64_t grown = g->to - g->from, ns;

	if (g->later || !g->from)
		return 0;
	ns = (uint64_t)((unsigned __int128)g->from * (g->last_ns - g->since_ns) / grown);
	return ns < LOOK_NS ? ns : LOOK_NS;
}

static void growth_end(struct growth *g)
{
	uint64_t ns = g->last_ns - g->since_ns;

	if (g->looks < LOOKS_LEAST)
		return;
	ns += growth_before(g);
	if (ns > g->longest_ns) {
		g->longest_ns = ns;
		g->grew_from = g->from;
		g->grew_to = g->to;
		g->grew_since_ns = g->since_ns;
	}
}

static void growth_take(struct growth *g, uint64_t time_ns, uint64_t size)
{
	if (!g->last_ns || size < g->to) {
		growth_end(g);
		g->later = g->last_ns != 0;
		g->since_ns = time_ns;
		g->from = size;
		g->looks = 0;
	}
	g->looks += size > g->to && g->last_ns;
	g->last_ns = time_ns;
	g->to = size;
}

static int growths_read(struct judge *judge, growth_list *growths)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL, *sizes = NULL;
	struct report *report = judge->report;
	size_t at = 0;
	int rc = trace_rows(report->trace, QUERY_queue, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct growth *g = list_add(growths);

		rc = g ? row_place_take(judge, rows, &g->at) : -ENOMEM;
		if (rc)
			return rc;
		g->queue = sqlite3_column_int64(rows, 6);
		g->type = keep_column(report, rows, 7);
		if (!g->type)
			return -ENOMEM;
	}
	if (!rc)
		rc = trace_rows(report->trace, QUERY_queue_size, &sizes);
	while (!rc && (rc = trace_next(report->trace, sizes)) == 1) {
		int64_t queue = sqlite3_column_int64(sizes, 0);

		rc = 0;
		while (at < growths->n && growths->at[at].queue < queue)
			at++;
		if (at < growths->n && growths->at[at].queue == queue)
			growth_take(&growths->at[at], column_ns(sizes, 1), column_ns(sizes, 2));
	}
	return rc;
}

/* The cell that ran for most of it; else the one that made the queue. */
static int grower_find(const struct report *report, const struct growth *g)
{
	uint64_t most_ns = g->longest_ns / 2;
	int cell = g->at.cell;

	for (size_t i = 0; i < report->cells.n; i++) {
		const struct cell *c = &report->cells.at[i];
		uint64_t from = c->began_ns > g->grew_since_ns ? c->began_ns : g->grew_since_ns;
		uint64_t to = g->grew_since_ns + g->longest_ns;

		to = c->ended_ns < to ? c->ended_ns : to;
		if (c->process == g->at.process && to > from && to - from > most_ns) {
			most_ns = to - from;
			cell = (int)i;
		}
	}
	return cell;
}

int rule_queue(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	growth_list growths = {0};
	int rc = growths_read(judge, &growths);

	for (size_t i = 0; i < growths.n && !rc; i++) {
		struct growth *g = &growths.at[i];
		struct finding *f;

		growth_end(g);
		if (g->longest_ns < GROWTH_NS || !file_is_user(report, g->at.place.file))
			continue;
		f = finding_at(judge, rule, g->at.process, grower_find(report, g), &g->at.place);
		if (!f) {
			rc = -ENOMEM;
			break;
		}
		f->count++;
		finding_say(judge, f, "the %s made here only grew for %s, from %llu to %llu items",
			g->type, time_text(g->longest_ns), (unsigned long long)g->grew_from,
			(unsigned long long)g->grew_to);
		finding_evidence(judge, f,
			json_pack("{s:I,s:I,s:f}", "from", (json_int_t)g->grew_from, "to",
				(json_int_t)g->grew_to, "grew_ms",
				(double)(g->longest_ns / 1000) / 1000.0));
	}
	free(growths.at);
	return rc;
}
