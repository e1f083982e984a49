/* Reads a trace into a report: meta, processes, loops and cells here, the rest by the parts that
 * report.h names. */
#include "viewer/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "probe/base/cleanup.h"

/* Of a trace that does not say: the defaults of `run`. */
#define STALL_DEFAULT_NS 100000000
#define MIN_BLOCK_DEFAULT_NS 1000000

/* Loops of a kernel that are its own affair: thread names of ipykernel 6 and 7. */
static const char *const machinery_threads[] = {
	"IOPub", "Control", "Shell channel", "Heartbeat", "subshell-"};

const char *keep_column(struct report *report, sqlite3_stmt *rows, int column)
{
	return string_keep(&report->strings, column_text(rows, column));
}

int keep_place(struct report *report, sqlite3_stmt *rows, int column, struct place *ret)
{
	struct place place = {0};

	if (sqlite3_column_type(rows, column) != SQLITE_NULL) {
		place.file = keep_column(report, rows, column);
		if (!place.file)
			return -ENOMEM;
	}
	place.line = sqlite3_column_int(rows, column + 1);
	if (place.line < 0)
		place.line = 0;
	place.function = keep_column(report, rows, column + 2);
	if (!place.function)
		return -ENOMEM;
	*ret = place;
	return 0;
}

int note_add(struct report *report, const char *format, ...)
{
	cleanup(freep) char *text = NULL;
	const char **note;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&text, format, args);
	va_end(args);
	if (n < 0) {
		text = NULL;
		return -ENOMEM;
	}
	note = list_add(&report->notes);
	if (!note)
		return -ENOMEM;
	*note = string_keep(&report->strings, text);
	return *note ? 0 : -ENOMEM;
}

/* Few processes; loops and cells may be hundreds, and rows ask in runs: the caller keeps the last
 * answer where it matters. */
#define INDEX(name, list)                                                                          \
	int name##_index(const struct report *report, int64_t id)                                  \
	{                                                                                          \
		for (size_t i = 0; i < report->list.n; i++)                                        \
			if (report->list.at[i].id == id)                                           \
				return (int)i;                                                     \
		return NONE;                                                                       \
	}
INDEX(process, processes)
INDEX(loop, loops)
INDEX(cell, cells)

struct meta {
	const char *key; /* of the trace's table meta, and the member's name */
	size_t off;
};
#define META(member) #member, offsetof(struct report, member)
static const struct meta meta_numbers[] = {{META(duration_ns)}, {META(kept_from_ns)},
	{META(stall_ns)}, {META(min_block_ns)}, {META(committed_ns)}, {META(min_step_ns)}};
static const struct meta meta_texts[] = {{META(started_at)}, {META(mode)}, {META(notebook)}};

static int meta_take(struct report *report, const char *key, sqlite3_stmt *rows)
{
	const char *text;

	for (size_t i = 0; i < sizeof(meta_numbers) / sizeof(*meta_numbers); i++)
		if (!strcmp(key, meta_numbers[i].key))
			*(uint64_t *)((char *)report + meta_numbers[i].off) = column_ns(rows, 1);
	for (size_t i = 0; i < sizeof(meta_texts) / sizeof(*meta_texts); i++) {
		if (strcmp(key, meta_texts[i].key))
			continue;
		text = keep_column(report, rows, 1);
		if (!text)
			return -ENOMEM;
		*(const char **)((char *)report + meta_texts[i].off) = text;
	}
	if (!strcmp(key, "complete"))
		report->complete = sqlite3_column_int(rows, 1) == 1;
	return 0;
}

static int meta_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_meta, &rows);

	report->started_at = report->mode = report->notebook = "";
	report->stall_ns = STALL_DEFAULT_NS;
	report->min_block_ns = MIN_BLOCK_DEFAULT_NS;
	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = meta_take(report, column_text(rows, 0), rows);
	return rc;
}

static int processes_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_process, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct process *p = list_add(&report->processes);

		rc = 0;
		if (!p)
			return -ENOMEM;
		p->id = sqlite3_column_int64(rows, 0);
		p->pid = sqlite3_column_int64(rows, 1);
		p->argv = keep_column(report, rows, 2);
		p->python = keep_column(report, rows, 3);
		p->stdlib = keep_column(report, rows, 4);
		if (!p->argv || !p->python || !p->stdlib)
			return -ENOMEM;
		p->began_ns = column_ns(rows, 5);
		p->ended = sqlite3_column_type(rows, 6) != SQLITE_NULL;
		p->ended_ns = p->ended ? column_ns(rows, 6) : report->duration_ns;
		/* also one whose notebook had no cell of code */
		p->is_kernel = sqlite3_column_int(rows, 7) || strstr(p->argv, "ipykernel_launcher");
	}
	return rc;
}

