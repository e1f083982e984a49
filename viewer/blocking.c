/* Blocking calls on loop threads, summed by where they were made, and what they did to the stalls
 * they were part of. */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

struct site_table { /* open addressing; a slot holds a site's index + 1 */
	size_t *slot;
	size_t room;
};

static size_t site_hash(const struct site *s)
{
	const uint64_t parts[] = {
		(uint64_t)s->process,
		(uint64_t)s->loop,
		(uint64_t)s->cell,
		(uint64_t)s->place.line,
		(uintptr_t)s->place.file,
		(uintptr_t)s->place.function,
		(uintptr_t)s->call,
		(uintptr_t)s->class,
	};
	uint64_t h = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		h = (h ^ parts[i]) * 0x9e3779b97f4a7c15;
	return (size_t)(h ^ h >> 32);
}

/* Texts are kept once, so equal texts are equal pointers. */
static bool site_equal(const struct site *a, const struct site *b)
{
	return a->process == b->process && a->loop == b->loop && a->cell == b->cell &&
	       a->place.file == b->place.file && a->place.line == b->place.line &&
	       a->place.function == b->place.function && a->call == b->call && a->class == b->class;
}

static size_t *slot_find(
	const struct report *report, const struct site_table *table, const struct site *site)
{
	size_t i = site_hash(site) & (table->room - 1);

	while (table->slot[i] && !site_equal(&report->sites.at[table->slot[i] - 1], site))
		i = (i + 1) & (table->room - 1);
	return &table->slot[i];
}

static int table_grow(const struct report *report, struct site_table *table)
{
	struct site_table more = {.room = table->room ? table->room * 2 : 64};

	more.slot = calloc(more.room, sizeof(*more.slot));
	if (!more.slot)
		return -ENOMEM;
	for (size_t i = 0; i < report->sites.n; i++)
		*slot_find(report, &more, &report->sites.at[i]) = i + 1;
	free(table->slot);
	*table = more;
	return 0;
}

/* The site like `key`, made where there is none. */
static int site_find(
	struct report *report, struct site_table *table, const struct site *key, size_t *ret)
{
	size_t *slot;
	struct site *site;

	if (report->sites.n * 2 >= table->room && table_grow(report, table))
		return -ENOMEM;
	slot = slot_find(report, table, key);
	if (!*slot) {
		site = list_add(&report->sites);
		if (!site)
			return -ENOMEM;
		*site = *key;
		*slot = report->sites.n;
	}
	*ret = *slot - 1;
	return 0;
}

/* Index of an id column that may be NULL. */
static int column_index(const struct report *report, sqlite3_stmt *rows, int column,
	int (*find)(const struct report *, int64_t))
{
	return sqlite3_column_type(rows, column) == SQLITE_NULL
		       ? NONE
		       : find(report, sqlite3_column_int64(rows, column));
}

static int call_take(struct report *report, struct site_table *table, sqlite3_stmt *rows)
{
	struct site key = {.last_stall = NONE}, *site;
	uint64_t off_ns = column_ns(rows, 4), held_ns; /* a database computes in the call as well */
	struct call *call;
	size_t at;

	held_ns = off_ns + (strcmp(column_text(rows, 8), "database") ? 0 : column_ns(rows, 5));
	if (held_ns < report->min_block_ns)
		return 0;
	key.process = column_index(report, rows, 0, process_index);
	key.loop = column_index(report, rows, 1, loop_index);
	key.cell = column_index(report, rows, 2, cell_index);
	key.call = keep_column(report, rows, 6);
	key.class = keep_column(report, rows, 8);
	if (!key.call || !key.class || keep_place(report, rows, 11, &key.place) ||
		site_find(report, table, &key, &at))
		return -ENOMEM;
	site = &report->sites.at[at];
	if (off_ns > site->max_ns || !site->count) {
		site->max_ns = off_ns;
		site->syscall = keep_column(report, rows, 7);
		site->target = keep_column(report, rows, 9);
		site->stack = sqlite3_column_int64(rows, 10);
		site->in_step = sqlite3_column_int(rows, 20) != 0;
		site->ended_thread =
			sqlite3_column_int(rows, 18) ? keep_column(report, rows, 14) : NULL;
		site->ended_process = sqlite3_column_type(rows, 21) == SQLITE_NULL
					      ? NULL
					      : keep_column(report, rows, 21);
		if (!site->syscall || !site->target || keep_place(report, rows, 15, &site->ended))
			return -ENOMEM;
	}
	site->count++;
	site->unfinished += sqlite3_column_int(rows, 19) != 0;
	site->total_ns += off_ns;
	if (site->cell != NONE)
		report->cells.at[site->cell].blocking_ns += off_ns;
	call = site->loop == NONE ? NULL : list_add(&report->calls);
	if (site->loop != NONE && !call)
		return -ENOMEM;
	if (call) {
		uint64_t begin = column_ns(rows, 3);

		*call = (struct call){site->loop, begin, begin + off_ns + column_ns(rows, 5),
			off_ns, off_ns, cause_of_class(key.class), at};
	}
	return 0;
}

static int calls_compare(const void *a, const void *b)
{
	const struct call *x = a, *y = b;

	if (x->loop != y->loop)
		return x->loop - y->loop;
	return x->begin_ns < y->begin_ns ? -1 : x->begin_ns > y->begin_ns;
}

