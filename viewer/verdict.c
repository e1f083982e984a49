/* The one sentence a report begins with: what held the loop longest, where, and what to do; or what
 * was seen instead. */
#include "viewer/report.h"

#include <errno.h>
#include <stdio.h>

#include "probe/base/cleanup.h"
#include "probe/base/units.h"
#include "viewer/advice.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/takers.h"

#define DURATION_BYTES 32
#define NEARLY_ALL 10 /* but for one part in so many */

struct culprit { /* one cause at one place of one cell, over all stalls */
	enum cause cause;
	int cell, loop;
	struct place place;
	const char *call, *words; /* as the trace and as people name it; NULL: not a call */
	struct place caller;
	bool by_loop;
	uint64_t stolen_ns; /* of waiting for a CPU: what the hypervisor took */
	uint64_t count;
	uint64_t ns;      /* of that cause */
	uint64_t held_ns; /* stalls that it was part of, in all */
	uint64_t stalls;
	uint32_t tasks_delayed;
	bool delayed_most;        /* at most so many */
	bool unfinished;          /* of a call: it was in it still at the end */
	uint64_t holder_ns;       /* of the stall that tells the holder */
	const struct stall *held; /* a stall that tells who had the GIL; NULL: none does */
};

typedef LIST(struct culprit) culprit_list;

static const char *duration(uint64_t ns)
{
	static _Thread_local char text[4][DURATION_BYTES]; /* a sentence has at most four */
	static _Thread_local unsigned int next;

	return duration_format(ns, text[next++ % 4], DURATION_BYTES);
}

static struct culprit *culprit_find(culprit_list *list, enum cause cause, const struct stall *s)
{
	struct culprit *c;

	for (size_t i = 0; i < list->n; i++) {
		c = &list->at[i];
		if (c->cause == cause && c->cell == s->cell && c->loop == s->loop &&
			c->place.file == s->place.file && c->place.line == s->place.line)
			return c;
	}
	c = list_add(list);
	if (c) {
		c->cause = cause;
		c->cell = s->cell;
		c->loop = s->loop;
		c->place = s->place;
	}
	return c;
}

/* What was not a call that was timed. */
static int stall_blame(culprit_list *list, const struct stall *s)
{
	uint64_t cpu_ns = causes_family(&s->causes, FAMILY_CPU);

	for (int i = 0; i < CAUSE_COUNT; i++) {
		uint64_t ns = i == CAUSE_cpu ? cpu_ns : s->causes.ns[i];
		struct culprit *c;

		if (!ns || cause_families[i] == FAMILY_BLOCKED ||
			(cause_families[i] == FAMILY_CPU && i != CAUSE_cpu))
			continue;
		c = culprit_find(list, (enum cause)i, s);
		if (!c)
			return -ENOMEM;
		c->ns += ns;
		c->held_ns += s->busy_ns;
		c->stalls++;
		if (s->tasks_delayed != NOT_COUNTED && s->tasks_delayed > c->tasks_delayed) {
			c->tasks_delayed = s->tasks_delayed;
			c->delayed_most = s->delayed_most;
		}
		if (s->holder.samples && s->causes.ns[CAUSE_gil] > c->holder_ns) {
			c->holder_ns = s->causes.ns[CAUSE_gil];
			c->held = s;
		}
	}
	return 0;
}

static int site_blame(culprit_list *list, const struct site *site)
{
	struct culprit *c = list_add(list);

	if (!c)
		return -ENOMEM;
	*c = (struct culprit){
		.cause = cause_of_class(site->class),
		.cell = site->cell,
		.loop = site->loop,
		.place = site->place,
		.call = site->call,
		.words = site->words,
		.caller = site->caller,
		.by_loop = site->by_loop,
		.count = site->count,
		.unfinished = site->unfinished != 0,
		.ns = site->stall_ns,
		.held_ns = site->held_ns,
		.stalls = site->in_stalls,
		.tasks_delayed = site->tasks_delayed == NOT_COUNTED ? 0 : site->tasks_delayed,
		.delayed_most = site->delayed_most,
	};
	return 0;
}

/* Of the code that the loop was in; who had the GIL or the CPUs is another matter. */
static bool is_placed(const struct culprit *c)
{
	return c->call || c->cause == CAUSE_cpu || c->cause == CAUSE_unknown;
}

/* Library code that no user code called: IPython shows an error, say. Nothing can be done about it.
 */
static bool is_foreign(const struct report *report, const struct culprit *c)
{
	return is_placed(c) && c->place.file && !file_is_user(report, c->place.file);
}

