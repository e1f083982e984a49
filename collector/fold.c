/* Totals between two commits are few (loops x cells x a second or two), so a line is found by
 * looking at the latest first. */
#include "collector/fold.h"

#include <errno.h>
#include <stdlib.h>

#define NS_PER_SECOND 1000000000u

static struct fold_line *find(
	const struct fold *fold, uint64_t loop, uint64_t cell, uint64_t second)
{
	for (size_t i = fold->count; i-- > 0;) {
		struct fold_line *l = fold->line[i];

		if (l->loop == loop && l->cell == cell && l->second == second)
			return l;
	}
	return NULL;
}

static struct fold_line *add(struct fold *fold, uint64_t loop, uint64_t cell, uint64_t second)
{
	struct fold_line *l;

	if (fold->count == fold->room) {
		size_t room = fold->room ? fold->room * 2 : 16;
		struct fold_line **line = realloc(fold->line, room * sizeof(*line));

		if (!line)
			return NULL;
		fold->line = line;
		fold->room = room;
	}
	l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	l->loop = loop;
	l->cell = cell;
	l->second = second;
	fold->line[fold->count++] = l;
	return l;
}

/* No more than a trace holds: lengths that a target made up. */
static uint64_t sum_of(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;

	return sum < a || sum > INT64_MAX ? INT64_MAX : sum;
}

int fold_add(struct fold *fold, uint64_t loop, uint64_t cell, uint64_t time_ns,
	uint64_t duration_ns, uint64_t extra_ns)
{
	unsigned int bucket = 63u - (unsigned int)__builtin_clzll(duration_ns | 1);
	uint64_t second = time_ns / NS_PER_SECOND;
	struct fold_line *l = fold->last;

	if (!l || l->loop != loop || l->cell != cell || l->second != second) {
		l = find(fold, loop, cell, second);
		if (!l)
			l = add(fold, loop, cell, second);
		if (!l)
			return -ENOMEM;
		fold->last = l;
	}
	l->used |= 1ull << bucket;
	l->bucket[bucket].count++;
	l->bucket[bucket].sum_ns = sum_of(l->bucket[bucket].sum_ns, duration_ns);
	l->bucket[bucket].extra_ns = sum_of(l->bucket[bucket].extra_ns, extra_ns);
	if (duration_ns > l->bucket[bucket].max_ns)
		l->bucket[bucket].max_ns = duration_ns;
	return 0;
}

void fold_each(const struct fold *fold,
	void (*fn)(void *ctx, const struct fold_line *line, unsigned int bucket), void *ctx)
{
	for (size_t i = 0; i < fold->count; i++)
		for (unsigned int b = 0; b < FOLD_BUCKETS; b++)
			if (fold->line[i]->used & 1ull << b)
				fn(ctx, fold->line[i], b);
}

void fold_clear(struct fold *fold)
{
	for (size_t i = 0; i < fold->count; i++)
		free(fold->line[i]);
	fold->count = 0;
	fold->last = NULL;
}

void fold_free(struct fold *fold)
{
	fold_clear(fold);
	free(fold->line);
	*fold = (struct fold){0};
}