int blocking_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct site_table table = {0};
	int rc = trace_rows(report->trace, QUERY_blocking_call, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = call_take(report, &table, rows);
	free(table.slot);
	if (report->calls.n)
		qsort(report->calls.at, report->calls.n, sizeof(*report->calls.at), calls_compare);
	return rc;
}

static int sites_compare(const void *a, const void *b)
{
	const struct site *x = a, *y = b;

	if (x->total_ns != y->total_ns)
		return x->total_ns > y->total_ns ? -1 : 1;
	if (x->cell != y->cell)
		return x->cell - y->cell;
	return x->place.line - y->place.line;
}

static void site_stall(struct site *site, const struct stall *stall, int index, uint64_t waited_ns)
{
	if (!stall->quiet)
		site->stall_ns += waited_ns;
	if (site->last_stall != index && !stall->quiet) {
		site->in_stalls++;
		site->held_ns += stall->busy_ns;
	}
	site->last_stall = index;
	if (stall->tasks_delayed == NOT_COUNTED || stall->tasks_delayed > site->tasks_delayed) {
		site->tasks_delayed = stall->tasks_delayed;
		site->delayed_most = stall->delayed_most;
	}
	if (stall->delay_ns > site->delay_ns)
		site->delay_ns = stall->delay_ns;
}

static int machinery_mark(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_stack_user, &rows);

	for (size_t i = 0; i < report->sites.n && rc >= 0; i++) {
		struct site *s = &report->sites.at[i];

		s->machinery = s->loop != NONE && report->loops.at[s->loop].machinery;
		if (s->machinery || s->cell != NONE || s->process == NONE ||
			!report->processes.at[s->process].is_kernel)
			continue;
		sqlite3_reset(rows);
		sqlite3_bind_int64(rows, 1, s->stack);
		sqlite3_bind_int(rows, 2, STACK_DEPTH_MAX);
		rc = trace_next(report->trace, rows);
		s->machinery = rc == 1 && !sqlite3_column_int(rows, 0);
	}
	return rc < 0 ? rc : 0;
}

/* Calls name their site by its place in the list. */
static int sites_sort(struct report *report)
{
	cleanup(freep) size_t *now = malloc((report->sites.n + 1) * sizeof(*now));

	if (!now)
		return -ENOMEM;
	for (size_t i = 0; i < report->sites.n; i++)
		report->sites.at[i].order = i;
	if (report->sites.n)
		qsort(report->sites.at, report->sites.n, sizeof(*report->sites.at), sites_compare);
	for (size_t i = 0; i < report->sites.n; i++)
		now[report->sites.at[i].order] = i;
	for (size_t i = 0; i < report->calls.n; i++)
		report->calls.at[i].site = now[report->calls.at[i].site];
	return 0;
}

/*
 * A call that is over goes on when there is a CPU: of the time in the calls of a turn that is what
 * its causes do not tell as blocked. The calls whose class has less in the causes had to wait.
 */
void calls_settle(struct report *report, int loop, uint64_t begin_ns, uint64_t end_ns,
	const struct causes *causes)
{
	size_t from = call_from(report, loop, begin_ns), to = from;
	uint64_t off_ns[CAUSE_COUNT] = {0}, all_ns = 0, queued_ns;
	double less_ns[CAUSE_COUNT] = {0}, all_less_ns = 0;
	uint64_t told_ns =
		causes_family(causes, FAMILY_BLOCKED) + causes_family(causes, FAMILY_UNKNOWN);
	uint64_t most_ns = causes_family(causes, FAMILY_WAIT);

	for (; to < report->calls.n && report->calls.at[to].loop == loop &&
		report->calls.at[to].begin_ns < end_ns;
		to++) {
		off_ns[report->calls.at[to].cause] += report->calls.at[to].off_ns;
		all_ns += report->calls.at[to].off_ns;
	}
	queued_ns = all_ns > told_ns ? all_ns - told_ns : 0;
	queued_ns = queued_ns < most_ns ? queued_ns : most_ns;
	for (size_t i = 0; i < CAUSE_COUNT && queued_ns; i++) {
		if (off_ns[i] > causes->ns[i])
			less_ns[i] = (double)(off_ns[i] - causes->ns[i]);
		all_less_ns += less_ns[i];
	}
	for (size_t i = from; i < to && all_less_ns > 0; i++) {
		struct call *c = &report->calls.at[i];
		double part = less_ns[c->cause] / all_less_ns * (double)queued_ns;
		uint64_t waits_ns =
			off_ns[c->cause]
				? (uint64_t)(part * (double)c->off_ns / (double)off_ns[c->cause])
				: 0;

		c->waited_ns -= waits_ns < c->waited_ns ? waits_ns : c->waited_ns;
	}
}

/* Calls by loop and begin against stalls by begin: one walk a loop. */
int blocking_weigh(struct report *report)
{
	size_t s = 0;
	int loop = NONE;

	for (size_t i = 0; i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];

		if (c->loop != loop)
			s = 0;
		loop = c->loop;
		for (; s < report->stalls.n; s++) {
			const struct stall *stall = &report->stalls.at[s];

			if (stall->loop == loop && stall->begin_ns + stall->busy_ns > c->begin_ns)
				break;
		}
		if (s < report->stalls.n && report->stalls.at[s].begin_ns <= c->begin_ns)
			site_stall(&report->sites.at[c->site], &report->stalls.at[s], (int)s,
				c->waited_ns);
	}
	if (sites_sort(report))
		return -ENOMEM;
	return machinery_mark(report);
}
