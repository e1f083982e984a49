/* Reads two traces, lays their findings and measures side by side, and has each pair judged. */
#include "viewer/diff.h"

#include <errno.h>

#include "probe/base/units.h"
#include "viewer/names.h"

/* Of a loop's busy time without a CPU: above it a machine was too busy to tell times. */
#define STARVED_SHARE 0.1

/* ---- reading */

static int side_open(const char *path, struct report_options *options, struct trace **trace,
	struct report **report, char *why, size_t size)
{
	int rc = *trace ? 0 : trace_open(path, why, size, trace);

	if (rc)
		return rc;
	report_free(*report);
	*report = NULL;
	rc = report_read(*trace, options, report);
	if (rc == -ERANGE)
		snprintf(why, size,
			"%s was recorded with higher thresholds than asked for: --stall and "
			"--min-block can only be raised",
			path);
	else if (rc == -ENOMEM)
		snprintf(why, size, "%s: out of memory", path);
	else if (rc)
		snprintf(why, size, "%s", trace_why(*trace));
	return rc;
}

static uint64_t higher(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

int diff_read(const char *const paths[2], struct report_options options[2], struct trace *traces[2],
	struct report *reports[2], char *why, size_t size)
{
	uint64_t stall_ns, min_block_ns;
	int rc = 0;

	options[0] = (struct report_options){
		.all = options[1].all,
		.await_timeout_ns = options[1].await_timeout_ns,
		.allow = options[1].allow,
	};
	for (int s = 0; s < 2 && !rc; s++)
		if (paths[s])
			rc = side_open(paths[s], &options[s], &traces[s], &reports[s], why, size);
	if (rc || !paths[0])
		return rc;
	stall_ns = higher(reports[0]->stall_ns, reports[1]->stall_ns);
	min_block_ns = higher(reports[0]->min_block_ns, reports[1]->min_block_ns);
	for (int s = 0; s < 2 && !rc; s++) {
		if (reports[s]->stall_ns == stall_ns && reports[s]->min_block_ns == min_block_ns)
			continue;
		options[s].stall_ns = stall_ns;
		options[s].min_block_ns = min_block_ns;
		rc = side_open(paths[s], &options[s], &traces[s], &reports[s], why, size);
	}
	return rc;
}

/* ---- findings */

/* The same in both traces: the cell that a file is the code of, or the file as NEW has it. */
static const char *file_key(struct diff *diff, int side, const struct finding *f)
{
	const struct report *report = side ? diff->new : diff->old;
	int cell = cell_of_file(report, f->place.file, f->cell);
	char text[64];

	if (!f->place.file)
		return string_keep(&diff->strings, "");
	if (cell == NONE)
		return string_keep(
			&diff->strings, side ? f->place.file : file_in_new(diff, f->place.file));
	if (side && diff->cell_pair[1][cell] != NONE) {
		side = 0;
		cell = diff->cell_pair[1][cell];
	}
	snprintf(text, sizeof(text), "<cell %d of %d>", cell, side);
	return string_keep(&diff->strings, text);
}

static void unit_find(const struct diff *diff, int side, const struct finding *f, bool *ret_cells,
	int ret_unit[2])
{
	int *const *pairs = f->cell != NONE ? diff->cell_pair : diff->process_pair;
	int unit = f->cell != NONE ? f->cell : f->process;

	*ret_cells = f->cell != NONE;
	ret_unit[side] = unit;
	ret_unit[!side] = unit == NONE ? NONE : pairs[side][unit];
}

static struct change *change_of(struct diff *diff, int side, const struct finding *f)
{
	struct change wanted = {.rule = f->rule, .file = file_key(diff, side, f)}, *c;

	wanted.function = string_keep(&diff->strings, f->place.function ? f->place.function : "");
	if (!wanted.file || !wanted.function)
		return NULL;
	unit_find(diff, side, f, &wanted.cells, wanted.unit);
	for (size_t i = 0; i < diff->changes.n; i++) {
		c = &diff->changes.at[i];
		if (c->rule == f->rule && c->file == wanted.file &&
			c->function == wanted.function && c->cells == wanted.cells &&
			c->unit[0] == wanted.unit[0] && c->unit[1] == wanted.unit[1])
			return c;
	}
	c = list_add(&diff->changes);
	if (c)
		*c = wanted;
	return c;
}

static int findings_take(struct diff *diff, int side)
{
	const struct report *report = side ? diff->new : diff->old;

	for (size_t i = 0; i < report->findings.n; i++) {
		const struct finding *f = &report->findings.at[i];
		struct change *c = change_of(diff, side, f);
		struct side *s;

		if (!c)
			return -ENOMEM;
		s = side ? &c->new : &c->old;
		if (!s->finding || f->severity > s->severity)
			s->severity = f->severity;
		if (!s->finding)
			s->finding = f;
		s->count += f->count;
		s->cost_ns += f->cost_ns;
		s->costed |= f->costed;
		s->longest_ns = higher(s->longest_ns, f->longest_ns);
		if (side)
			diff->change_of_new[i] = (int)(c - diff->changes.at);
	}
	return 0;
}

/* What a blocking rule's site held in a trace where it was too little for a finding. */
static void sites_take(struct diff *diff, struct change *c, int side)
{
	const struct report *report = side ? diff->new : diff->old;
	const struct finding *there = side ? c->old.finding : c->new.finding;
	struct side *s = side ? &c->new : &c->old;

	if (s->finding || !c->rule->check || c->rule->check != rule_blocking)
		return;
	for (size_t i = 0; i < report->sites.n; i++) {
		const struct site *site = &report->sites.at[i];
		struct finding like = {.rule = c->rule,
			.process = site->process,
			.cell = site->cell,
			.place = site->place};
		bool cells;
		int unit[2];

		unit_find(diff, side, &like, &cells, unit);
		if (cells != c->cells || unit[0] != c->unit[0] || unit[1] != c->unit[1] ||
			!site->place.function || !there->place.function ||
			strcmp(site->place.function, there->place.function) ||
			strcmp(site->class, there->detail))
			continue;
		if (file_key(diff, side, &like) == c->file)
			s->cost_ns += site->total_ns;
	}
}

/* ---- measures */

static int measure_add(struct diff *diff, const char *name, bool cells, const int unit[2],
	uint64_t old_ns, uint64_t new_ns)
{
	struct change *c;

	if (old_ns == new_ns)
		return 0;
	c = list_add(&diff->changes);
	if (!c)
		return -ENOMEM;
	c->measure = name;
	c->cells = cells;
	c->unit[0] = unit[0];
	c->unit[1] = unit[1];
	c->old.cost_ns = old_ns;
	c->new.cost_ns = new_ns;
	c->old.costed = c->new.costed = true;
	return 0;
}

static uint64_t cpu_of(const struct causes *causes)
{
	return causes_family(causes, FAMILY_CPU) + causes->ns[CAUSE_gc];
}

static int causes_take(struct diff *diff, bool cells, const int unit[2], const struct causes *old,
	const struct causes *new)
{
	int rc = measure_add(diff, "cpu", cells, unit, cpu_of(old), cpu_of(new));

	for (int i = 0; i < CAUSE_COUNT && !rc; i++)
		if (cause_families[i] == FAMILY_BLOCKED)
			rc = measure_add(diff, cause_keys[i], cells, unit, old->ns[i], new->ns[i]);
	return rc;
}

static int status_take(struct diff *diff, const int unit[2])
{
	const char *old = diff->old->cells.at[unit[0]].status;
	const char *new = diff->new->cells.at[unit[1]].status;
	struct change *c;

	if (!strcmp(old, new))
		return 0;
	c = list_add(&diff->changes);
	if (!c)
		return -ENOMEM;
	c->measure = "status";
	c->cells = true;
	c->unit[0] = unit[0];
	c->unit[1] = unit[1];
	c->old.status = old;
	c->new.status = new;
	return 0;
}

static int cells_take(struct diff *diff)
{
	int rc = 0;

	for (size_t i = 0; i < diff->new->cells.n && !rc; i++) {
		const int unit[2] = {diff->cell_pair[1][i], (int)i};

		if (unit[0] == NONE)
			continue;
		rc = status_take(diff, unit);
		if (!rc && !diff->no_causes)
			rc = causes_take(diff, true, unit, &diff->old->cells.at[unit[0]].causes,
				&diff->new->cells.at[i].causes);
	}
	return rc;
}

static void process_causes(const struct report *report, int process, struct causes *sum)
{
	for (size_t i = 0; i < report->loops.n; i++)
		if (report->loops.at[i].process == process && !report->loops.at[i].machinery)
			causes_add(sum, &report->loops.at[i].causes);
}

/* Programs only: what a kernel does is in its cells. */
static int processes_take(struct diff *diff)
{
	int rc = 0;

	for (size_t i = 0; i < diff->new->processes.n && !rc; i++) {
		const int unit[2] = {diff->process_pair[1][i], (int)i};
		struct causes old = {0}, new = {0};

		if (unit[0] == NONE || diff->new->processes.at[i].is_kernel || diff->no_causes)
			continue;
		process_causes(diff->old, unit[0], &old);
		process_causes(diff->new, unit[1], &new);
		rc = causes_take(diff, false, unit, &old, &new);
	}
	return rc;
}

/* ---- the whole */

static double starved_share(const struct report *report)
{
	uint64_t busy = 0, runq = 0;

	for (size_t i = 0; i < report->loops.n; i++) {
		const struct loop *l = &report->loops.at[i];

		if (l->machinery)
			continue;
		busy += l->busy_ns;
		runq += l->causes.ns[CAUSE_runq];
	}
	return busy ? (double)runq / (double)busy : 0;
}

static bool has_causes(const struct report *report)
{
	return strcmp(report->coverage.sensor[COVERAGE_causes], "none") != 0;
}

static int changes_compare(const void *a, const void *b)
{
	const struct change *x = a, *y = b;
	int xs = x->rule ? (int)(x->new.finding ? x->new.severity : x->old.severity) : -1;
	int ys = y->rule ? (int)(y->new.finding ? y->new.severity : y->old.severity) : -1;

	if (x->kind != y->kind)
		return (int)y->kind - (int)x->kind;
	if (x->unit[1] != y->unit[1])
		return x->unit[1] - y->unit[1];
	if (xs != ys)
		return ys - xs;
	return x->rule && y->rule   ? strcmp(x->rule->id, y->rule->id)
	       : x->rule || y->rule ? (y->rule != NULL) - (x->rule != NULL)
				    : strcmp(x->measure, y->measure);
}

/* Sorting moves changes; findings keep theirs by what the change first had as its place. */
static int changes_sort(struct diff *diff)
{
	size_t n = diff->changes.n;
	struct change *was = malloc((n + 1) * sizeof(*was));

	if (!was)
		return -ENOMEM;
	if (n) {
		memcpy(was, diff->changes.at, n * sizeof(*was));
		qsort(diff->changes.at, n, sizeof(*was), changes_compare);
	}
	for (size_t i = 0; i < diff->new->findings.n; i++) {
		const struct change *of = &was[diff->change_of_new[i]];

		for (size_t k = 0; k < n; k++)
			if (diff->changes.at[k].new.finding == of->new.finding)
				diff->change_of_new[i] = (int)k;
	}
	free(was);
	return 0;
}

static int sides_take(struct diff *diff)
{
	int rc = cells_pair(diff);

	if (!rc)
		rc = processes_pair(diff);
	diff->change_of_new = malloc((diff->new->findings.n + 1) * sizeof(int));
	if (!diff->change_of_new)
		return -ENOMEM;
	if (!rc)
		rc = findings_take(diff, 1);
	if (!rc)
		rc = findings_take(diff, 0);
	for (size_t i = 0; i < diff->changes.n && !rc; i++)
		for (int side = 0; side < 2; side++)
			sites_take(diff, &diff->changes.at[i], side);
	if (!rc)
		rc = cells_take(diff);
	return rc ? rc : processes_take(diff);
}

int diff_make(const struct report *old, const struct report *new, struct diff *ret)
{
	struct diff diff = {.old = old, .new = new};
	int rc;

	diff.starved_share[0] = starved_share(old);
	diff.starved_share[1] = starved_share(new);
	diff.new_starved = diff.starved_share[1] >= STARVED_SHARE;
	diff.starved = diff.new_starved || diff.starved_share[0] >= STARVED_SHARE;
	diff.no_causes = !has_causes(old) || !has_causes(new);
	rc = sides_take(&diff);
	for (size_t i = 0; i < diff.changes.n && !rc; i++) {
		struct change *c = &diff.changes.at[i];

		c->kind = change_judge(&diff, c);
		diff.worse += c->kind == CHANGE_worse;
		diff.better += c->kind == CHANGE_better;
		diff.aside += c->kind == CHANGE_aside;
	}
	if (!rc)
		rc = changes_sort(&diff);
	if (rc)
		diff_free(&diff);
	else
		*ret = diff;
	return rc;
}

void diff_mark(const struct diff *diff, struct report *new)
{
	for (size_t i = 0; i < new->findings.n; i++) {
		enum change_kind kind = diff->changes.at[diff->change_of_new[i]].kind;

		new->findings.at[i].known = kind != CHANGE_worse &&kind != CHANGE_note;
	}
}

void diff_free(struct diff *diff)
{
	for (int s = 0; s < 2; s++) {
		free(diff->cell_pair[s]);
		free(diff->process_pair[s]);
	}
	free(diff->change_of_new);
	free(diff->changes.at);
	strings_free(&diff->strings);
	*diff = (struct diff){0};
}
