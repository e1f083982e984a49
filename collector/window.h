/*
 * The window of --keep: the last minutes of a recording. It moves in slices of whole seconds, so
 * that what lies in it can be counted without looking at every row. Times are ns since the trace's
 * t0. Silent.
 */
#ifndef COLLECTOR_WINDOW_H
#define COLLECTOR_WINDOW_H

#include <stdint.h>

#define WINDOW_SLICES                                                                              \
	18u /* a window is at most 16 whole ones, and a part of the first and the last */

struct window_counts { /* of the iterations of one loop that ended in a slice, or in several */
	uint64_t iterations, busy_ns, select_ns, max_busy_ns;
};

struct window_slice {
	uint64_t number;
	struct window_counts counts;
};

struct window { /* zeroed before */
	struct window_slice slice[WINDOW_SLICES];
};

/* Where the window begins: at a slice, at least keep_ns ago; 0: all still is in it. */
uint64_t window_from(uint64_t keep_ns, uint64_t now_ns);
void window_add(struct window *window, uint64_t keep_ns, uint64_t end_ns, uint64_t busy_ns,
	uint64_t select_ns);
/* What ended from then on; from_ns as window_from() gave it. */
struct window_counts window_sum(const struct window *window, uint64_t keep_ns, uint64_t from_ns);

#endif
