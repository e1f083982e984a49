/* Loop lag: P(lag > x) = Σ max(0, B_i − x) / T and its percentiles. Silent. */
#ifndef VIEWER_LAG_H
#define VIEWER_LAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct busy { /* `count` busy intervals of `ns` each */
	uint64_t ns, count;
};

struct busy_set { /* every busy interval of a loop, or of a cell's window */
	struct busy *at;
	size_t n, room;
};

struct lag {
	bool known; /* false: there was no iteration */
	uint64_t p50_ns, p90_ns, p99_ns, max_ns;
};

int busy_add(struct busy_set *set, uint64_t ns, uint64_t count);
void busy_free(struct busy_set *set);
/* The intervals longer than `above`. The caller frees *ret: busy_free(). -ENOMEM. */
int busy_copy(const struct busy_set *set, uint64_t above, struct busy_set *ret);

/*
 * The smallest x with P(lag > x) <= 1 − p, for p = 50, 90, 99 %, over observed_ns (raised to the
 * sum of the intervals where it is less), and the longest interval. Consumes the set: its items are
 * reordered and dropped.
 */
struct lag lag_of(struct busy_set *set, uint64_t observed_ns);
/* p99 alone, where it is known not to be below `from`. Consumes the set. */
uint64_t lag_p99(struct busy_set *set, uint64_t from, uint64_t observed_ns);

#endif
