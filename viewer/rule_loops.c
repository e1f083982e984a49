/* AS301 to AS306: loops that were started, used or given work where they should not be. */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define SHORT_LOOPS 3 /* more of them, one after the other, are too many */

/* ---- AS301, AS303, AS304 */

typedef void say_fn(struct judge *judge, struct finding *f);

/* Columns: row_place, count; a text that the say function wants is the subject. */
static int rows_find(struct judge *judge, const struct rule *rule, sqlite3_stmt *rows, say_fn *say)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = 0;

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct row_place at;
		struct finding *f;

		rc = row_place_take(judge, rows, &at);
		if (rc)
			return rc;
		if (!file_is_user(report, at.place.file))
			continue;
		f = finding_at(judge, rule, at.process, at.cell, &at.place);
		if (!f)
			return -ENOMEM;
		f->count += column_ns(rows, 6);
		if (sqlite3_column_type(rows, 7) == SQLITE_TEXT) {
			f->subject = keep_column(report, rows, 7);
			if (!f->subject)
				return -ENOMEM;
		}
	}
	for (size_t i = first; i < report->findings.n && !rc; i++) {
		say(judge, &report->findings.at[i]);
		finding_evidence(judge, &report->findings.at[i],
			json_pack("{s:I}", "times", (json_int_t)report->findings.at[i].count));
	}
	return rc;
}

static void running_say(struct judge *judge, struct finding *f)
{
	finding_say(judge, f,
		"a loop was asked to run while one was running on this thread already, which "
		"failed%s",
		f->count > 1 ? " each time" : "");
}

static void closed_say(struct judge *judge, struct finding *f)
{
	finding_say(judge, f, "work was given to an event loop that was closed, which failed%s",
		f->count > 1 ? " each time" : "");
}

static int refused_find(struct judge *judge, const struct rule *rule, const char *why, say_fn *say)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(judge->report->trace, QUERY_refused, &rows);

	if (!rc)
		sqlite3_bind_text(rows, 1, why, -1, SQLITE_STATIC);
	return rc ? rc : rows_find(judge, rule, rows, say);
}

int rule_run_running(struct judge *judge, const struct rule *rule)
{
	return refused_find(judge, rule, "running", running_say);
}

int rule_loop_closed(struct judge *judge, const struct rule *rule)
{
	return refused_find(judge, rule, "closed", closed_say);
}

/* subject: the coroutine, where only its task's creation is known and not which await it was. */
static void wrong_loop_say(struct judge *judge, struct finding *f)
{
	if (*f->subject) {
		finding_say(judge, f,
			"the task of %s, created here, used a lock, event or queue that belongs to "
			"another event loop, so it got an error%s",
			f->subject, f->count > 1 ? " each time" : "");
		return;
	}
	finding_say(judge, f,
		"it was awaited here, but belongs to another event loop, so the task got an "
		"error%s",
		f->count > 1 ? " each time" : "");
}

int rule_wrong_loop(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(judge->report->trace, QUERY_wrong_loop, &rows);

	return rc ? rc : rows_find(judge, rule, rows, wrong_loop_say);
}

/* ---- AS302, AS306: who started a run of a loop */

struct run {
	struct row_place at;
	int64_t stack;
	uint64_t ns;
	bool inside; /* of a step */
};

static int run_take(struct judge *judge, sqlite3_stmt *rows, struct run *ret)
{
	ret->at.process = process_index(judge->report, sqlite3_column_int64(rows, 1));
	ret->at.loop = loop_index(judge->report, sqlite3_column_int64(rows, 2));
	ret->at.cell = sqlite3_column_type(rows, 3) == SQLITE_NULL
			       ? NONE
			       : cell_index(judge->report, sqlite3_column_int64(rows, 3));
	ret->stack = sqlite3_column_int64(rows, 7);
	ret->ns = column_ns(rows, 8);
	ret->inside = sqlite3_column_int(rows, 9) != 0;
	return keep_place(judge->report, rows, 4, &ret->at.place);
}

/*
 * Is one of the user's frames from this one on, up to the first of a library, an iterator? A
 * generator that a library drives is a context manager or a fixture, which has no items.
 */
static bool in_iterator(const struct judge *judge, size_t i)
{
	for (; i < judge->frames.n && judge->frames.at[i].user; i++) {
		const struct frame *f = &judge->frames.at[i];

		if (!strcmp(name_last(f->place.function), "__next__") ||
			!strcmp(name_last(f->place.function), "<genexpr>"))
			return true;
		if (f->generator && i + 1 < judge->frames.n && judge->frames.at[i + 1].user)
			return true;
	}
	return false;
}

/*
 * Of the user's frames inside of the innermost loop, the first; *ret_iterator tells whether it runs
 * in an iterator. False: none, or asyncio.run() that winds its loop up.
 */
static bool starter_find(struct judge *judge, struct place *ret, bool *ret_iterator)
{
	for (size_t i = 0; i < judge->frames.n; i++) {
		const struct frame *f = &judge->frames.at[i];
		const char *name = name_last(f->place.function);

		if (f->user) {
			*ret = f->place;
			*ret_iterator = in_iterator(judge, i);
			return true;
		}
		if (!strcmp(name, "_run_once") || !strcmp(name, "_run") ||
			!strcmp(name, "_cancel_all_tasks") || !strcmp(name, "close") ||
			!strcmp(name, "__exit__"))
			return false;
	}
	return false;
}

