/*
 * AS201 to AS204, AS206, AS207 and AS212: what became of tasks and coroutines. Most of it is a
 * query whose rows are findings already; what their sentences say stands here.
 */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/source_text.h"

#define SUBJECTS_MAX 60 /* bytes of the names of several coroutines */

/* ---- AS201, AS202: leaked tasks */

/* Was it made inside a library that user code called? Then that keeps it, on purpose. */
static int leak_held(struct judge *judge, const struct leak *l, bool *ret_users, bool *ret)
{
	int user, rc = step_frames(judge, l->stack, &user);

	*ret = false;
	*ret_users = l->user && (user != NONE || !l->stack) &&
		     file_is_user(judge->report, l->created.file);
	for (int i = 0; !rc && i < user; i++) {
		const char *inside = library_path(judge->frames.at[i].place.file);

		*ret |= inside && strncmp(inside, "asyncio/", strlen("asyncio/")) != 0;
	}
	return rc;
}

/* The recording ended, or was looked at, while the program went on: the task may yet be awaited. */
static bool goes_on(const struct report *report, const struct leak *l)
{
	return !strcmp(report->mode, "attach") ||
	       (!strcmp(report->mode, "inline") && !report->processes.at[l->process].ended);
}

static enum severity leak_severity(
	const struct report *report, const struct rule *rule, const struct leak *l, bool held)
{
	if (held || (goes_on(report, l) && !strcmp(l->reason, "pending")))
		return SEVERITY_note;
	return strcmp(l->reason, "cancelled_at_shutdown") ? rule->severity : SEVERITY_error;
}

static void tasks_text(const struct finding *f, char *buf, size_t size)
{
	if (f->count > 1)
		snprintf(buf, size, "%llu tasks", (unsigned long long)f->count);
	else
		snprintf(buf, size, "a task");
}

/* Tasks that one line created need not be of one coroutine: "A, B", no more than a few. */
static int subject_add(struct judge *judge, struct finding *f, const char *coro)
{
	static const char more[] = ", ...";
	const char *at = f->subject;
	size_t n = strlen(coro);
	cleanup(freep) char *text = NULL;

	if (!*f->subject) {
		f->subject = coro;
		return 0;
	}
	for (; (at = strstr(at, coro)); at++)
		if ((at == f->subject || at[-1] == ' ') && (!at[n] || at[n] == ','))
			return 0;
	at = strstr(f->subject, more);
	if (at)
		return 0;
	if (asprintf(&text, "%s, %s", f->subject,
		    strlen(f->subject) + n > SUBJECTS_MAX ? "..." : coro) < 0)
		return -ENOMEM;
	f->subject = string_keep(&judge->report->strings, text);
	return f->subject ? 0 : -ENOMEM;
}

static void leak_say(struct judge *judge, struct finding *f)
{
	bool cut_off = !strcmp(f->detail, "cancelled_at_shutdown");
	char tasks[32];

	tasks_text(f, tasks, sizeof(tasks));
	finding_say(judge, f, "%s of %s, created here, %s", tasks, f->subject,
		cut_off && f->count > 1 ? "were cut off when their loop shut down"
		: cut_off               ? "was cut off when its loop shut down"
		: f->count > 1 ? "had not finished when the trace ended, and what created them had"
			       : "had not finished when the trace ended, and what created it had");
	finding_evidence(judge, f,
		json_pack("{s:s,s:s,s:I}", "coro", utf8_keep(judge, f->subject), "reason",
			f->detail, "tasks", (json_int_t)f->count));
}

int rule_leaked(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;

	for (size_t i = 0; i < report->leaks.n; i++) {
		const struct leak *l = &report->leaks.at[i];
		enum severity severity;
		struct finding *f;
		bool held, users;

		if (!strcmp(l->reason, "destroyed"))
			continue;
		if (leak_held(judge, l, &users, &held))
			return -EIO;
		if (!users)
			continue;
		f = finding_at(judge, rule, l->process, l->cell, &l->created);
		if (!f)
			return -ENOMEM;
		severity = leak_severity(report, rule, l, held);
		if (!f->count++ || severity > f->severity) {
			f->severity = severity;
			f->detail = l->reason;
		}
		if (subject_add(judge, f, l->coro))
			return -ENOMEM;
	}
	for (size_t i = first; i < report->findings.n; i++)
		leak_say(judge, &report->findings.at[i]);
	return 0;
}

int rule_destroyed(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;

	for (size_t i = 0; i < report->leaks.n; i++) {
		const struct leak *l = &report->leaks.at[i];
		struct finding *f;
		bool held, users;

		if (strcmp(l->reason, "destroyed"))
			continue;
		if (leak_held(judge, l, &users, &held))
			return -EIO;
		if (!users)
			continue;
		f = finding_at(judge, rule, l->process, l->cell, &l->created);
		if (!f)
			return -ENOMEM;
		f->count++;
		f->detail = l->awaiting;
		if (subject_add(judge, f, l->coro))
			return -ENOMEM;
	}
	for (size_t i = first; i < report->findings.n; i++) {
		struct finding *f = &report->findings.at[i];
		char tasks[32];

		tasks_text(f, tasks, sizeof(tasks));
		finding_say(judge, f,
			"%s of %s, created here, %s garbage-collected before %s finished%s%s",
			tasks, f->subject, f->count == 1 ? "was" : "were",
			f->count == 1 ? "it" : "they", *f->detail ? ", while waiting for " : "",
			f->detail);
		finding_evidence(judge, f,
			json_pack("{s:s,s:s,s:I}", "coro", utf8_keep(judge, f->subject), "awaiting",
				utf8_keep(judge, f->detail), "tasks", (json_int_t)f->count));
	}
	return 0;
}