/* What of a wait for a CPU was the hypervisor's doing. */
static int stolen_find(struct report *report, struct culprit *c)
{
	int rc = 0;

	for (size_t i = 0; i < report->stalls.n && c->cause == CAUSE_runq && !rc; i++) {
		const struct stall *s = &report->stalls.at[i];
		taker_list takers = {0};

		if (s->quiet || !s->causes.ns[CAUSE_runq] || s->cell != c->cell ||
			s->loop != c->loop || s->place.file != c->place.file ||
			s->place.line != c->place.line)
			continue;
		rc = takers_add(report, s, &takers);
		c->stolen_ns += takers_stolen(&takers);
		free(takers.at);
	}
	return rc;
}

/* *ret_foreign: the worst of what is not of the user's. */
static int culprit_worst(
	const struct report *report, struct culprit *ret, struct culprit *ret_foreign)
{
	culprit_list list = {0};
	int rc = 0;

	for (size_t i = 0; i < report->stalls.n && !rc; i++)
		if (!report->stalls.at[i].quiet &&
			!report->loops.at[report->stalls.at[i].loop].machinery)
			rc = stall_blame(&list, &report->stalls.at[i]);
	for (size_t i = 0; i < report->sites.n && !rc; i++)
		if (report->sites.at[i].stall_ns &&
			!report->loops.at[report->sites.at[i].loop].machinery)
			rc = site_blame(&list, &report->sites.at[i]);
	for (size_t i = 0; i < list.n && !rc; i++) {
		struct culprit *to = is_foreign(report, &list.at[i]) ? ret_foreign : ret;

		if (list.at[i].ns > to->ns)
			*to = list.at[i];
	}
	free(list.at);
	if (!is_placed(ret) && ret_foreign->ns > ret->ns)
		*ret = (struct culprit){0}; /* it only made that longer */
	return rc;
}

static void subject_print(FILE *out, const struct report *report, const struct culprit *c)
{
	char name[NAME_BYTES];

	if (c->cell != NONE)
		fputs(cell_name(report, c->cell, name), out);
	else if (report->cells.n)
		fputs("Work outside the cells", out);
	else
		program_print(report, c->loop, out);
}

/* " in fetch_page, line 3", " at In [1]:3", " in main, app.py:12". */
static void where_print(FILE *out, const struct report *report, const struct culprit *c)
{
	const char *function = function_name(&c->place);

	if (!c->place.file)
		return;
	if (function)
		fprintf(out, " in %s,", function);
	if (c->cell != NONE && cell_of_file(report, c->place.file, c->cell) == c->cell &&
		c->place.line) {
		fprintf(out, function ? " line %d" : " at line %d", c->place.line);
		return;
	}
	fputs(function ? " " : " at ", out);
	place_print(report, c->cell, &c->place, out);
}

static void call_print(FILE *out, const struct report *report, const struct culprit *c)
{
	fputs(c->words ? c->words : "a blocking call", out);
	if (c->by_loop)
		fputs(", called by the loop itself", out);
	else
		where_print(out, report, c);
	if (c->caller.file) {
		fputs(", called from ", out);
		place_print(report, c->cell, &c->caller, out);
	}
	if (c->count > 1 && c->count != c->stalls) { /* else it has been said */
		fputs(", ", out);
		times_print(c->count, out);
	}
	if (c->unfinished)
		fputs(c->count > 1 ? ", the last of which had not returned yet"
				   : ", which had not returned yet",
			out);
}

/* " (crunch at app.py:8, in thread hog)" */
static void holder_print(FILE *out, const struct report *report, const struct culprit *c)
{
	const struct gil_holder *holder = c->held ? &c->held->holder : NULL;
	const char *function = holder ? function_name(&holder->place) : NULL;

	if (!holder)
		return;
	fputs(" (", out);
	if (function)
		fprintf(out, "%s, ", function);
	place_print(report, c->cell, &holder->place, out);
	if (*holder->thread)
		fprintf(out, ", in thread %s", holder->thread);
	holders_print_others(report, c->cell, c->held, out);
	fputc(')', out);
}

/* Was it not the machine's own programs that had the CPUs? */
static bool is_stolen(const struct culprit *c)
{
	return c->cause == CAUSE_runq && c->stolen_ns && c->stolen_ns >= c->ns / 2;
}

