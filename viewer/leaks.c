/* Tasks that were never finished, as the collector decided when the trace was closed. */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

static int leak_take(struct report *report, struct leak *leak, sqlite3_stmt *rows)
{
	uint64_t created = column_ns(rows, 6);
	uint64_t ended = sqlite3_column_type(rows, 7) == SQLITE_NULL ? report->duration_ns
								     : column_ns(rows, 7);

	leak->task = sqlite3_column_int64(rows, 0);
	leak->process = process_index(report, sqlite3_column_int64(rows, 1));
	leak->loop = loop_index(report, sqlite3_column_int64(rows, 2));
	leak->cell = cell_index(report, sqlite3_column_int64(rows, 3));
	leak->name = keep_column(report, rows, 4);
	leak->coro = keep_column(report, rows, 5);
	leak->reason = keep_column(report, rows, 8);
	leak->awaiting = keep_column(report, rows, 13);
	leak->user = sqlite3_column_int(rows, 9) != 0;
	leak->stack = sqlite3_column_int64(rows, 17);
	leak->age_ns = ended > created ? ended - created : 0;
	if (!leak->name || !leak->coro || !leak->reason || !leak->awaiting ||
		keep_place(report, rows, 10, &leak->created) ||
		keep_place(report, rows, 14, &leak->await))
		return -ENOMEM;
	if (leak->cell != NONE)
		report->cells.at[leak->cell].leaked++;
	return 0;
}

int leaks_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_leaked_task, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int(rows, 1, report->options->all);
	while ((rc = trace_next(report->trace, rows)) == 1) {
		struct leak *leak = list_add(&report->leaks);

		if (!leak || leak_take(report, leak, rows))
			return -ENOMEM;
	}
	return rc;
}
