/* The JSON report: stable keys in a stable order, every key always there, times in ms rounded to 1 µs. */
#include "viewer/output.h"

#include <errno.h>
#include <jansson.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/coverage.h"

#define REPORT_SCHEMA 1 /* removing a key raises it; readers ignore keys they do not know */
#define REAL_DIGITS 15	/* as many as a double keeps, so that 0.1 is printed as 0.1 */

/* json_pack takes NULL for a failure, so what may be null is json_null(). */
static json_t *text(const char *s)
{
	cleanup(freep) char *valid = text_to_utf8(s, strlen(s));

	return valid ? json_string(valid) : NULL;
}

static json_t *text_or_null(const char *s)
{
	return s && *s ? text(s) : json_null();
}

static json_t *ms(uint64_t ns)
{
	return json_real((double)(ns / 1000 + (ns % 1000 >= 500)) / 1000.0);
}

/* A ppm is as fine as these are known. */
static json_t *share_json(double share)
{
	return json_real((double)(long long)(share * 1e6 + 0.5) / 1e6);
}

static json_t *index_or_null(int index)
{
	return index == NONE ? json_null() : json_integer(index);
}

static json_t *line_or_null(int line)
{
	return line ? json_integer(line) : json_null();
}

static json_t *pid_of(const struct report *report, int process)
{
	return process == NONE ? json_null() : json_integer(report->processes.at[process].pid);
}

static json_t *loop_of(const struct report *report, int loop)
{
	return loop == NONE ? json_null() : json_integer(report->loops.at[loop].id);
}

static json_t *count_of(const struct report *report, int cell)
{
	return cell == NONE ? json_null() : index_or_null(report->cells.at[cell].execution_count);
}

static json_t *place_json(const struct place *place)
{
	return json_pack("{s:o, s:o, s:o}", "file", text_or_null(place->file), "line", line_or_null(place->line), "function",
		text_or_null(place->function));
}

static json_t *lag_json(const struct lag *lag)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "p50", lag->known ? ms(lag->p50_ns) : json_null(), "p90",
		lag->known ? ms(lag->p90_ns) : json_null(), "p99", lag->known ? ms(lag->p99_ns) : json_null(), "max",
		lag->known ? ms(lag->max_ns) : json_null());
}

/* cpu stands for cpu_user and cpu_kernel where they were not told apart. */
static bool cause_shown(const struct report *report, int cause)
{
	if (cause == CAUSE_cpu_user || cause == CAUSE_cpu_kernel)
		return report->has_cpu_split;
	return true;
}

static json_t *causes_json(const struct report *report, const struct causes *causes, uint64_t total_ns)
{
	json_t *object = json_object();
	uint64_t us[CAUSE_COUNT];

	causes_us(causes, total_ns, us);
	for (int i = 0; i < CAUSE_COUNT && object; i++)
		if (cause_shown(report, i) && json_object_set_new(object, cause_keys[i], json_real((double)us[i] / 1000.0))) {
			json_decref(object);
			return NULL;
		}
	return object;
}

typedef json_t *item_fn(struct report *report, const struct output_options *options, size_t i);

static json_t *array_json(struct report *report, const struct output_options *options, size_t n, item_fn *item)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n && array; i++)
		if (json_array_append_new(array, item(report, options, i))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *sensors_json(const struct coverage *coverage)
{
	return json_pack("{s:o, s:o, s:o, s:o}", coverage_names[0], text(coverage->sensor[0]), coverage_names[1],
		text(coverage->sensor[1]), coverage_names[2], text(coverage->sensor[2]), coverage_names[3],
		text(coverage->sensor[3]));
}

static json_t *argv_json(const char *argv)
{
	json_t *array = json_loads(argv, 0, NULL);

	if (json_is_array(array))
		return array;
	json_decref(array);
	return json_array();
}

static json_t *process_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct process *p = &report->processes.at[i];

	return json_pack("{s:I, s:o, s:o, s:o}", "pid", (json_int_t)p->pid, "argv", argv_json(p->argv), "python", text(p->python),
		"coverage", sensors_json(&p->coverage));
}

static json_t *rule_json(struct report *report, const struct output_options *options, size_t i)
{
	return json_pack("{s:s, s:s}", "rule", rules[i].id, "needs", rules[i].needs);
}

static json_t *note_json(struct report *report, const struct output_options *options, size_t i)
{
	return text(report->notes.at[i]);
}

static json_t *coverage_json(struct report *report, const struct output_options *options)
{
	json_t *coverage = sensors_json(&report->coverage);
	json_t *more = json_pack("{s:I, s:o, s:o, s:o, s:o}", "lost_events", (json_int_t)report->lost_events, "accounted_share",
		report->busy_ns ? share_json(report->accounted_share) : json_null(), "discrepancy_ms",
		report->busy_ns ? ms(report->discrepancy_ns) : json_null(), "not_checked",
		array_json(report, options, rules_count, rule_json), "notes",
		array_json(report, options, report->notes.n, note_json));
	int rc = coverage && more ? json_object_update(coverage, more) : -1;

	json_decref(more);
	if (!rc)
		return coverage;
	json_decref(coverage);
	return NULL;
}

