/*
 * AS404: what was read of a shared name is written back after an await, in a coroutine that two
 * tasks were in at once. That both waited there at one time shows that no lock keeps them apart;
 * waits too short to be stored show it only where nothing in the code may be one.
 */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

struct span { /* of one task: a wait, or its life */
	int64_t task;
	int cell;
	uint64_t begin_ns, end_ns;
};

typedef LIST(struct span) span_list;

/* Columns: task, cell, begin, end; by begin. */
static int spans_read(struct judge *judge, sqlite3_stmt *rows, span_list *ret)
{
	int rc;

	ret->n = 0;
	while ((rc = trace_next(judge->report->trace, rows)) == 1) {
		struct span *s = list_add(ret);

		if (!s)
			return -ENOMEM;
		*s = (struct span){sqlite3_column_int64(rows, 0),
			sqlite3_column_type(rows, 1) == SQLITE_NULL
				? NONE
				: cell_index(judge->report, sqlite3_column_int64(rows, 1)),
			column_ns(rows, 2), column_ns(rows, 3)};
	}
	return rc;
}

/* The first of two tasks that overlap, and how many times one came while another was there. */
static const struct span *overlaps_count(const span_list *spans, uint64_t *ret_times)
{
	const struct span *first = NULL, *longest = NULL;

	*ret_times = 0;
	for (size_t i = 0; i < spans->n; i++) {
		const struct span *s = &spans->at[i];

		if (longest && s->begin_ns < longest->end_ns && s->task != longest->task) {
			first = first ? first : s;
			++*ret_times;
		}
		if (!longest || s->end_ns > longest->end_ns)
			longest = s;
	}
	return first;
}

struct stale {
	int64_t process;
	const char *name;
	int read_line, await_line;
	bool guarded;
	struct place place; /* of the write */
};

static int race_find(struct judge *judge, const struct rule *rule, const struct stale *s,
	const struct span *one, uint64_t times, bool waited)
{
	struct finding *f = finding_at(
		judge, rule, process_index(judge->report, s->process), one->cell, &s->place);

	if (!f)
		return -ENOMEM;
	if (f->count)
		return 0;
	f->count = 1;
	finding_say(judge, f,
		"%s is read in line %d and written back here, but the await in line %d lets others "
		"write it meanwhile, and no lock is held: %s",
		s->name, s->read_line, s->await_line,
		waited ? "two tasks waited there at the same time" : "two tasks ran it at once");
	finding_evidence(judge, f,
		json_pack("{s:s,s:i,s:i,s:i,s:I}", "name", utf8_keep(judge, s->name), "read_line",
			s->read_line, "await_line", s->await_line, "write_line", s->place.line,
			"overlaps", (json_int_t)times));
	return 0;
}

static int stale_judge(
	struct judge *judge, const struct rule *rule, const struct stale *s, span_list *spans)
{
	cleanup(rows_freep) sqlite3_stmt *waits = NULL, *tasks = NULL;
	const struct span *one;
	uint64_t times;
	int rc = trace_rows(judge->report->trace, QUERY_awaits_at, &waits);

	if (rc)
		return rc;
	sqlite3_bind_int64(waits, 1, s->process);
	sqlite3_bind_text(waits, 2, s->place.file, -1, SQLITE_STATIC);
	sqlite3_bind_text(waits, 3, s->place.function, -1, SQLITE_STATIC);
	sqlite3_bind_int(waits, 4, s->await_line);
	rc = spans_read(judge, waits, spans);
	one = rc ? NULL : overlaps_count(spans, &times);
	if (one)
		return race_find(judge, rule, s, one, times, true);
	if (rc || spans->n || s->guarded)
		return rc;
	rc = trace_rows(judge->report->trace, QUERY_tasks_of, &tasks);
	if (rc)
		return rc;
	sqlite3_bind_int64(tasks, 1, s->process);
	sqlite3_bind_text(tasks, 2, s->place.function, -1, SQLITE_STATIC);
	rc = spans_read(judge, tasks, spans);
	one = rc ? NULL : overlaps_count(spans, &times);
	return one ? race_find(judge, rule, s, one, times, false) : rc;
}

int rule_race(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	span_list spans = {0};
	int rc = trace_rows(report->trace, QUERY_stale_write, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct stale s = {.process = sqlite3_column_int64(rows, 0),
			.name = keep_column(report, rows, 3),
			.read_line = sqlite3_column_int(rows, 4),
			.await_line = sqlite3_column_int(rows, 5),
			.guarded = sqlite3_column_int(rows, 7),
			.place = {.file = keep_column(report, rows, 1),
				.line = sqlite3_column_int(rows, 6),
				.function = keep_column(report, rows, 2)}};

		rc = 0;
		if (!s.name || !s.place.file || !s.place.function)
			rc = -ENOMEM;
		else if (file_is_user(report, s.place.file))
			rc = stale_judge(judge, rule, &s, &spans);
	}
	free(spans.at);
	return rc;
}
