/*
 * AS108 and AS208: steps and callbacks that computed for --stall or longer without an await. Only
 * the CPU time is known that its turn had beyond what anything else in it may have used: a lower
 * bound.
 */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/advice.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define SAMPLES_LEAST 20 /* fewer do not tell where a step was */
#define HOG_STEPS 3      /* that were stalls */
#define HOG_SHARE 2      /* one part in so many of the loop's step time */
#define OWN_CODE "the cell's own code"
#define OTHERS_LEAST 3  /* samples outside of user code that tell something */
#define FRAMES_SURE 100 /* a stack as deep as this may be cut before the user's code */
#define A_CALLBACK "code that the loop called" /* as far as is known in no task */
#define NS_PER_S 1000000000

struct step { /* of at least --stall, that computed */
	int process, loop;
	int64_t thread;
	uint64_t begin_ns, end_ns;
	size_t finding;
};

struct spot { /* a line that samples of a finding hit */
	size_t finding;
	struct place place, caller; /* no file: in no code of the user's */
	bool import;                /* of a module, which it asked for */
	uint64_t samples;
};

struct cpu_check {
	LIST(struct step) steps; /* by thread and begin */
	LIST(struct spot) spots;
};

/* In calls that were timed, within a span of a loop: off the CPU, or in a database, where AS104
 * counts what is computed too. */
static uint64_t calls_held(const struct report *report, int loop, uint64_t from, uint64_t to)
{
	uint64_t held_ns = 0;

	for (size_t i = call_from(report, loop, from); i < report->calls.n; i++) {
		const struct call *c = &report->calls.at[i];

		if (c->loop != loop || c->begin_ns >= to)
			break;
		held_ns += call_ns(c);
	}
	return held_ns;
}

static uint64_t step_cpu(
	const struct report *report, const struct stall *s, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t cpu_ns = causes_family(&s->causes, FAMILY_CPU);
	uint64_t other_ns = calls_held(report, s->loop, begin_ns, end_ns) +
			    causes_family(&s->causes, FAMILY_WAIT);
	uint64_t left_ns = end_ns - begin_ns;

	left_ns = left_ns > other_ns ? left_ns - other_ns : 0;
	return cpu_ns < left_ns ? cpu_ns : left_ns;
}

/*
 * A stall's place is the longest thing seen in it: its own, or that of another stall in the same
 * coroutine. False: it is no coroutine of the user's.
 */
static bool coroutine_place(
	const struct report *report, const struct stall *s, const char *coro, struct place *ret)
{
	for (size_t i = 0; i < report->stalls.n && strcmp(s->place.function, coro); i++)
		if (!strcmp(report->stalls.at[i].place.function, coro))
			s = &report->stalls.at[i];
	if (!file_is_user(report, s->place.file))
		return false;
	*ret = s->place;
	return true;
}

/* "a step of crunch()" */
static const char *step_name(struct judge *judge, const char *coro)
{
	cleanup(freep) char *text = NULL;

	if (asprintf(&text, "a step of %s()", coro) < 0)
		return NULL;
	return string_keep(&judge->report->strings, text);
}

static void finding_computed(struct finding *f, const struct stall *s, uint64_t cpu_ns)
{
	f->count++;
	f->costed = true;
	f->cost_ns += cpu_ns;
	if (cpu_ns > f->longest_ns)
		f->longest_ns = cpu_ns;
	finding_delayed(f, s);
}

/* Columns: row_place, begin, duration, coro, user, thread, runs a cell. */
static int step_take(
	struct judge *judge, const struct rule *rule, struct cpu_check *check, sqlite3_stmt *rows)
{
	struct report *report = judge->report;
	uint64_t begin_ns = column_ns(rows, 6), end_ns = begin_ns + column_ns(rows, 7), cpu_ns;
	const struct stall *s;
	const struct turn *turn;
	struct row_place at;
	struct finding *f;
	struct step *step;
	bool by_design;

