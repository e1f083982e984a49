/*
 * What the reading commands do around their own work: open a trace and read its report, write the
 * result where it was asked for. They complain of what goes wrong.
 */
#ifndef VIEWER_READING_H
#define VIEWER_READING_H

#include <stdio.h>

#include "viewer/report.h"

/*
 * 0 or EXIT_WRONG. On success the caller owns both: report_free(), then trace_free(). options stay
 * in use as long as the report is.
 */
int reading_open(const char *command, const char *path, const struct report_options *options,
	struct trace **ret_trace, struct report **ret_report);

/*
 * Has `write` fill the file; path NULL: stdout, else it gets mode 0600, and what was there goes.
 * write: 0, -ENOMEM, or -errno of the stream or of reading the trace. 0 or EXIT_WRONG.
 */
int reading_write(const char *command, const char *path, struct trace *trace,
	int (*write)(void *ctx, FILE *out), void *ctx);

#endif
