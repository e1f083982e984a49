/* What the checks of rules share: findings by place, their texts, turns, stacks of one turn. */
#include "viewer/rule.h"

#include <errno.h>
#include <stdarg.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/base/units.h"
#include "viewer/names.h"

#define TIME_BYTES 32

struct finding *finding_at(struct judge *judge, const struct rule *rule, int process, int cell,
	const struct place *place)
{
	struct report *report = judge->report;
	struct finding *f;

	for (size_t i = 0; i < report->findings.n; i++) {
		f = &report->findings.at[i];
		if (f->rule == rule && f->process == process && f->cell == cell &&
			f->place.file == place->file && f->place.line == place->line &&
			f->place.function == place->function)
			return f;
	}
	f = list_add(&report->findings);
	if (!f)
		return NULL;
	f->rule = rule;
	f->severity = rule->severity;
	f->process = process;
	f->cell = cell;
	f->place = *place;
	f->subject = f->detail = f->message = "";
	f->advice = rule->advice;
	f->evidence = "{}";
	return f;
}

int finding_gain(struct finding *finding, int loop, uint64_t begin_ns, uint64_t ns)
{
	struct gain *gain = list_add(&finding->gains);

	if (!gain)
		return -ENOMEM;
	*gain = (struct gain){loop, begin_ns, ns};
	finding->saves = true;
	return 0;
}

/* "In [2]:3, in fetch_page: ", "In [2]: ", "app.py:12: ". */
static void place_begin(const struct report *report, const struct finding *f, FILE *out)
{
	const struct place *place = f->caller.file ? &f->caller : &f->place;
	const char *function = function_name(&f->place);
	char name[NAME_BYTES];

	if (f->place.file)
		place_print(report, f->cell, &f->place, out);
	else if (f->cell != NONE)
		fputs(cell_name(report, f->cell, name), out);
	else
		fputs("The program", out);
	if (function && f->place.file)
		fprintf(out, ", in %s", function);
	if (f->caller.file) {
		fputs(", called from ", out);
		place_print(report, f->cell, &f->caller, out);
	}
	if (f->cell != NONE && place->file && cell_of_file(report, place->file, f->cell) != f->cell)
		fprintf(out, ", for %s", cell_name(report, f->cell, name));
	fputs(": ", out);
}

void finding_say(struct judge *judge, struct finding *finding, const char *format, ...)
{
	cleanup(freep) char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	va_list args;

	if (!out) {
		judge->failed = true;
		return;
	}
	place_begin(judge->report, finding, out);
	va_start(args, format);
	vfprintf(out, format, args);
	va_end(args);
	fputc('.', out);
	judge->failed |= fclose(out) != 0;
	finding->message = text ? string_keep(&judge->report->strings, text) : NULL;
	if (!finding->message) {
		finding->message = "";
		judge->failed = true;
	}
}

void finding_evidence(struct judge *judge, struct finding *finding, json_t *evidence)
{
	cleanup(freep) char *text = evidence ? json_dumps(evidence, JSON_COMPACT) : NULL;
	const char *kept = text ? string_keep(&judge->report->strings, text) : NULL;

	json_decref(evidence);
	judge->failed |= !kept;
	finding->evidence = kept ? kept : "{}";
}

const char *utf8_keep(struct judge *judge, const char *text)
{
	cleanup(freep) char *valid = text_to_utf8(text, strlen(text));
	const char *kept = valid ? string_keep(&judge->report->strings, valid) : NULL;

	judge->failed |= !kept;
	return kept ? kept : "";
}

const char *time_text(uint64_t ns)
{
	static _Thread_local char text[4][TIME_BYTES];
	static _Thread_local unsigned int next;

	return duration_format(ns, text[next++ % 4], TIME_BYTES);
}

void finding_delayed(struct finding *finding, const struct stall *stall)
{
	if (stall->tasks_delayed == NOT_COUNTED)
		return;
	if (stall->delay_ns > finding->delay_ns)
		finding->delay_ns = stall->delay_ns;
	if (stall->tasks_delayed <= finding->delayed)
		return;
	finding->delayed = stall->tasks_delayed;
	finding->delayed_most = stall->delayed_most;
}

void delayed_text(const struct finding *finding, char *buf, size_t size)
{
	/* the stall may hold more than this finding's part of it */
	uint64_t ns = finding->delay_ns < finding->cost_ns ? finding->delay_ns : finding->cost_ns;

	*buf = '\0';
	if (!finding->delayed)
		return;
	snprintf(buf, size, "%s and delayed %s%u task%s%s%s", finding->count > 1 ? "," : "",
		finding->delayed_most ? "up to " : "", finding->delayed,
		finding->delayed == 1 ? "" : "s", ns ? " by up to " : "", ns ? time_text(ns) : "");
}

static int index_of(struct judge *judge, sqlite3_stmt *rows, int column,
	int (*find)(const struct report *, int64_t))
{
	return sqlite3_column_type(rows, column) == SQLITE_NULL
		       ? NONE
		       : find(judge->report, sqlite3_column_int64(rows, column));
}

