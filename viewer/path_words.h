/* The words of a critical path, the same in every form of a report: neither escaped nor wrapped. */
#ifndef VIEWER_PATH_WORDS_H
#define VIEWER_PATH_WORDS_H

#include "viewer/path.h"

#define PATHS_TITLE "Long waits, and what they waited for in the end"
#define PATHS_SHOWN 3 /* without -v */

/* "In [2]:17, in main waited 643 ms, from 1.211 s on"; malloc'd, NULL: out of memory. */
char *path_words(const struct report *report, const struct path *path);
/* "asyncio.sleep, 10 times (In [2]:8)"; malloc'd, NULL: out of memory. */
char *path_link_words(
	const struct report *report, const struct path *path, const struct path_link *link);
/*
 * Of a parent's links the largest, or with `last` the next smaller one; PATH_NO_LINK: none, or none
 * that is worth a line (all: every one is).
 */
size_t path_link_next(const struct path *path, size_t parent, size_t last, bool all);
#define PATH_NO_LINK SIZE_MAX

#endif