static int loops_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_loop, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct loop *l = list_add(&report->loops);

		rc = 0;
		if (!l)
			return -ENOMEM;
		l->id = sqlite3_column_int64(rows, 0);
		l->process = process_index(report, sqlite3_column_int64(rows, 1));
		l->tid = sqlite3_column_int64(rows, 2);
		l->thread = keep_column(report, rows, 3);
		l->kind = keep_column(report, rows, 4);
		if (!l->thread || !l->kind)
			return -ENOMEM;
		l->coarse = sqlite3_column_int(rows, 5) != 0;
		l->began_ns = column_ns(rows, 6);
		if (l->began_ns < report->kept_from_ns)
			l->began_ns = report->kept_from_ns;
		l->ended = sqlite3_column_type(rows, 7) != SQLITE_NULL;
		l->ended_ns = column_ns(rows, 7);
		if (!l->ended)
			l->ended_ns = l->process == NONE
					      ? report->duration_ns
					      : report->processes.at[l->process].ended_ns;
		l->iterations = column_ns(rows, 8);
		l->busy_ns = column_ns(rows, 9);
		l->select_ns = column_ns(rows, 10);
		l->max_busy_ns = column_ns(rows, 11);
		if (l->process != NONE)
			report->processes.at[l->process].has_loop = true;
	}
	return rc;
}

static int cells_read(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_cell, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct cell *c = list_add(&report->cells);

		rc = 0;
		if (!c)
			return -ENOMEM;
		c->id = sqlite3_column_int64(rows, 0);
		c->process = process_index(report, sqlite3_column_int64(rows, 1));
		c->loop = loop_index(report, sqlite3_column_int64(rows, 2));
		c->execution_count = sqlite3_column_type(rows, 3) == SQLITE_NULL
					     ? NONE
					     : sqlite3_column_int(rows, 3);
		c->source = keep_column(report, rows, 4);
		c->filename = sqlite3_column_type(rows, 5) == SQLITE_NULL
				      ? NULL
				      : keep_column(report, rows, 5);
		c->began_ns = column_ns(rows, 6);
		c->ended_ns = sqlite3_column_type(rows, 7) == SQLITE_NULL ? report->duration_ns
									  : column_ns(rows, 7);
		if (c->ended_ns < c->began_ns)
			c->ended_ns = c->began_ns;
		c->status = keep_column(report, rows, 8);
		c->error = keep_column(report, rows, 9);
		if (!c->source || !c->status || !c->error)
			return -ENOMEM;
		c->synchronous = sqlite3_column_int(rows, 10) != 0;
		c->tasks = column_ns(rows, 11);
	}
	return rc;
}

static bool kernel_has(const struct report *report)
{
	for (size_t i = 0; i < report->processes.n; i++)
		if (report->processes.at[i].is_kernel)
			return true;
	return false;
}

/* What runs a notebook (jupyter execute) has loops beside the kernel's: user code in none. */
static int runner_mark(struct report *report, struct loop *l)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_loop_user, &rows);

	if (rc)
		return rc;
	sqlite3_bind_int64(rows, 1, l->id);
	sqlite3_bind_int(rows, 2, STACK_DEPTH_MAX);
	rc = trace_next(report->trace, rows);
	l->machinery = rc == 1 && !sqlite3_column_int(rows, 0);
	return rc < 0 ? rc : 0;
}

/* A loop that ran cells is the user's, whatever its thread is called. */
static void kernel_mark(struct report *report, struct loop *l)
{
	for (size_t k = 0; k < sizeof(machinery_threads) / sizeof(*machinery_threads); k++)
		l->machinery |=
			!strncmp(l->thread, machinery_threads[k], strlen(machinery_threads[k]));
	for (size_t k = 0; k < report->cells.n; k++)
		if (report->cells.at[k].loop == (int)(l - report->loops.at))
			l->machinery = false;
}