/* How much of it, unless it is nearly all; what; and where. */
static void cause_print(FILE *out, const struct report *report, const struct culprit *c)
{
	if (c->ns < c->held_ns - c->held_ns / NEARLY_ALL)
		fprintf(out, "%s of it ", duration(c->ns));
	switch (c->cause) {
	case CAUSE_cpu:
		fputs("computing", out);
		where_print(out, report, c);
		fputs(", with no await", out);
		break;
	case CAUSE_gc:
		fputs("garbage collection", out);
		break;
	case CAUSE_gil:
		fputs("waiting for the GIL, which another thread held", out);
		holder_print(out, report, c);
		break;
	case CAUSE_runq:
		fputs("ready to run, but without a CPU", out);
		if (is_stolen(c))
			fprintf(out,
				": the hypervisor of this virtual machine took %s of that (steal)",
				duration(c->stolen_ns));
		break;
	case CAUSE_unknown:
		fputs("by something that was not seen", out);
		where_print(out, report, c);
		break;
	default:
		call_print(out, report, c);
	}
}

/* What a rule found of that call; NULL: none did. */
static const struct finding *finding_of(const struct report *report, const struct culprit *c)
{
	for (size_t i = 0; i < report->findings.n; i++) {
		const struct finding *f = &report->findings.at[i];

		if (!strcmp(f->subject, c->call) && f->cell == c->cell &&
			f->place.file == c->place.file && f->place.line == c->place.line)
			return f;
	}
	return NULL;
}

static void stalled_print(FILE *out, const struct report *report, const struct culprit *c)
{
	const struct finding *advised;

	subject_print(out, report, c);
	if (c->stalls > 1) {
		fputs(" held the loop ", out);
		times_print(c->stalls, out);
		fprintf(out, ", %s in all", duration(c->held_ns));
	} else {
		fprintf(out, " held the loop for %s", duration(c->held_ns));
	}
	if (c->cell != NONE && report->cells.at[c->cell].synchronous && c->tasks_delayed) {
		fputs(c->delayed_most ? " while up to " : " while ", out);
		count_print(c->tasks_delayed, "task", out);
		fputs(" waited", out);
	}
	fputs(": ", out);
	cause_print(out, report, c);
	if (is_foreign(report, c)) {
		fputs(strcmp(name_last(c->place.function), "_run")
				? ", which no code of yours called."
				: ", a callback that somebody gave to the loop.",
			out);
		return;
	}
	fputc('.', out);
	advised = c->call ? finding_of(report, c) : NULL;
	if (advised)
		fprintf(out, " %s", advised->advice);
	else if (is_stolen(c))
		fputs(" " ADVICE_STOLEN, out);
	else
		advice_print(out, c->cause, c->call);
}

static void no_stall_print(FILE *out, const struct report *report, bool foreign)
{
	char least[NAME_BYTES];

	fprintf(out, "No stall of %s or more%s, but ", threshold_text(report->stall_ns, least),
		foreign ? " by your code" : "");
}

static void leaked_print(FILE *out, const struct report *report, bool foreign)
{
	const struct leak *l = &report->leaks.at[0];
	const char *reason = l->reason;

	no_stall_print(out, report, foreign);
	count_print(report->leaks.n, "task", out);
	fprintf(out,
		report->leaks.n == 1 ? " leaked: %s, created at "
				     : " leaked, the first of them %s, created at ",
		l->coro);
	place_print(report, l->cell, &l->created, out);
	if (!strcmp(reason, "destroyed")) {
		fputs(", was destroyed before it finished. Keep a reference to it and await it.",
			out);
	} else if (!strcmp(reason, "cancelled_at_shutdown")) {
		fputs(", was cut off when the loop shut down. Await or cancel it before that.",
			out);
	} else {
		fputs(*l->awaiting ? ", still waits for " : ", never finished", out);
		fputs(l->awaiting, out);
		fputs(". Keep the task, and cancel or await it when its work is done.", out);
	}
}

/* The longest hold of a user's loop, and the cell that it was in. */
static uint64_t longest_hold(const struct report *report, int *ret_cell)
{
	uint64_t longest = 0, in_cell = 0;
	int cell = NONE;

	for (size_t i = 0; i < report->loops.n; i++)
		if (!report->loops.at[i].machinery && report->loops.at[i].lag.max_ns > longest)
			longest = report->loops.at[i].lag.max_ns;
	for (size_t i = 0; i < report->cells.n; i++)
		if (report->cells.at[i].longest_ns > in_cell) {
			in_cell = report->cells.at[i].longest_ns;
			cell = (int)i;
		}
	*ret_cell =
		in_cell > longest / 2
			? cell
			: NONE; /* what was held longest lies mostly in that cell, or outside all */
	return longest;
}

