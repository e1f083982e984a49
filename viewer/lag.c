/*
 * Percentiles of loop lag. The tail Σ max(0, B_i − x) is convex and piecewise linear in x, so
 * Newton's steps from the left never overshoot and end at the exact root; each step drops the
 * intervals that no larger x can need.
 */
#include "viewer/lag.h"

#include <errno.h>
#include <stdlib.h>

#define P99_PART 100 /* one part in so many of the time is above p99 */

typedef unsigned __int128 u128; /* 2^20 intervals of 2^63 ns do not fit in 64 bits */

int busy_add(struct busy_set *set, uint64_t ns, uint64_t count)
{
	if (!ns || !count)
		return 0;
	if (set->n == set->room) {
		size_t room = set->room ? set->room * 2 : 64;
		struct busy *at = reallocarray(set->at, room, sizeof(*at));

		if (!at)
			return -ENOMEM;
		set->at = at;
		set->room = room;
	}
	set->at[set->n++] = (struct busy){ns, count};
	return 0;
}

void busy_free(struct busy_set *set)
{
	free(set->at);
	*set = (struct busy_set){0};
}

int busy_copy(const struct busy_set *set, uint64_t above, struct busy_set *ret)
{
	struct busy_set copy = {0};

	for (size_t i = 0; i < set->n; i++)
		copy.room += set->at[i].ns > above;
	copy.at = calloc(copy.room + 1, sizeof(*copy.at));
	if (!copy.at)
		return -ENOMEM;
	for (size_t i = 0; i < set->n; i++)
		if (set->at[i].ns > above)
			copy.at[copy.n++] = set->at[i];
	*ret = copy;
	return 0;
}

/* Keeps the intervals above x; *ret_sum is their length in all, *ret_count how many they are. */
static void keep_above(struct busy_set *set, uint64_t x, u128 *ret_sum, u128 *ret_count)
{
	size_t kept = 0;
	u128 sum = 0, count = 0;

	for (size_t i = 0; i < set->n; i++) {
		struct busy b = set->at[i];

		if (b.ns <= x)
			continue;
		sum += (u128)b.ns * b.count;
		count += b.count;
		set->at[kept++] = b;
	}
	set->n = kept;
	*ret_sum = sum;
	*ret_count = count;
}

/* The smallest x >= from whose tail is at most target. */
static uint64_t tail_root(struct busy_set *set, uint64_t from, u128 target)
{
	uint64_t x = from;

	for (;;) {
		u128 sum, count, step;

		keep_above(set, x, &sum, &count);
		if (sum <= target + count * x)
			return x;
		step = (sum - target - count * x) / count;
		if (!step) /* the root lies within the next ns */
			return x + 1;
		x += (uint64_t)step;
	}
}

struct lag lag_of(struct busy_set *set, uint64_t observed_ns)
{
	struct lag lag = {.known = set->n > 0};
	u128 sum, count, observed;

	if (!lag.known)
		return lag;
	for (size_t i = 0; i < set->n; i++)
		if (set->at[i].ns > lag.max_ns)
			lag.max_ns = set->at[i].ns;
	keep_above(set, 0, &sum, &count);
	observed = sum > observed_ns ? sum : observed_ns;
	lag.p50_ns = tail_root(set, 0, observed / 2);
	lag.p90_ns = tail_root(set, lag.p50_ns, observed / 10);
	lag.p99_ns = tail_root(set, lag.p90_ns, observed / P99_PART);
	return lag;
}

uint64_t lag_p99(struct busy_set *set, uint64_t from, uint64_t observed_ns)
{
	return set->n ? tail_root(set, from, observed_ns / P99_PART) : from;
}
