/* The text report's leaked tasks and blocking calls: which line to look at. */
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/text_parts.h"

#define TARGET_SHOWN 60 /* characters */
#define PACKAGES_NAMED 3

struct leak_group {               /* leaked tasks that are alike */
	const struct leak *first; /* the oldest */
	size_t count;
	uint64_t age_ns;
};

typedef LIST(struct leak_group) group_list;

/* Texts are kept once: equal pointers. */
static bool leaks_alike(const struct leak *a, const struct leak *b)
{
	return a->process == b->process && a->cell == b->cell && a->coro == b->coro &&
	       a->reason == b->reason && a->awaiting == b->awaiting &&
	       a->created.file == b->created.file && a->created.line == b->created.line &&
	       a->await.file == b->await.file && a->await.line == b->await.line;
}

static int alike_compare(const void *a, const void *b)
{
	const struct leak *x = *(const struct leak *const *)a, *y = *(const struct leak *const *)b;
	const uintptr_t pairs[][2] = {
		{(uintptr_t)x->process, (uintptr_t)y->process},
		{(uintptr_t)x->cell, (uintptr_t)y->cell},
		{(uintptr_t)x->coro, (uintptr_t)y->coro},
		{(uintptr_t)x->reason, (uintptr_t)y->reason},
		{(uintptr_t)x->awaiting, (uintptr_t)y->awaiting},
		{(uintptr_t)x->created.file, (uintptr_t)y->created.file},
		{(uintptr_t)x->created.line, (uintptr_t)y->created.line},
		{(uintptr_t)x->await.file, (uintptr_t)y->await.file},
		{(uintptr_t)x->await.line, (uintptr_t)y->await.line},
		{(uintptr_t)x, (uintptr_t)y},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++)
		if (pairs[i][0] != pairs[i][1])
			return pairs[i][0] < pairs[i][1] ? -1 : 1;
	return 0;
}

static int group_compare(const void *a, const void *b)
{
	const struct leak_group *x = a, *y = b;

	if (x->count != y->count)
		return x->count > y->count ? -1 : 1;
	return x->first < y->first ? -1 : x->first > y->first; /* the report's order: by creation */
}

/* -1: out of memory. */
static int groups_make(const struct report *report, group_list *groups)
{
	cleanup(freep) const struct leak **sorted = malloc((report->leaks.n + 1) * sizeof(*sorted));
	struct leak_group *g = NULL;

	if (!sorted)
		return -1;
	for (size_t i = 0; i < report->leaks.n; i++)
		sorted[i] = &report->leaks.at[i];
	qsort(sorted, report->leaks.n, sizeof(*sorted), alike_compare);
	for (size_t i = 0; i < report->leaks.n; i++) {
		if (!g || !leaks_alike(g->first, sorted[i])) {
			g = list_add(groups);
			if (!g)
				return -1;
			g->first = sorted[i];
		}
		g->count++;
		if (sorted[i]->age_ns > g->age_ns)
			g->age_ns = sorted[i]->age_ns;
	}
	if (groups->n)
		qsort(groups->at, groups->n, sizeof(*groups->at), group_compare);
	return 0;
}

static void leak_row(struct text_report *t, struct table *table, const struct leak_group *g)
{
	const struct leak *l = g->first;
	cleanup(freep) char *created = place_text(t->report, l->cell, &l->created);
	cleanup(freep) char *await = place_text(t->report, l->cell, &l->await);
	char age[DURATION_BYTES], name[NAME_BYTES];

	pid_cell(t, table, l->process);
	table_add(table, STYLE_plain, "%s",
		l->cell == NONE ? "" : cell_name(t->report, l->cell, name));
	table_add(table, STYLE_plain, "%s", l->coro);
	if (g->count > 1)
		table_add(table, STYLE_bold, "%zu ×", g->count);
	else
		table_add(table, STYLE_plain, "%s", l->name);
	table_add(table, STYLE_plain, "%s", created ? created : "?");
	table_add(table, STYLE_plain, "%s", duration_text(g->age_ns, age));
	table_add(table, STYLE_plain, "%s", leak_words(l->reason));
	table_add(table, STYLE_plain, "%s", l->awaiting);
	table_add(table, STYLE_plain, "%s", l->await.file && await ? await : "");
}