static void clean_print(FILE *out, const struct report *report)
{
	char name[NAME_BYTES], least[NAME_BYTES];
	int cell;
	uint64_t longest = longest_hold(report, &cell);

	if (longest >= report->stall_ns && cell != NONE) {
		fprintf(out,
			"Nothing was kept waiting: %s held the loop for %s, as a synchronous cell "
			"does, while no task was due",
			cell_name(report, cell, name), duration(longest));
		return;
	}
	fprintf(out, "No stall of %s or more in %s; the loop was held for %s at the longest",
		threshold_text(report->stall_ns, least),
		duration(report->duration_ns - report->kept_from_ns), duration(longest));
	if (cell != NONE)
		fprintf(out, ", in %s", cell_name(report, cell, name));
	else if (report->cells.n)
		fputs(", outside the cells", out);
}

/* A clean result never means that nobody could look. */
static void unseen_print(FILE *out, const struct report *report)
{
	if (!strcmp(report->coverage.sensor[COVERAGE_tasks], "none"))
		fputs("; tasks were not recorded", out);
	if (!strcmp(report->coverage.sensor[COVERAGE_syscalls], "none"))
		fputs("; blocking calls were not recorded", out);
	if (report->lost_events) {
		fputs("; ", out);
		count_print(report->lost_events, "event", out);
		fputs(" were lost", out);
	}
	if (!report->complete)
		fputs("; the recording has no end, so what came last may be missing", out);
	fputs("; ", out);
	unchecked_print(report, out);
	fputc('.', out);
}

/* The worst that is no note and holds no loop: those are told as stalls. */
static const struct finding *finding_worst(const struct report *report)
{
	const struct finding *worst = NULL;

	for (size_t i = 0; i < report->findings.n; i++) {
		const struct finding *f = &report->findings.at[i];

		if (f->severity != SEVERITY_note && (!worst || f->severity > worst->severity))
			worst = f;
	}
	return worst;
}

static void found_print(
	FILE *out, const struct report *report, const struct finding *f, bool foreign)
{
	if (!f->saved_stall_ns)
		no_stall_print(out, report, foreign);
	fprintf(out, "%s: %s %s", f->rule->name, f->message, f->advice);
}

/* What a hang is in, while it lasts. */
static void open_print(FILE *out, const struct report *report)
{
	const struct open_turn *open = &report->open;
	const struct culprit c = {.cell = open->cell, .loop = open->loop, .place = open->place};

	subject_print(out, report, &c);
	fprintf(out,
		" had held the loop for %s when the trace was last written, and held it still:",
		duration(open->ns));
	where_print(out, report, &c);
	fputs(".", out);
}

static bool any_iteration(const struct report *report)
{
	for (size_t i = 0; i < report->loops.n; i++)
		if (report->loops.at[i].iterations || report->loops.at[i].lag.known)
			return true;
	return false;
}

static int sentence(FILE *out, struct report *report)
{
	const struct finding *found = finding_worst(report);
	struct culprit worst = {0}, foreign = {0};
	int rc = culprit_worst(report, &worst, &foreign);

	if (!rc)
		rc = stolen_find(report, &worst);
	if (rc)
		return rc;
	if (!report->processes.n) {
		fputs("Nothing was recorded: no Python process that uses asyncio was seen.", out);
	} else if (!report->loops.n) {
		fputs("No event loop ran, so there was nothing to watch (", out);
		count_print(report->processes.n, "Python process", out);
		fputs(" seen).", out);
	} else if (report->open.ns > worst.held_ns) {
		open_print(out, report);
	} else if (worst.ns) {
		stalled_print(out, report, &worst);
	} else if (found && strcmp(found->rule->id, "AS201")) {
		found_print(out, report, found, foreign.ns != 0);
	} else if (report->leaks.n) {
		leaked_print(out, report, foreign.ns != 0);
	} else if (foreign.ns) {
		stalled_print(out, report, &foreign);
	} else if (any_iteration(report)) {
		clean_print(out, report);
		unseen_print(out, report);
	} else {
		fputs("A loop ran, but no turn of it was recorded, so nothing can be said of "
		      "stalls.",
			out);
	}
	return 0;
}

int verdict_write(struct report *report)
{
	size_t size;
	FILE *out = open_memstream(&report->verdict, &size);
	int rc;

	if (!out)
		return -ENOMEM;
	rc = sentence(out, report);
	if (fclose(out) && !rc)
		rc = -ENOMEM;
	return rc;
}
