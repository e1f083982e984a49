/* AS210: one await, waited for again and again while nothing else did. */
#include <ctype.h>
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define REPEATS_LEAST 5
#define INDENT_TAB 8

/* Waiting for these one at a time is their purpose. */
static bool is_excluded(const struct frame *operand)
{
	static const char *const names[] = {"sleep", "Queue.get", "Queue.put", "Queue.join",
		"Event.wait", "Lock.acquire", "Semaphore.acquire", "BoundedSemaphore.acquire",
		"Condition.wait", "Condition.wait_for", "Barrier.wait",
		"_ContextManagerMixin.__aenter__", "Lock.__aenter__", "Semaphore.__aenter__"};
	const char *inside = library_path(operand->place.file);

	if (!inside || strncmp(inside, "asyncio/", strlen("asyncio/")))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(operand->place.function, names[i]))
			return true;
	return false;
}

struct text_line {
	const char *at;
	size_t n, indent;
};

static struct text_line line_of(const char *source, int line)
{
	struct text_line l = {.at = source};

	for (; line > 1 && *l.at; line--) {
		l.at += strcspn(l.at, "\n");
		l.at += *l.at == '\n';
	}
	l.n = strcspn(l.at, "\n");
	for (; l.n && isblank((unsigned char)*l.at); l.at++, l.n--)
		l.indent += *l.at == '\t' ? INDENT_TAB : 1;
	return l;
}

static bool begins(const struct text_line *l, const char *word)
{
	size_t n = strlen(word);

	return l->n > n && !strncmp(l->at, word, n) && !isalnum((unsigned char)l->at[n]);
}

/* Is this line of a cell in the body of a loop of its function, or a comprehension? */
static bool in_loop(const char *source, int line)
{
	struct text_line here = line_of(source, line);
	size_t indent = here.indent;

	for (size_t i = 0; i + 5 < here.n; i++)
		if (!strncmp(here.at + i, " for ", 5))
			return true;
	for (int i = line - 1; i > 0; i--) {
		struct text_line l = line_of(source, i);

		if (!l.n || *l.at == '#' || l.indent >= indent)
			continue;
		indent = l.indent;
		if (begins(&l, "for") || begins(&l, "while") || begins(&l, "async for"))
			return true;
		if (begins(&l, "def") || begins(&l, "async def") || begins(&l, "class"))
			return false;
	}
	return false;
}

/*
 * Which await of user code repeats? The innermost whose operand is user code too, else the
 * innermost; where it stands in a cell, it must stand in a loop there. NONE: not known, or its
 * purpose is to wait.
 */
static int repeated_find(const struct judge *judge)
{
	const struct report *report = judge->report;
	int innermost = NONE, wrapping = NONE;

	for (int i = 0; i < (int)judge->frames.n && wrapping == NONE; i++) {
		if (!judge->frames.at[i].user)
			continue;
		if (innermost == NONE)
			innermost = i;
		else if (judge->frames.at[i - 1].user)
			wrapping = i;
	}
	for (int k = 0; k < 2; k++) {
		int i = k ? innermost : wrapping, cell;

		if (i == NONE || (i && is_excluded(&judge->frames.at[i - 1])))
			continue;
		cell = cell_of_file(report, judge->frames.at[i].place.file, NONE);
		if (cell == NONE && i == wrapping)
			continue; /* which of the two repeats is not known */
		if (cell == NONE ||
			in_loop(report->cells.at[cell].source, judge->frames.at[i].place.line))
			return i;
	}
	return NONE;
}

struct repeat { /* of one await, by one task */
	int64_t task, stack;
	size_t finding;
	bool beside; /* another task waited there at the same time */
};

typedef LIST(struct repeat) repeat_list;

/* The execution of this file that was under way. */
static int cell_running(const struct report *report, const char *file, uint64_t time_ns)
{
	for (size_t i = 0; i < report->cells.n; i++) {
		const struct cell *c = &report->cells.at[i];

		if (c->filename && !strcmp(c->filename, file) && c->began_ns <= time_ns &&
			time_ns <= c->ended_ns)
			return (int)i;
	}
	return NONE;
}

