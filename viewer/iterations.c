/*
 * Busy time: of loops, and of cells, whose windows cut iterations in parts. Reads every row of
 * `iteration` once; a million of them is ordinary.
 */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

/* An iteration that begins this soon after a stall found work waiting: the loop's own selector call
 * takes microseconds. */
#define AT_ONCE_NS 1000000

/* Shorter iterations are no turns that a rule looks at. */
#define TURN_LEAST_NS 1000000

#define CAUSE_COLUMN 4 /* of QUERY_iteration */

struct window { /* of a cell, on one loop */
	uint64_t began_ns, ended_ns;
	uint64_t latest_ns; /* the latest end of this one and those before */
	int cell;
};

typedef LIST(struct window) window_list;

struct scan {
	struct report *report;
	window_list *windows; /* of each loop, by begin */
	int *last_stall;      /* of each loop, whose next iteration has not been seen */
	split_samples samples;
	uint64_t unknown_ns, busy_ns;
};

struct iteration {
	int64_t id;
	int loop, cell;
	uint64_t begin_ns, end_ns;
	struct causes causes;
};

static void scan_end(struct scan *scan)
{
	for (size_t i = 0; scan->windows && i < scan->report->loops.n; i++)
		free(scan->windows[i].at);
	free(scan->windows);
	free(scan->last_stall);
	free(scan->samples.at);
}

static int window_add(struct scan *scan, size_t loop, int cell)
{
	const struct cell *c = &scan->report->cells.at[cell];
	window_list *windows = &scan->windows[loop];
	struct window *w = list_add(windows);

	if (!w)
		return -ENOMEM;
	*w = (struct window){c->began_ns, c->ended_ns, c->ended_ns, cell};
	if (windows->n > 1 && windows->at[windows->n - 2].latest_ns > w->latest_ns)
		w->latest_ns = windows->at[windows->n - 2].latest_ns;
	return 0;
}

/* Cells come by their begin. One whose loop is not known could be on any of its process. */
static int windows_make(struct scan *scan)
{
	const struct report *report = scan->report;

	for (size_t c = 0; c < report->cells.n; c++) {
		const struct cell *cell = &report->cells.at[c];

		for (size_t l = 0; l < report->loops.n; l++) {
			const struct loop *loop = &report->loops.at[l];
			bool here = cell->loop == (int)l;

			if (cell->loop == NONE)
				here = loop->process == cell->process && !loop->machinery;
			if (here && window_add(scan, l, (int)c))
				return -ENOMEM;
		}
	}
	return 0;
}

size_t call_from(const struct report *report, int loop, uint64_t from)
{
	size_t low = 0, high = report->calls.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct call *c = &report->calls.at[mid];

		if (c->loop < loop || (c->loop == loop && c->begin_ns < from))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static uint64_t overlap(uint64_t begin, uint64_t end, uint64_t from, uint64_t to)
{
	begin = begin > from ? begin : from;
	end = end < to ? end : to;
	return end > begin ? end - begin : 0;
}

/* The causes of what lies in the window: calls that were timed are put on their side of its
 * borders. */
static void part_causes(const struct report *report, const struct iteration *it,
	const struct window *w, uint64_t part_ns, struct causes *ret)
{
	struct causes inside = {0}, outside = {0};

	for (size_t i = call_from(report, it->loop, it->begin_ns); i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];
		uint64_t length = c->end_ns - c->begin_ns, in;

		if (c->loop != it->loop || c->begin_ns >= it->end_ns)
			break;
		in = overlap(c->begin_ns, c->end_ns, w->began_ns, w->ended_ns);
		in = length ? (uint64_t)((unsigned __int128)c->off_ns * in / length) : 0;
		inside.ns[c->cause] += in;
		outside.ns[c->cause] += c->off_ns - in;
	}
	causes_part(&it->causes, &inside, &outside, part_ns, ret);
}

static void split(const struct scan *scan, const struct iteration *it, uint64_t from_ns,
	uint64_t to_ns, const struct causes *part, struct cpu_splits *to)
{
	split_add(to, &scan->samples, scan->report->loops.at[it->loop].id, it->begin_ns, from_ns,
		to_ns, part);
}

static int window_charge(struct scan *scan, const struct iteration *it, const struct window *w)
{
	struct cell *cell = &scan->report->cells.at[w->cell];
	uint64_t part_ns = overlap(it->begin_ns, it->end_ns, w->began_ns, w->ended_ns);
	struct causes part = it->causes;

	if (!part_ns)
		return 0;
	if (part_ns < it->end_ns - it->begin_ns)
		part_causes(scan->report, it, w, part_ns, &part);
	causes_add(&cell->causes, &part);
	split(scan, it, w->began_ns, w->ended_ns, &part, &cell->split);
	cell->busy_ns += part_ns;
	if (part_ns > cell->longest_ns)
		cell->longest_ns = part_ns;
	return busy_add(&cell->busy, part_ns, 1);
}

