/* The text report's cells, stalls and loops: where the time went. */
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/stall_words.h"
#include "viewer/text_parts.h"

#define HELD_SHARE 10   /* a loop that was held for --stall/10 is worth a row */
#define SOURCE_SHOWN 60 /* characters of a cell's first line */

struct ranked {
	const struct cell *cell;
	int index;
};

/* Time that tasks lost first, then time the loop was held. */
static int ranked_compare(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->cell->felt_ns != y->cell->felt_ns)
		return x->cell->felt_ns > y->cell->felt_ns ? -1 : 1;
	if (x->cell->busy_ns != y->cell->busy_ns)
		return x->cell->busy_ns > y->cell->busy_ns ? -1 : 1;
	return x->index - y->index;
}

/* The first line of a source that says something. */
static char *first_line(const char *source)
{
	size_t n = strspn(source, " \t\r\n");
	cleanup(freep) char *line = NULL;

	source += n;
	line = strndup(source, strcspn(source, "\r\n"));
	return line ? text_for_terminal(line, SOURCE_SHOWN) : NULL;
}

/* A cell that is known by its code only has no times. */
static void time_add(struct table *table, const struct cell *c, uint64_t ns)
{
	char text[DURATION_BYTES];

	table_add(table, STYLE_plain, "%s",
		c->ended_ns == c->began_ns ? "-" : duration_text(ns, text));
}

/* True if its bar shows anything. */
static bool cell_row(
	struct text_report *t, struct table *table, const struct ranked *r, uint64_t longest_ns)
{
	const struct cell *c = r->cell;
	cleanup(freep) char *line = t->options->no_source ? strdup("") : first_line(c->source);
	char name[NAME_BYTES], bar[BAR_BYTES], words[WORDS_BYTES];

	pid_cell(t, table, c->process);
	table_add(table, c->felt_ns ? STYLE_red : STYLE_plain, "%s",
		cell_name(t->report, r->index, name));
	table_add(table, STYLE_plain, "%s", strcmp(c->status, "ok") ? c->status : "");
	time_add(table, c, c->ended_ns - c->began_ns);
	time_add(table, c, c->busy_ns);
	time_add(table, c, c->longest_ns);
	if (cell_is_quiet(c))
		table_add(table, STYLE_plain, "sync");
	else
		table_add(table, c->felt_ns ? STYLE_red : STYLE_plain, c->stalls ? "%" PRIu64 : "-",
			c->stalls);
	causes_bar(&c->causes, longest_ns, bar);
	causes_words(&c->causes, &c->split, words, sizeof(words));
	table_add(table, STYLE_bar, "%s", bar);
	table_add(table, STYLE_plain, "%s", words);
	table_add(table, STYLE_dim, "%s", line ? line : "");
	return *bar;
}

/* Once in a report, below the first table that has bars. */
static void bars_legend(struct text_report *t)
{
	static const char *const words[][2] = {
		{GLYPH_BLOCKED, " blocked  "},
		{GLYPH_CPU, " cpu  "},
		{GLYPH_WAIT, " gc, gil, run queue  "},
		{GLYPH_UNKNOWN, " short or unknown"},
	};

	if (t->legend)
		return;
	t->legend = true;
	fputs("  ", t->screen.out);
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		screen_put(&t->screen, STYLE_bar, words[i][0]);
		screen_put(&t->screen, STYLE_dim, words[i][1]);
	}
	fputc('\n', t->screen.out);
}

static void quiet_legend(struct text_report *t, const struct ranked *ranked, size_t shown)
{
	bool quiet = false;

	for (size_t i = 0; i < shown; i++)
		quiet |= cell_is_quiet(ranked[i].cell);
	if (quiet)
		print_safe(t, STYLE_dim, 2, QUIET_LEGEND);
}

