/*
 * AS109, AS110, AS111 and AS113: what held a loop and was no call: collections, the GIL, other
 * programs on the CPU, and synchronous cells while tasks of others were due.
 */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/advice.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/takers.h"

#define DELAYED_NAMED 5 /* tasks that AS113 lists */
#define SHARED_LEAST 3  /* one part in so many of a stall that two causes share */

static double ms_of(uint64_t ns)
{
	return (double)(ns / 1000) / 1000.0;
}

/* A kernel's own work between cells is nobody's fault. */
static bool is_users(const struct report *report, const struct stall *s)
{
	const struct loop *l = &report->loops.at[s->loop];

	if (l->machinery || l->process == NONE)
		return false;
	return s->cell != NONE || !report->processes.at[l->process].is_kernel ||
	       file_is_user(report, s->place.file);
}

static struct place users_place(const struct report *report, const struct place *place)
{
	return file_is_user(report, place->file) ? *place : (struct place){.function = ""};
}

static bool is_by_design(const struct report *report, int cell)
{
	return cell != NONE && report->cells.at[cell].synchronous;
}

/*
 * Was most of it spent so, in a program or cell of the user's? Where that is neither the wait for
 * the GIL nor that for a CPU, but both together, each is told that has a good part and were a stall
 * by itself.
 */
static bool is_mostly(const struct report *report, const struct stall *s, enum cause cause)
{
	uint64_t half_ns = s->busy_ns / 2, ns = s->causes.ns[cause],
		 gil_ns = s->causes.ns[CAUSE_gil], runq_ns = s->causes.ns[CAUSE_runq];
	bool shared = gil_ns < half_ns && runq_ns < half_ns && gil_ns + runq_ns >= half_ns &&
		      ns >= s->busy_ns / SHARED_LEAST && ns >= report->stall_ns;

	return ns && (ns >= half_ns || shared) && is_users(report, s);
}

static bool is_of_finding(const struct report *report, const struct stall *s,
	const struct finding *f, enum cause cause)
{
	return s->cell == f->cell && report->loops.at[s->loop].process == f->process &&
	       is_mostly(report, s, cause);
}

/* One stall of which most was spent so. The finding is of the cell, wherever in it. */
static struct finding *stall_find(struct judge *judge, const struct rule *rule,
	const struct stall *s, uint64_t ns, enum severity severity)
{
	const struct place nowhere = {.function = ""};
	struct finding *f = finding_at(
		judge, rule, judge->report->loops.at[s->loop].process, s->cell, &nowhere);

	if (!f || finding_gain(f, s->loop, s->begin_ns, ns))
		return NULL;
	f->severity = is_by_design(judge->report, s->cell) ? SEVERITY_note : severity;
	f->count++;
	f->cost_ns += ns;
	f->costed = true;
	if (ns > f->longest_ns)
		f->longest_ns = ns;
	finding_delayed(f, s);
	return f;
}

static int share_check(struct judge *judge, const struct rule *rule, enum cause cause,
	enum severity severity, const char *format)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;

	for (size_t i = 0; i < report->stalls.n; i++) {
		const struct stall *s = &report->stalls.at[i];

		if (is_mostly(report, s, cause) &&
			!stall_find(judge, rule, s, s->causes.ns[cause], severity))
			return -ENOMEM;
	}
	for (size_t i = first; i < report->findings.n; i++) {
		struct finding *f = &report->findings.at[i];
		char delayed[96];

		delayed_text(f, delayed, sizeof(delayed));
		finding_say(judge, f, format, time_text(f->cost_ns), (unsigned long long)f->count,
			f->count == 1 ? "" : "s", delayed);
		finding_evidence(judge, f,
			json_pack("{s:I,s:f,s:i}", "stalls", (json_int_t)f->count, "longest_ms",
				ms_of(f->longest_ns), "tasks_delayed", (int)f->delayed));
	}
	return 0;
}

/* Of the finding's stalls, the one with the longest wait for the GIL whose holder is known. NULL:
 * none is. */
