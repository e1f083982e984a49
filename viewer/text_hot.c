/* The text report's hottest lines: what to look at where a loop was held by computing. */
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/text_parts.h"

#define NATIVE_SHOWN 60 /* characters */

static void hot_row(struct text_report *t, struct table *table, const struct hot_line *h)
{
	cleanup(freep) char *place = place_text(t->report, h->cell, &h->place);
	cleanup(freep) char *native = text_for_terminal(h->native, NATIVE_SHOWN);
	const char *function = function_name(&h->place);
	char text[DURATION_BYTES], name[NAME_BYTES];

	pid_cell(t, table, t->report->loops.at[h->loop].process);
	table_add(table, STYLE_plain, "%s",
		h->cell == NONE ? "" : cell_name(t->report, h->cell, name));
	table_add(table, STYLE_plain, "~%s", duration_text(h->cpu_ns, text));
	table_add(table, STYLE_plain, "%s", place ? place : "?");
	table_add(table, STYLE_plain, "%s", function ? function : "");
	table_add(table, STYLE_plain, "%s%s", native && *native ? native : hot_kind(h),
		native && *native ? "()" : "");
	table_add(table, STYLE_dim, "%" PRIu64, h->samples);
}

void hot_section(struct text_report *t)
{
	static const struct column columns[] = {
		PID_COLUMN,
		{.title = "cell"},
		{.title = "CPU", .right = true},
		{.title = "line", .most = 40, .keep_end = true, .shrinks = 12},
		{.title = "in", .most = 28, .shrinks = 8},
		{.title = "runs", .most = 40, .shrinks = 12},
		{.title = "samples", .right = true},
	};
	const struct report *report = t->report;
	struct table table = {.columns = columns, .n = sizeof(columns) / sizeof(*columns)};
	size_t n = report->hot.n;

	if (!n)
		return;
	section_title(t, "Hottest lines", " of loops that were held, by samples");
	for (size_t i = 0; i < rows_shown(t, n); i++)
		hot_row(t, &table, &report->hot.at[i]);
	t->failed |= table_print(&table, &t->screen) != 0;
	table_free(&table);
	if (rows_shown(t, n) < n)
		print_safe(t, STYLE_dim, 2, "and %zu more: -v shows them", n - rows_shown(t, n));
}