	if (row_place_take(judge, rows, &at))
		return -ENOMEM;
	turn = at.loop == NONE ? NULL : turn_at(report, at.loop, begin_ns);
	s = turn ? stall_of(report, turn) : NULL;
	by_design = in_synchronous(report, at.cell, (begin_ns + end_ns) / 2);
	if (!s || at.process == NONE || report->loops.at[at.loop].machinery ||
		(!by_design && !sqlite3_column_int(rows, 9)))
		return 0;
	cpu_ns = step_cpu(report, s, begin_ns, end_ns);
	if (cpu_ns < report->stall_ns)
		return 0;
	if (by_design)
		at.place =
			(struct place){.file = report->cells.at[at.cell].filename, .function = ""};
	else if (!coroutine_place(report, s, column_text(rows, 8), &at.place))
		return 0;
	f = finding_at(judge, rule, at.process, at.cell, &at.place);
	step = list_add(&check->steps);
	if (!f || !step || finding_gain(f, at.loop, turn->begin_ns, cpu_ns))
		return -ENOMEM;
	*step = (struct step){at.process, at.loop, sqlite3_column_int64(rows, 10), begin_ns, end_ns,
		(size_t)(f - report->findings.at)};
	f->severity = by_design ? SEVERITY_note : rule->severity;
	f->subject = by_design || sqlite3_column_int(rows, 11)
			     ? OWN_CODE
			     : step_name(judge, column_text(rows, 8));
	finding_computed(f, s, cpu_ns);
	return f->subject ? 0 : -ENOMEM;
}

/* ---- callbacks: what a turn computed outside of all steps */

/* Of each stall, the time in its steps. */
static int steps_add(const struct judge *judge, uint64_t *steps_ns)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	const struct report *report = judge->report;
	int rc = trace_rows(report->trace, QUERY_step_time, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		int loop = loop_index(report, sqlite3_column_int64(rows, 0));
		const struct turn *turn =
			loop == NONE ? NULL : turn_at(report, loop, column_ns(rows, 1));
		const struct stall *s = turn ? stall_of(report, turn) : NULL;

		rc = 0;
		if (s)
			steps_ns[s - report->stalls.at] += column_ns(rows, 2);
	}
	return rc;
}

/* And of steps that are in no row, at most, in the seconds that it lasted; and its thread. */
static int short_steps(
	const struct judge *judge, const struct stall *s, uint64_t *ret_ns, int64_t *ret_thread)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	const struct report *report = judge->report;
	int rc = trace_rows(report->trace, QUERY_step_short, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, report->loops.at[s->loop].id);
	sqlite3_bind_int64(rows, 2, (sqlite3_int64)(s->begin_ns / NS_PER_S));
	sqlite3_bind_int64(rows, 3, (sqlite3_int64)((s->begin_ns + s->busy_ns) / NS_PER_S));
	rc = trace_next(report->trace, rows);
	if (rc == 1)
		*ret_ns = column_ns(rows, 0);
	if (rc == 1)
		*ret_thread = sqlite3_column_int64(rows, 1);
	return rc < 0 ? rc : 0;
}

static bool may_be_callback(const struct report *report, const struct stall *s)
{
	return s->place.file && file_is_user(report, s->place.file) &&
	       !report->loops.at[s->loop].machinery &&
	       !in_synchronous(report, s->cell, s->begin_ns + s->busy_ns / 2) &&
	       step_cpu(report, s, s->begin_ns, s->begin_ns + s->busy_ns) >= report->stall_ns;
}

/* Whose work the turn was, as most of its samples have it; without samples whose code it is. */
static int callback_cell(const struct judge *judge, const struct stall *s, int *ret)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	const struct report *report = judge->report;
	int cell = cell_of_file(report, s->place.file, s->cell);
	int rc = trace_rows(report->trace, QUERY_turn_cell, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, report->loops.at[s->loop].id);
	sqlite3_bind_int64(rows, 2, (sqlite3_int64)s->begin_ns);
	rc = trace_next(report->trace, rows);
	if (rc == 1)
		cell = cell_index(report, sqlite3_column_int64(rows, 0));
	*ret = cell == NONE ? s->cell : cell;
	return rc < 0 ? rc : 0;
}

