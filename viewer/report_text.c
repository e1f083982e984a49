/*
 * The report for people, in the order they ask: what is wrong, can I trust this, which cell, what
 * leaked, which line. Every text of the target passes text_for_terminal() on its way here: in
 * tables, in print_safe().
 */
#include "viewer/output.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/base/units.h"
#include "viewer/coverage.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/screen.h"
#include "viewer/text_parts.h"

#define ROWS_SHOWN 10 /* of a section without -v; what is left out is counted */
#define NOTES_SHOWN 6
#define BAR_CELLS 8
#define COMMAND_MOST 60 /* characters of a command line */

char *duration_text(uint64_t ns, char buf[DURATION_BYTES])
{
	return duration_format(ns, buf, DURATION_BYTES);
}

void print_safe(struct text_report *t, enum style style, size_t first, const char *format, ...)
{
	cleanup(freep) char *safe = NULL;
	va_list args;

	va_start(args, format);
	safe = text_vformat(format, args);
	va_end(args);
	if (!safe) {
		t->failed = true;
		return;
	}
	if (first == NO_INDENT) {
		screen_wrap(&t->screen, style, safe, 0, 0);
		return;
	}
	fprintf(t->screen.out, "%*s", (int)first, "");
	screen_wrap(&t->screen, style, safe, first, first + 2);
}

