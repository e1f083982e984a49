/* An opened trace: read only, and only through the statements of query.def (finding_store.h alone
 * writes). Silent; what went wrong is a sentence. */
#ifndef VIEWER_TRACE_H
#define VIEWER_TRACE_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct trace;

enum query {
#define QUERY(name, sql) QUERY_##name,
#include "viewer/query.def"
#undef QUERY
	QUERY_iteration, /* loop, begin_ns, busy_ns, cell, the causes in the order of causes.def, id
			  */
	QUERY_live_iteration, /* the same, file, line, function; of those after id ?1 */
	QUERY_COUNT
};

extern const char *const trace_queries[QUERY_COUNT];

/*
 * The caller owns *ret: trace_free(). On failure `why` holds one sentence that names the file and
 * says what to do. -ENOENT, -EISDIR, -EACCES, -EINVAL (no trace), -EPROTO (another schema), -EIO
 * (damaged), -ENOMEM.
 */
int trace_open(const char *path, char *why, size_t size, struct trace **ret);
void trace_free(struct trace *trace); /* accepts NULL */
const char *trace_path(const struct trace *trace);
/* What the reader must know of how it was opened; NULL: nothing. */
const char *trace_warning(const struct trace *trace);
/* Whether another process has it open: its recorder, where it is not complete. */
bool trace_recorded(struct trace *trace);
/* Why the last trace_rows() or trace_next() failed, as a sentence. */
const char *trace_why(struct trace *trace);

/* The caller owns *ret: cleanup(rows_freep). */
int trace_rows(struct trace *trace, enum query query, sqlite3_stmt **ret);
/* 1: there is a row; 0: that was the last one; -EIO, -ENOMEM. */
int trace_next(struct trace *trace, sqlite3_stmt *rows);

void rows_freep(sqlite3_stmt **rows);
void trace_freep(struct trace **trace);
/* Columns as the report wants them: no negative time, no NULL where a text is asked for. */
uint64_t column_ns(sqlite3_stmt *rows, int column);
const char *column_text(sqlite3_stmt *rows, int column); /* NULL: "" */

#endif
