/*
 * Who waited while a loop was held: tasks of user code that were due in a stall and ran at its end
 * or in the iteration that followed at once. When a task was due is known where a timer or another
 * task woke it; a wait for anything else counts whole, which is an upper bound.
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

struct timer { /* that kept a task waiting beyond its due time */
	int64_t task;
	uint64_t due_ns, seen_ns; /* seen by its loop */
};

typedef LIST(struct timer) timer_list;

struct wait {
	int64_t task;
	uint64_t begin_ns, end_ns;
	const char *how; /* "": not seen */
	bool set_seen;
	uint64_t set_ns;
	bool timers_told; /* by the agent: of a late timer there is a record */
};

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

static int timers_list(struct report *report, uint64_t least_ns, timer_list *timers)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_task_timer, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)least_ns);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct timer *t = list_add(timers);

		rc = 0;
		if (!t)
			return -ENOMEM;
		*t = (struct timer){
			sqlite3_column_int64(rows, 0), column_ns(rows, 1), column_ns(rows, 2)};
	}
	return rc;
}

/* The timer that ended this wait; NULL: none, or it was not late. They come by task and time. */
static const struct timer *timer_find(const timer_list *timers, const struct wait *w)
{
	size_t low = 0, high = timers->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct timer *t = &timers->at[mid];

		if (t->task < w->task || (t->task == w->task && t->seen_ns < w->begin_ns))
			low = mid + 1;
		else
			high = mid;
	}
	if (low == timers->n || timers->at[low].task != w->task ||
		timers->at[low].seen_ns > w->end_ns)
		return NULL;
	return &timers->at[low];
}

/* When it was due to go on, as far as that is known; its end: it was not late. *ret_known is false
 * where it was due at some time between this and the end of the wait. */
static uint64_t due_time(
	const struct wait *w, const struct stall *s, const struct timer *timer, bool *ret_known)
{
	*ret_known = true;
	if (timer)
		return timer->due_ns;
	/* its callback runs in the turn that found it due, or its task in the one after */
	if (!strcmp(w->how, "timer") && w->timers_told)
		return w->set_seen && w->begin_ns < s->begin_ns && w->set_ns < stall_end(s)
			       ? s->begin_ns
			       : w->end_ns;
	/* what the loop itself does after the stall may be late as well; a thread is not held */
	if (w->set_seen && strcmp(w->how, "timer") &&
		(w->set_ns < stall_end(s) || !strcmp(w->how, "thread")))
		return w->set_ns;
	*ret_known = false;
	return w->begin_ns;
}

static void wait_weigh(
	const struct wait *w, struct stall *s, const struct timer *timer, uint64_t felt_ns)
{
	bool known;
	uint64_t from = due_time(w, s, timer, &known), to = w->end_ns;

	from = from > s->begin_ns ? from : s->begin_ns;
	to = to < stall_end(s) ? to : stall_end(s);
	if (to <= from || to - from < felt_ns)
		return;
	s->tasks_delayed++;
	s->delayed_most |= !known;
	if (known && to - from > s->delay_ns)
		s->delay_ns = to - from;
}

/* When its loop saw that the timer was due that ended the wait: from outside, as it set the future.
 * 0: no timer did, or it was not late. */
static uint64_t timer_seen(const struct wait *w, const struct timer *timer)
{
	if (timer)
		return timer->seen_ns;
	return !w->timers_told && w->set_seen && !strcmp(w->how, "timer") ? w->set_ns : 0;
}

/* A timer that the loop saw goes off in one turn, and its task goes on in the next. */
static void wait_take(struct report *report, const struct wait *w, int loop,
	const timer_list *timers, uint64_t felt_ns)
{
	const struct timer *timer = timer_find(timers, w);
	struct stall *s = stall_before(report, loop, w->end_ns), *seen = NULL;
	uint64_t seen_ns = timer_seen(w, timer);

	if (seen_ns)
		seen = stall_before(report, loop, seen_ns);
	if (s && (w->end_ns <= s->reach_ns || (s == seen && seen_ns <= s->reach_ns)))
		wait_weigh(w, s, timer, felt_ns);
	if (seen && seen != s && seen_ns <= seen->reach_ns)
		wait_weigh(w, seen, timer, felt_ns);
}

static int waits_scan(struct report *report, const owner_list *owners, const timer_list *timers)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	uint64_t felt_ns = report->stall_ns / FELT_SHARE;
	bool agent = !strcmp(report->coverage.sensor[COVERAGE_tasks], "agent");
	int rc = trace_rows(report->trace, QUERY_await, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)felt_ns);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct wait w = {
			.task = sqlite3_column_int64(rows, 0), .begin_ns = column_ns(rows, 1)};
		int loop;

		rc = 0;
		w.end_ns = w.begin_ns + column_ns(rows, 2);
		w.how = column_text(rows, 3);
		w.set_seen = sqlite3_column_type(rows, 4) != SQLITE_NULL;
		w.set_ns = column_ns(rows, 4);
		w.timers_told = agent;
		loop = owner_loop(owners, w.task);
		if (loop != NONE)
			wait_take(report, &w, loop, timers, felt_ns);
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
	timer_list timers = {0};
	int rc = 0;

	if (!report->stalls.n)
		return 0;
	for (size_t i = 0; i < report->stalls.n && !counted; i++)
		report->stalls.at[i].tasks_delayed = NOT_COUNTED;
	if (counted)
		rc = owners_read(report, &owners);
	if (counted && !rc)
		rc = timers_list(report, report->stall_ns / FELT_SHARE, &timers);
	if (counted && !rc)
		rc = waits_scan(report, &owners, &timers);
	free(owners.at);
	free(timers.at);
	stalls_weigh(report);
	return rc;
}