static const struct stall *held_stall(const struct report *report, const struct finding *f)
{
	const struct stall *longest = NULL;

	for (size_t i = 0; i < report->stalls.n; i++) {
		const struct stall *s = &report->stalls.at[i];

		if (s->holder.samples && is_of_finding(report, s, f, CAUSE_gil) &&
			(!longest || s->causes.ns[CAUSE_gil] > longest->causes.ns[CAUSE_gil]))
			longest = s;
	}
	return longest;
}

/* "thread hog, in crunch, app.py:8"; malloc'd, NULL: out of memory. */
static char *holder_text(const struct report *report, int cell, const struct stall *stall)
{
	const struct gil_holder *holder = &stall->holder;
	const char *function = function_name(&holder->place);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	fprintf(out, *holder->thread ? "thread %s, in " : "in ", holder->thread);
	if (function)
		fprintf(out, "%s, ", function);
	place_print(report, cell, &holder->place, out);
	holders_print_others(report, cell, stall, out);
	fclose(out);
	return text;
}

static json_t *holder_evidence(struct judge *judge, const struct gil_holder *holder)
{
	const struct place *at = &holder->place;

	return json_pack("{s:s,s:s?,s:i,s:s,s:I}", "thread", utf8_keep(judge, holder->thread),
		"file", at->file ? utf8_keep(judge, at->file) : NULL, "line", at->line, "function",
		utf8_keep(judge, at->function), "samples", (json_int_t)holder->samples);
}

static void holder_say(struct judge *judge, const struct rule *rule, struct finding *f)
{
	const struct stall *s = held_stall(judge->report, f);
	cleanup(freep) char *who = s ? holder_text(judge->report, f->cell, s) : NULL;

	if (who) {
		if (!is_by_design(judge->report, f->cell))
			f->severity = rule->severity;
		finding_say(judge, f,
			"the event loop waited %s for the GIL in %llu stall%s, while another "
			"thread held it: %s",
			time_text(f->cost_ns), (unsigned long long)f->count,
			f->count == 1 ? "" : "s", who);
	}
	finding_evidence(judge, f,
		json_pack("{s:I,s:f,s:o?}", "stalls", (json_int_t)f->count, "longest_ms",
			ms_of(f->longest_ns), "holder",
			who ? holder_evidence(judge, &s->holder) : NULL));
}

/* Where nobody was seen to have it, the finding is a note. */
int rule_gil(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = share_check(judge, rule, CAUSE_gil, severity_lower(rule->severity),
		"the event loop waited %s for the GIL in %llu stall%s%s, while another thread "
		"held it; which one is not known");

	for (size_t i = first; i < report->findings.n && !rc; i++)
		holder_say(judge, rule, &report->findings.at[i]);
	return rc;
}

#define STARVED "the event loop was ready to run, but without a CPU, for %s in %llu stall%s%s"

static json_t *takers_evidence(struct judge *judge, const taker_list *takers)
{
	json_t *all = json_array();

	for (size_t i = 0; i < takers->n; i++) {
		const struct taker *t = &takers->at[i];

		json_array_append_new(
			all, json_pack("{s:s,s:o,s:f}", "name", utf8_keep(judge, t->name), "pid",
				     t->several ? json_null() : json_integer((json_int_t)t->pid),
				     "ms", ms_of(t->ns)));
	}
	return all;
}

