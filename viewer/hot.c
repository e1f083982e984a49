/* The lines, and the C functions of extensions, that loops spent the most CPU time in, by samples.
 */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

#define READ_MAX 256 /* Jupyter's own are among them */

static int hot_take(struct report *report, sqlite3_stmt *rows)
{
	int loop = loop_index(report, sqlite3_column_int64(rows, 3));
	const char *kind = (const char *)sqlite3_column_text(rows, 5);
	double ns = sqlite3_column_double(rows, 7);
	struct hot_line *h;

	if (loop == NONE || report->loops.at[loop].machinery || !kind || report->hot.n == HOT_MAX)
		return 0;
	h = list_add(&report->hot);
	if (!h || keep_place(report, rows, 0, &h->place))
		return -ENOMEM;
	h->loop = loop;
	h->cell = sqlite3_column_type(rows, 4) == SQLITE_NULL
			  ? NONE
			  : cell_index(report, sqlite3_column_int64(rows, 4));
	h->in_native = !strcmp(kind, "native");
	h->samples = column_ns(rows, 6);
	h->cpu_ns = ns > 0 ? (uint64_t)ns : 0;
	h->native = keep_column(report, rows, 8);
	return h->native ? 0 : -ENOMEM;
}

int hot_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_hot_line, &rows);
	uint64_t samples = 0;

	if (rc)
		return rc;
	sqlite3_bind_int(rows, 1, READ_MAX);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = hot_take(report, rows);
	for (size_t i = 0; i < report->hot.n; i++)
		samples += report->hot.at[i].samples;
	if (samples < SPLIT_SAMPLES_MIN)
		report->hot.n = 0;
	return rc;
}

const char *hot_kind(const struct hot_line *line)
{
	return line->in_native ? "a C function" : "bytecode";
}