void cells_section(struct text_report *t)
{
	static const struct column columns[] = {
		PID_COLUMN,
		{.title = "cell"},
		{.title = "status"},
		{.title = "wall", .right = true},
		{.title = "busy", .right = true},
		{.title = "longest", .right = true},
		{.title = "stalls", .right = true},
		{.title = "held by", .spare = true},
		{.title = "most of it"},
		{.title = "first line", .spare = true, .shrinks = 12},
	};
	const struct report *report = t->report;
	cleanup(freep) struct ranked *ranked = calloc(report->cells.n + 1, sizeof(*ranked));
	struct table table = {.columns = columns, .n = sizeof(columns) / sizeof(*columns)};
	size_t n = report->cells.n, shown = rows_shown(t, n);
	bool bars = false;
	uint64_t longest_ns = report->stall_ns; /* bars of cells that did nothing much stay short */
	char text[DURATION_BYTES];

	if (!n)
		return;
	if (!ranked) {
		t->failed = true;
		return;
	}
	for (size_t i = 0; i < n; i++) {
		ranked[i] = (struct ranked){&report->cells.at[i], (int)i};
		if (ranked[i].cell->busy_ns > longest_ns)
			longest_ns = ranked[i].cell->busy_ns;
	}
	qsort(ranked, n, sizeof(*ranked), ranked_compare);
	section_title(t, "Cells", ", by loop time lost");
	for (size_t i = 0; i < shown; i++)
		bars |= cell_row(t, &table, &ranked[i], longest_ns);
	t->failed |= table_print(&table, &t->screen) != 0;
	table_free(&table);
	if (shown < n)
		print_safe(t, STYLE_dim, 2,
			"and %zu more cell%s, none busy for more than %s: -v shows them", n - shown,
			n - shown == 1 ? "" : "s",
			duration_text(ranked[shown].cell->busy_ns, text));
	if (bars)
		bars_legend(t);
	quiet_legend(t, ranked, shown);
}

static void stall_row(struct text_report *t, struct table *table, const struct stall *s)
{
	cleanup(freep) char *place = stall_place_words(t->report, s);
	char text[DURATION_BYTES], bar[BAR_BYTES], words[WORDS_BYTES], name[NAME_BYTES];

	pid_cell(t, table, t->report->loops.at[s->loop].process);
	table_add(table, STYLE_plain, "%s", duration_text(s->begin_ns, text));
	table_add(table, STYLE_red, "%s", duration_text(s->busy_ns, text));
	table_add(table, STYLE_plain, "%s",
		s->cell == NONE ? "" : cell_name(t->report, s->cell, name));
	causes_bar(&s->causes, s->busy_ns, bar);
	causes_words(&s->causes, &s->split, words, sizeof(words));
	table_add(table, STYLE_bar, "%s", bar);
	table_add(table, STYLE_plain, "%s", words);
	table_add(table, STYLE_plain, "%s", place ? place : "?");
	if (s->tasks_delayed != NOT_COUNTED && s->tasks_delayed)
		table_add(table, STYLE_plain, "%" PRIu32, s->tasks_delayed);
	else
		table_add(table, STYLE_plain, "%s", "");
}

void stalls_section(struct text_report *t)
{
	static const struct column columns[] = {
		PID_COLUMN,
		{.title = "at", .right = true},
		{.title = "held", .right = true},
		{.title = "cell"},
		{.title = "held by", .spare = true},
		{.title = "most of it"},
		{.title = "place", .keep_end = true, .shrinks = 16},
		{.title = "tasks waiting", .right = true},
	};
	const struct report *report = t->report;
	struct table table = {.columns = columns, .n = sizeof(columns) / sizeof(*columns)};
	size_t n = 0;
	cleanup(freep) const struct stall **listed = stalls_list(report, t->options->verbose, &n);

	t->failed |= !listed;
	if (!n)
		return;
	section_title(t, "Stalls",
		t->options->verbose || !report->cells.n ? ", longest first"
							: " outside the cells, longest first");
	for (size_t i = 0; i < rows_shown(t, n); i++)
		stall_row(t, &table, listed[i]);
	t->failed |= table_print(&table, &t->screen) != 0;
	table_free(&table);
	if (rows_shown(t, n) < n)
		print_safe(t, STYLE_dim, 2, "and %zu more: -v shows them", n - rows_shown(t, n));
	bars_legend(t);
}

static void loop_row(
	struct text_report *t, struct table *table, const struct loop *l, uint64_t longest_ns)
{
	const uint64_t lags[] = {l->lag.p50_ns, l->lag.p90_ns, l->lag.p99_ns, l->lag.max_ns};
	char text[DURATION_BYTES], bar[BAR_BYTES];

