/* AS401, AS402 and AS403: tasks that wait for a thread or for a lock, and work that waits for
 * nobody.
 */
#include <errno.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

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
			*f->subject ? " that was held by a task of " : "", f->subject);
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
