/* Where a loop was during a stall, as sampled from outside while it lasted. */
#include "viewer/report.h"

#include <errno.h>

#include "probe/base/cleanup.h"

/* A constant for the text that the trace has. */
static const char *kind_of(const unsigned char *text)
{
	static const char *const kinds[] = {"python", "native", "kernel", "gc"};

	for (size_t i = 0; text && i < sizeof(kinds) / sizeof(*kinds); i++)
		if (!strcmp((const char *)text, kinds[i]))
			return kinds[i];
	return "unknown";
}

int report_samples(struct report *report, const struct stall *stall, sample_list *samples)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_stall_samples, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, stall->iteration);
	sqlite3_bind_int(rows, 2, STALL_PLACES_MAX);
	while ((rc = trace_next(report->trace, rows)) == 1) {
		struct sample *s = list_add(samples);

		if (!s || keep_place(report, rows, 0, &s->place))
			return -ENOMEM;
		s->kind = kind_of(sqlite3_column_text(rows, 3));
		s->count = column_ns(rows, 4);
		s->native = keep_column(report, rows, 5);
		if (!s->native)
			return -ENOMEM;
	}
	return rc;
}
