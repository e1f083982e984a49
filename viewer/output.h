/* The forms a report can take. */
#ifndef VIEWER_OUTPUT_H
#define VIEWER_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "viewer/report.h"

struct output_options {
	bool verbose, quiet;
	bool no_source; /* leave cell sources out */
	bool no_color;  /* even on a terminal */
};

/* One object, as docs/report.md tells. -ENOMEM; -EIO: trace_why() tells, or the stream's error. */
int report_json(struct report *report, const struct output_options *options, FILE *out);
/* For people: the verdict, coverage, cells, leaked tasks, blocking calls. The same errors. */
int report_text(struct report *report, const struct output_options *options, FILE *out);
/* The same as a page: GitHub's Markdown; one HTML file with a timeline, that needs no network. */
int report_markdown(struct report *report, const struct output_options *options, FILE *out);
int report_html(struct report *report, const struct output_options *options, FILE *out);
/* One line: which sensor saw what, what was lost, what was accounted for. */
void coverage_print(const struct report *report, FILE *out);

#endif