static int callback_take(struct judge *judge, const struct rule *rule, struct cpu_check *check,
	const struct stall *s, uint64_t steps_ns)
{
	const struct report *report = judge->report;
	const struct loop *loop = &report->loops.at[s->loop];
	uint64_t end_ns = s->begin_ns + s->busy_ns, short_ns = 0;
	uint64_t cpu_ns = step_cpu(report, s, s->begin_ns, end_ns);
	int cell = NONE;
	struct finding *f;
	struct step *step;
	int64_t thread = 0;
	int rc = short_steps(judge, s, &short_ns, &thread);

	steps_ns += short_ns;
	if (rc || cpu_ns < report->stall_ns + steps_ns)
		return rc;
	cpu_ns -= steps_ns;
	rc = callback_cell(judge, s, &cell);
	if (rc)
		return rc;
	f = finding_at(judge, rule, loop->process, cell, &s->place);
	step = list_add(&check->steps);
	if (!f || !step || finding_gain(f, s->loop, s->begin_ns, cpu_ns))
		return -ENOMEM;
	*step = (struct step){loop->process, s->loop, thread, s->begin_ns, end_ns,
		(size_t)(f - report->findings.at)};
	if (!f->count) {
		f->severity = rule->severity;
		f->subject = A_CALLBACK;
		f->advice = "Move it to another process (ProcessPoolExecutor), or let it do a part "
			    "and give the rest to call_soon().";
	}
	finding_computed(f, s, cpu_ns);
	return 0;
}

static int callbacks_take(struct judge *judge, const struct rule *rule, struct cpu_check *check)
{
	const struct report *report = judge->report;
	cleanup(freep) uint64_t *steps_ns = NULL;
	int rc = 0;

	for (size_t i = 0; i < report->stalls.n && !rc; i++) {
		if (!may_be_callback(report, &report->stalls.at[i]))
			continue;
		if (!steps_ns) {
			steps_ns = calloc(report->stalls.n, sizeof(*steps_ns));
			rc = steps_ns ? steps_add(judge, steps_ns) : -ENOMEM;
		}
		if (!rc)
			rc = callback_take(judge, rule, check, &report->stalls.at[i], steps_ns[i]);
	}
	return rc;
}

/* ---- where they were */

static int steps_compare(const void *a, const void *b)
{
	const struct step *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return x->begin_ns < y->begin_ns ? -1 : x->begin_ns > y->begin_ns;
}

static const struct step *step_at(const struct cpu_check *check, int64_t thread, uint64_t time_ns)
{
	size_t low = 0, high = check->steps.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct step *s = &check->steps.at[mid];

		if (s->thread < thread || (s->thread == thread && s->begin_ns <= time_ns))
			low = mid + 1;
		else
			high = mid;
	}
	if (!low || check->steps.at[low - 1].thread != thread ||
		check->steps.at[low - 1].end_ns < time_ns)
		return NULL;
	return &check->steps.at[low - 1];
}

static int spot_hit(struct cpu_check *check, const struct spot *seen)
{
	struct spot *spot;

	for (size_t i = 0; i < check->spots.n; i++) {
		spot = &check->spots.at[i];
		if (spot->finding == seen->finding && spot->place.file == seen->place.file &&
			spot->place.line == seen->place.line &&
			spot->place.function == seen->place.function &&
			spot->import == seen->import) {
			spot->samples++;
			return 0;
		}
	}
	spot = list_add(&check->spots);
	if (!spot)
		return -ENOMEM;
	*spot = *seen;
	return 0;
}

/* Frames below the user's: the import system's, which reads a module or runs its code. */
static bool is_import(const struct judge *judge, int user)
{
	static const char system[] = "<frozen importlib";

	for (int i = 0; i < user; i++) {
		const char *file = judge->frames.at[i].place.file;

		if (file && !strncmp(file, system, strlen(system)))
			return true;
	}
	return false;
}

/* Code that a library made is no cell's own: IPython's parser and its traceback have named tuples.
 */
