/* AS210: one await, waited for again and again while nothing else did. */
#include <errno.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/source_text.h"

#define REPEATS_LEAST 5

/* Waiting for these one at a time is their purpose. */
static bool is_excluded(const struct frame *operand)
{
	static const char *const names[] = {"sleep", "Queue.get", "Queue.put", "Queue.join",
		"Event.wait", "Lock.acquire", "Semaphore.acquire", "BoundedSemaphore.acquire",
		"Condition.wait", "Condition.wait_for", "Barrier.wait",
		"_ContextManagerMixin.__aenter__", "Lock.__aenter__", "Semaphore.__aenter__",
		"as_completed.<locals>._wait_for_one", "_AsCompletedIterator._wait_for_one",
		"TaskGroup.__aexit__"};
	const char *inside = library_path(operand->place.file);

	if (!inside || strncmp(inside, "asyncio/", strlen("asyncio/")))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(operand->place.function, names[i]))
			return true;
	return !strcmp(inside, "asyncio/streams.py"); /* one connection's, in its order */
}

enum in_loop { IN_LOOP, NOT_IN_LOOP, LOOP_UNKNOWN };

static enum in_loop loop_around(const struct report *report, const struct place *place)
{
	int cell = cell_of_file(report, place->file, NONE);
	cleanup(freep) char *text = cell == NONE ? source_read(place->file) : NULL;
	const char *source = cell == NONE ? text : report->cells.at[cell].source;

	if (!source)
		return LOOP_UNKNOWN;
	return source_awaits_in_loop(source, place->line) ? IN_LOOP : NOT_IN_LOOP;
}

/* The innermost frame of user code, from this one on, whose await its source shows in a loop. */
static int looping_find(const struct judge *judge, int from)
{
	for (int i = from; i < (int)judge->frames.n; i++)
		if (judge->frames.at[i].user &&
			loop_around(judge->report, &judge->frames.at[i].place) == IN_LOOP)
			return i;
	return NONE;
}

/*
 * Which await of user code repeats? The innermost whose operand is user code too, where a loop is
 * around it or around a call that led to it; else the innermost, unless its source shows none.
 * NONE: not known, or its purpose is to wait. *ret_loop is the frame with the loop, or NONE.
 */
static int repeated_find(const struct judge *judge, int *ret_loop)
{
	int innermost = NONE, wrapping = NONE;
	enum in_loop in_loop;

	for (int i = 0; i < (int)judge->frames.n && wrapping == NONE; i++) {
		if (!judge->frames.at[i].user)
			continue;
		if (innermost == NONE)
			innermost = i;
		else if (judge->frames.at[i - 1].user)
			wrapping = i;
	}
	*ret_loop = wrapping == NONE ? NONE : looping_find(judge, wrapping);
	if (*ret_loop != NONE)
		return wrapping;
	if (innermost == NONE || (innermost && is_excluded(&judge->frames.at[innermost - 1])))
		return NONE;
	in_loop = loop_around(judge->report, &judge->frames.at[innermost].place);
	*ret_loop = in_loop == IN_LOOP ? innermost : NONE;
	return in_loop == NOT_IN_LOOP ? NONE : innermost;
}

struct wait { /* one wait of a task at an await */
	int64_t task, stack;
	uint64_t begin_ns, ns;
};

typedef LIST(struct wait) wait_list;

/* How often each (task, await) was seen, at most: several may share a counter. */
#define COUNTERS (1 << 21)
#define SITES_MAX (1 << 22) /* awaits of higher ids are not judged */

struct await_site {        /* one stack that tasks waited at */
	uint64_t until_ns; /* the waits seen so far had ended then */
	bool beside;       /* two of them overlapped */
	bool repeats;      /* some task may have waited often enough */
};

struct sketch {
	uint8_t count[COUNTERS];
	struct await_site *site; /* by the stack's id */
	size_t sites;
	bool any; /* site worth a second look */
};

