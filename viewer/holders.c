/*
 * Who had the GIL while a loop was held for want of it, as sampled from outside meanwhile. Asked of
 * the stalls of which waiting for it is a part that counts.
 */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

#define SHARE_LEAST 10 /* one part in so many of the stall */

static int holder_read(struct report *report, struct stall *s)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_gil_holder, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, s->iteration);
	rc = trace_next(report->trace, rows);
	if (rc != 1)
		return rc;
	s->holder.thread = keep_column(report, rows, 3);
	if (!s->holder.thread || keep_place(report, rows, 0, &s->holder.place))
		return -ENOMEM;
	s->holder.samples = column_ns(rows, 4);
	return 0;
}

int holders_read(struct report *report)
{
	int rc = 0;

	for (size_t i = 0; i < report->stalls.n && !rc; i++) {
		struct stall *s = &report->stalls.at[i];

		if (s->causes.ns[CAUSE_gil] && s->causes.ns[CAUSE_gil] >= s->busy_ns / SHARE_LEAST)
			rc = holder_read(report, s);
	}
	return rc;
}
