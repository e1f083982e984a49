/* The JSON report: stable keys in a stable order, every key always there, times in ms rounded to 1
 * µs. */
#include "viewer/output.h"

#include <errno.h>
#include <jansson.h>

#include "viewer/coverage.h"
#include "viewer/path.h"
#include "viewer/rule.h"
#include "viewer/json_values.h"

#define REPORT_SCHEMA 1 /* removing a key raises it; readers ignore keys they do not know */
#define REAL_DIGITS 15  /* as many as a double keeps, so that 0.1 is printed as 0.1 */

/*
 * One member; takes the value. A value that could not be made (NULL; what may be null is
 * json_null()) ends the object: it is NULL from then on.
 */
static void member(json_t **object, const char *key, json_t *value)
{
	if (*object && value && !json_object_set_new(*object, key, value))
		return;
	if (!*object)
		json_decref(value);
	json_decref(*object);
	*object = NULL;
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

static json_t *integer(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static void place_members(json_t **object, const struct place *place)
{
	member(object, "file", json_text_or_null(place->file));
	member(object, "line", line_or_null(place->line));
	member(object, "function", json_text_or_null(place->function));
}

static json_t *place_json(const struct place *place)
{
	json_t *object = json_object();

	place_members(&object, place);
	return object;
}

static json_t *lag_json(const struct lag *lag)
{
	json_t *object = json_object();

	member(&object, "p50", lag->known ? json_ms(lag->p50_ns) : json_null());
	member(&object, "p90", lag->known ? json_ms(lag->p90_ns) : json_null());
	member(&object, "p99", lag->known ? json_ms(lag->p99_ns) : json_null());
	member(&object, "max", lag->known ? json_ms(lag->max_ns) : json_null());
	return object;
}

/* cpu stands for cpu_user and cpu_kernel where they were not told apart. */
static bool cause_shown(const struct report *report, int cause)
{
	if (cause == CAUSE_cpu_user || cause == CAUSE_cpu_kernel)
		return report->has_cpu_split;
	return true;
}

static json_t *causes_json(
	const struct report *report, const struct causes *causes, uint64_t total_ns)
{
	json_t *object = json_object();
	uint64_t us[CAUSE_COUNT];

	causes_us(causes, total_ns, us);
	for (int i = 0; i < CAUSE_COUNT; i++)
		if (cause_shown(report, i))
			member(&object, cause_keys[i], json_real((double)us[i] / 1000.0));
	return object;
}

typedef json_t *item_fn(struct report *report, const struct output_options *options, size_t i);

static json_t *array_json(
	struct report *report, const struct output_options *options, size_t n, item_fn *item)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n && array; i++)
		if (json_array_append_new(array, item(report, options, i))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static void sensor_members(json_t **object, const struct coverage *coverage)
{
	for (int i = 0; i < COVERAGE_KINDS; i++)
		member(object, coverage_names[i], json_text(coverage->sensor[i]));
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
	json_t *object = json_object(), *sensors = json_object();

	sensor_members(&sensors, &p->coverage);
	member(&object, "pid", json_integer(p->pid));
	member(&object, "argv", argv_json(p->argv));
	member(&object, "python", json_text(p->python));
	member(&object, "coverage", sensors);
	return object;
}

static json_t *unchecked_json(const struct report *report)
{
	json_t *array = json_array();

	for (size_t i = 0; i < rules_count && array; i++) {
		json_t *object = json_object();

		if (rule_checked(report, &rules[i])) {
			json_decref(object);
			continue;
		}
		member(&object, "rule", json_text(rules[i].id));
		member(&object, "needs", json_text(rule_needs_text(&rules[i])));
		if (json_array_append_new(array, object)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *note_json(struct report *report, const struct output_options *options, size_t i)
{
	return json_text(report->notes.at[i]);
}

static json_t *coverage_json(struct report *report, const struct output_options *options)
{
	bool busy = report->busy_ns > 0;
	json_t *object = json_object();

	sensor_members(&object, &report->coverage);
	member(&object, "lost_events", integer(report->lost_events));
	member(&object, "accounted_share",
		busy ? share_json(report->accounted_share) : json_null());
	member(&object, "discrepancy_ms", busy ? json_ms(report->discrepancy_ns) : json_null());
	member(&object, "not_checked", unchecked_json(report));
	member(&object, "notes", array_json(report, options, report->notes.n, note_json));
	return object;
}

static const char *loop_causes(const struct report *report, const struct loop *loop)
{
	if (loop->coarse || loop->process == NONE)
		return "none";
	return report->processes.at[loop->process].coverage.sensor[COVERAGE_causes];
}

static json_t *loop_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct loop *l = &report->loops.at[i];
	double share = l->observed_ns ? (double)l->stall_ns / (double)l->observed_ns : 0;
	json_t *object = json_object();

	member(&object, "id", json_integer(l->id));
	member(&object, "pid", pid_of(report, l->process));
	member(&object, "tid", json_integer(l->tid));
	member(&object, "thread", json_text(l->thread));
	member(&object, "kind", json_text(l->kind));
	member(&object, "iterations", integer(l->iterations));
	member(&object, "busy_ms", json_ms(l->busy_ns));
	member(&object, "lag_ms", lag_json(&l->lag));
	member(&object, "timer_late_ms", lag_json(&l->timer_late));
	member(&object, "stalls", integer(l->stalls));
	member(&object, "stall_ms", json_ms(l->stall_ns));
	member(&object, "stall_share", share_json(share));
	member(&object, "causes_ms", causes_json(report, &l->causes, l->busy_ns));
	member(&object, "cpu_split", split_json(&l->split, &l->causes, l->busy_ns));
	member(&object, "causes", json_text(loop_causes(report, l)));
	return object;
}

static json_t *sample_json(const struct sample *s)
{
	json_t *object = json_object();

	place_members(&object, &s->place);
	member(&object, "count", integer(s->count));
	member(&object, "kind", json_text(s->kind));
	member(&object, "native", *s->native ? json_text(s->native) : json_null());
	return object;
}

/* Where the loop was meanwhile, what it spent the most time on first. */
static json_t *samples_json(struct report *report, const struct stall *stall)
{
	sample_list samples = {0};
	json_t *array = json_array();
	int rc = report_samples(report, stall, &samples);

	for (size_t i = 0; i < samples.n && !rc; i++)
		rc = json_array_append_new(array, sample_json(&samples.at[i]));
	free(samples.at);
	if (!rc)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *holder_json(const struct gil_holder *holder)
{
	json_t *object;

	if (!holder->samples)
		return json_null();
	object = json_object();
	member(&object, "thread", json_text(holder->thread));
	place_members(&object, &holder->place);
	member(&object, "share_ms", json_ms(holder->held_ns));
	member(&object, "samples", integer(holder->samples));
	return object;
}

static json_t *holders_json(const struct report *report, const struct stall *s)
{
	json_t *array = json_array();

	for (size_t i = 0; i < s->holders; i++)
		json_array_append_new(array, holder_json(&report->holders.at[s->holders_at + i]));
	return array;
}

static json_t *stall_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct stall *s = &report->stalls.at[i];
	json_t *object = json_object();

	member(&object, "pid", pid_of(report, report->loops.at[s->loop].process));
	member(&object, "loop", loop_of(report, s->loop));
	member(&object, "cell", index_or_null(s->cell));
	member(&object, "started_ms", json_ms(s->begin_ns));
	member(&object, "duration_ms", json_ms(s->busy_ns));
	member(&object, "causes_ms", causes_json(report, &s->causes, s->busy_ns));
	member(&object, "cpu_split", split_json(&s->split, &s->causes, s->busy_ns));
	member(&object, "gil_holder", holder_json(&s->holder));
	member(&object, "gil_holders", holders_json(report, s));
	member(&object, "gil_unnamed_ms",
		json_ms(s->holders ? s->unheld_ns : s->causes.ns[CAUSE_gil]));
	place_members(&object, &s->place);
	member(&object, "samples", samples_json(report, s));
	return object;
}

/* The rules that fired in a cell, each once. */
static json_t *cell_findings_json(const struct report *report, int cell)
{
	json_t *array = json_array();

	for (size_t r = 0; r < rules_count && array; r++) {
		size_t i = 0;

		while (i < report->findings.n && (report->findings.at[i].rule != &rules[r] ||
							 report->findings.at[i].cell != cell))
			i++;
		if (i < report->findings.n &&
			json_array_append_new(array, json_text(rules[r].id))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *cell_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct cell *c = &report->cells.at[i];
	json_t *object = json_object();

	member(&object, "index", integer(i));
	member(&object, "pid", pid_of(report, c->process));
	member(&object, "loop", loop_of(report, c->loop));
	member(&object, "execution_count", index_or_null(c->execution_count));
	member(&object, "source", options->no_source ? json_null() : json_text(c->source));
	member(&object, "filename", json_text_or_null(c->filename));
	member(&object, "status", json_text(c->status));
	member(&object, "started_ms", json_ms(c->began_ns));
	member(&object, "wall_ms", json_ms(c->ended_ns - c->began_ns));
	member(&object, "busy_ms", json_ms(c->busy_ns));
	member(&object, "longest_busy_ms", json_ms(c->longest_ns));
	member(&object, "stalls", integer(c->stalls));
	member(&object, "stall_ms", json_ms(c->stall_ns));
	member(&object, "lag_ms", lag_json(&c->lag));
	member(&object, "causes_ms", causes_json(report, &c->causes, c->busy_ns));
	member(&object, "cpu_split", split_json(&c->split, &c->causes, c->busy_ns));
	member(&object, "tasks_created", integer(c->tasks));
	member(&object, "tasks_leaked", integer(c->leaked));
	member(&object, "blocking_ms", json_ms(c->blocking_ns));
	member(&object, "findings", cell_findings_json(report, (int)i));
	return object;
}

static json_t *leak_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct leak *l = &report->leaks.at[i];
	json_t *object = json_object(), *awaiting = json_object();

	member(&awaiting, "what", json_text_or_null(l->awaiting));
	place_members(&awaiting, &l->await);
	member(&object, "pid", pid_of(report, l->process));
	member(&object, "loop", loop_of(report, l->loop));
	member(&object, "task", json_integer(l->task));
	member(&object, "name", json_text(l->name));
	member(&object, "coro", json_text(l->coro));
	member(&object, "cell", index_or_null(l->cell));
	member(&object, "execution_count", count_of(report, l->cell));
	member(&object, "created_at", place_json(&l->created));
	member(&object, "age_ms", json_ms(l->age_ns));
	member(&object, "awaiting", awaiting);
	member(&object, "reason", json_text(l->reason));
	member(&object, "held_by", json_null());
	return object;
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

/* The thread that ended the longest wait there, and where it was; null: not seen. */
static json_t *ended_json(const struct site *s)
{
	json_t *object;

	if (!s->ended_thread && !s->ended_process)
		return json_null();
	object = json_object();
	member(&object, "thread", s->ended_thread ? json_text(s->ended_thread) : json_null());
	member(&object, "process", json_text_or_null(s->ended_process));
	place_members(&object, &s->ended);
	return object;
}

static json_t *site_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct site *s = &report->sites.at[i];
	bool counted = strcmp(report->coverage.sensor[COVERAGE_tasks], "none") &&
		       s->tasks_delayed != NOT_COUNTED;
	json_t *object = json_object();

	member(&object, "pid", pid_of(report, s->process));
	member(&object, "loop", loop_of(report, s->loop));
	member(&object, "cell", index_or_null(s->cell));
	member(&object, "execution_count", count_of(report, s->cell));
	place_members(&object, &s->place);
	member(&object, "call", json_text(s->call));
	member(&object, "syscall", json_text(s->syscall));
	member(&object, "class", json_text(s->class));
	member(&object, "target", json_text(s->target));
	member(&object, "ended_by", ended_json(s));
	member(&object, "count", integer(s->count));
	member(&object, "unfinished", integer(s->unfinished));
	member(&object, "total_ms", json_ms(s->total_ns));
	member(&object, "max_ms", json_ms(s->max_ns));
	member(&object, "stack", stack_json(report, s->stack));
	member(&object, "tasks_delayed", counted ? integer(s->tasks_delayed) : json_null());
	member(&object, "tasks_delayed_exact",
		counted ? json_boolean(!s->delayed_most) : json_null());
	return object;
}

static json_t *hot_json(struct report *report, const struct output_options *options, size_t i)
{
	const struct hot_line *h = &report->hot.at[i];
	json_t *object = json_object();

	member(&object, "pid", pid_of(report, report->loops.at[h->loop].process));
	member(&object, "loop", loop_of(report, h->loop));
	member(&object, "cell", index_or_null(h->cell));
	member(&object, "execution_count", count_of(report, h->cell));
	place_members(&object, &h->place);
	member(&object, "kind", json_text(h->in_native ? "native" : "python"));
	member(&object, "native", json_text_or_null(h->native));
	member(&object, "cpu_ms", json_ms(h->cpu_ns));
	member(&object, "samples", integer(h->samples));
	return object;
}

static json_t *finding_members(const struct report *report, const struct finding *f)
{
	json_t *object = json_object(), *saved = json_object();
	char fingerprint[24];

	snprintf(fingerprint, sizeof(fingerprint), "%016llx", (unsigned long long)f->fingerprint);
	member(&saved, "p99", f->saves ? json_ms(f->saved_p99_ns) : json_null());
	member(&saved, "stall", f->saves ? json_ms(f->saved_stall_ns) : json_null());
	member(&object, "rule", json_text(f->rule->id));
	member(&object, "name", json_text(f->rule->name));
	member(&object, "severity", json_text(severity_name(f->severity)));
	member(&object, "pid", pid_of(report, f->process));
	member(&object, "cell", index_or_null(f->cell));
	member(&object, "execution_count", count_of(report, f->cell));
	place_members(&object, &f->place);
	member(&object, "count", integer(f->count));
	member(&object, "cost_ms", f->costed ? json_ms(f->cost_ns) : json_null());
	member(&object, "lag_saved_ms", saved);
	member(&object, "fingerprint", json_text(fingerprint));
	member(&object, "message", json_text(f->message));
	member(&object, "advice", json_text(f->advice));
	member(&object, "evidence", json_loads(f->evidence, 0, NULL));
	if (f->suppressed)
		member(&object, "suppressed_by", json_text(f->suppressed));
	return object;
}

static json_t *finding_json(struct report *report, const struct output_options *options, size_t i)
{
	return finding_members(report, &report->findings.at[i]);
}

static json_t *suppressed_json(
	struct report *report, const struct output_options *options, size_t i)
{
	return finding_members(report, &report->suppressed.at[i]);
}

static json_t *links_json(const struct path *path, size_t parent)
{
	json_t *array = json_array();

	for (size_t i = 0; i < path->links.n; i++) {
		const struct path_link *l = &path->links.at[i];
		json_t *object = json_object();

		if (l->parent != parent) {
			json_decref(object);
			continue;
		}
		member(&object, "kind", json_text(path_kind_name(l->kind)));
		member(&object, "what", json_text(l->what));
		member(&object, "task", json_text(l->task));
		member(&object, "coro", json_text(l->coro));
		place_members(&object, &l->place);
		member(&object, "count", integer(l->count));
		member(&object, "ms", json_ms(l->ns));
		member(&object, "links", links_json(path, i));
		if (json_array_append_new(array, object)) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *paths_json(struct report *report)
{
	path_list paths = {0};
	json_t *array = paths_find(report, &paths) ? NULL : json_array();

	for (size_t i = 0; array && i < paths.n; i++) {
		const struct path *p = &paths.at[i];
		json_t *object = json_object();

		member(&object, "pid", pid_of(report, p->process));
		member(&object, "loop", loop_of(report, p->loop));
		member(&object, "cell", index_or_null(p->cell));
		member(&object, "execution_count", count_of(report, p->cell));
		member(&object, "task", integer((uint64_t)p->task));
		member(&object, "name", json_text(p->name));
		member(&object, "coro", json_text(p->coro));
		member(&object, "what", json_text(p->what));
		place_members(&object, &p->place);
		member(&object, "started_ms", json_ms(p->begin_ns));
		member(&object, "wait_ms", json_ms(p->ns));
		member(&object, "links", links_json(p, PATH_ROOT));
		if (json_array_append_new(array, object)) {
			json_decref(array);
			array = NULL;
		}
	}
	paths_free(&paths);
	return array;
}

static json_t *trace_json(struct report *report, const struct output_options *options)
{
	json_t *object = json_object();

	member(&object, "path", json_text(trace_path(report->trace)));
	member(&object, "started_at", json_text(report->started_at));
	member(&object, "duration_ms", json_ms(report->duration_ns));
	if (report->kept_from_ns)
		member(&object, "kept_from_ms", json_ms(report->kept_from_ns));
	member(&object, "mode", json_text(report->mode));
	member(&object, "processes",
		array_json(report, options, report->processes.n, process_json));
	return object;
}

int report_json(struct report *report, const struct output_options *options, FILE *out)
{
	json_t *root = json_object();
	int rc;

	member(&root, "awaitscope", json_text(AWAITSCOPE_VERSION));
	member(&root, "schema", integer(REPORT_SCHEMA));
	member(&root, "trace", trace_json(report, options));
	member(&root, "coverage", coverage_json(report, options));
	member(&root, "verdict", json_text(report->verdict));
	member(&root, "loops", array_json(report, options, report->loops.n, loop_json));
	member(&root, "stalls", array_json(report, options, report->stalls.n, stall_json));
	member(&root, "cells", array_json(report, options, report->cells.n, cell_json));
	member(&root, "leaked_tasks", array_json(report, options, report->leaks.n, leak_json));
	member(&root, "blocking_sites", array_json(report, options, report->sites.n, site_json));
	member(&root, "hot_lines", array_json(report, options, report->hot.n, hot_json));
	member(&root, "critical_paths", paths_json(report));
	member(&root, "findings", array_json(report, options, report->findings.n, finding_json));
	member(&root, "suppressed",
		array_json(report, options, report->suppressed.n, suppressed_json));
	if (!root)
		return -ENOMEM;
	rc = json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(REAL_DIGITS));
	json_decref(root);
	return rc || fputc('\n', out) == EOF ? -EIO : 0;
}