static uint8_t *counter_of(struct sketch *sketch, int64_t task, int64_t stack)
{
	uint64_t h = ((uint64_t)task * 0x9e3779b97f4a7c15) ^ ((uint64_t)stack * 0xc2b2ae3d27d4eb4f);

	return &sketch->count[(h ^ h >> 32) & (COUNTERS - 1)];
}

static int sites_grow(struct sketch *sketch, size_t stack)
{
	size_t room = sketch->sites ? sketch->sites : 256;
	struct await_site *more;

	while (room <= stack)
		room *= 2;
	more = reallocarray(sketch->site, room, sizeof(*more));
	if (!more)
		return -ENOMEM;
	memset(more + sketch->sites, 0, (room - sketch->sites) * sizeof(*more));
	sketch->site = more;
	sketch->sites = room;
	return 0;
}

/* Waits come in the order of their ends: if any two overlap, then two that follow each other do. */
static int sketch_fill(struct judge *judge, struct sketch *sketch)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(judge->report->trace, QUERY_await_stack, &rows);

	while (!rc && (rc = trace_next(judge->report->trace, rows)) == 1) {
		int64_t stack = sqlite3_column_int64(rows, 1);
		struct await_site *site;
		uint64_t begin_ns;
		uint8_t *c;

		rc = 0;
		if (stack < 0 || stack >= SITES_MAX)
			continue;
		if ((size_t)stack >= sketch->sites)
			rc = sites_grow(sketch, (size_t)stack);
		if (rc || sketch->site[stack].beside)
			continue;
		site = &sketch->site[stack];
		begin_ns = column_ns(rows, 2);
		site->beside = begin_ns < site->until_ns;
		site->until_ns = begin_ns + column_ns(rows, 3);
		c = counter_of(sketch, sqlite3_column_int64(rows, 0), stack);
		*c += *c < REPEATS_LEAST;
		site->repeats |= *c == REPEATS_LEAST;
	}
	for (size_t i = 0; i < sketch->sites; i++)
		sketch->any |= sketch->site[i].repeats && !sketch->site[i].beside;
	return rc;
}

static int wait_compare(const void *a, const void *b)
{
	const struct wait *x = a, *y = b;

	if (x->stack != y->stack)
		return x->stack < y->stack ? -1 : 1;
	if (x->task != y->task)
		return x->task < y->task ? -1 : 1;
	return x->begin_ns < y->begin_ns ? -1 : x->begin_ns > y->begin_ns;
}

/* All waits of awaits that may repeat, one after the other, by await, task and time. */
static int waits_read(struct judge *judge, const struct sketch *sketch, wait_list *waits)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(judge->report->trace, QUERY_await_stack, &rows);

	while (!rc && (rc = trace_next(judge->report->trace, rows)) == 1) {
		int64_t task = sqlite3_column_int64(rows, 0), stack = sqlite3_column_int64(rows, 1);
		struct wait *w;

		rc = 0;
		if (stack < 0 || (size_t)stack >= sketch->sites || !sketch->site[stack].repeats ||
			sketch->site[stack].beside)
			continue;
		w = list_add(waits);
		if (!w)
			return -ENOMEM;
		w->task = task;
		w->stack = stack;
		w->begin_ns = column_ns(rows, 2);
		w->ns = column_ns(rows, 3);
	}
	if (waits->n)
		qsort(waits->at, waits->n, sizeof(*waits->at), wait_compare);
	return rc;
}

struct repeat {                        /* an await that was waited for again and again */
	struct place place, outermost; /* of user code */
	struct place loop;             /* around a call that led to it; no file: around itself */
};

/* ", in the loop of page.py:12"; malloc'd, NULL: out of memory. */
static char *loop_text(const struct report *report, int cell, const struct place *loop)
{
	cleanup(freep) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fputs(loop->file ? ", in the loop of " : "", out);
	if (loop->file)
		place_print(report, cell, loop, out);
	return fclose(out) ? NULL : TAKE(text);
}