static json_t *loop_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct loop *l = &report->loops.at[i];
	const struct lag late = {0}; /* when timers were due is not recorded yet */
	double share = l->observed_ns ? (double)l->stall_ns / (double)l->observed_ns : 0;
	const char *causes = l->process == NONE ? "none" : report->processes.at[l->process].coverage.sensor[COVERAGE_causes];

	return json_pack("{s:I, s:o, s:I, s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "id", (json_int_t)l->id, "pid",
		pid_of(report, l->process), "tid", (json_int_t)l->tid, "thread", text(l->thread), "kind", text(l->kind),
		"iterations", (json_int_t)l->iterations, "busy_ms", ms(l->busy_ns), "lag_ms", lag_json(&l->lag), "timer_late_ms",
		lag_json(&late), "stalls", (json_int_t)l->stalls, "stall_ms", ms(l->stall_ns), "stall_share", share_json(share),
		"causes_ms", causes_json(report, &l->causes, l->busy_ns), "causes", text(l->coarse ? "none" : causes));
}

static json_t *stall_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct stall *s = &report->stalls.at[i];

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid",
		pid_of(report, report->loops.at[s->loop].process), "loop", loop_of(report, s->loop), "cell", index_or_null(s->cell),
		"started_ms", ms(s->begin_ns), "duration_ms", ms(s->busy_ns), "causes_ms", causes_json(report, &s->causes, s->busy_ns),
		"gil_holder", json_null(), "file", text_or_null(s->place.file), "line", line_or_null(s->place.line), "function",
		text_or_null(s->place.function), "samples", json_array());
}

static json_t *cell_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct cell *c = &report->cells.at[i];
	json_t *head = json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "index", (json_int_t)i, "pid",
		pid_of(report, c->process), "loop", loop_of(report, c->loop), "execution_count", index_or_null(c->execution_count),
		"source", options->no_source ? json_null() : text(c->source), "filename", text_or_null(c->filename), "status",
		text(c->status), "started_ms", ms(c->began_ns), "wall_ms", ms(c->ended_ns - c->began_ns));
	json_t *rest = json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:I, s:I, s:o, s:[]}", "busy_ms", ms(c->busy_ns),
		"longest_busy_ms", ms(c->longest_ns), "stalls", (json_int_t)c->stalls, "stall_ms", ms(c->stall_ns), "lag_ms",
		lag_json(&c->lag), "causes_ms", causes_json(report, &c->causes, c->busy_ns), "tasks_created", (json_int_t)c->tasks,
		"tasks_leaked", (json_int_t)c->leaked, "blocking_ms", ms(c->blocking_ns), "findings");
	int rc = head && rest ? json_object_update(head, rest) : -1;

	json_decref(rest);
	if (!rc)
		return head;
	json_decref(head);
	return NULL;
}

static json_t *leak_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct leak *l = &report->leaks.at[i];
	json_t *awaiting = json_pack("{s:o, s:o, s:o, s:o}", "what", text_or_null(l->awaiting), "file", text_or_null(l->await.file),
		"line", line_or_null(l->await.line), "function", text_or_null(l->await.function));

	return json_pack("{s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "pid", pid_of(report, l->process), "loop",
		loop_of(report, l->loop), "task", (json_int_t)l->task, "name", text(l->name), "coro", text(l->coro), "cell",
		index_or_null(l->cell), "execution_count", count_of(report, l->cell), "created_at", place_json(&l->created), "age_ms",
		ms(l->age_ns), "awaiting", awaiting, "reason", text(l->reason), "held_by", json_null());
}

static json_t *stack_json(struct report *report, int64_t stack)
{
	frame_list frames = {0};
	json_t *array = json_array();
	int rc = array && stack ? report_stack(report, stack, &frames) : 0;

	for (size_t i = 0; i < frames.n && !rc && array; i++)
		rc = json_array_append_new(array, place_json(&frames.at[i].place));
	free(frames.at);
	if (!rc)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *site_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct site *s = &report->sites.at[i];
	bool counted = strcmp(report->coverage.sensor[COVERAGE_tasks], "none") && s->tasks_delayed != NOT_COUNTED;

	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "pid",
		pid_of(report, s->process), "loop", loop_of(report, s->loop), "cell", index_or_null(s->cell), "execution_count",
		count_of(report, s->cell), "file", text_or_null(s->place.file), "line", line_or_null(s->place.line), "function",
		text_or_null(s->place.function), "call", text(s->call), "syscall", text(s->syscall), "class", text(s->class), "target",
		text(s->target), "count", (json_int_t)s->count, "total_ms", ms(s->total_ns), "max_ms", ms(s->max_ns), "stack",
		stack_json(report, s->stack), "tasks_delayed", counted ? json_integer(s->tasks_delayed) : json_null());
}

static json_t *trace_json(struct report *report, const struct output_options *options)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o}", "path", text(trace_path(report->trace)), "started_at",
		text(report->started_at), "duration_ms", ms(report->duration_ns), "mode", text(report->mode), "processes",
		array_json(report, options, report->processes.n, process_json));
}

int report_json(struct report *report, const struct output_options *options, FILE *out)
{
	json_t *root = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:[]}", "awaitscope", AWAITSCOPE_VERSION,
		"schema", REPORT_SCHEMA, "trace", trace_json(report, options), "coverage", coverage_json(report, options), "verdict",
		text(report->verdict), "loops", array_json(report, options, report->loops.n, loop_json), "stalls",
		array_json(report, options, report->stalls.n, stall_json), "cells",
		array_json(report, options, report->cells.n, cell_json), "leaked_tasks",
		array_json(report, options, report->leaks.n, leak_json), "blocking_sites",
		array_json(report, options, report->sites.n, site_json), "findings");
	int rc = root ? json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(REAL_DIGITS)) : -ENOMEM;

	json_decref(root);
	if (rc == -1)
		return -EIO;
	return rc ? rc : fputc('\n', out) == EOF ? -EIO : 0;
}