/* Who had the CPU, where that is known; how busy the machine was, where that is. */
static void starved_say(struct judge *judge, struct finding *f, const taker_list *takers,
	const struct machine_load *load)
{
	bool known = takers_known(takers, f->cost_ns);
	uint64_t stolen_ns = takers_stolen(takers);
	cleanup(freep) char *more = NULL;
	char delayed[96];
	size_t size;
	FILE *out = open_memstream(&more, &size);

	if (!out) {
		judge->failed = true;
		return;
	}
	if (stolen_ns)
		fprintf(out, ", of which %s taken by the hypervisor (steal)", time_text(stolen_ns));
	if (known)
		takers_print(takers, f->cost_ns, out);
	load_print(load, out);
	fclose(out);
	delayed_text(f, delayed, sizeof(delayed));
	finding_say(judge, f, STARVED "%s", time_text(f->cost_ns), (unsigned long long)f->count,
		f->count == 1 ? "" : "s", delayed, more);
	if (stolen_ns >= f->cost_ns / 2 && stolen_ns)
		f->advice = ADVICE_STOLEN;
	else if (load_is_low(load))
		f->advice = "Others of the machine's CPUs were idle: let it run on more of them "
			    "(taskset, cpusets), or raise its container's CPU limit.";
	finding_evidence(judge, f,
		json_pack("{s:I,s:f,s:i,s:f,s:o*,s:o*,s:o*}", "stalls", (json_int_t)f->count,
			"longest_ms", ms_of(f->longest_ns), "tasks_delayed", (int)f->delayed,
			"stolen_ms", ms_of(stolen_ns), "cpu_had_by",
			known ? takers_evidence(judge, takers) : NULL, "cpus",
			load->cpus ? json_integer(load->cpus) : NULL, "machine_busy_share",
			load->cpus ? json_real(load_share(load)) : NULL));
}

int rule_runq(struct judge *judge, const struct rule *rule)
{
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = share_check(judge, rule, CAUSE_runq, rule->severity, STARVED);

	for (size_t i = first; i < report->findings.n && !rc; i++) {
		struct finding *f = &report->findings.at[i];
		struct machine_load load = {0};
		taker_list takers = {0};

		for (size_t n = 0; n < report->stalls.n && !rc; n++) {
			const struct stall *s = &report->stalls.at[n];

			if (!is_of_finding(report, s, f, CAUSE_runq))
				continue;
			rc = takers_add(report, s, &takers);
			rc = rc ? rc : load_add(report, s, &load);
		}
		if (!rc)
			starved_say(judge, f, &takers, &load);
		free(takers.at);
	}
	return rc;
}

/* The turn of any loop of this thread that holds this time. */
static const struct turn *turn_of_thread(
	const struct report *report, int process, long long tid, uint64_t time_ns)
{
	for (size_t i = 0; i < report->loops.n; i++) {
		const struct loop *l = &report->loops.at[i];
		const struct turn *turn = l->process == process && l->tid == tid && !l->machinery
						  ? turn_at(report, (int)i, time_ns)
						  : NULL;

		if (turn)
			return turn;
	}
	return NULL;
}

/* Was most of this time spent in blocking calls: what a finalizer does that a collection ran? */
static bool in_calls(const struct report *report, int loop, uint64_t begin_ns, uint64_t ns)
{
	uint64_t off_ns = 0;

	for (size_t i = call_from(report, loop, begin_ns); i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];

		if (c->loop != loop || c->begin_ns >= begin_ns + ns)
			break;
		off_ns += c->off_ns;
	}
	return off_ns && off_ns >= ns / 2;
}

static int collection_take(struct judge *judge, const struct rule *rule, sqlite3_stmt *rows)
{
	struct report *report = judge->report;
	int process = process_index(report, sqlite3_column_int64(rows, 0));
	uint64_t begin_ns = column_ns(rows, 3), ns = column_ns(rows, 4),
		 cpu_ns = column_ns(rows, 5);
	enum severity severity;
	const struct turn *turn =
		turn_of_thread(report, process, sqlite3_column_int64(rows, 1), begin_ns);
	const struct stall *stall = turn ? stall_of(report, turn) : NULL;
	struct place place = {.function = ""};
	struct finding *f;
	int cell = sqlite3_column_type(rows, 2) == SQLITE_NULL
			   ? NONE
			   : cell_index(report, sqlite3_column_int64(rows, 2));

	if (!turn || in_calls(report, turn->loop, begin_ns, ns))
		return 0;
	if (process == NONE || (cell == NONE && report->processes.at[process].is_kernel))
		return 0;
	if (stall)
		place = users_place(report, &stall->place);
	f = finding_at(judge, rule, process, cell, &place);
	if (!f || finding_gain(f, turn->loop, turn->begin_ns, ns))
		return -ENOMEM;
	/* one that hardly ran, or would not have been long on a CPU of its own, waited for one */
	severity = in_synchronous(report, cell, begin_ns) || cpu_ns < ns / 2 ||
				   cpu_ns < report->stall_ns / 2
			   ? SEVERITY_note
			   : rule->severity;
	if (!f->count++ || severity > f->severity)
		f->severity = severity;
	f->cost_ns += ns;
	f->costed = true;
	if (ns > f->longest_ns)
		f->longest_ns = ns;
	if (stall)
		finding_delayed(f, stall);
	return 0;
}