static int cells_charge(struct scan *scan, const struct iteration *it)
{
	const window_list *windows = &scan->windows[it->loop];
	size_t low = 0, high = windows->n;

	while (low < high) { /* the windows that begin before the iteration ends */
		size_t mid = low + (high - low) / 2;

		if (windows->at[mid].began_ns < it->end_ns)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low > 0 && windows->at[low - 1].latest_ns > it->begin_ns; low--) {
		int rc = window_charge(scan, it, &windows->at[low - 1]);

		if (rc)
			return rc;
	}
	return 0;
}

static int stall_add(struct scan *scan, const struct iteration *it)
{
	struct report *report = scan->report;
	struct stall *s = list_add(&report->stalls);

	if (!s)
		return -ENOMEM;
	s->iteration = it->id;
	s->loop = it->loop;
	s->cell = it->cell;
	s->begin_ns = it->begin_ns;
	s->busy_ns = it->end_ns - it->begin_ns;
	s->reach_ns = it->end_ns + AT_ONCE_NS;
	s->causes = it->causes;
	split(scan, it, 0, UINT64_MAX, &it->causes, &s->split);
	report->loops.at[it->loop].stalls++;
	report->loops.at[it->loop].stall_ns += s->busy_ns;
	if (s->cell != NONE) {
		report->cells.at[s->cell].stalls++;
		report->cells.at[s->cell].stall_ns += s->busy_ns;
	}
	scan->last_stall[it->loop] = (int)report->stalls.n - 1;
	return 0;
}

static int turn_add(struct report *report, const struct iteration *it)
{
	struct turn *turn = list_add(&report->turns);

	if (!turn)
		return -ENOMEM;
	*turn = (struct turn){it->loop, it->begin_ns, it->end_ns - it->begin_ns};
	calls_settle(report, it->loop, it->begin_ns, it->end_ns, &it->causes);
	return 0;
}

/* The iteration after a stall, if it came at once, ran what had been waiting. */
static void stall_reach(struct scan *scan, const struct iteration *it)
{
	int *last = &scan->last_stall[it->loop];
	struct stall *s;

	if (*last == NONE)
		return;
	s = &scan->report->stalls.at[*last];
	if (it->begin_ns < s->begin_ns + s->busy_ns)
		return;
	if (it->begin_ns - (s->begin_ns + s->busy_ns) <= AT_ONCE_NS)
		s->reach_ns = it->end_ns;
	*last = NONE;
}

static int iteration_take(struct scan *scan, const struct iteration *it)
{
	struct report *report = scan->report;
	struct loop *loop = &report->loops.at[it->loop];
	uint64_t busy_ns = it->end_ns - it->begin_ns;
	int rc = busy_add(&loop->busy, busy_ns, 1);

	causes_add(&loop->causes, &it->causes);
	split(scan, it, 0, UINT64_MAX, &it->causes, &loop->split);
	scan->busy_ns += busy_ns;
	scan->unknown_ns += it->causes.ns[CAUSE_unknown];
	if (it->causes.ns[CAUSE_unknown] > report->discrepancy_ns)
		report->discrepancy_ns = it->causes.ns[CAUSE_unknown];
	stall_reach(scan, it);
	if (!rc)
		rc = cells_charge(scan, it);
	if (!rc && busy_ns >= TURN_LEAST_NS)
		rc = turn_add(report, it);
	if (!rc && busy_ns >= report->stall_ns)
		rc = stall_add(scan, it);
	return rc;
}

/* Rows come in runs of one loop and one cell. */
struct index_memo {
	int64_t id;
	int index;
};

static int memo_index(struct index_memo *memo, int (*find)(const struct report *, int64_t),
	const struct report *report, int64_t id)
{
	if (memo->id != id) {
		memo->id = id;
		memo->index = find(report, id);
	}
	return memo->index;
}

static int rows_scan(struct scan *scan)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct index_memo loop = {-1, NONE}, cell = {-1, NONE};
	int rc = trace_rows(scan->report->trace, QUERY_iteration, &rows);

	while (!rc && (rc = trace_next(scan->report->trace, rows)) == 1) {
		struct iteration it = {0};
		uint64_t busy_ns = column_ns(rows, 2);

		rc = 0;
		it.loop =
			memo_index(&loop, loop_index, scan->report, sqlite3_column_int64(rows, 0));
		if (it.loop == NONE)
			continue;
		it.begin_ns = column_ns(rows, 1);
		it.end_ns = it.begin_ns + busy_ns;
		it.cell =
			memo_index(&cell, cell_index, scan->report, sqlite3_column_int64(rows, 3));
		for (int i = 0; i < CAUSE_COLUMNS; i++)
			it.causes.ns[i] = column_ns(rows, CAUSE_COLUMN + i);
		it.id = sqlite3_column_int64(rows, CAUSE_COLUMN + CAUSE_COLUMNS);
		if (causes_total(&it.causes) != busy_ns) /* not as schema.sql promises */
			causes_part(&it.causes, &(struct causes){0}, &(struct causes){0}, busy_ns,
				&it.causes);
		rc = iteration_take(scan, &it);
	}
	return rc;
}