char *place_text(const struct report *report, int near, const struct place *place)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	place_print(report, near, place, out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

void pid_cell(struct text_report *t, struct table *table, int process)
{
	if (t->report->processes.n > 1 && process != NONE)
		table_add(table, STYLE_dim, "%lld", t->report->processes.at[process].pid);
	else
		table_add(table, STYLE_dim, "%s", "");
}

void section_title(struct text_report *t, const char *title, const char *more)
{
	fputc('\n', t->screen.out);
	screen_put(&t->screen, STYLE_bold, title);
	screen_put(&t->screen, STYLE_plain, more);
	fputc('\n', t->screen.out);
}

size_t rows_shown(const struct text_report *t, size_t n)
{
	return t->options->verbose || n <= ROWS_SHOWN ? n : ROWS_SHOWN;
}

void causes_bar(const struct causes *causes, uint64_t longest_ns, char buf[BAR_BYTES])
{
	static const char *const glyphs[FAMILY_COUNT] = {
		[FAMILY_BLOCKED] = GLYPH_BLOCKED,
		[FAMILY_CPU] = GLYPH_CPU,
		[FAMILY_WAIT] = GLYPH_WAIT,
		[FAMILY_UNKNOWN] = GLYPH_UNKNOWN,
	};
	uint64_t sum = 0, done = 0;
	char *p = buf;
	double scale = longest_ns ? (double)BAR_CELLS / (double)longest_ns : 0;

	*p = '\0';
	for (int family = 0; family < FAMILY_COUNT; family++) {
		uint64_t end;

		sum += causes_family(causes, (enum cause_family)family);
		end = (uint64_t)((double)sum * scale + 0.5);
		for (; done < end && done < BAR_CELLS; done++)
			p = stpcpy(p, glyphs[family]);
	}
}

void causes_words(
	const struct causes *causes, const struct cpu_splits *splits, char *buf, size_t size)
{
	enum cause largest = causes_largest(causes);
	char text[DURATION_BYTES], split[SPLIT_WORDS_BYTES];

	*buf = '\0';
	if (causes->ns[largest])
		snprintf(buf, size, "%s %s%s", cause_name(largest),
			duration_text(causes->ns[largest], text),
			split_words(splits, causes, largest, split));
}

/* Cells are looked for in kernels only. */
static bool kind_applies(const struct report *report, int kind)
{
	for (size_t i = 0; i < report->processes.n; i++)
		if (report->processes.at[i].is_kernel)
			return true;
	return kind != COVERAGE_cells || report->cells.n;
}

/* ", tasks (agent), calls (agent)" of what was seen, or of what was not; the first without its
 * comma. */
static size_t kinds_print(const struct report *report, bool seen, const char *title, FILE *out)
{
	static const char *const names[COVERAGE_KINDS] = {
		"tasks", "blocking calls", "causes", "cells"};
	size_t n = 0;

	for (int i = 0; i < COVERAGE_KINDS; i++) {
		const char *sensor = report->coverage.sensor[i];

		if (!kind_applies(report, i) || seen == !strcmp(sensor, "none"))
			continue;
		fprintf(out, "%s%s", n++ ? ", " : title, names[i]);
		if (seen)
			fprintf(out, " (%s)", sensor);
	}
	return n;
}

static void seen_print(const struct report *report, FILE *out)
{
	size_t n = kinds_print(report, true, "Seen: ", out);

	kinds_print(report, false, n ? "; not seen: " : "Not seen: ", out);
}

/* "0 events lost", as far as anybody can say so. */
static void lost_print(const struct report *report, FILE *out)
{
	if (!report->complete && !report->lost_events) {
		fputs("how many events were lost is not known", out);
		return;
	}
	count_print(report->lost_events, "event", out);
	fputs(report->complete ? " lost" : " lost or more", out);
}

/* What the agent alone leaves out, as the recorder wrote it down. */
static void alone_print(const struct report *report, FILE *out)
{
	static const char begin[] = "agent alone";

	for (size_t i = 0; i < report->notes.n; i++)
		if (!strncmp(report->notes.at[i], begin, sizeof(begin) - 1))
			fprintf(out, "; %s", report->notes.at[i]);
}

void coverage_print(const struct report *report, FILE *out)
{
	char busy[DURATION_BYTES], gap[DURATION_BYTES];

	seen_print(report, out);
	if (report->busy_ns)
		fprintf(out, "; accounted for %.2f %% of %s busy, largest discrepancy %s",
			report->accounted_share * 100, duration_text(report->busy_ns, busy),
			duration_text(report->discrepancy_ns, gap));
	fputs("; ", out);
	lost_print(report, out);
	alone_print(report, out);
}

/* The last line: how far all of the above can be trusted. */
static void audit_line(struct text_report *t)
{
	const struct report *report = t->report;
	cleanup(freep) char *trust = NULL;
	char busy[DURATION_BYTES], gap[DURATION_BYTES], accounted[128] = "";
	size_t size;
	FILE *out;

	if (report->busy_ns)
		snprintf(accounted, sizeof(accounted),
			"accounted for %.2f %% of %s busy, largest discrepancy %s; ",
			report->accounted_share * 100, duration_text(report->busy_ns, busy),
			duration_text(report->discrepancy_ns, gap));
	out = open_memstream(&trust, &size);
	if (!out) {
		t->failed = true;
		return;
	}
	lost_print(report, out);
	fputs("; ", out);
	unchecked_print(report, out);
	t->failed |= fclose(out) != 0;
	fputc('\n', t->screen.out);
	print_safe(t, STYLE_dim, 0, "Audit: %s%s.", accounted, trust ? trust : "");
}

static void coverage_section(struct text_report *t)
{
	struct report *report = t->report;
	cleanup(freep) char *line = NULL;
	size_t size, shown = report->notes.n;
	FILE *out = open_memstream(&line, &size);

	if (!out) {
		t->failed = true;
		return;
	}
	seen_print(report, out);
	if (report->lost_events) {
		fputs("; ", out);
		count_print(report->lost_events, "event", out);
		fputs(" lost", out);
	}
	if (fclose(out)) {
		t->failed = true;
		return;
	}
	print_safe(t, STYLE_plain, 0, "%s; %zu of %zu rules checked.", line, rules_checked(report),
		rules_count);
	if (!t->options->verbose && shown > NOTES_SHOWN)
		shown = NOTES_SHOWN;
	for (size_t i = 0; i < shown; i++)
		print_safe(t, STYLE_plain, 0, "- %s", report->notes.at[i]);
	if (shown < report->notes.n)
		print_safe(t, STYLE_plain, 0, "- and %zu more note%s: -v shows them",
			report->notes.n - shown, report->notes.n - shown == 1 ? "" : "s");
}

static void trace_line(struct text_report *t)
{
	struct report *report = t->report;
	const char *slash = strrchr(report->notebook, '/');
	cleanup(freep) char *command =
		report->processes.n ? command_text(report->processes.at[0].argv) : strdup("");
	cleanup(freep) char *shown = command ? text_for_terminal(command, COMMAND_MOST) : NULL;
	char duration[DURATION_BYTES], kept[sizeof("the last  of ") + DURATION_BYTES] = "",
								      cells[64] = "";

	if (report->cells.n)
		snprintf(cells, sizeof(cells), ", %zu cell%s", report->cells.n,
			report->cells.n == 1 ? "" : "s");
	if (report->kept_from_ns)
		snprintf(kept, sizeof(kept), "the last %s of ",
			duration_text(report->duration_ns - report->kept_from_ns, duration));
	print_safe(t, STYLE_dim, 0, "%s%s, %" PRIu64 " task%s, %s%s%s%s, from %s",
		*report->notebook ? slash ? slash + 1 : report->notebook
		: !shown          ? "?"
		: *shown          ? shown
				  : "no Python process",
		cells, report->user_tasks, report->user_tasks == 1 ? "" : "s", kept,
		duration_text(report->duration_ns, duration),
		report->processes.n ? ", Python " : "",
		report->processes.n ? report->processes.at[0].python : "", report->started_at);
	if (report->processes.n > 1)
		print_safe(t, STYLE_dim, 0, "%zu processes:", report->processes.n);
	for (size_t i = 0; report->processes.n > 1 && i < rows_shown(t, report->processes.n); i++) {
		cleanup(freep) char *words = command_text(report->processes.at[i].argv);
		cleanup(freep) char *safe = words ? text_for_terminal(words, COMMAND_MOST) : NULL;

		print_safe(t, STYLE_dim, 2, "%lld: %s%s", report->processes.at[i].pid,
			safe ? safe : "?", report->processes.at[i].has_loop ? "" : " (no loop)");
	}
	if (rows_shown(t, report->processes.n) < report->processes.n)
		print_safe(t, STYLE_dim, 2, "and %zu more",
			report->processes.n - rows_shown(t, report->processes.n));
}

int report_text(struct report *report, const struct output_options *options, FILE *out)
{
	struct text_report t = {.report = report, .options = options};
	bool stalled = false;

	screen_init(&t.screen, out, options->no_color);
	for (size_t i = 0; i < report->stalls.n; i++)
		stalled |= !report->stalls.at[i].quiet &&
			   !report->loops.at[report->stalls.at[i].loop].machinery;
	print_safe(&t, stalled ? STYLE_red : STYLE_bold, NO_INDENT, "%s", report->verdict);
	if (!options->quiet) {
		fputc('\n', out);
		trace_line(&t);
		coverage_section(&t);
		findings_section(&t);
		cells_section(&t);
		leaks_section(&t);
		sites_section(&t);
		stalls_section(&t);
		hot_section(&t);
		paths_section(&t);
		loops_section(&t);
		audit_line(&t);
	}
	if (t.rc)
		return t.rc;
	if (t.failed)
		return -ENOMEM;
	return ferror(out) ? -EIO : 0;
}