int row_place_take(struct judge *judge, sqlite3_stmt *rows, struct row_place *ret)
{
	ret->process = index_of(judge, rows, 0, process_index);
	ret->loop = index_of(judge, rows, 1, loop_index);
	ret->cell = index_of(judge, rows, 2, cell_index);
	return keep_place(judge->report, rows, 3, &ret->place);
}

bool file_is_user(const struct report *report, const char *file)
{
	if (!file || !*file || *file == '?')
		return false;
	if (cell_of_file(report, file, NONE) != NONE)
		return true;
	if (*file == '<')
		return text_is_typed_in(file);
	if (library_path(file) || strstr(file, "/ipykernel_") || text_is_interpreters(file))
		return false;
	for (size_t i = 0; i < report->processes.n; i++) {
		const char *stdlib = report->processes.at[i].stdlib;
		size_t n = strlen(stdlib);

		if (n && !strncmp(file, stdlib, n) && file[n] == '/')
			return false;
	}
	return true;
}

/* Frames that run a loop: what is beyond them did not run in this turn. */
static bool is_boundary(const struct frame *f)
{
	static const char *const files[] = {"asyncio/base_events.py", "asyncio/runners.py",
		"asyncio/events.py", "nest_asyncio.py", "uvloop/__init__.py"};
	static const char *const functions[] = {
		"_run", "_run_once", "run_forever", "run_until_complete", "run"};
	const char *inside = f->place.file ? library_path(f->place.file) : NULL, *name;
	bool known = false;

	for (size_t i = 0; inside && i < sizeof(files) / sizeof(*files); i++)
		known |= !strcmp(inside, files[i]);
	name = known ? name_last(f->place.function) : "";
	for (size_t i = 0; i < sizeof(functions) / sizeof(*functions); i++)
		if (!strcmp(name, functions[i]))
			return true;
	return false;
}

const char *name_last(const char *qualified)
{
	const char *dot = strrchr(qualified, '.');

	return dot ? dot + 1 : qualified;
}

int step_frames(struct judge *judge, int64_t stack, int *ret_user)
{
	frame_list *frames = &judge->frames;
	int rc;

	frames->n = 0;
	judge->callback = false;
	*ret_user = NONE;
	rc = stack ? report_stack(judge->report, stack, frames) : 0;
	if (rc)
		return rc;
	for (size_t i = 0; i < frames->n; i++) {
		if (is_boundary(&frames->at[i])) {
			judge->callback =
				!i && !strcmp(name_last(frames->at[i].place.function), "_run");
			frames->n = i;
			break;
		}
		if (frames->at[i].user && *ret_user == NONE)
			*ret_user = (int)i;
	}
	return 0;
}

struct place frames_caller(const struct judge *judge, int user)
{
	for (size_t i = (size_t)user; i < judge->frames.n; i++) {
		const struct frame *f = &judge->frames.at[i];

		if (!f->user || !f->place.file)
			continue;
		if (*f->place.file != '<' ||
			cell_of_file(judge->report, f->place.file, NONE) != NONE)
			return i == (size_t)user ? (struct place){0} : f->place;
	}
	return (struct place){0};
}

uint64_t call_ns(const struct call *call)
{
	return call->waited_ns +
	       (call->cause == CAUSE_database ? call->end_ns - call->begin_ns - call->off_ns : 0);
}

const struct turn *turn_at(const struct report *report, int loop, uint64_t time_ns)
{
	size_t low = 0, high = report->turns.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct turn *t = &report->turns.at[mid];

		if (t->loop < loop || (t->loop == loop && t->begin_ns <= time_ns))
			low = mid + 1;
		else
			high = mid;
	}
	if (!low)
		return NULL;
	low--;
	return report->turns.at[low].loop == loop &&
			       time_ns <= report->turns.at[low].begin_ns +
						  report->turns.at[low].busy_ns
		       ? &report->turns.at[low]
		       : NULL;
}

const struct stall *stall_of(const struct report *report, const struct turn *turn)
{
	size_t low = 0, high = report->stalls.n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (report->stalls.at[mid].begin_ns < turn->begin_ns)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < report->stalls.n && report->stalls.at[low].begin_ns == turn->begin_ns; low++)
		if (report->stalls.at[low].loop == turn->loop)
			return &report->stalls.at[low];
	return NULL;
}

int cell_running(const struct report *report, const char *file, uint64_t time_ns)
{
	for (size_t i = 0; i < report->cells.n; i++) {
		const struct cell *c = &report->cells.at[i];

		if (c->filename && !strcmp(c->filename, file) && c->began_ns <= time_ns &&
			time_ns <= c->ended_ns)
			return (int)i;
	}
	return NONE;
}

bool in_synchronous(const struct report *report, int cell, uint64_t time_ns)
{
	const struct cell *c = cell == NONE ? NULL : &report->cells.at[cell];

	return c && c->synchronous && time_ns >= c->began_ns && time_ns <= c->ended_ns;
}