/* Those of one task at one await, added up. */
static int repeat_find(struct judge *judge, const struct rule *rule, const struct wait *waits,
	size_t n, const struct repeat *repeat)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	cleanup(freep) char *loop = NULL;
	struct report *report = judge->report;
	struct finding *f;
	int process, cell, rc = trace_rows(report->trace, QUERY_task_runs, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, waits->task);
	rc = trace_next(report->trace, rows);
	if (rc != 1)
		return rc;
	process = process_index(report, sqlite3_column_int64(rows, 0));
	cell = sqlite3_column_type(rows, 1) == SQLITE_NULL
		       ? NONE
		       : cell_index(report, sqlite3_column_int64(rows, 1));
	if (cell == NONE)
		cell = cell_running(report, repeat->outermost.file, waits->begin_ns);
	f = finding_at(judge, rule, process, cell, &repeat->place);
	loop = loop_text(report, cell, &repeat->loop);
	if (!f || !loop)
		return -ENOMEM;
	if (!f->count)
		f->detail = string_keep(&report->strings, loop);
	if (!f->detail)
		return -ENOMEM;
	f->count += n;
	f->costed = true;
	for (size_t i = 0; i < n; i++) {
		f->cost_ns += waits[i].ns;
		if (waits[i].ns > f->longest_ns)
			f->longest_ns = waits[i].ns;
	}
	return 0;
}

/* All waits of one await. */
static int await_judge(
	struct judge *judge, const struct rule *rule, const struct wait *waits, size_t n)
{
	struct repeat repeat = {0};
	int user, at, loop, rc = step_frames(judge, waits->stack, &user);

	at = rc ? NONE : repeated_find(judge, &loop);
	if (at == NONE)
		return rc;
	repeat.place = judge->frames.at[at].place;
	if (loop != NONE && loop != at)
		repeat.loop = judge->frames.at[loop].place;
	for (size_t i = 0; i < judge->frames.n; i++)
		if (judge->frames.at[i].user)
			repeat.outermost = judge->frames.at[i].place;
	for (size_t i = 0, to; i < n && !rc; i = to) {
		for (to = i; to < n && waits[to].task == waits[i].task;)
			to++;
		if (to - i >= REPEATS_LEAST)
			rc = repeat_find(judge, rule, &waits[i], to - i, &repeat);
	}
	return rc;
}

static void sequential_say(struct judge *judge, struct finding *f)
{
	finding_say(judge, f,
		"this await was waited for %llu times one after the other%s, %s in all, the "
		"longest %s; if they do not need each other's results, they could overlap",
		(unsigned long long)f->count, f->detail, time_text(f->cost_ns),
		time_text(f->longest_ns));
	finding_evidence(judge, f,
		json_pack("{s:I,s:f,s:i}", "awaits", (json_int_t)f->count, "longest_ms",
			(double)(f->longest_ns / 1000) / 1000.0, "concurrency", 1));
}

int rule_sequential(struct judge *judge, const struct rule *rule)
{
	struct sketch *sketch = calloc(1, sizeof(*sketch));
	struct report *report = judge->report;
	size_t first = report->findings.n;
	wait_list waits = {0};
	int rc = sketch ? sketch_fill(judge, sketch) : -ENOMEM;

	if (!rc && sketch->any)
		rc = waits_read(judge, sketch, &waits);
	if (sketch)
		free(sketch->site);
	free(sketch);
	for (size_t i = 0, to; i < waits.n && !rc; i = to) {
		for (to = i; to < waits.n && waits.at[to].stack == waits.at[i].stack;)
			to++;
		rc = await_judge(judge, rule, &waits.at[i], to - i);
	}
	free(waits.at);
	for (size_t i = first; i < report->findings.n && !rc; i++)
		sequential_say(judge, &report->findings.at[i]);
	return rc;
}