	pid_cell(t, table, l->process);
	table_add(table, STYLE_plain, "%s", *l->thread ? l->thread : "?");
	table_add(table, STYLE_plain, "%s", l->kind);
	table_add(table, STYLE_plain, "%" PRIu64, l->iterations);
	table_add(table, STYLE_plain, "%s", duration_text(l->busy_ns, text));
	causes_bar(&l->causes, longest_ns, bar);
	table_add(table, STYLE_bar, "%s", bar);
	for (size_t i = 0; i < sizeof(lags) / sizeof(*lags); i++)
		table_add(table, STYLE_plain, "%s",
			l->lag.known ? duration_text(lags[i], text) : "-");
	table_add(table, l->felt ? STYLE_red : STYLE_plain, l->felt ? "%" PRIu64 : "-", l->felt);
	table_add(table, STYLE_plain, "%s", l->felt ? duration_text(l->felt_ns, text) : "");
}

static void machinery_line(struct text_report *t)
{
	uint64_t busy_ns = 0, longest_ns = 0;
	size_t n = 0;
	char busy[DURATION_BYTES], longest[DURATION_BYTES];

	for (size_t i = 0; i < t->report->loops.n; i++) {
		const struct loop *l = &t->report->loops.at[i];

		if (!l->machinery)
			continue;
		n++;
		busy_ns += l->busy_ns;
		if (l->lag.max_ns > longest_ns)
			longest_ns = l->lag.max_ns;
	}
	if (n)
		print_safe(t, STYLE_dim, 2,
			"%zu loop%s of Jupyter's own: %s busy in all, %s at the longest", n,
			n == 1 ? "" : "s", duration_text(busy_ns, busy),
			duration_text(longest_ns, longest));
}

/* Loops say something where one was held; of the others it is enough that they were there. */
static bool loop_tells(const struct text_report *t, const struct loop *l)
{
	if (l->machinery)
		return false;
	return t->options->verbose || l->felt || l->lag.max_ns >= t->report->stall_ns / HELD_SHARE;
}

static void quiet_line(struct text_report *t, size_t shown)
{
	size_t n = 0;
	uint64_t longest_ns = 0;
	char text[DURATION_BYTES];

	for (size_t i = 0; i < t->report->loops.n; i++) {
		const struct loop *l = &t->report->loops.at[i];

		if (l->machinery || loop_tells(t, l))
			continue;
		n++;
		longest_ns = l->lag.max_ns > longest_ns ? l->lag.max_ns : longest_ns;
	}
	if (n)
		print_safe(t, STYLE_dim, 2, "%zu %sloop%s never held for more than %s", n,
			shown ? "more " : "", n == 1 ? "" : "s", duration_text(longest_ns, text));
}

void loops_section(struct text_report *t)
{
	static const struct column columns[] = {
		PID_COLUMN,
		{.title = "loop on thread", .most = 28, .shrinks = 10},
		{.title = "kind", .drops = true},
		{.title = "iterations", .right = true, .drops = true},
		{.title = "busy", .right = true},
		{.title = "by what", .spare = true},
		{.title = "lag p50", .right = true},
		{.title = "p90", .right = true, .spare = true},
		{.title = "p99", .right = true},
		{.title = "max", .right = true},
		{.title = "stalls", .right = true},
		{.title = "in all", .right = true},
	};
	const struct report *report = t->report;
	struct table table = {.columns = columns, .n = sizeof(columns) / sizeof(*columns)};
	size_t users = 0, stalled = 0, telling = 0, shown = 0;
	uint64_t longest_ns = report->stall_ns;

	for (size_t i = 0; i < report->loops.n; i++) {
		users += !report->loops.at[i].machinery;
		stalled += !report->loops.at[i].machinery && report->loops.at[i].felt;
		telling += loop_tells(t, &report->loops.at[i]);
		if (!report->loops.at[i].machinery && report->loops.at[i].busy_ns > longest_ns)
			longest_ns = report->loops.at[i].busy_ns;
	}
	if (!users || (users == 1 && !stalled && report->cells.n && !t->options->verbose))
		return;
	section_title(t, "Loops", "");
	for (size_t i = 0; i < report->loops.n && shown < rows_shown(t, telling); i++) {
		if (!loop_tells(t, &report->loops.at[i]))
			continue;
		loop_row(t, &table, &report->loops.at[i], longest_ns);
		shown++;
	}
	if (shown)
		t->failed |= table_print(&table, &t->screen) != 0;
	table_free(&table);
	if (shown)
		bars_legend(t);
	if (shown < telling)
		print_safe(t, STYLE_dim, 2, "and %zu more: -v shows them", telling - shown);
	quiet_line(t, shown);
	machinery_line(t);
}
