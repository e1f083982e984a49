/* Which sensor saw what, what was lost, and what the reader must know of the recording. */
#include "viewer/report.h"

#include <errno.h>
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "probe/base/units.h"
#include "viewer/coverage.h"

const char *const coverage_names[COVERAGE_KINDS] = {"tasks", "syscalls", "causes", "cells"};

/* Weakest first; what is not listed ranks with the last. */
static const char *const ranks[COVERAGE_KINDS][4] = {
	[COVERAGE_tasks] = {"none", "uprobe", "agent"},
	[COVERAGE_syscalls] = {"none", "agent", "bpf"},
	[COVERAGE_causes] = {"none", "coarse", "exact"},
	[COVERAGE_cells] = {"none", "filename", "iopub", "ipython"},
};

static size_t rank(enum coverage_kind kind, const char *sensor)
{
	size_t n = sizeof(ranks[kind]) / sizeof(*ranks[kind]);

	for (size_t i = 0; i < n; i++)
		if (ranks[kind][i] && !strcmp(ranks[kind][i], sensor))
			return i;
	return n;
}

static void coverage_none(struct coverage *coverage)
{
	for (int i = 0; i < COVERAGE_KINDS; i++)
		coverage->sensor[i] = "none";
}

static int hook_take(struct report *report, const char *hook, const char *sensor)
{
	bool is_refused = !strcmp(sensor, "refused");
	const char **at = is_refused ? list_add(&report->refused) : list_add(&report->placed);

	if (!at)
		return -ENOMEM;
	*at = string_keep(&report->strings, hook);
	return *at ? 0 : -ENOMEM;
}

static int row_take(struct report *report, struct coverage *whole, sqlite3_stmt *rows)
{
	int process = sqlite3_column_type(rows, 0) == SQLITE_NULL
			      ? NONE
			      : process_index(report, sqlite3_column_int64(rows, 0));
	const char *what = column_text(rows, 1), *sensor, *detail;
	struct coverage *to = process == NONE ? whole : &report->processes.at[process].coverage;

	sensor = keep_column(report, rows, 2);
	detail = keep_column(report, rows, 3);
	if (!sensor || !detail)
		return -ENOMEM;
	for (int i = 0; i < COVERAGE_KINDS; i++)
		if (!strcmp(what, coverage_names[i]))
			to->sensor[i] = sensor;
	if (!strcmp(what, "note"))
		return note_add(report, "%s", detail);
	return strncmp(what, "hook:", 5) ? 0 : hook_take(report, what + 5, sensor);
}

/* One note for all hooks that a process refused for the same reason; what a watcher from outside
 * could not see is named itself. */
static int refused_note(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_refused_hook, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		int process = process_index(report, sqlite3_column_int64(rows, 0));
		const struct process *p = process == NONE ? NULL : &report->processes.at[process];
		const char *tasks = p ? p->coverage.sensor[COVERAGE_tasks] : NULL;

		rc = !p ? 0
			: note_add(report, "process %lld: %s%s: %s", p->pid,
				  tasks && !strcmp(tasks, "uprobe") ? "" : "no hook on ",
				  column_text(rows, 1), column_text(rows, 2));
	}
	return rc;
}

static int rows_read(struct report *report, struct coverage *whole)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_coverage, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = row_take(report, whole, rows);
	return rc;
}

static int lost_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_lost, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		uint64_t count = column_ns(rows, 1);
		struct lost *lost = count ? list_add(&report->lost) : NULL;

		rc = 0;
		if (!count)
			continue;
		if (!lost)
			return -ENOMEM;
		lost->what = keep_column(report, rows, 0);
		lost->count = count;
		if (!lost->what)
			return -ENOMEM;
		report->lost_events += count;
		rc = note_add(report, "lost: %s: %" PRIu64, lost->what, count);
	}
	return rc;
}

/* Only a kernel has cells to see. */
static bool counts(const struct report *report, const struct process *p, enum coverage_kind kind)
{
	bool kernels = false;

	for (size_t i = 0; i < report->processes.n; i++)
		kernels |= report->processes.at[i].is_kernel;
	return p->has_loop && (kind != COVERAGE_cells || p->is_kernel || !kernels);
}

static void weakest_find(struct report *report, const struct coverage *whole)
{
	coverage_none(&report->coverage);
	for (int kind = 0; kind < COVERAGE_KINDS; kind++) {
		const char *weakest = NULL;

		for (size_t i = 0; i < report->processes.n; i++) {
			struct process *p = &report->processes.at[i];

			if (!p->coverage.sensor[kind])
				p->coverage.sensor[kind] = whole->sensor[kind];
			if (!counts(report, p, (enum coverage_kind)kind))
				continue;
			if (!weakest || rank((enum coverage_kind)kind, p->coverage.sensor[kind]) <
						rank((enum coverage_kind)kind, weakest))
				weakest = p->coverage.sensor[kind];
		}
		report->coverage.sensor[kind] = weakest ? weakest : whole->sensor[kind];
	}
}

static int recording_note(struct report *report)
{
	const char *warning = trace_warning(report->trace);
	char age[32];
	int rc = 0;

	if (warning)
		rc = note_add(report, "%s", warning);
	if (!rc && !report->complete) {
		duration_format(report->duration_ns, age, sizeof(age));
		rc = note_add(report,
			"the recording was not closed in good order, or it still runs: what came "
			"after %s is missing",
			age);
	}
	if (!rc && report->kept_from_ns) {
		duration_format(report->duration_ns - report->kept_from_ns, age, sizeof(age));
		rc = note_add(report,
			"only the last %s are in the trace, as --keep asked for, and the tasks "
			"that "
			"were pending then: numbers of loops, and of cells that began before, are "
			"of that time",
			age);
	}
	for (size_t i = 0; i < report->loops.n && !rc; i++)
		if (report->loops.at[i].coarse)
			rc = note_add(report,
				"the loop on thread %s uses a selector that cannot be timed: its "
				"stalls are not seen",
				report->loops.at[i].thread);
	return rc;
}

int coverage_read(struct report *report)
{
	struct coverage whole;
	int rc;

	coverage_none(&whole);
	rc = recording_note(report);
	if (!rc)
		rc = rows_read(report, &whole);
	if (!rc)
		rc = refused_note(report);
	if (!rc)
		rc = lost_read(report);
	if (!rc)
		weakest_find(report, &whole);
	return rc;
}