/* Columns: process, loop, cell, task, stack, count, sum, max, runs a cell, first begin. */
static int repeat_take(
	struct judge *judge, const struct rule *rule, repeat_list *repeats, sqlite3_stmt *rows)
{
	struct report *report = judge->report;
	int process = process_index(report, sqlite3_column_int64(rows, 0));
	int user = NONE, at, outermost = NONE;
	int cell = sqlite3_column_type(rows, 2) == SQLITE_NULL
			   ? NONE
			   : cell_index(report, sqlite3_column_int64(rows, 2));
	const struct place *place;
	struct repeat *repeat;
	struct finding *f;
	int rc = step_frames(judge, sqlite3_column_int64(rows, 4), &user);

	at = rc ? NONE : repeated_find(judge);
	if (at == NONE)
		return rc;
	for (int i = user; i < (int)judge->frames.n; i++)
		if (judge->frames.at[i].user)
			outermost = i;
	/* a cell's own top-level await is written to wait */
	if (sqlite3_column_int(rows, 8) && at == outermost)
		return 0;
	place = &judge->frames.at[at].place;
	if (cell == NONE)
		cell = cell_running(
			report, judge->frames.at[outermost].place.file, column_ns(rows, 9));
	f = finding_at(judge, rule, process, cell, place);
	repeat = list_add(repeats);
	if (!f || !repeat)
		return -ENOMEM;
	*repeat = (struct repeat){sqlite3_column_int64(rows, 3), sqlite3_column_int64(rows, 4),
		(size_t)(f - report->findings.at), false};
	f->count += column_ns(rows, 5);
	f->costed = true;
	f->cost_ns += column_ns(rows, 6);
	if (column_ns(rows, 7) > f->longest_ns)
		f->longest_ns = column_ns(rows, 7);
	return 0;
}

static struct repeat *repeat_of(repeat_list *repeats, int64_t stack, int64_t task)
{
	for (size_t i = 0; i < repeats->n; i++)
		if (repeats->at[i].stack == stack && (!task || repeats->at[i].task == task))
			return &repeats->at[i];
	return NULL;
}

/* Waits at the same await that overlap are not one after the other. */
static int beside_mark(struct judge *judge, repeat_list *repeats)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	cleanup(freep) uint64_t *until = calloc(repeats->n + 1, sizeof(*until));
	int rc = until ? trace_rows(judge->report->trace, QUERY_overlapping_await, &rows) : -ENOMEM;

	while (!rc && (rc = trace_next(judge->report->trace, rows)) == 1) {
		struct repeat *r = repeat_of(repeats, sqlite3_column_int64(rows, 3), 0);
		uint64_t begin_ns = column_ns(rows, 1), end_ns = column_ns(rows, 2);

		rc = 0;
		if (!r)
			continue;
		r->beside |= until[r - repeats->at] > begin_ns;
		if (end_ns > until[r - repeats->at])
			until[r - repeats->at] = end_ns;
	}
	return rc;
}

static void sequential_say(struct judge *judge, struct finding *f)
{
	finding_say(judge, f,
		"this await was waited for %llu times one after the other, %s in all, the longest "
		"%s; if they do not need each other's results, they could overlap",
		(unsigned long long)f->count, time_text(f->cost_ns), time_text(f->longest_ns));
	finding_evidence(judge, f,
		json_pack("{s:I,s:f,s:i}", "awaits", (json_int_t)f->count, "longest_ms",
			(double)(f->longest_ns / 1000) / 1000.0, "concurrency", 1));
}

/* Drops the findings, from `first` on, that are marked by a count of 0. */
static void findings_drop(struct report *report, size_t first)
{
	size_t kept = first;

	for (size_t i = first; i < report->findings.n; i++) {
		if (report->findings.at[i].count)
			report->findings.at[kept++] = report->findings.at[i];
		else
			free(report->findings.at[i].gains.at);
	}
	report->findings.n = kept;
}

int rule_sequential(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	size_t first = report->findings.n;
	repeat_list repeats = {0};
	int rc = trace_rows(report->trace, QUERY_repeated_await, &rows);

	if (!rc)
		sqlite3_bind_int(rows, 1, REPEATS_LEAST);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = repeat_take(judge, rule, &repeats, rows);
	if (!rc && repeats.n)
		rc = beside_mark(judge, &repeats);
	for (size_t i = 0; i < repeats.n && !rc; i++)
		if (repeats.at[i].beside)
			report->findings.at[repeats.at[i].finding].count = 0;
	free(repeats.at);
	findings_drop(report, first);
	for (size_t i = first; i < report->findings.n && !rc; i++)
		sequential_say(judge, &report->findings.at[i]);
	return rc;
}
