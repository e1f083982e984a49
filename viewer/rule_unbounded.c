/* AS209: awaits of user code that were pending for long with nothing that would have ended them. */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define AWAIT_TIMEOUT_NS 30000000000 /* --await-timeout */

static bool is_asyncio(const struct frame *f)
{
	const char *inside = f->place.file ? library_path(f->place.file) : NULL;

	return inside && !strncmp(inside, "asyncio/", strlen("asyncio/"));
}

/* Waiting for as long as it takes is their purpose. */
static bool waits_on_purpose(const struct frame *operand)
{
	const char *name = name_last(operand->place.function);
	const char *inside = library_path(operand->place.file);

	if (!is_asyncio(operand))
		return false;
	return !strcmp(operand->place.function, "sleep") ||
	       (!strcmp(inside, "asyncio/queues.py") && !strcmp(name, "get"));
}

/* The innermost await of user code whose operand is user code too, else the innermost; or NONE. */
static int await_find(const struct judge *judge)
{
	int innermost = NONE;

	for (int i = 0; i < (int)judge->frames.n; i++) {
		if (!judge->frames.at[i].user)
			continue;
		if (i && judge->frames.at[i - 1].user)
			return i;
		if (innermost == NONE)
			innermost = i;
	}
	return innermost;
}

/* wait_for() to 3.11 awaits a task of its own, which it cancels in time. */
static int in_wait_for(struct judge *judge, int64_t stack, bool *ret)
{
	int rc;

	judge->frames.n = 0;
	rc = stack ? report_stack(judge->report, stack, &judge->frames) : 0;
	*ret = false;
	for (size_t i = 0; i < judge->frames.n && !rc && !judge->frames.at[i].user; i++)
		*ret |= is_asyncio(&judge->frames.at[i]) &&
			!strcmp(judge->frames.at[i].place.function, "wait_for");
	return rc;
}

static int unbounded_find(struct judge *judge, const struct rule *rule, int process, int cell,
	const struct place *place, uint64_t ns, bool pending)
{
	struct finding *f = finding_at(judge, rule, process, cell, place);

	if (!f)
		return -ENOMEM;
	f->count++;
	f->costed = true;
	if (ns > f->longest_ns) {
		f->longest_ns = f->cost_ns = ns;
		f->detail = pending ? "pending" : "";
	}
	return 0;
}

/* Columns: process, cell, stack of the wait and of the creation, duration, runs a cell, pending,
 * begin. */
static int await_take(struct judge *judge, const struct rule *rule, sqlite3_stmt *rows)
{
	struct report *report = judge->report;
	int process = process_index(report, sqlite3_column_int64(rows, 0)), at, user;
	int cell = sqlite3_column_type(rows, 1) == SQLITE_NULL
			   ? NONE
			   : cell_index(report, sqlite3_column_int64(rows, 1));
	bool bounded, outermost = true;
	struct place place, first;
	int rc = in_wait_for(judge, sqlite3_column_int64(rows, 3), &bounded);

	if (rc || bounded || process == NONE)
		return rc;
	rc = in_wait_for(judge, sqlite3_column_int64(rows, 2), &bounded);
	if (!rc && !bounded)
		rc = step_frames(judge, sqlite3_column_int64(rows, 2), &user);
	at = rc || bounded ? NONE : await_find(judge);
	if (at == NONE || (at && waits_on_purpose(&judge->frames.at[at - 1])))
		return rc;
	place = first = judge->frames.at[at].place;
	for (size_t i = (size_t)at + 1; i < judge->frames.n; i++) {
		outermost &= !judge->frames.at[i].user;
		if (judge->frames.at[i].user)
			first = judge->frames.at[i].place;
	}
	if (outermost && sqlite3_column_int(rows, 5))
		return 0; /* a cell's own top-level await */
	if (cell == NONE)
		cell = cell_running(report, first.file, column_ns(rows, 7));
	return unbounded_find(judge, rule, process, cell, &place, column_ns(rows, 4),
		sqlite3_column_int(rows, 6) != 0);
}

static void unbounded_say(struct judge *judge, struct finding *f)
{
	char times[64] = "";

	if (f->count > 1)
		snprintf(times, sizeof(times), "%llu times, at the longest ",
			(unsigned long long)f->count);
	finding_say(judge, f, "this await %s pending %sfor %s, and its task had no timeout",
		*f->detail && f->count == 1 ? "is still" : "was", times, time_text(f->longest_ns));
	finding_evidence(judge, f,
		json_pack("{s:I,s:f,s:b}", "awaits", (json_int_t)f->count, "longest_ms",
			(double)(f->longest_ns / 1000) / 1000.0, "still_pending",
			*f->detail != '\0'));
}

int rule_unbounded(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	size_t first = report->findings.n;
	uint64_t least_ns = report->options->await_timeout_ns;
	int rc = trace_rows(report->trace, QUERY_long_await, &rows);

	if (!rc)
		sqlite3_bind_int64(
			rows, 1, (sqlite3_int64)(least_ns ? least_ns : AWAIT_TIMEOUT_NS));
	if (!rc)
		sqlite3_bind_int64(rows, 2, (sqlite3_int64)report->duration_ns);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = await_take(judge, rule, rows);
	for (size_t i = first; i < report->findings.n && !rc; i++)
		unbounded_say(judge, &report->findings.at[i]);
	return rc;
}
