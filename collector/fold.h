/*
 * Exact totals of what is too short for rows of its own: count, sum and maximum in a log2 histogram
 * per (loop, cell, second). Kept in memory until the commit that wrote them succeeded. Silent.
 */
#ifndef COLLECTOR_FOLD_H
#define COLLECTOR_FOLD_H

#include <stddef.h>
#include <stdint.h>

#define FOLD_BUCKETS 64

struct fold_line {
	uint64_t loop, cell, second;
	uint64_t used; /* bit per bucket */
	struct {
		uint64_t count, sum_ns, max_ns, extra_ns;
	} bucket[FOLD_BUCKETS];
};

struct fold {
	struct fold_line **line;
	size_t count, room;
	struct fold_line *last; /* the one just used */
};

/* 0 or -ENOMEM: not counted. extra_ns is summed beside. */
int fold_add(struct fold *fold, uint64_t loop, uint64_t cell, uint64_t time_ns,
	uint64_t duration_ns, uint64_t extra_ns);
/* fn once for every bucket in use. */
void fold_each(const struct fold *fold,
	void (*fn)(void *ctx, const struct fold_line *line, unsigned int bucket), void *ctx);
void fold_clear(struct fold *fold);
void fold_free(struct fold *fold);

#endif