static int run_find(struct judge *judge, const struct rule *rule, const struct run *run,
	const struct place *place)
{
	struct finding *f = finding_at(judge, rule, run->at.process, run->at.cell, place);

	if (!f)
		return -ENOMEM;
	f->count++;
	f->costed = true;
	f->cost_ns += run->ns;
	if (run->ns > f->longest_ns)
		f->longest_ns = run->ns;
	return 0;
}

static int runs_find(struct judge *judge, const struct rule *rule, bool iterators)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(judge->report->trace, QUERY_nested_run, &rows);

	while (!rc && (rc = trace_next(judge->report->trace, rows)) == 1) {
		struct place place;
		struct run run;
		bool iterator;

		rc = run_take(judge, rows, &run);
		judge->frames.n = 0;
		if (!rc && run.stack && run.at.process != NONE && (iterators || run.inside))
			rc = report_stack(judge->report, run.stack, &judge->frames);
		if (!rc && starter_find(judge, &place, &iterator) && (!iterators || iterator))
			rc = run_find(judge, rule, &run, &place);
	}
	return rc;
}

int rule_nested_loop(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = runs_find(judge, rule, false);

	for (size_t i = first; i < report->findings.n && !rc; i++) {
		struct finding *f = &report->findings.at[i];
		char times[32] = "";

		if (f->count > 1)
			snprintf(
				times, sizeof(times), "%llu times, ", (unsigned long long)f->count);
		finding_say(judge, f,
			"the event loop was entered again from inside one of its own steps, %s%s "
			"in all",
			times, time_text(f->cost_ns));
		finding_evidence(judge, f,
			json_pack("{s:I,s:f}", "runs", (json_int_t)f->count, "longest_ms",
				(double)(f->longest_ns / 1000) / 1000.0));
	}
	return rc;
}

int rule_run_in_iterator(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = runs_find(judge, rule, true);

	for (size_t i = first; i < report->findings.n && !rc; i++) {
		struct finding *f = &report->findings.at[i];

		finding_say(judge, f,
			"an iterator ran an event loop for its items, %llu time%s, %s in all",
			(unsigned long long)f->count, f->count == 1 ? "" : "s",
			time_text(f->cost_ns));
		finding_evidence(judge, f,
			json_pack("{s:I,s:f}", "runs", (json_int_t)f->count, "longest_ms",
				(double)(f->longest_ns / 1000) / 1000.0));
	}
	return rc;
}

/* ---- AS305 */

struct short_loop {
	struct row_place at;
	uint64_t began_ns, ended_ns;
};

typedef LIST(struct short_loop) short_list;

static bool same_starter(const struct short_loop *a, const struct short_loop *b)
{
	return a->at.process == b->at.process && a->at.cell == b->at.cell &&
	       a->at.place.file == b->at.place.file && a->at.place.function == b->at.place.function;
}

static int starter_compare(const void *a, const void *b)
{
	const struct short_loop *x = a, *y = b;
	const uintptr_t pairs[][2] = {
		{(uintptr_t)x->at.process, (uintptr_t)y->at.process},
		{(uintptr_t)x->at.cell, (uintptr_t)y->at.cell},
		{(uintptr_t)x->at.place.file, (uintptr_t)y->at.place.file},
		{(uintptr_t)x->at.place.function, (uintptr_t)y->at.place.function},
		{x->began_ns, y->began_ns},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (pairs[i][0] != pairs[i][1])
			return pairs[i][0] < pairs[i][1] ? -1 : 1;
	return 0;
}

/* Loops of one starter, by their begin: how many followed one another? */
static int series_find(
	struct judge *judge, const struct rule *rule, const struct short_loop *loops, size_t n)
{
	uint64_t ended_ns = 0, ns = 0;
	size_t after = 0;
	struct finding *f;

	for (size_t i = 0; i < n; i++) {
		if (loops[i].began_ns < ended_ns)
			continue; /* beside the one before, on another thread */
		after++;
		ended_ns = loops[i].ended_ns;
		ns += loops[i].ended_ns - loops[i].began_ns;
	}
	if (after <= SHORT_LOOPS)
		return 0;
	f = finding_at(judge, rule, loops->at.process, loops->at.cell, &loops->at.place);
	if (!f)
		return -ENOMEM;
	f->count = after;
	finding_say(judge, f, "%zu event loops were made and closed one after the other, %s in all",
		after, time_text(ns));
	finding_evidence(judge, f, json_pack("{s:I}", "loops", (json_int_t)after));
	return 0;
}

int rule_short_loops(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	short_list loops = {0};
	int rc = trace_rows(report->trace, QUERY_short_loop, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)report->duration_ns);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct short_loop s;
		struct short_loop *kept;

		rc = row_place_take(judge, rows, &s.at);
		s.began_ns = column_ns(rows, 6);
		s.ended_ns = column_ns(rows, 7);
		if (rc || s.at.process == NONE || !file_is_user(report, s.at.place.file))
			continue;
		kept = list_add(&loops);
		if (kept)
			*kept = s;
		rc = kept ? 0 : -ENOMEM;
	}
	if (loops.n)
		qsort(loops.at, loops.n, sizeof(*loops.at), starter_compare);
	for (size_t i = 0, to; i < loops.n && !rc; i = to) {
		for (to = i; to < loops.n && same_starter(&loops.at[i], &loops.at[to]);)
			to++;
		rc = series_find(judge, rule, &loops.at[i], to - i);
	}
	free(loops.at);
	return rc;
}
