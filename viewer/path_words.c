/* What the links of a critical path are called, and in which order they are told. Called by the
 * text report and by pages. */
#include "viewer/path_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define LEAST_SHARE                                                                                \
	50 /* a link of less than a part in so many of the whole path is not worth a line */
#define TASK_MOST 40 /* characters of a task's name */

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

char *path_link_words(
	const struct report *report, const struct path *path, const struct path_link *link)
{
	char *words = NULL;
	size_t size;
	FILE *out = open_memstream(&words, &size);

	if (!out)
		return NULL;
	link_words(path, link, out);
	if (link->count > 1)
		fprintf(out, ", %" PRIu64 " times", link->count);
	if (link->place.file) {
		fputs(" (", out);
		place_print(report, path->cell, &link->place, out);
		fputc(')', out);
	}
	if (fclose(out)) {
		free(words);
		return NULL;
	}
	return words;
}

char *path_words(const struct report *report, const struct path *path)
{
	const char *function = function_name(&path->place);
	char *words = NULL;
	size_t size;
	FILE *out = open_memstream(&words, &size);

	if (!out)
		return NULL;
	place_print(report, path->cell, &path->place, out);
	fprintf(out, "%s%s waited %s, from %.3f s on", function ? ", in " : "",
		function ? function : "", time_text(path->ns), (double)path->begin_ns / 1e9);
	if (fclose(out)) {
		free(words);
		return NULL;
	}
	return words;
}

size_t path_link_next(const struct path *path, size_t parent, size_t last, bool all)
{
	uint64_t least_ns = all ? 1 : path->ns / LEAST_SHARE;
	size_t best = PATH_NO_LINK;

	for (size_t i = 0; i < path->links.n; i++) {
		const struct path_link *l = &path->links.at[i];
		bool after = last == PATH_NO_LINK || l->ns < path->links.at[last].ns ||
			     (l->ns == path->links.at[last].ns && i > last);

		if (l->parent == parent && after && l->ns >= least_ns &&
			(best == PATH_NO_LINK || l->ns > path->links.at[best].ns))
			best = i;
	}
	return best;
}
