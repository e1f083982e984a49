/* Which stalls a report lists, and what it calls their place. Called by the text report and by
 * pages. */
#include "viewer/stall_words.h"

#include <stdlib.h>

#include "viewer/names.h"

bool cell_is_quiet(const struct cell *cell)
{
	return cell->stalls && !cell->felt_ns;
}

/* In a notebook the cells tell; listed are the stalls that no cell tells. */
static bool is_listed(const struct report *report, const struct stall *s, bool all)
{
	if (s->quiet || report->loops.at[s->loop].machinery)
		return false;
	return all || s->cell == NONE;
}

static int longest_compare(const void *a, const void *b)
{
	const struct stall *x = *(const struct stall *const *)a,
			   *y = *(const struct stall *const *)b;

	if (x->busy_ns != y->busy_ns)
		return x->busy_ns > y->busy_ns ? -1 : 1;
	return x < y ? -1 : x > y;
}

const struct stall **stalls_list(const struct report *report, bool all, size_t *ret_n)
{
	const struct stall **listed = malloc((report->stalls.n + 1) * sizeof(*listed));
	size_t n = 0;

	if (!listed)
		return NULL;
	for (size_t i = 0; i < report->stalls.n; i++)
		if (is_listed(report, &report->stalls.at[i], all))
			listed[n++] = &report->stalls.at[i];
	qsort(listed, n, sizeof(*listed), longest_compare);
	*ret_n = n;
	return listed;
}

char *stall_place_words(const struct report *report, const struct stall *stall)
{
	bool kept = stall->holder.samples && stall->causes.ns[CAUSE_gil] >= stall->busy_ns / 2;
	const struct place *at = kept ? &stall->holder.place : &stall->place;
	const char *function = function_name(at);
	char *words = NULL;
	size_t size;
	FILE *out = open_memstream(&words, &size);

	if (!out)
		return NULL;
	place_print(report, stall->cell, at, out);
	if (function)
		fprintf(out, " %s", function);
	if (kept)
		fprintf(out, ", thread %s", *stall->holder.thread ? stall->holder.thread : "?");
	if (fclose(out)) {
		free(words);
		return NULL;
	}
	return words;
}