void leaks_section(struct text_report *t)
{
	static const struct column columns[] = {
		PID_COLUMN,
		{.title = "cell"},
		{.title = "coroutine", .most = 36, .shrinks = 12},
		{.title = "task", .most = 20, .shrinks = 8},
		{.title = "created at", .most = 40, .keep_end = true, .shrinks = 10},
		{.title = "age", .right = true},
		{.title = "how it ended", .most = 24},
		{.title = "waits for", .most = 36, .shrinks = 12},
		{.title = "at", .most = 40, .keep_end = true, .shrinks = 10},
	};
	struct table table = {.columns = columns, .n = sizeof(columns) / sizeof(*columns)};
	group_list groups = {0};
	size_t shown, tasks = 0;
	char count[64];

	if (!t->report->leaks.n)
		return;
	t->failed |= groups_make(t->report, &groups) != 0;
	shown = rows_shown(t, groups.n);
	snprintf(count, sizeof(count), ": %zu", t->report->leaks.n);
	section_title(t, "Leaked tasks", count);
	for (size_t i = 0; i < shown; i++) {
		leak_row(t, &table, &groups.at[i]);
		tasks += groups.at[i].count;
	}
	t->failed |= table_print(&table, &t->screen) != 0;
	table_free(&table);
	if (tasks < t->report->leaks.n)
		print_safe(
			t, STYLE_dim, 2, "and %zu more: -v shows them", t->report->leaks.n - tasks);
	free(groups.at);
}

/* "asyncio" of asyncio/base_events.py, "threading" of threading.py. */
static const char *package_of(struct report *report, const char *file)
{
	const char *inside = file ? library_path(file) : NULL, *end, *kept;
	char name[64];

	if (!inside)
		return "library";
	end = inside + strcspn(inside, "/");
	if (end - inside > 3 && !strncmp(end - 3, ".py", 3))
		end -= 3;
	snprintf(name, sizeof(name), "%.*s", (int)(end - inside), inside);
	kept = string_keep(&report->strings, name);
	return kept ? kept : "library";
}

/* "9 asyncio frames hidden" for frames from..to, which are no user code. */
static void hidden_print(struct text_report *t, const frame_list *frames, size_t from, size_t to)
{
	const char *names[PACKAGES_NAMED];
	size_t n = 0, others = 0, known;
	char text[256], *p = text, *end = text + sizeof(text);

	for (size_t i = from; i < to; i++) {
		const char *name = package_of(t->report, frames->at[i].place.file);

		for (known = 0; known < n && strcmp(names[known], name); known++)
			;
		if (known < n)
			continue;
		if (n < PACKAGES_NAMED)
			names[n++] = name;
		else
			others++;
	}
	for (size_t i = 0; i < n; i++)
		p += snprintf(p, (size_t)(end - p), "%s%s", i ? ", " : "", names[i]);
	print_safe(t, STYLE_dim, 8, "%zu %s%s frame%s hidden", to - from, text,
		others ? " and other" : "", to - from == 1 ? "" : "s");
}

static void stack_print(struct text_report *t, int cell, int64_t stack)
{
	frame_list frames = {0};
	int rc = report_stack(t->report, stack, &frames);

	t->rc = t->rc ? t->rc : rc;
	for (size_t i = 0; i < frames.n && !rc;) {
		const struct frame *f = &frames.at[i];
		size_t to = i;

		while (to < frames.n && !frames.at[to].user)
			to++;
		if (to > i) {
			hidden_print(t, &frames, i, to);
			i = to;
			continue;
		}
		cleanup(freep) char *place = place_text(t->report, cell, &f->place);

		print_safe(t, STYLE_plain, 8, "%s in %s", place ? place : "?", f->place.function);
		i++;
	}
	free(frames.at);
}

