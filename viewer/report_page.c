/* What a report's page holds, in the order people ask: what is wrong, when, where, which line. */
#include "viewer/page.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>

#include "probe/base/cleanup.h"
#include "probe/base/units.h"
#include "viewer/names.h"
#include "viewer/path_words.h"
#include "viewer/rule.h"
#include "viewer/stall_words.h"
#include "viewer/text_parts.h"
#include "viewer/words.h"

#define ROWS_MOST 200 /* of a table without -v; what is left out is counted */

struct writer {
	struct report *report;
	const struct output_options *options;
	const struct page_form *form;
	FILE *out;
	bool failed; /* out of memory */
};

static char *words(struct writer *w, const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0) {
		w->failed = true;
		return NULL;
	}
	return text;
}

static void say(struct writer *w, enum page_mark mark, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void put(struct writer *w, enum page_mark mark, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(struct writer *w, enum page_mark mark, const char *format, ...)
{
	cleanup(freep) char *text = NULL;
	va_list args;

	va_start(args, format);
	text = words(w, format, args);
	va_end(args);
	w->form->paragraph(w->out, mark, text ? text : "");
}

static void put(struct writer *w, enum page_mark mark, const char *format, ...)
{
	cleanup(freep) char *text = NULL;
	va_list args;

	va_start(args, format);
	text = words(w, format, args);
	va_end(args);
	w->form->cell(w->out, mark, text ? text : "");
}

static size_t rows_of(const struct writer *w, size_t n)
{
	return w->options->verbose || n < ROWS_MOST ? n : ROWS_MOST;
}

static void rest_say(struct writer *w, size_t n)
{
	if (rows_of(w, n) < n)
		say(w, MARK_plain, "and %zu more: -v writes them", n - rows_of(w, n));
}

static void put_cell(struct writer *w, int cell)
{
	char name[NAME_BYTES];

	put(w, MARK_plain, "%s", cell == NONE ? "" : cell_name(w->report, cell, name));
}

static void put_place(struct writer *w, int near, const struct place *place)
{
	cleanup(freep) char *text = NULL;
	const char *function = function_name(place);
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out && place->file)
		place_print(w->report, near, place, out);
	if (out && place->file && function)
		fprintf(out, " %s", function);
	w->failed |= !out || fclose(out);
	put(w, MARK_code, "%s", text ? text : "");
}

static void findings_write(struct writer *w)
{
	static const char *const titles[] = {
		"rule", "severity", "cost", "finding", "what to do", NULL};
	const struct report *report = w->report;

	if (!report->findings.n && !report->suppressed.n)
		return;
	w->form->heading(w->out, "Findings, what to mend first");
	if (report->findings.n)
		w->form->table_begin(w->out, titles, true);
	for (size_t i = 0; i < rows_of(w, report->findings.n); i++) {
		const struct finding *f = &report->findings.at[i];

		w->form->row_begin(w->out);
		put(w, f->severity == SEVERITY_error ? MARK_strong : MARK_plain, "%s %s",
			f->rule->id, f->rule->name);
		put(w, MARK_plain, "%s", severity_name(f->severity));
		put(w, MARK_number, "%s", f->costed ? time_text(f->cost_ns) : "");
		put(w, MARK_plain, "%s", f->message);
		put(w, MARK_plain, "%s", f->advice);
		w->form->row_end(w->out);
	}
	if (report->findings.n)
		w->form->table_end(w->out);
	rest_say(w, report->findings.n);
	if (report->suppressed.n)
		say(w, MARK_plain, "%zu suppressed by %s", report->suppressed.n, IGNORE_COMMENT);
}

/* Its name is the cell's and its first line. */
static void source_write(struct writer *w, int cell)
{
	const char *source = w->report->cells.at[cell].source;
	const char *line = source + strspn(source, " \t\r\n");
	cleanup(freep) char *title = NULL;
	char name[NAME_BYTES];

	if (asprintf(&title, "%s: %.*s", cell_name(w->report, cell, name),
		    (int)strcspn(line, "\r\n"), line) < 0) {
		title = NULL;
		w->failed = true;
	}
	w->form->source(w->out, title ? title : name, source);
}

static void cells_write(struct writer *w)
{
	static const char *const titles[] = {
		"cell", "status", "wall", "busy", "longest", "stalls", "most of it", "tasks", NULL};
	const struct report *report = w->report;
	char name[NAME_BYTES], most[WORDS_BYTES];
	bool quiet = false;

	if (!report->cells.n)
		return;
	w->form->heading(w->out, "Cells");
	w->form->table_begin(w->out, titles, false);
	for (size_t i = 0; i < rows_of(w, report->cells.n); i++) {
		const struct cell *c = &report->cells.at[i];
		bool timed = c->ended_ns != c->began_ns; /* else known by its code only */

		w->form->row_begin(w->out);
		quiet |= cell_is_quiet(c);
		put(w, c->felt_ns ? MARK_strong : MARK_plain, "%s",
			cell_name(report, (int)i, name));
		put(w, MARK_plain, "%s", c->status);
		put(w, MARK_number, "%s", timed ? time_text(c->ended_ns - c->began_ns) : "-");
		put(w, MARK_number, "%s", timed ? time_text(c->busy_ns) : "-");
		put(w, MARK_number, "%s", timed ? time_text(c->longest_ns) : "-");
		put(w, MARK_number, cell_is_quiet(c) ? "sync" : "%" PRIu64, c->stalls);
		causes_words(&c->causes, &c->split, most, sizeof(most));
		put(w, MARK_plain, "%s", most);
		put(w, MARK_number, "%" PRIu64, c->tasks);
		w->form->row_end(w->out);
	}
	w->form->table_end(w->out);
	rest_say(w, report->cells.n);
	if (quiet)
		say(w, MARK_plain, QUIET_LEGEND);
	for (size_t i = 0; i < rows_of(w, report->cells.n) && !w->options->no_source; i++)
		source_write(w, (int)i);
}

static void leaks_write(struct writer *w)
{
	static const char *const titles[] = {"cell", "coroutine", "task", "created at", "age",
		"how it ended", "waits for", NULL};
	const struct report *report = w->report;

	if (!report->leaks.n)
		return;
	w->form->heading(w->out, "Leaked tasks");
	w->form->table_begin(w->out, titles, false);
	for (size_t i = 0; i < rows_of(w, report->leaks.n); i++) {
		const struct leak *l = &report->leaks.at[i];

		w->form->row_begin(w->out);
		put_cell(w, l->cell);
		put(w, MARK_code, "%s", l->coro);
		put(w, MARK_plain, "%s", l->name);
		put_place(w, l->cell, &l->created);
		put(w, MARK_number, "%s", time_text(l->age_ns));
		put(w, MARK_plain, "%s", leak_words(l->reason));
		put(w, MARK_plain, "%s", l->awaiting);
		w->form->row_end(w->out);
	}
	w->form->table_end(w->out);
	rest_say(w, report->leaks.n);
}

static void put_site(struct writer *w, const struct site *site)
{
	cleanup(freep) char *place = site_place_text(w->report, site);
	const char *function = site->by_loop ? NULL : function_name(&site->place);

	w->failed |= !place;
	put(w, MARK_code, "%s%s%s", place ? place : "?", function ? " " : "",
		function ? function : "");
}

static void sites_write(struct writer *w)
{
	static const char *const titles[] = {
		"cell", "call", "class", "place", "count", "total", "longest", "target", NULL};
	const struct report *report = w->report;
	cleanup(freep) char *note = sites_note(report);
	size_t n = 0, shown = 0;

	for (size_t i = 0; i < report->sites.n; i++)
		n += !report->sites.at[i].machinery;
	if (!n)
		return;
	w->form->heading(w->out, "Blocking calls on loop threads");
	w->form->table_begin(w->out, titles, false);
	for (size_t i = 0; i < report->sites.n && shown < rows_of(w, n); i++) {
		const struct site *s = &report->sites.at[i];

		if (s->machinery)
			continue;
		shown++;
		w->form->row_begin(w->out);
		put_cell(w, s->cell);
		put(w, MARK_code, "%s", s->words);
		put(w, MARK_plain, "%s", s->class);
		put_site(w, s);
		put(w, MARK_number, "%" PRIu64, s->count);
		put(w, MARK_number, "%s", time_text(s->total_ns));
		put(w, MARK_number, "%s", time_text(s->max_ns));
		put(w, MARK_code, "%s", s->target);
		w->form->row_end(w->out);
	}
	w->form->table_end(w->out);
	rest_say(w, n);
	if (note)
		say(w, MARK_plain, "%s", note);
}

static void stalls_write(struct writer *w)
{
	static const char *const titles[] = {
		"at", "held", "cell", "most of it", "place", "tasks waiting", NULL};
	const struct report *report = w->report;
	size_t n = 0;
	cleanup(freep) const struct stall **listed = stalls_list(report, w->options->verbose, &n);

	w->failed |= !listed;
	if (!n)
		return;
	w->form->heading(w->out, w->options->verbose || !report->cells.n
					 ? "Stalls, longest first"
					 : "Stalls outside the cells, longest first");
	w->form->table_begin(w->out, titles, false);
	for (size_t i = 0; i < rows_of(w, n); i++) {
		const struct stall *s = listed[i];
		cleanup(freep) char *place = stall_place_words(report, s);
		char most[WORDS_BYTES];
		bool waited = s->tasks_delayed != NOT_COUNTED && s->tasks_delayed;

		w->failed |= !place;
		w->form->row_begin(w->out);
		put(w, MARK_number, "%s", time_text(s->begin_ns));
		put(w, MARK_number, "%s", time_text(s->busy_ns));
		put_cell(w, s->cell);
		causes_words(&s->causes, &s->split, most, sizeof(most));
		put(w, MARK_plain, "%s", most);
		put(w, MARK_code, "%s", place ? place : "?");
		if (waited)
			put(w, MARK_number, "%" PRIu32, s->tasks_delayed);
		else
			put(w, MARK_number, "%s", "");
		w->form->row_end(w->out);
	}
	w->form->table_end(w->out);
	rest_say(w, n);
}

static void hot_write(struct writer *w)
{
	static const char *const titles[] = {
		"cell", "CPU time, about", "place", "runs", "samples", NULL};
	const struct report *report = w->report;

	if (!report->hot.n)
		return;
	w->form->heading(w->out, "Hottest lines of loop threads, by samples");
	w->form->table_begin(w->out, titles, false);
	for (size_t i = 0; i < rows_of(w, report->hot.n); i++) {
		const struct hot_line *h = &report->hot.at[i];

		w->form->row_begin(w->out);
		put_cell(w, h->cell);
		put(w, MARK_number, "%s", time_text(h->cpu_ns));
		put_place(w, h->cell, &h->place);
		put(w, *h->native ? MARK_code : MARK_plain, "%s",
			*h->native ? h->native : hot_kind(h));
		put(w, MARK_number, "%" PRIu64, h->samples);
		w->form->row_end(w->out);
	}
	w->form->table_end(w->out);
	rest_say(w, report->hot.n);
}

/* The parts of a wait, and theirs, the largest first. */
static void links_write(struct writer *w, const struct path *path, size_t parent, size_t depth)
{
	bool all = w->options->verbose;
	size_t i = path_link_next(path, parent, PATH_NO_LINK, all);

	if (i == PATH_NO_LINK)
		return;
	w->form->list_begin(w->out, depth);
	for (; i != PATH_NO_LINK; i = path_link_next(path, parent, i, all)) {
		cleanup(freep) char *words = path_link_words(w->report, path, &path->links.at[i]);
		cleanup(freep) char *text = NULL;

		if (!words ||
			asprintf(&text, "%s %s", time_text(path->links.at[i].ns), words) < 0) {
			text = NULL;
			w->failed = true;
		}
		w->form->item_begin(w->out, depth, MARK_plain, text ? text : "?");
		links_write(w, path, i, depth + 1);
		w->form->item_end(w->out, depth);
	}
	w->form->list_end(w->out, depth);
}

static int paths_write(struct writer *w)
{
	path_list paths = {0};
	size_t shown;
	int rc = paths_find(w->report, &paths);

	shown = w->options->verbose || paths.n < PATHS_SHOWN ? paths.n : PATHS_SHOWN;
	if (shown)
		w->form->heading(w->out, PATHS_TITLE);
	for (size_t i = 0; i < shown; i++) {
		cleanup(freep) char *words = path_words(w->report, &paths.at[i]);

		w->failed |= !words;
		say(w, MARK_strong, "%s", words ? words : "?");
		links_write(w, &paths.at[i], PATH_ROOT, 0);
	}
	if (shown < paths.n)
		say(w, MARK_plain, "and %zu more: -v writes them", paths.n - shown);
	paths_free(&paths);
	return rc;
}

static void loops_write(struct writer *w)
{
	static const char *const titles[] = {"loop on thread", "kind", "iterations", "busy",
		"lag p50", "p90", "p99", "max", "stalls", NULL};
	const struct report *report = w->report;
	size_t shown = 0;

	if (!report->loops.n)
		return;
	w->form->heading(w->out, "Loops");
	w->form->table_begin(w->out, titles, false);
	for (size_t i = 0; i < 2 * report->loops.n && shown < rows_of(w, report->loops.n); i++) {
		const struct loop *l = &report->loops.at[i % report->loops.n];
		const uint64_t lags[] = {
			l->lag.p50_ns, l->lag.p90_ns, l->lag.p99_ns, l->lag.max_ns};

		if (l->machinery != (i >= report->loops.n))
			continue; /* the user's first */
		shown++;
		w->form->row_begin(w->out);
		put(w, MARK_plain, "%s%s", l->thread, l->machinery ? " (Jupyter's own)" : "");
		put(w, MARK_plain, "%s", l->kind);
		put(w, MARK_number, "%" PRIu64, l->iterations);
		put(w, MARK_number, "%s", time_text(l->busy_ns));
		for (size_t k = 0; k < sizeof(lags) / sizeof(*lags); k++)
			put(w, MARK_number, "%s", l->lag.known ? time_text(lags[k]) : "");
		put(w, MARK_number, "%" PRIu64, l->felt);
		w->form->row_end(w->out);
	}
	w->form->table_end(w->out);
	rest_say(w, report->loops.n);
}

/* Which sensor saw what, what was lost, how much was accounted for; then what to know of it. */
static void coverage_write(struct writer *w)
{
	cleanup(freep) char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (out) {
		coverage_print(w->report, out);
		fputs("; ", out);
		unchecked_print(w->report, out);
		fputc('.', out);
	}
	w->failed |= !out || fclose(out);
	w->form->heading(w->out, "How far this can be trusted");
	say(w, MARK_plain, "%s", line ? line : "");
	for (size_t i = 0; i < rows_of(w, w->report->notes.n); i++)
		say(w, MARK_plain, "%s", w->report->notes.at[i]);
}

static void words_write(struct writer *w)
{
	static const char *const titles[] = {"word", "what it means", NULL};

	w->form->heading(w->out, "The words");
	w->form->table_begin(w->out, titles, true);
	for (size_t i = 0; words_list[i].word; i++) {
		w->form->row_begin(w->out);
		put(w, MARK_strong, "%s", words_list[i].word);
		put(w, MARK_plain, "%s", words_list[i].meaning);
		w->form->row_end(w->out);
	}
	w->form->table_end(w->out);
}

static void title_write(struct writer *w)
{
	cleanup(freep) char *title = NULL, *program = NULL;
	const struct report *report = w->report;
	const char *slash = strrchr(report->notebook, '/');
	size_t size;
	int loop = NONE;
	FILE *out = open_memstream(&program, &size);

	for (size_t i = 0; i < report->loops.n && loop == NONE; i++)
		if (!report->loops.at[i].machinery)
			loop = (int)i;
	if (out && *report->notebook)
		fputs(slash ? slash + 1 : report->notebook, out);
	else if (out)
		program_print(report, loop, out);
	w->failed |= !out || fclose(out);
	if (asprintf(&title, "awaitscope: %s", program ? program : "") < 0)
		title = NULL;
	w->form->begin(w->out, title ? title : "awaitscope");
}

int report_page(struct report *report, const struct output_options *options,
	const struct page_form *form, FILE *out)
{
	struct writer w = {.report = report, .options = options, .form = form, .out = out};
	int rc = 0;

	title_write(&w);
	say(&w, MARK_strong, "%s", report->verdict);
	if (!options->quiet) {
		say(&w, MARK_plain, "%s recorded from %s%s%s; by awaitscope %s.",
			time_text(report->duration_ns),
			*report->started_at ? report->started_at : "?",
			report->processes.n ? ", Python " : "",
			report->processes.n ? report->processes.at[0].python : "",
			AWAITSCOPE_VERSION);
		rc = form->timeline ? form->timeline(out, report) : 0;
		findings_write(&w);
		cells_write(&w);
		leaks_write(&w);
		sites_write(&w);
		stalls_write(&w);
		hot_write(&w);
		rc = rc ? rc : paths_write(&w);
		loops_write(&w);
		coverage_write(&w);
		if (form->words)
			words_write(&w);
	}
	form->end(out);
	if (rc)
		return rc;
	if (w.failed)
		return -ENOMEM;
	return ferror(out) ? -EIO : 0;
}

int report_markdown(struct report *report, const struct output_options *options, FILE *out)
{
	return report_page(report, options, &page_markdown, out);
}

int report_html(struct report *report, const struct output_options *options, FILE *out)
{
	return report_page(report, options, &page_html, out);
}
