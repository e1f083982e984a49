/* The iteration that was open when an unfinished trace was written last, by its newest samples:
 * what a process that is still recorded, or whose recorder was killed, hangs in. */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

static int open_turn_take(struct report *report, sqlite3_stmt *rows)
{
	struct open_turn turn = {.loop = loop_index(report, sqlite3_column_int64(rows, 0)),
		.cell = cell_index(report, sqlite3_column_int64(rows, 1)),
		.ns = column_ns(rows, 2)};

	if (turn.loop == NONE || report->loops.at[turn.loop].machinery ||
		turn.ns < report->stall_ns || turn.ns <= report->open.ns)
		return 0;
	if (keep_place(report, rows, 3, &turn.place))
		return -ENOMEM;
	report->open = turn;
	return 0;
}

int open_turn_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc;

	if (report->complete)
		return 0;
	rc = trace_rows(report->trace, QUERY_open_turn, &rows);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = open_turn_take(report, rows);
	return rc;
}