int rule_gc(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	size_t first = report->findings.n;
	int rc = trace_rows(report->trace, QUERY_collection, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)(report->stall_ns / 2));
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = collection_take(judge, rule, rows);
	for (size_t i = first; i < report->findings.n && !rc; i++) {
		struct finding *f = &report->findings.at[i];
		char delayed[96];

		delayed_text(f, delayed, sizeof(delayed));
		finding_say(judge, f,
			"garbage collection held the event loop for %s in %llu collection%s%s",
			time_text(f->cost_ns), (unsigned long long)f->count,
			f->count == 1 ? "" : "s", delayed);
		finding_evidence(judge, f,
			json_pack("{s:I,s:f}", "collections", (json_int_t)f->count, "longest_ms",
				ms_of(f->longest_ns)));
	}
	return rc;
}

struct delay { /* of a task of another cell, by a synchronous one */
	int cell;
	int64_t task;
	const char *coro;
	uint64_t ns;
	const struct stall *stall;
};

typedef LIST(struct delay) delay_list;

/*
 * The stall that a task was due in, or that began before it went on: its timer was seen, or its
 * future set, in the short turn before.
 */
static const struct stall *delaying_stall(
	const struct report *report, int loop, uint64_t due_ns, uint64_t end_ns)
{
	const struct turn *turn = turn_at(report, loop, due_ns);
	const struct stall *s = turn ? stall_of(report, turn) : NULL;

	for (size_t i = 0; i < report->stalls.n && !s; i++) {
		const struct stall *next = &report->stalls.at[i];

		if (next->begin_ns >= end_ns)
			break;
		if (next->loop == loop && next->begin_ns >= due_ns)
			s = next;
	}
	return s;
}

/* A timer's callback runs in the turn that found it due, be it after the cell. */
static uint64_t timer_found(const struct report *report, int loop, uint64_t set_ns)
{
	const struct turn *turn = turn_at(report, loop, set_ns);

	return turn ? turn->begin_ns : set_ns;
}

/* Columns: loop, task, its cell, coro, when it was due, when it went on, the first is when its
 * timer's callback ran. */
static int delay_take(struct judge *judge, delay_list *delays, sqlite3_stmt *rows)
{
	struct report *report = judge->report;
	int loop = loop_index(report, sqlite3_column_int64(rows, 0));
	int cell = sqlite3_column_type(rows, 2) == SQLITE_NULL
			   ? NONE
			   : cell_index(report, sqlite3_column_int64(rows, 2));
	uint64_t due_ns = column_ns(rows, 4), end_ns = column_ns(rows, 5), held_ns;
	const struct stall *s;
	struct delay *d;

	if (loop == NONE)
		return 0;
	if (sqlite3_column_int(rows, 6))
		due_ns = timer_found(report, loop, due_ns);
	s = delaying_stall(report, loop, due_ns, end_ns);
	if (!s || !is_by_design(report, s->cell) || s->cell == cell)
		return 0;
	held_ns = s->begin_ns + s->busy_ns;
	held_ns = held_ns < end_ns ? held_ns : end_ns;
	due_ns = due_ns > s->begin_ns ? due_ns : s->begin_ns;
	if (held_ns < due_ns + report->stall_ns)
		return 0;
	d = list_add(delays);
	if (!d)
		return -ENOMEM;
	*d = (struct delay){s->cell, sqlite3_column_int64(rows, 1), keep_column(report, rows, 3),
		held_ns - due_ns, s};
	return d->coro ? 0 : -ENOMEM;
}