static bool is_librarys(const struct judge *judge, size_t finding, const struct place *place,
	const struct place *caller)
{
	return place->file && *place->file == '<' && !caller->file &&
	       !strcmp(judge->report->findings.at[finding].subject, OWN_CODE) &&
	       cell_of_file(judge->report, place->file, NONE) == NONE;
}

/* Samples come in order, and most have the stack of the one before. */
static int samples_read(struct judge *judge, struct cpu_check *check)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct place place = {0}, caller = {0};
	int64_t last = 0;
	bool import = false;
	int user = NONE, rc = trace_rows(judge->report->trace, QUERY_sample, &rows);

	while (!rc && (rc = trace_next(judge->report->trace, rows)) == 1) {
		const struct step *step =
			step_at(check, sqlite3_column_int64(rows, 0), column_ns(rows, 1));
		int64_t stack = sqlite3_column_int64(rows, 2);

		rc = 0;
		if (!step)
			continue;
		if (stack != last) {
			rc = step_frames(judge, stack, &user);
			last = stack;
			place = caller = (struct place){0};
			if (!rc && user != NONE) {
				place = judge->frames.at[user].place;
				caller = frames_caller(judge, user);
			}
			import = !rc && user != NONE && is_import(judge, user);
			if (is_librarys(judge, step->finding, &place, &caller))
				place = (struct place){0};
		}
		if (!rc && (place.file || judge->frames.n < FRAMES_SURE))
			rc = spot_hit(
				check, &(struct spot){step->finding, place, caller, import, 1});
	}
	return rc;
}

static void cpu_say(struct judge *judge, struct finding *f)
{
	char often[64] = "", delayed[96];

	if (f->count > 1)
		snprintf(often, sizeof(often), " in %llu %s, the longest %s,",
			(unsigned long long)f->count,
			strcmp(f->subject, A_CALLBACK) ? "steps" : "calls",
			time_text(f->longest_ns));
	delayed_text(f, delayed, sizeof(delayed));
	finding_say(judge, f, "%s computed for at least %s%s with no await%s",
		*f->subject ? f->subject : "a step", time_text(f->cost_ns), often, delayed);
}

static bool is_there(const struct spot *spot, const struct place *place)
{
	return place->file && spot->place.file && spot->place.line == place->line &&
	       !strcmp(spot->place.file, place->file);
}

/* What IPython itself computes around a cell's code, as its parser or a traceback, is not the
 * cell's: whether, by the samples, less than --stall is left to it. */
static bool is_others(
	const struct report *report, const struct finding *f, uint64_t own, uint64_t others)
{
	return !strcmp(f->subject, OWN_CODE) && others >= OTHERS_LEAST &&
	       (double)f->cost_ns * (double)own < (double)report->stall_ns * (double)(own + others);
}

/*
 * Where most samples were: the function that most of them hit, and its hottest line. Few of them
 * tell it too where they agree, or where none was at the place of the stall: that may have waited.
 * False: they were not in what this finding is about.
 */
static bool finding_place(struct judge *judge, const struct cpu_check *check, size_t index)
{
	struct finding *f = &judge->report->findings.at[index];
	const struct spot *best = NULL, *there = NULL;
	uint64_t all = 0, imports = 0, others = 0;

	for (size_t i = 0; i < check->spots.n; i++) {
		const struct spot *s = &check->spots.at[i];

		if (s->finding != index)
			continue;
		if (!s->place.file) {
			others += s->samples;
			continue;
		}
		all += s->samples;
		imports += s->import ? s->samples : 0;
		if (!best || s->samples > best->samples)
			best = s;
		if (is_there(s, &f->place))
			there = s;
	}
	if (is_others(judge->report, f, all, others))
		return false;
	if (all >= SAMPLES_LEAST ||
		(best && (best->samples > all / 2 || (f->place.line && !there)))) {
		f->place = best->place;
		f->caller = best->caller;
	} else if (there) {
		f->caller = there->caller;
	}
	if (imports > all / 2) { /* once, and cells begin with them */
		f->severity = SEVERITY_note;
		f->advice = ADVICE_IMPORT;
	}
	cpu_say(judge, f);
	finding_evidence(judge, f,
		json_pack("{s:s,s:I,s:f,s:I,s:i}", "coro", utf8_keep(judge, f->subject), "steps",
			(json_int_t)f->count, "longest_ms", (double)(f->longest_ns / 1000) / 1000.0,
			"samples", (json_int_t)all, "tasks_delayed", (int)f->delayed));
	return true;
}

