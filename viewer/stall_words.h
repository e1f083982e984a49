/* Which stalls a report lists, and what it calls their place: the same in every form. Silent. */
#ifndef VIEWER_STALL_WORDS_H
#define VIEWER_STALL_WORDS_H

#include "viewer/report.h"

/* It held the loop, as a synchronous cell does, and nobody waited. */
bool cell_is_quiet(const struct cell *cell);
#define QUIET_LEGEND                                                                               \
	"sync: a synchronous cell, which holds the loop by design; no task was kept waiting."
/* Those that no cell tells, with `all` those of cells too, longest first, into a malloc'd list;
 * NULL when out of memory. */
const struct stall **stalls_list(const struct report *report, bool all, size_t *ret_n);
/* Where it was; of a wait for the GIL, where the thread was that had it. malloc'd. */
char *stall_place_words(const struct report *report, const struct stall *stall);

#endif
