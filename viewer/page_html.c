/*
 * A page in HTML: one file that needs no network. Its chart is drawn by dygraphs, which the build
 * inlines; its data stands in the page as JSON.
 */
#include "viewer/page.h"

#include <errno.h>
#include <jansson.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/page_css.h"
#include "viewer/page_dygraphs.h"
#include "viewer/page_dygraphs_css.h"
#include "viewer/page_js.h"

#define POINTS_MOST 4000 /* of the timeline: of each part of the time the longest hold is drawn */
#define LOOPS_MOST 8     /* drawn */
#define NS_PER_S 1e9
#define NS_PER_MS 1e6

void html_print(FILE *out, const char *raw)
{
	cleanup(freep) char *text = page_text(raw);

	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '&')
			fputs("&amp;", out);
		else if (*p == '<')
			fputs("&lt;", out);
		else if (*p == '>')
			fputs("&gt;", out);
		else if (*p == '"')
			fputs("&quot;", out);
		else if (*p == '\'')
			fputs("&#39;", out);
		else
			fputc(*p, out);
	}
}

static void begin(FILE *out, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n<title>",
		out);
	html_print(out, title);
	fprintf(out, "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n<h1>", page_dygraphs_css,
		page_css);
	html_print(out, title);
	fputs("</h1>\n", out);
}

static void element(FILE *out, const char *name, const char *class, const char *text)
{
	fprintf(out, "<%s%s%s%s>", name, *class ? " class=\"" : "", class, *class ? "\"" : "");
	html_print(out, text);
	fprintf(out, "</%s>", name);
}

static void heading(FILE *out, const char *text)
{
	element(out, "h2", "", text);
	fputc('\n', out);
}

static const char *const classes[] = {
	[MARK_plain] = "",
	[MARK_number] = "number",
	[MARK_code] = "code",
	[MARK_strong] = "strong",
};

static void paragraph(FILE *out, enum page_mark mark, const char *text)
{
	element(out, "p", classes[mark], text);
	fputc('\n', out);
}

static void table_begin(FILE *out, const char *const *titles, bool prose)
{
	fprintf(out, "<div class=\"wide\"><table%s>\n<tr>", prose ? " class=\"prose\"" : "");
	for (; *titles; titles++)
		element(out, "th", "", *titles);
	fputs("</tr>\n", out);
}

static void row_begin(FILE *out)
{
	fputs("<tr>", out);
}

static void cell(FILE *out, enum page_mark mark, const char *text)
{
	element(out, "td", classes[mark], text);
}

static void row_end(FILE *out)
{
	fputs("</tr>\n", out);
}

static void table_end(FILE *out)
{
	fputs("</table></div>\n", out);
}

static void source(FILE *out, const char *name, const char *text)
{
	fputs("<details>", out);
	element(out, "summary", "", name);
	element(out, "pre", "", text);
	fputs("</details>\n", out);
}

static void list_begin(FILE *out, size_t depth)
{
	fprintf(out, "<ul%s>\n", depth ? "" : " class=\"tree\"");
}

static void item_begin(FILE *out, size_t depth, enum page_mark mark, const char *text)
{
	(void)depth;
	fputs("<li>", out);
	element(out, "p", classes[mark], text);
	fputc('\n', out);
}

static void item_end(FILE *out, size_t depth)
{
	(void)depth;
	fputs("</li>\n", out);
}

static void list_end(FILE *out, size_t depth)
{
	(void)depth;
	fputs("</ul>\n", out);
}

/* ---- the timeline */

struct drawn { /* loops that are, by their index */
	int loop[LOOPS_MOST];
	size_t n;
};

static int column_of(const struct drawn *drawn, int loop)
{
	for (size_t i = 0; i < drawn->n; i++)
		if (drawn->loop[i] == loop)
			return (int)i;
	return NONE;
}