static void findings_place(struct judge *judge, const struct cpu_check *check, size_t first)
{
	struct report *report = judge->report;
	size_t kept = first;

	for (size_t i = first; i < report->findings.n; i++) {
		if (!finding_place(judge, check, i)) {
			free(report->findings.at[i].gains.at);
			continue;
		}
		if (kept < i)
			report->findings.at[kept] = report->findings.at[i];
		kept++;
	}
	report->findings.n = kept;
}

int rule_cpu(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	struct report *report = judge->report;
	struct cpu_check check = {0};
	size_t first = report->findings.n;
	int rc = trace_rows(report->trace, QUERY_long_step, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)report->stall_ns);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = step_take(judge, rule, &check, rows);
	if (!rc)
		rc = callbacks_take(judge, rule, &check);
	if (check.steps.n)
		qsort(check.steps.at, check.steps.n, sizeof(*check.steps.at), steps_compare);
	if (!rc && check.steps.n)
		rc = samples_read(judge, &check);
	if (!rc)
		findings_place(judge, &check, first);
	free(check.steps.at);
	free(check.spots.at);
	return rc;
}

static int loop_steps(struct judge *judge, int64_t loop, uint64_t *ret_ns)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(judge->report->trace, QUERY_loop_steps, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, loop);
	if (!rc)
		rc = trace_next(judge->report->trace, rows);
	if (rc == 1)
		*ret_ns = column_ns(rows, 0);
	return rc < 0 ? rc : 0;
}

/* Columns: row_place, steps that were stalls, their time, all its time, coro. */
static int hog_take(struct judge *judge, const struct rule *rule, sqlite3_stmt *rows)
{
	uint64_t stalls = column_ns(rows, 6), all_ns = column_ns(rows, 8), loop_ns = 0;
	struct row_place at;
	struct finding *f;
	int rc;

	if (row_place_take(judge, rows, &at))
		return -ENOMEM;
	rc = loop_steps(judge, sqlite3_column_int64(rows, 1), &loop_ns);
	if (rc)
		return rc;
	if (all_ns < loop_ns / HOG_SHARE || at.process == NONE ||
		!file_is_user(judge->report, at.place.file))
		return 0;
	f = finding_at(judge, rule, at.process, at.cell, &at.place);
	if (!f)
		return -ENOMEM;
	f->count += stalls;
	f->costed = true;
	f->cost_ns += column_ns(rows, 7);
	f->subject = keep_column(judge->report, rows, 9);
	if (!f->subject)
		return -ENOMEM;
	finding_say(judge, f,
		"one task of %s took %llu %% of the loop's step time; %llu of its steps were "
		"stalls, "
		"%s in all",
		f->subject, (unsigned long long)(loop_ns ? all_ns * 100 / loop_ns : 0),
		(unsigned long long)f->count, time_text(f->cost_ns));
	finding_evidence(judge, f,
		json_pack("{s:s,s:I,s:f,s:f}", "coro", utf8_keep(judge, f->subject), "stalls",
			(json_int_t)stalls, "task_ms", (double)(all_ns / 1000) / 1000.0, "loop_ms",
			(double)(loop_ns / 1000) / 1000.0));
	return 0;
}

int rule_hog(struct judge *judge, const struct rule *rule)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(judge->report->trace, QUERY_task_hog, &rows);

	if (!rc)
		sqlite3_bind_int64(rows, 1, (sqlite3_int64)judge->report->stall_ns);
	if (!rc)
		sqlite3_bind_int(rows, 2, HOG_STEPS);
	while (!rc && (rc = trace_next(judge->report->trace, rows)) == 1)
		rc = hog_take(judge, rule, rows);
	return rc;
}