static int machinery_mark(struct report *report)
{
	bool kernel = kernel_has(report);
	int rc = 0;

	for (size_t i = 0; i < report->loops.n && kernel && !rc; i++) {
		struct loop *l = &report->loops.at[i];

		if (l->process == NONE)
			continue;
		if (report->processes.at[l->process].is_kernel)
			kernel_mark(report, l);
		else
			rc = runner_mark(report, l);
	}
	return rc;
}

static int tasks_count(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_task_count, &rows);

	if (!rc)
		rc = trace_next(report->trace, rows);
	if (rc == 1) {
		report->tasks = column_ns(rows, 0);
		report->user_tasks = column_ns(rows, 1);
		rc = 0;
	}
	return rc;
}

/* Of a trace that nobody closed: up to the last commit, else up to the last thing in it. */
static int duration_find(struct report *report)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc;

	if (!report->duration_ns)
		report->duration_ns = report->committed_ns;
	if (report->duration_ns)
		return 0;
	rc = trace_rows(report->trace, QUERY_last_time, &rows);
	if (!rc)
		rc = trace_next(report->trace, rows);
	if (rc == 1)
		report->duration_ns = column_ns(rows, 0);
	return rc < 0 ? rc : 0;
}

static int thresholds_set(struct report *report)
{
	const struct report_options *options = report->options;

	if (options->stall_ns && options->stall_ns < report->stall_ns)
		return -ERANGE;
	if (options->min_block_ns && options->min_block_ns < report->min_block_ns)
		return -ERANGE;
	if (options->stall_ns)
		report->stall_ns = options->stall_ns;
	if (options->min_block_ns)
		report->min_block_ns = options->min_block_ns;
	return 0;
}

int report_read(struct trace *trace, const struct report_options *options, struct report **ret)
{
	static int (*const parts[])(struct report *) = {
		meta_read,
		thresholds_set,
		duration_find,
		processes_read,
		loops_read,
		cells_read,
		machinery_mark,
		tasks_count,
		coverage_read,
		blocking_read,
		iterations_read,
		hot_read,
		holders_read,
		timers_read,
		delays_read,
		blocking_weigh,
		sites_name,
		leaks_read,
		open_turn_read,
		findings_read,
		findings_suppress,
		verdict_write,
	};
	cleanup(report_freep) struct report *report = calloc(1, sizeof(*report));
	int rc;

	if (!report)
		return -ENOMEM;
	report->trace = trace;
	report->options = options;
	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		rc = parts[i](report);
		if (rc)
			return rc;
	}
	*ret = TAKE(report);
	return 0;
}

void report_free(struct report *report)
{
	if (!report)
		return;
	for (size_t i = 0; i < report->loops.n; i++)
		busy_free(&report->loops.at[i].busy);
	for (size_t i = 0; i < report->cells.n; i++)
		busy_free(&report->cells.at[i].busy);
	free(report->processes.at);
	free(report->loops.at);
	free(report->cells.at);
	free(report->stalls.at);
	free(report->leaks.at);
	free(report->sites.at);
	free(report->holders.at);
	free(report->hot.at);
	free(report->calls.at);
	free(report->turns.at);
	for (size_t i = 0; i < report->findings.n; i++)
		free(report->findings.at[i].gains.at);
	free(report->findings.at);
	for (size_t i = 0; i < report->suppressed.n; i++)
		free(report->suppressed.at[i].gains.at);
	free(report->suppressed.at);
	free(report->lost.at);
	free(report->notes.at);
	free(report->refused.at);
	free(report->placed.at);
	free(report->verdict);
	sqlite3_finalize(report->stack_rows);
	strings_free(&report->strings);
	free(report);
}

void report_freep(struct report **report)
{
	report_free(*report);
}

int report_stack(struct report *report, int64_t stack, frame_list *frames)
{
	sqlite3_stmt *rows = report->stack_rows;
	int rc = rows ? 0 : trace_rows(report->trace, QUERY_stack_frames, &rows);

	if (rc)
		return rc;
	report->stack_rows = rows;
	sqlite3_bind_int64(rows, 1, stack);
	sqlite3_bind_int(rows, 2, STACK_DEPTH_MAX);
	while (!rc && (rc = trace_next(report->trace, rows)) == 1) {
		struct frame *f = list_add(frames);

		rc = f ? keep_place(report, rows, 0, &f->place) : -ENOMEM;
		if (rc)
			break;
		f->user = sqlite3_column_int(rows, 3) != 0;
		f->generator = sqlite3_column_int(rows, 4) != 0;
	}
	sqlite3_reset(rows);
	return rc;
}
