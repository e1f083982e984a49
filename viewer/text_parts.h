/* What the sections of the text report share. */
#ifndef VIEWER_TEXT_PARTS_H
#define VIEWER_TEXT_PARTS_H

#include "viewer/output.h"
#include "viewer/screen.h"

#define DURATION_BYTES 32
#define BAR_BYTES 64
#define WORDS_BYTES 64

#define NO_INDENT SIZE_MAX /* of a paragraph that is no part of a list */

struct text_report {
	struct report *report;
	const struct output_options *options;
	struct screen screen;
	bool legend; /* of the bars: printed */
	bool failed; /* out of memory somewhere; said at the end */
	int rc;      /* the first error of reading */
};

char *duration_text(uint64_t ns, char buf[DURATION_BYTES]); /* returns buf */
/* One paragraph, escaped and wrapped, its first line indented by `first`, the others by two more.
 */
void print_safe(struct text_report *t, enum style style, size_t first, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* place_print() as a malloc'd text. */
char *place_text(const struct report *report, int near, const struct place *place);
void section_title(struct text_report *t, const char *title, const char *more);
/* How many of n rows a section shows. */
size_t rows_shown(const struct text_report *t, size_t n);
/* A bar of what a loop was held by, as long as the time's share of longest_ns. */
void causes_bar(const struct causes *causes, uint64_t longest_ns, char buf[BAR_BYTES]);
/* A table's first column and its cells: which process, where there are several; else empty, and so
 * not shown. */
#define PID_COLUMN                                                                                 \
	{                                                                                          \
		.title = "pid", .right = true                                                      \
	}
void pid_cell(struct text_report *t, struct table *table, int process);
/* "sleep 600 ms": the largest; "cpu 600 ms, ~90 % native". */
void causes_words(
	const struct causes *causes, const struct cpu_splits *splits, char *buf, size_t size);

void findings_section(struct text_report *t);
void cells_section(struct text_report *t);
void leaks_section(struct text_report *t);
void sites_section(struct text_report *t);
void stalls_section(struct text_report *t);
void hot_section(struct text_report *t);
void paths_section(struct text_report *t);
void loops_section(struct text_report *t);

#endif
