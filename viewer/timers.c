/*
 * How late timers were: each by itself where it has a row, the others by the mean of their bucket.
 * Here a timer counts once, however long it waited: plain percentiles, not those of lag.
 */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

#define BUCKETS 64 /* floor(log2(ns)) */

struct late { /* timers of a loop that were this late */
	int loop;
	uint64_t ns, count;
};

typedef LIST(struct late) late_list;

struct bucket { /* of timer_total, less what late_timer has of it */
	uint64_t count, ns;
};

static unsigned int bucket_of(uint64_t ns)
{
	return 63u - (unsigned int)__builtin_clzll(ns | 1);
}

static int late_add(late_list *list, int loop, uint64_t ns, uint64_t count)
{
	struct late *l = list_add(list);

	if (!l)
		return -ENOMEM;
	*l = (struct late){loop, ns, count};
	return 0;
}

static int rows_read(struct report *report, late_list *list, struct bucket *buckets)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_late_timer, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		int loop = loop_index(report, sqlite3_column_int64(rows, 0));
		uint64_t ns = column_ns(rows, 1);
		struct bucket *b;

		rc = 0;
		if (loop == NONE)
			continue;
		b = &buckets[(size_t)loop * BUCKETS + bucket_of(ns)];
		if (!b->count)
			continue; /* not as schema.sql promises: more rows than timers */
		b->count--;
		b->ns -= ns < b->ns ? ns : b->ns;
		rc = late_add(list, loop, ns, 1);
	}
	return rc;
}

static int totals_read(struct report *report, struct bucket *buckets)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_timer_total, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		int loop = loop_index(report, sqlite3_column_int64(rows, 0));
		int bucket = sqlite3_column_int(rows, 1);
		uint64_t max_ns = column_ns(rows, 4);
		struct lag *late;

		rc = 0;
		if (loop == NONE || bucket < 0 || bucket >= BUCKETS)
			continue;
		buckets[(size_t)loop * BUCKETS + (size_t)bucket] =
			(struct bucket){column_ns(rows, 2), column_ns(rows, 3)};
		late = &report->loops.at[loop].timer_late;
		late->known = true;
		if (max_ns > late->max_ns)
			late->max_ns = max_ns;
	}
	return rc;
}

static int late_compare(const void *a, const void *b)
{
	const struct late *x = a, *y = b;

	if (x->loop != y->loop)
		return x->loop - y->loop;
	return x->ns < y->ns ? -1 : x->ns > y->ns;
}

/* Of one loop, in the order of their lateness: the first that so many percent do not exceed. */
static uint64_t percentile(const struct late *late, size_t n, unsigned int percent)
{
	uint64_t all = 0, want, seen = 0;

	for (size_t i = 0; i < n; i++)
		all += late[i].count;
	want = all / 100 * percent + (all % 100 * percent + 99) / 100;
	for (size_t i = 0; i < n; i++) {
		seen += late[i].count;
		if (seen >= want)
			return late[i].ns;
	}
	return 0;
}

static void loops_fill(struct report *report, const late_list *list)
{
	for (size_t from = 0, to; from < list->n; from = to) {
		struct lag *late = &report->loops.at[list->at[from].loop].timer_late;

		for (to = from; to < list->n && list->at[to].loop == list->at[from].loop;)
			to++;
		late->p50_ns = percentile(list->at + from, to - from, 50);
		late->p90_ns = percentile(list->at + from, to - from, 90);
		late->p99_ns = percentile(list->at + from, to - from, 99);
	}
}

int timers_read(struct report *report)
{
	cleanup(freep) struct bucket *buckets =
		calloc(report->loops.n * BUCKETS + 1, sizeof(*buckets));
	late_list list = {0};
	int rc = buckets ? totals_read(report, buckets) : -ENOMEM;

	if (!rc)
		rc = rows_read(report, &list, buckets);
	for (size_t i = 0; i < report->loops.n * BUCKETS && !rc; i++)
		if (buckets[i].count)
			rc = late_add(&list, (int)(i / BUCKETS), buckets[i].ns / buckets[i].count,
				buckets[i].count);
	if (!rc && list.n) {
		qsort(list.at, list.n, sizeof(*list.at), late_compare);
		loops_fill(report, &list);
	}
	free(list.at);
	return rc;
}
