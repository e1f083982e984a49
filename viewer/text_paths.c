/* The text report's critical paths: a tree for each long wait, the largest part first. */
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/path.h"
#include "viewer/text_parts.h"

#define SHOWN 3 /* paths without -v */
#define LEAST_SHARE                                                                                \
	50 /* a link of less than a part in so many of the whole path is not worth a line */
#define TASK_MOST 40   /* characters of a task's name */
#define TIME_COLUMNS 9 /* "  643 ms  " */

static void task_print(const struct path_link *l, FILE *out)
{
	bool default_name = !strncmp(l->task, "Task-", 5) &&
			    l->task[5 + strspn(l->task + 5, "0123456789")] == '\0';
	cleanup(freep) char *name = text_for_terminal(l->task, TASK_MOST);

	if (!*l->task)
		fputs("a task that was not recorded", out);
	else if (default_name && *l->coro)
		fprintf(out, "a task of %s", l->coro);
	else
		fprintf(out, "Task '%s'", name ? name : "?");
}

static bool waits_for_many(const char *what)
{
	static const char *const names[] = {
		"asyncio.gather", "asyncio.wait", "TaskGroup.__aexit__", "asyncio.as_completed"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(what, names[i]))
			return true;
	return false;
}

static void link_words(const struct path *path, const struct path_link *l, FILE *out)
{
	char part[NAME_BYTES];
	bool lock = !strncmp(l->what, "Lock.", 5) || !strncmp(l->what, "asyncio.Lock", 12);

	switch (l->kind) {
	case PATH_task:
		if (strncmp(l->what, "Task '", 6) != 0)
			fprintf(out, "%s, %s ", l->what,
				waits_for_many(l->what) ? "where the last to end was" : "on");
		task_print(l, out);
		break;
	case PATH_woken:
		fprintf(out, "%s, %s ", l->what, lock ? "held by" : "woken by");
		task_print(l, out);
		break;
	case PATH_thread:
		fprintf(out, "%s%s%s", l->what, *l->task ? ", done by thread " : "", l->task);
		break;
	case PATH_held:
		fprintf(out, "the loop was held by %s", l->what);
		break;
	case PATH_late:
		fputs("the loop was busy with something else", out);
		break;
	case PATH_ran:
		fprintf(out, "ran, or waited for less than %s at a time",
			threshold_text(path->part_ns, part));
		break;
	case PATH_slept:
	case PATH_waited:
		fputs(l->what, out);
	}
}

static void link_print(
	struct text_report *t, const struct path *path, const struct path_link *l, size_t depth)
{
	cleanup(freep) char *words = NULL;
	char time[DURATION_BYTES];
	size_t size;
	FILE *out = open_memstream(&words, &size);

	if (!out) {
		t->failed = true;
		return;
	}
	link_words(path, l, out);
	if (l->count > 1)
		fprintf(out, ", %" PRIu64 " times", l->count);
	if (l->place.file) {
		fputs(" (", out);
		place_print(t->report, path->cell, &l->place, out);
		fputc(')', out);
	}
	t->failed |= fclose(out) != 0;
	print_safe(t, STYLE_plain, 2 + 2 * depth, "%*s  %s", TIME_COLUMNS,
		duration_text(l->ns, time), words ? words : "?");
}

/* The largest of a parent's links that is smaller than the one before; SIZE_MAX: none. */
static size_t next_largest(const struct path *path, size_t parent, size_t last)
{
	size_t best = SIZE_MAX;

	for (size_t i = 0; i < path->links.n; i++) {
		const struct path_link *l = &path->links.at[i];
		bool after = last == SIZE_MAX || l->ns < path->links.at[last].ns ||
			     (l->ns == path->links.at[last].ns && i > last);

		if (l->parent == parent && after &&
			(best == SIZE_MAX || l->ns > path->links.at[best].ns))
			best = i;
	}
	return best;
}

static void links_print(struct text_report *t, const struct path *path, size_t parent, size_t depth)
{
	uint64_t least_ns = t->options->verbose ? 1 : path->ns / LEAST_SHARE;

	for (size_t i = next_largest(path, parent, SIZE_MAX); i != SIZE_MAX;
		i = next_largest(path, parent, i)) {
		if (path->links.at[i].ns < least_ns)
			break;
		link_print(t, path, &path->links.at[i], depth);
		links_print(t, path, i, depth + 1);
	}
}

static void path_print(struct text_report *t, const struct path *path)
{
	cleanup(freep) char *place = place_text(t->report, path->cell, &path->place);
	const char *function = function_name(&path->place);
	char time[DURATION_BYTES];

	print_safe(t, STYLE_bold, 2, "%s%s%s waited %s, from %.3f s on", place ? place : "?",
		function ? ", in " : "", function ? function : "", duration_text(path->ns, time),
		(double)path->begin_ns / 1e9);
	links_print(t, path, PATH_ROOT, 1);
}

void paths_section(struct text_report *t)
{
	path_list paths = {0};
	size_t shown;

	t->rc = t->rc ? t->rc : paths_find(t->report, &paths);
	shown = t->options->verbose || paths.n < SHOWN ? paths.n : SHOWN;
	if (shown)
		section_title(t, "Long waits, and what they waited for in the end", "");
	for (size_t i = 0; i < shown; i++)
		path_print(t, &paths.at[i]);
	if (shown < paths.n)
		print_safe(t, STYLE_dim, 2, "and %zu more: -v shows them", paths.n - shown);
	paths_free(&paths);
}
