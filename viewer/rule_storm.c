/* AS207: many tasks of one site within one turn. One pass over the tasks, which come in the order
 * they were created. */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/rule.h"

#define STORM_TASKS 1000 /* by one site within one turn */

struct site_count { /* tasks of one creation stack on one loop */
	int64_t stack, loop;
	uint64_t turn_begin_ns, in_turn, most;
	int64_t task; /* one of them */
};

struct site_counts { /* open addressing; stack 0: free */
	struct site_count *at;
	size_t n, room;
};

static struct site_count *count_slot(const struct site_counts *counts, int64_t stack, int64_t loop)
{
	uint64_t h = ((uint64_t)stack * 0x9e3779b97f4a7c15) ^ (uint64_t)loop;
	size_t i = (h ^ h >> 32) & (counts->room - 1);

	while (counts->at[i].stack && (counts->at[i].stack != stack || counts->at[i].loop != loop))
		i = (i + 1) & (counts->room - 1);
	return &counts->at[i];
}

static int counts_grow(struct site_counts *counts)
{
	struct site_counts more = {.n = counts->n, .room = counts->room ? counts->room * 2 : 256};

	more.at = calloc(more.room, sizeof(*more.at));
	if (!more.at)
		return -ENOMEM;
	for (size_t i = 0; i < counts->room; i++)
		if (counts->at[i].stack)
			*count_slot(&more, counts->at[i].stack, counts->at[i].loop) = counts->at[i];
	free(counts->at);
	*counts = more;
	return 0;
}

/* Columns: task, loop, stack, when it was created. */
static int task_count(const struct report *report, struct site_counts *counts, sqlite3_stmt *rows)
{
	int64_t loop = sqlite3_column_int64(rows, 1), stack = sqlite3_column_int64(rows, 2);
	int index = loop_index(report, loop);
	const struct turn *turn = index == NONE ? NULL : turn_at(report, index, column_ns(rows, 3));
	struct site_count *c;

	if (!turn || stack <= 0)
		return 0; /* a thousand tasks take a turn long enough to be listed */
	if (counts->n * 2 >= counts->room && counts_grow(counts))
		return -ENOMEM;
	c = count_slot(counts, stack, loop);
	if (!c->stack) {
		*c = (struct site_count){.stack = stack, .loop = loop};
		counts->n++;
	}
	if (c->turn_begin_ns != turn->begin_ns)
		c->in_turn = 0;
	c->turn_begin_ns = turn->begin_ns;
	c->task = sqlite3_column_int64(rows, 0);
	if (++c->in_turn > c->most)
		c->most = c->in_turn;
	return 0;
}

static int storm_find(struct judge *judge, const struct rule *rule, const struct site_count *c)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct row_place at;
	struct finding *f;
	int rc = trace_rows(judge->report->trace, QUERY_task_site, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, c->task);
	rc = trace_next(judge->report->trace, rows);
	if (rc != 1)
		return rc;
	if (row_place_take(judge, rows, &at))
		return -ENOMEM;
	if (!file_is_user(judge->report, at.place.file))
		return 0;
	f = finding_at(judge, rule, at.process, at.cell, &at.place);
	if (!f)
		return -ENOMEM;
	if (c->most <= f->count)
		return 0;
	f->count = c->most;
	f->subject = keep_column(judge->report, rows, 6);
	if (!f->subject)
		return -ENOMEM;
	finding_say(judge, f, "%llu tasks of %s were created within one turn of the event loop",
		(unsigned long long)f->count, f->subject);
	finding_evidence(judge, f,
		json_pack("{s:s,s:I}", "coro", utf8_keep(judge, f->subject), "tasks",
			(json_int_t)f->count));
	return 0;
}

int rule_storm(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct site_counts counts = {0};
	int rc = trace_rows(judge->report->trace, QUERY_task_created, &rows);

	while (!rc && (rc = trace_next(judge->report->trace, rows)) == 1)
		rc = task_count(judge->report, &counts, rows);
	for (size_t i = 0; i < counts.room && !rc; i++)
		if (counts.at[i].most >= STORM_TASKS)
			rc = storm_find(judge, rule, &counts.at[i]);
	free(counts.at);
	return rc;
}
