/*
 * Cells, turns of the loop, steps of tasks, blocking calls and collections as slices of their
 * threads, tasks as spans of their own; times in µs with their ns.
 */
#include "viewer/export.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/json_values.h"
#include "viewer/names.h"

#define NS_PER_US 1e3
#define CELLS_TRACK 0 /* beside the threads, whose ids begin at 1 */

struct writer {
	struct report *report;
	FILE *out;
	bool first;
};

/* One JSON value on a line of its own after a comma, but for the first. Takes it. */
static int item_print(FILE *out, json_t *item, bool *first)
{
	int rc;

	if (!item)
		return -ENOMEM;
	fputs(*first ? "\n" : ",\n", out);
	*first = false;
	rc = json_dumpf(item, out, JSON_COMPACT | JSON_REAL_PRECISION(15)) ? -EIO : 0;
	json_decref(item);
	return rc;
}

static double us(uint64_t ns)
{
	return (double)ns / NS_PER_US;
}

/* A complete slice. */
static int slice(struct writer *w, const char *category, const char *name, long long pid,
	long long tid, uint64_t begin_ns, uint64_t length_ns, json_t *about)
{
	return item_print(w->out,
		json_pack("{s:s,s:s,s:o,s:I,s:I,s:f,s:f,s:o}", "ph", "X", "cat", category, "name",
			json_text(*name ? name : "?"), "pid", (json_int_t)pid, "tid",
			(json_int_t)tid, "ts", us(begin_ns), "dur", us(length_ns), "args", about),
		&w->first);
}

static long long pid_of(const struct report *report, int process)
{
	return process == NONE ? 0 : report->processes.at[process].pid;
}

static int label(struct writer *w, const char *what, long long pid, long long tid, const char *name)
{
	return item_print(w->out,
		json_pack("{s:s,s:s,s:I,s:I,s:{s:o}}", "ph", "M", "name", what, "pid",
			(json_int_t)pid, "tid", (json_int_t)tid, "args", "name", json_text(name)),
		&w->first);
}

static int labels_write(struct writer *w)
{
	const struct report *report = w->report;
	int rc = 0;

	for (size_t i = 0; i < report->processes.n && !rc; i++)
		rc = label(w, "process_name", report->processes.at[i].pid, CELLS_TRACK,
			report->processes.at[i].argv);
	for (size_t i = 0; i < report->loops.n && !rc; i++)
		rc = label(w, "thread_name", pid_of(report, report->loops.at[i].process),
			report->loops.at[i].tid, report->loops.at[i].thread);
	for (size_t i = 0; i < report->cells.n && !rc; i++)
		rc = label(w, "thread_name", pid_of(report, report->cells.at[i].process),
			CELLS_TRACK, "cells");
	return rc;
}

static int cells_write(struct writer *w)
{
	const struct report *report = w->report;
	char name[NAME_BYTES];
	int rc = 0;

	for (size_t i = 0; i < report->cells.n && !rc; i++) {
		const struct cell *c = &report->cells.at[i];

		rc = slice(w, "cell", cell_name(report, (int)i, name), pid_of(report, c->process),
			CELLS_TRACK, c->began_ns, c->ended_ns - c->began_ns,
			json_pack("{s:o,s:o}", "source", json_text(c->source), "status",
				json_text(c->status)));
	}
	return rc;
}

static int turn_write(struct writer *w, sqlite3_stmt *rows)
{
	int loop = loop_index(w->report, sqlite3_column_int64(rows, 0));
	uint64_t busy_ns = column_ns(rows, 2);
	json_t *causes = json_object();

	if (loop == NONE) {
		json_decref(causes);
		return 0;
	}
	for (int i = 0; i < CAUSE_COLUMNS; i++)
		if (column_ns(rows, 4 + i))
			json_object_set_new(
				causes, cause_keys[i], json_real(us(column_ns(rows, 4 + i))));
	return slice(w, "loop", busy_ns >= w->report->stall_ns ? "stall" : "turn",
		pid_of(w->report, w->report->loops.at[loop].process), w->report->loops.at[loop].tid,
		column_ns(rows, 1), busy_ns, causes);
}

static int step_write(struct writer *w, sqlite3_stmt *rows)
{
	return slice(w, "step", column_text(rows, 2), sqlite3_column_int64(rows, 0),
		sqlite3_column_int64(rows, 1), column_ns(rows, 4), column_ns(rows, 5),
		json_pack("{s:o}", "task", json_text(column_text(rows, 3))));
}

static int call_write(struct writer *w, sqlite3_stmt *rows)
{
	return slice(w, "blocking", column_text(rows, 2), sqlite3_column_int64(rows, 0),
		sqlite3_column_int64(rows, 1), column_ns(rows, 3), column_ns(rows, 4),
		json_pack("{s:o,s:o,s:o,s:i}", "class", json_text(column_text(rows, 5)), "target",
			json_text(column_text(rows, 6)), "file", json_text(column_text(rows, 7)),
			"line", sqlite3_column_int(rows, 8)));
}

static int collection_write(struct writer *w, sqlite3_stmt *rows)
{
	return slice(w, "gc", "gc", sqlite3_column_int64(rows, 0), sqlite3_column_int64(rows, 1),
		column_ns(rows, 2), column_ns(rows, 3),
		json_pack("{s:i,s:i}", "generation", sqlite3_column_int(rows, 4), "collected",
			sqlite3_column_int(rows, 5)));
}

/* Begin and end of a span that is on no thread. */
static int task_write(struct writer *w, sqlite3_stmt *rows)
{
	const char *const phases[] = {"b", "e"};
	uint64_t ends = sqlite3_column_type(rows, 5) == SQLITE_NULL ? w->report->duration_ns
								    : column_ns(rows, 5);
	const uint64_t times[] = {column_ns(rows, 4), ends};
	int rc = 0;

	for (int i = 0; i < 2 && !rc; i++)
		rc = item_print(w->out,
			json_pack("{s:s,s:s,s:o,s:I,s:I,s:f,s:{s:o,s:o}}", "ph", phases[i], "cat",
				"task", "name", json_text(column_text(rows, 3)), "pid",
				(json_int_t)sqlite3_column_int64(rows, 0), "id",
				(json_int_t)sqlite3_column_int64(rows, 1), "ts", us(times[i]),
				"args", "task", json_text(column_text(rows, 2)), "state",
				json_text(column_text(rows, 6))),
			&w->first);
	return rc;
}

static int rows_write(
	struct writer *w, enum query query, int (*write)(struct writer *w, sqlite3_stmt *rows))
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(w->report->trace, query, &rows);

	while (!rc && (rc = trace_next(w->report->trace, rows)) == 1)
		rc = write(w, rows);
	return rc;
}

int export_perfetto(struct report *report, FILE *out)
{
	struct writer w = {.report = report, .out = out, .first = true};
	int rc;

	fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", out);
	rc = labels_write(&w);
	if (!rc)
		rc = cells_write(&w);
	if (!rc)
		rc = rows_write(&w, QUERY_iteration, turn_write);
	if (!rc)
		rc = rows_write(&w, QUERY_export_step, step_write);
	if (!rc)
		rc = rows_write(&w, QUERY_export_call, call_write);
	if (!rc)
		rc = rows_write(&w, QUERY_export_collection, collection_write);
	if (!rc)
		rc = rows_write(&w, QUERY_export_task, task_write);
	fputs("\n]}\n", out);
	return rc;
}
