/*
 * Who waited while a loop was held: tasks of user code whose wait overlapped a stall and ended in
 * it or in the iteration that followed at once. When their timers were due is not known, so it is
 * an upper bound.
 */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

#define FELT_SHARE 10 /* a wait that overlaps a stall by less than --stall/10 did not suffer it */

struct owner { /* of a task; tasks without user code have loop NONE */
	int64_t task;
	int loop;
};

typedef LIST(struct owner) owner_list;

static int owners_read(struct report *report, owner_list *owners)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_task_owner, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct owner *o = list_add(owners);

		rc = 0;
		if (!o)
			return -ENOMEM;
		o->task = sqlite3_column_int64(rows, 0);
		o->loop = sqlite3_column_int(rows, 2)
				  ? loop_index(report, sqlite3_column_int64(rows, 1))
				  : NONE;
	}
	return rc;
}

/* Owners come in the order of their ids. */
static int owner_loop(const owner_list *owners, int64_t task)
{
	size_t low = 0, high = owners->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (owners->at[mid].task < task)
			low = mid + 1;
		else
			high = mid;
	}
	return low < owners->n && owners->at[low].task == task ? owners->at[low].loop : NONE;
}

static uint64_t stall_end(const struct stall *s)
{
	return s->begin_ns + s->busy_ns;
}

/* Stalls of one loop do not overlap, those of several may: the last one of this loop that began
 * before the wait ended. */
static struct stall *stall_before(struct report *report, int loop, uint64_t end_ns)
{
	size_t low = 0, high = report->stalls.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (report->stalls.at[mid].begin_ns <= end_ns)
			low = mid + 1;
		else
			high = mid;
	}
	while (low > 0 && report->stalls.at[low - 1].loop != loop)
		low--;
	return low ? &report->stalls.at[low - 1] : NULL;
}

static int waits_scan(struct report *report, const owner_list *owners)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	uint64_t felt_ns = report->stall_ns / FELT_SHARE;
	int rc = trace_rows(report->trace, QUERY_await, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		uint64_t begin = column_ns(rows, 1), end = begin + column_ns(rows, 2), from, to;
		struct stall *s;
		int loop;

		rc = 0;
		if (end - begin < felt_ns)
			continue;
		loop = owner_loop(owners, sqlite3_column_int64(rows, 0));
		s = loop == NONE ? NULL : stall_before(report, loop, end);
		if (!s || end > s->reach_ns)
			continue;
		from = begin > s->begin_ns ? begin : s->begin_ns;
		to = end < stall_end(s) ? end : stall_end(s);
		if (to > from && to - from >= felt_ns)
			s->tasks_delayed++;
	}
	return rc;
}

static void stalls_weigh(struct report *report)
{
	for (size_t i = 0; i < report->stalls.n; i++) {
		struct stall *s = &report->stalls.at[i];
		struct cell *cell = s->cell == NONE ? NULL : &report->cells.at[s->cell];

		struct loop *loop = &report->loops.at[s->loop];

		s->quiet = cell && cell->synchronous &&
			   (!s->tasks_delayed || s->tasks_delayed == NOT_COUNTED);
		if (s->quiet)
			continue;
		loop->felt++;
		loop->felt_ns += s->busy_ns;
		if (cell)
			cell->felt_ns += s->busy_ns;
	}
}

int delays_read(struct report *report)
{
	bool counted = strcmp(report->coverage.sensor[COVERAGE_tasks], "none") != 0;
	owner_list owners = {0};
	int rc = 0;

	if (!report->stalls.n)
		return 0;
	for (size_t i = 0; i < report->stalls.n && !counted; i++)
		report->stalls.at[i].tasks_delayed = NOT_COUNTED;
	if (counted)
		rc = owners_read(report, &owners);
	if (counted && !rc)
		rc = waits_scan(report, &owners);
	free(owners.at);
	stalls_weigh(report);
	return rc;
}