static int task_compare(const void *a, const void *b)
{
	const struct delay *x = a, *y = b;

	if (x->cell != y->cell)
		return x->cell - y->cell;
	if (x->task != y->task)
		return x->task < y->task ? -1 : 1;
	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

static int longest_compare(const void *a, const void *b)
{
	const struct delay *x = a, *y = b;

	if (x->cell != y->cell)
		return x->cell - y->cell;
	return x->ns > y->ns ? -1 : x->ns < y->ns;
}

/* By cell, the longest first; of each task its longest. */
static void delays_sort(delay_list *delays)
{
	size_t kept = 0;

	if (!delays->n)
		return;
	qsort(delays->at, delays->n, sizeof(*delays->at), task_compare);
	for (size_t i = 0; i < delays->n; i++)
		if (!kept || delays->at[kept - 1].cell != delays->at[i].cell ||
			delays->at[kept - 1].task != delays->at[i].task)
			delays->at[kept++] = delays->at[i];
	delays->n = kept;
	qsort(delays->at, delays->n, sizeof(*delays->at), longest_compare);
}

/* Those of one cell, the longest first. */
static int starved_find(
	struct judge *judge, const struct rule *rule, const struct delay *delays, size_t n)
{
	struct report *report = judge->report;
	const struct cell *c = &report->cells.at[delays->cell];
	const struct place place = {.file = c->filename, .function = ""};
	struct finding *f = finding_at(judge, rule, c->process, delays->cell, &place);
	json_t *tasks = json_array();

	for (size_t i = 0; i < n && i < DELAYED_NAMED; i++)
		json_array_append_new(tasks,
			json_pack("{s:I,s:s,s:f}", "task", (json_int_t)delays[i].task, "coro",
				utf8_keep(judge, delays[i].coro), "delay_ms", ms_of(delays[i].ns)));
	if (!f || !tasks ||
		finding_gain(
			f, delays->stall->loop, delays->stall->begin_ns, delays->stall->busy_ns)) {
		json_decref(tasks);
		return -ENOMEM;
	}
	f->count = n;
	f->costed = true;
	f->cost_ns = f->longest_ns = delays->ns;
	f->severity = rule->severity;
	finding_say(judge, f,
		"a synchronous cell held the event loop for %s while %llu task%s of other cells %s "
		"due; %s waited %s",
		time_text(delays->stall->busy_ns), (unsigned long long)n, n == 1 ? "" : "s",
		n == 1 ? "was" : "were", delays->coro, time_text(delays->ns));
	finding_evidence(judge, f,
		json_pack("{s:I,s:b,s:o}", "tasks_delayed", (json_int_t)n, "exact", 1, "tasks",
			tasks));
	return 0;
}

int rule_starved(struct judge *judge, const struct rule *rule)
{
	static const enum query queries[] = {QUERY_delayed_timer, QUERY_delayed_await};
	struct report *report = judge->report;
	delay_list delays = {0};
	int rc = 0;

	for (size_t q = 0; q < sizeof(queries) / sizeof(*queries) && !rc; q++) {
		cleanup(rows_freep) sqlite3_stmt *rows = NULL;

		rc = trace_rows(report->trace, queries[q], &rows);
		if (!rc)
			sqlite3_bind_int64(rows, 1, (sqlite3_int64)report->stall_ns);
		while (!rc && (rc = trace_next(report->trace, rows)) == 1)
			rc = delay_take(judge, &delays, rows);
	}
	delays_sort(&delays);
	for (size_t i = 0, to; i < delays.n && !rc; i = to) {
		for (to = i; to < delays.n && delays.at[to].cell == delays.at[i].cell;)
			to++;
		rc = starved_find(judge, rule, &delays.at[i], to - i);
	}
	free(delays.at);
	return rc;
}