/* [seconds, ms or null of each loop] */
static int point_add(json_t *points, const struct drawn *drawn, int column, const struct turn *t)
{
	json_t *point = json_array();

	json_array_append_new(point, json_real((double)t->begin_ns / NS_PER_S));
	for (size_t i = 0; i < drawn->n; i++)
		json_array_append_new(point,
			(int)i == column ? json_real((double)t->busy_ns / NS_PER_MS) : json_null());
	return json_array_append_new(points, point);
}

/* Turns are sorted by loop and begin; of those that fall into one part the longest is kept. */
static json_t *points_json(const struct report *report, const struct drawn *drawn)
{
	uint64_t part_ns = report->duration_ns / POINTS_MOST + 1;
	json_t *points = json_array();
	int rc = 0;

	for (size_t i = 0, to; i < report->turns.n && !rc; i = to) {
		const struct turn *longest = &report->turns.at[i];
		int column = column_of(drawn, longest->loop);

		for (to = i + 1; to < report->turns.n; to++) {
			const struct turn *t = &report->turns.at[to];

			if (t->loop != longest->loop ||
				t->begin_ns / part_ns != report->turns.at[i].begin_ns / part_ns)
				break;
			if (t->busy_ns > longest->busy_ns)
				longest = t;
		}
		if (column != NONE)
			rc = point_add(points, drawn, column, longest);
	}
	return points;
}

static json_t *cells_json(const struct report *report)
{
	json_t *cells = json_array();
	char name[NAME_BYTES];

	for (size_t i = 0; i < report->cells.n; i++)
		json_array_append_new(
			cells, json_pack("[s,f,f]", cell_name(report, (int)i, name),
				       (double)report->cells.at[i].began_ns / NS_PER_S,
				       (double)report->cells.at[i].ended_ns / NS_PER_S));
	return cells;
}

static json_t *labels_json(const struct report *report, const struct drawn *drawn)
{
	json_t *labels = json_pack("[s]", "s");

	for (size_t i = 0; i < drawn->n; i++) {
		const struct loop *l = &report->loops.at[drawn->loop[i]];
		cleanup(freep) char *thread = text_for_terminal(l->thread, 0);
		cleanup(freep) char *label = NULL;

		if (asprintf(&label, "loop %zu: %s", i + 1, thread ? thread : "") < 0)
			label = NULL;
		json_array_append_new(labels, json_string(label ? label : "loop"));
	}
	return labels;
}

static int timeline(FILE *out, const struct report *report)
{
	cleanup(freep) char *text = NULL;
	struct drawn drawn = {.n = 0};
	json_t *data;

	for (size_t i = 0; i < report->loops.n && drawn.n < LOOPS_MOST; i++)
		if (!report->loops.at[i].machinery)
			drawn.loop[drawn.n++] = (int)i;
	if (!drawn.n || !report->turns.n)
		return 0;
	data = json_pack("{s:o,s:o,s:o,s:f,s:f}", "points", points_json(report, &drawn), "labels",
		labels_json(report, &drawn), "cells", cells_json(report), "stall",
		(double)report->stall_ns / NS_PER_MS, "end",
		(double)report->duration_ns / NS_PER_S);
	text = data ? json_dumps(data, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;
	json_decref(data);
	if (!text)
		return -ENOMEM;
	heading(out, "When the loops were held");
	fputs("<div id=\"timeline\"></div>\n<script type=\"application/json\" id=\"data\">", out);
	for (const char *p = text; *p; p++)
		fputs(*p == '<' ? "\\u003c" : (char[]){*p, '\0'}, out);
	fprintf(out, "</script>\n<script>\n%s\n%s</script>\n", page_dygraphs, page_js);
	return 0;
}

static void end(FILE *out)
{
	fputs("</body>\n</html>\n", out);
}

const struct page_form page_html = {
	.begin = begin,
	.heading = heading,
	.paragraph = paragraph,
	.table_begin = table_begin,
	.row_begin = row_begin,
	.cell = cell,
	.row_end = row_end,
	.table_end = table_end,
	.source = source,
	.list_begin = list_begin,
	.item_begin = item_begin,
	.item_end = item_end,
	.list_end = list_end,
	.timeline = timeline,
	.end = end,
	.words = true,
};