/* ---- rows that are findings: row_place, count, subject, detail, stack that must hold user code */

typedef void say_fn(struct judge *judge, struct finding *f);

static int row_find(struct judge *judge, const struct rule *rule, sqlite3_stmt *rows)
{
	struct row_place at;
	struct finding *f;
	int user, rc;

	if (row_place_take(judge, rows, &at))
		return -ENOMEM;
	if (!file_is_user(judge->report, at.place.file))
		return 0;
	if (sqlite3_column_type(rows, 9) != SQLITE_NULL) {
		rc = step_frames(judge, sqlite3_column_int64(rows, 9), &user);
		if (rc || user == NONE)
			return rc;
	}
	f = finding_at(judge, rule, at.process, at.cell, &at.place);
	if (!f)
		return -ENOMEM;
	f->count += column_ns(rows, 6);
	f->subject = keep_column(judge->report, rows, 7);
	f->detail = keep_column(judge->report, rows, 8);
	return f->subject && f->detail ? 0 : -ENOMEM;
}

static int rows_find(struct judge *judge, const struct rule *rule, enum query query, say_fn *say)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = trace_rows(report->trace, query, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = row_find(judge, rule, rows);
	for (size_t i = first; i < report->findings.n && !rc; i++) {
		struct finding *f = &report->findings.at[i];

		say(judge, f);
		finding_evidence(judge, f,
			json_pack("{s:s,s:s,s:I}", "subject", utf8_keep(judge, f->subject),
				"detail", utf8_keep(judge, f->detail), "count",
				(json_int_t)f->count));
	}
	return rc;
}

/* Is the word in that line of the text? */
static bool line_has(const char *text, int line, const char *word)
{
	const char *found;

	for (int n = 1; text && n < line; n++) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	found = text ? strstr(text, word) : NULL;
	return found && found < text + strcspn(text, "\n");
}

/*
 * Where a coroutine is dropped need not be where it was called: a local variable goes with its
 * function's return to the line that called that.
 */
static bool called_elsewhere(const struct judge *judge, const struct finding *f)
{
	int cell = cell_of_file(judge->report, f->place.file, f->cell);
	cleanup(freep) char *file = cell == NONE ? source_read(f->place.file) : NULL;
	const char *text = cell == NONE ? file : judge->report->cells.at[cell].source;

	return text && !line_has(text, f->place.line, name_last(f->subject));
}

/* detail: 1 where the dropping frame is not user code, so that the place is the definition. */
static void never_awaited_say(struct judge *judge, struct finding *f)
{
	bool elsewhere = !strcmp(f->detail, "elsewhere");
	char times[32] = "";

	if (f->count > 1)
		snprintf(times, sizeof(times), ", %llu times", (unsigned long long)f->count);
	if (!elsewhere && called_elsewhere(judge, f))
		f->advice = "Its call is in what this line runs, or before it: await it there, or "
			    "make a task of it and keep that.";
	finding_say(judge, f, "the coroutine %s() was %s and never awaited%s, so it did not run%s",
		f->subject, elsewhere ? "called elsewhere" : "dropped", times,
		elsewhere ? " (this is its definition)" : "");
}

int rule_never_awaited(struct judge *judge, const struct rule *rule)
{
	return rows_find(judge, rule, QUERY_never_awaited, never_awaited_say);
}

static void unretrieved_say(struct judge *judge, struct finding *f)
{
	if (f->count == 1)
		finding_say(judge, f,
			"the task of %s, created here, failed with %s and nobody looked",
			f->subject, f->detail);
	else
		finding_say(judge, f,
			"%llu tasks of %s, created here, failed, one with %s, and nobody looked",
			(unsigned long long)f->count, f->subject, f->detail);
}

int rule_unretrieved(struct judge *judge, const struct rule *rule)
{
	return rows_find(judge, rule, QUERY_unretrieved, unretrieved_say);
}

static void hidden_errors_say(struct judge *judge, struct finding *f)
{
	finding_say(judge, f, "gather(return_exceptions=True) returned failures as values: %s",
		f->detail);
}

int rule_hidden_errors(struct judge *judge, const struct rule *rule)
{
	return rows_find(judge, rule, QUERY_hidden_errors, hidden_errors_say);
}

static void asyncgen_say(struct judge *judge, struct finding *f)
{
	finding_say(judge, f,
		"the async generator %s was left before its end, so the loop closes it at some "
		"later time",
		f->subject);
}

int rule_asyncgen(struct judge *judge, const struct rule *rule)
{
	return rows_find(judge, rule, QUERY_asyncgen_left, asyncgen_say);
}

static void duplicates_say(struct judge *judge, struct finding *f)
{
	finding_say(judge, f,
		"%llu executions of this cell left a task of %s running each, at the same time",
		(unsigned long long)f->count, f->subject);
}

int rule_duplicates(struct judge *judge, const struct rule *rule)
{
	return rows_find(judge, rule, QUERY_duplicate_workers, duplicates_say);
}