/* The folded ones: only how long they were, to within a bucket. */
static int totals_scan(struct scan *scan)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = scan->report;
	int rc = trace_rows(report->trace, QUERY_iteration_total, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		int loop = loop_index(report, sqlite3_column_int64(rows, 0));
		int cell = cell_index(report, sqlite3_column_int64(rows, 1));
		uint64_t count = column_ns(rows, 2), busy_ns = column_ns(rows, 3);
		uint64_t mean_ns = count ? busy_ns / count : 0;

		rc = 0;
		scan->busy_ns += busy_ns;
		if (loop != NONE) {
			report->loops.at[loop].causes.ns[CAUSE_short] += busy_ns;
			rc = busy_add(&report->loops.at[loop].busy, mean_ns, count);
		}
		if (cell != NONE && !rc) {
			report->cells.at[cell].causes.ns[CAUSE_short] += busy_ns;
			report->cells.at[cell].busy_ns += busy_ns;
			rc = busy_add(&report->cells.at[cell].busy, mean_ns, count);
			if (mean_ns > report->cells.at[cell].longest_ns)
				report->cells.at[cell].longest_ns = mean_ns;
		}
	}
	return rc;
}

static int stalls_place(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = report->stalls.n ? trace_rows(report->trace, QUERY_iteration_place, &rows) : 0;

	for (size_t i = 0; i < report->stalls.n && !rc; i++) {
		sqlite3_reset(rows);
		sqlite3_bind_int64(rows, 1, report->stalls.at[i].iteration);
		rc = trace_next(report->trace, rows);
		if (rc == 1)
			rc = keep_place(report, rows, 0, &report->stalls.at[i].place);
	}
	return rc;
}

/* A loop's row counts everything, also what a bound cut from the tables: that has no causes and
 * stands as short. */
static int loops_finish(struct report *report)
{
	for (size_t i = 0; i < report->loops.n; i++) {
		struct loop *l = &report->loops.at[i];
		struct busy_set busy;
		uint64_t sum = causes_total(&l->causes);

		if (l->busy_ns > sum)
			l->causes.ns[CAUSE_short] += l->busy_ns - sum;
		else
			l->busy_ns = sum;
		l->observed_ns = l->busy_ns + l->select_ns;
		if (!l->ended && l->ended_ns > l->began_ns &&
			l->ended_ns - l->began_ns > l->observed_ns)
			l->observed_ns = l->ended_ns - l->began_ns;
		if (busy_copy(&l->busy, 0, &busy))
			return -ENOMEM;
		l->lag = lag_of(&busy, l->observed_ns); /* findings need the whole set again */
		busy_free(&busy);
		if (l->lag.known && l->max_busy_ns > l->lag.max_ns)
			l->lag.max_ns = l->max_busy_ns;
		if (l->causes.ns[CAUSE_cpu_user] || l->causes.ns[CAUSE_cpu_kernel])
			report->has_cpu_split = true;
	}
	for (size_t i = 0; i < report->cells.n; i++) {
		struct cell *c = &report->cells.at[i];
		uint64_t from_ns =
			c->began_ns > report->kept_from_ns ? c->began_ns : report->kept_from_ns;

		c->lag = lag_of(&c->busy, c->ended_ns > from_ns ? c->ended_ns - from_ns : 0);
	}
	return 0;
}

static int stalls_compare(const void *a, const void *b)
{
	const struct stall *x = a, *y = b;

	return x->begin_ns < y->begin_ns ? -1 : x->begin_ns > y->begin_ns;
}

static int turns_compare(const void *a, const void *b)
{
	const struct turn *x = a, *y = b;

	if (x->loop != y->loop)
		return x->loop - y->loop;
	return x->begin_ns < y->begin_ns ? -1 : x->begin_ns > y->begin_ns;
}

int iterations_read(struct report *report)
{
	struct scan scan = {.report = report};
	size_t loops = report->loops.n;
	int rc = 0;

	scan.windows = calloc(loops + 1, sizeof(*scan.windows));
	scan.last_stall = malloc((loops + 1) * sizeof(*scan.last_stall));
	if (!scan.windows || !scan.last_stall)
		rc = -ENOMEM;
	for (size_t i = 0; i < loops && !rc; i++)
		scan.last_stall[i] = NONE;
	if (!rc)
		rc = windows_make(&scan);
	if (!rc)
		rc = split_read(report->trace, &scan.samples);
	if (!rc)
		rc = rows_scan(&scan);
	if (!rc)
		rc = totals_scan(&scan);
	scan_end(&scan);
	if (rc)
		return rc;
	if (report->stalls.n)
		qsort(report->stalls.at, report->stalls.n, sizeof(*report->stalls.at),
			stalls_compare);
	if (report->turns.n)
		qsort(report->turns.at, report->turns.n, sizeof(*report->turns.at), turns_compare);
	rc = loops_finish(report);
	if (rc)
		return rc;
	report->busy_ns = scan.busy_ns;
	if (scan.busy_ns)
		report->accounted_share = 1.0 - (double)scan.unknown_ns / (double)scan.busy_ns;
	return stalls_place(report);
}