static void site_row(struct text_report *t, struct table *table, const struct site *s)
{
	cleanup(freep) char *place = site_place_text(t->report, s);
	cleanup(freep) char *target = text_for_terminal(s->target, TARGET_SHOWN);
	const char *function = s->by_loop ? NULL : function_name(&s->place);
	char text[DURATION_BYTES], name[NAME_BYTES];

	pid_cell(t, table, s->process);
	table_add(table, STYLE_plain, "%s",
		s->cell == NONE ? "" : cell_name(t->report, s->cell, name));
	table_add(table, s->stall_ns ? STYLE_red : STYLE_plain, "%s", s->words);
	table_add(table, STYLE_plain, "%s", s->class);
	table_add(table, STYLE_plain, "%s", place ? place : "?");
	table_add(table, STYLE_plain, "%s", function ? function : "");
	table_add(table, STYLE_plain, "%" PRIu64, s->count);
	table_add(table, STYLE_plain, "%s", duration_text(s->total_ns, text));
	table_add(table, STYLE_plain, "%s", duration_text(s->max_ns, text));
	table_add(table, STYLE_dim, "%s", target ? target : "");
}

static const struct column site_columns[] = {
	PID_COLUMN,
	{.title = "cell", .spare = true},
	{.title = "call", .most = 40, .shrinks = 24},
	{.title = "class", .spare = true},
	{.title = "line", .most = 40, .keep_end = true, .shrinks = 12},
	{.title = "in", .most = 28, .drops = true},
	{.title = "count", .right = true},
	{.title = "total", .right = true},
	{.title = "longest", .right = true},
	{.title = "target", .shrinks = 8},
};

static void stacks_print(struct text_report *t)
{
	for (size_t i = 0; i < t->report->sites.n; i++) {
		const struct site *s = &t->report->sites.at[i];
		char total[DURATION_BYTES];

		if (!s->stack || s->machinery)
			continue;
		print_safe(t, STYLE_bold, 4, "%s, %s", s->words, duration_text(s->total_ns, total));
		stack_print(t, s->cell, s->stack);
	}
}

static void machinery_line(struct text_report *t)
{
	uint64_t calls = 0, total_ns = 0;
	char text[DURATION_BYTES];

	for (size_t i = 0; i < t->report->sites.n; i++) {
		const struct site *s = &t->report->sites.at[i];

		calls += s->machinery ? s->count : 0;
		total_ns += s->machinery ? s->total_ns : 0;
	}
	if (calls)
		print_safe(t, STYLE_dim, 2,
			"%" PRIu64 " call%s of Jupyter's own not shown, %s in all", calls,
			calls == 1 ? "" : "s", duration_text(total_ns, text));
}

void sites_section(struct text_report *t)
{
	const struct report *report = t->report;
	struct table table = {
		.columns = site_columns, .n = sizeof(site_columns) / sizeof(*site_columns)};
	cleanup(freep) char *note = sites_note(report);
	size_t n = 0, shown = 0;
	uint64_t rest_ns = 0;
	char title[64], text[DURATION_BYTES], least[NAME_BYTES];

	for (size_t i = 0; i < report->sites.n; i++)
		n += !report->sites.at[i].machinery;
	if (!n)
		return;
	snprintf(title, sizeof(title), " on loop threads, of %s or more",
		threshold_text(report->min_block_ns, least));
	section_title(t, "Blocking calls", title);
	for (size_t i = 0; i < report->sites.n; i++) {
		const struct site *s = &report->sites.at[i];

		if (s->machinery)
			continue;
		if (shown < rows_shown(t, n)) {
			site_row(t, &table, s);
			shown++;
		} else {
			rest_ns += s->total_ns;
		}
	}
	t->failed |= table_print(&table, &t->screen) != 0;
	table_free(&table);
	if (shown < n)
		print_safe(t, STYLE_dim, 2, "and %zu more place%s, %s in all: -v shows them",
			n - shown, n - shown == 1 ? "" : "s", duration_text(rest_ns, text));
	if (note)
		print_safe(t, STYLE_dim, 2, "%s", note);
	machinery_line(t);
	if (t->options->verbose)
		stacks_print(t);
}
