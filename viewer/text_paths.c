/* The text report's critical paths: a tree for each long wait, the largest part first. */
#include "probe/base/cleanup.h"
#include "viewer/path_words.h"
#include "viewer/text_parts.h"

#define TIME_COLUMNS 9 /* "  643 ms  " */

static void links_print(struct text_report *t, const struct path *path, size_t parent, size_t depth)
{
	bool all = t->options->verbose;
	char time[DURATION_BYTES];

	for (size_t i = path_link_next(path, parent, PATH_NO_LINK, all); i != PATH_NO_LINK;
		i = path_link_next(path, parent, i, all)) {
		cleanup(freep) char *words = path_link_words(t->report, path, &path->links.at[i]);

		t->failed |= !words;
		print_safe(t, STYLE_plain, 2 + 2 * depth, "%*s  %s", TIME_COLUMNS,
			duration_text(path->links.at[i].ns, time), words ? words : "?");
		links_print(t, path, i, depth + 1);
	}
}

void paths_section(struct text_report *t)
{
	path_list paths = {0};
	size_t shown;

	t->rc = t->rc ? t->rc : paths_find(t->report, &paths);
	shown = t->options->verbose || paths.n < PATHS_SHOWN ? paths.n : PATHS_SHOWN;
	if (shown)
		section_title(t, PATHS_TITLE, "");
	for (size_t i = 0; i < shown; i++) {
		cleanup(freep) char *words = path_words(t->report, &paths.at[i]);

		t->failed |= !words;
		print_safe(t, STYLE_bold, 2, "%s", words ? words : "?");
		links_print(t, &paths.at[i], PATH_ROOT, 1);
	}
	if (shown < paths.n)
		print_safe(t, STYLE_dim, 2, "and %zu more: -v shows them", paths.n - shown);
	paths_free(&paths);
}
