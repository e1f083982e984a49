/*
 * P(lag > x) recomputed with a finding's time taken out of each turn. A loop has up to a million
 * turns and few of them matter: no finding alone can bring p99 below what all of them together
 * would, so shorter turns are left out at once.
 */
#include "viewer/saved.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/rule.h"

struct cut { /* a turn that would have been shorter */
	uint64_t was_ns, is_ns;
	uint64_t left; /* of the first that was this long: those not yet taken out */
};

typedef LIST(struct cut) cut_list;

static int gains_compare(const void *a, const void *b)
{
	const struct gain *x = a, *y = b;

	if (x->loop != y->loop)
		return x->loop - y->loop;
	return x->begin_ns < y->begin_ns ? -1 : x->begin_ns > y->begin_ns;
}

static int cuts_compare(const void *a, const void *b)
{
	const struct cut *x = a, *y = b;

	return x->was_ns < y->was_ns ? -1 : x->was_ns > y->was_ns;
}

/* Of one loop; gains are sorted and those of one turn are added up. */
static int cuts_make(
	const struct report *report, const struct gain *gains, size_t n, int loop, cut_list *cuts)
{
	cuts->n = 0;
	for (size_t i = 0, to; i < n; i = to) {
		const struct turn *turn = turn_at(report, gains[i].loop, gains[i].begin_ns);
		uint64_t ns = 0;
		struct cut *cut;

		for (to = i; to < n && gains[to].loop == gains[i].loop &&
			     (to == i || turn_at(report, loop, gains[to].begin_ns) == turn);
			to++)
			ns += gains[to].ns;
		if (!turn || gains[i].loop != loop)
			continue;
		cut = list_add(cuts);
		if (!cut)
			return -ENOMEM;
		cut->was_ns = turn->busy_ns;
		cut->is_ns = turn->busy_ns > ns ? turn->busy_ns - ns : 0;
	}
	if (cuts->n)
		qsort(cuts->at, cuts->n, sizeof(*cuts->at), cuts_compare);
	return 0;
}

static struct cut *cut_first(const cut_list *cuts, uint64_t was_ns)
{
	size_t low = 0, high = cuts->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (cuts->at[mid].was_ns < was_ns)
			low = mid + 1;
		else
			high = mid;
	}
	return low < cuts->n && cuts->at[low].was_ns == was_ns ? &cuts->at[low] : NULL;
}

/* p99 of a loop with these turns cut; `busy` has all its intervals above `above`. */
static int p99_without(const struct loop *loop, const struct busy_set *busy, const cut_list *cuts,
	uint64_t above, uint64_t *ret_ns)
{
	struct busy_set set;
	int rc = busy_copy(busy, above, &set);

	if (rc)
		return rc;
	for (size_t i = 0; i < cuts->n; i++)
		cuts->at[i].left = 0;
	for (size_t i = 0; i < cuts->n; i++)
		cut_first(cuts, cuts->at[i].was_ns)->left++;
	for (size_t i = 0; i < set.n; i++) {
		struct cut *cut = cut_first(cuts, set.at[i].ns);
		uint64_t count = cut ? cut->left : 0;

		if (count > set.at[i].count)
			count = set.at[i].count;
		set.at[i].count -= count;
		if (cut)
			cut->left -= count;
	}
	for (size_t i = 0; i < cuts->n && !rc; i++)
		if (cuts->at[i].is_ns > above)
			rc = busy_add(&set, cuts->at[i].is_ns, 1);
	*ret_ns = lag_p99(&set, above, loop->observed_ns);
	busy_free(&set);
	return rc;
}

static void stalls_save(const struct report *report, struct finding *f, const cut_list *cuts)
{
	for (size_t i = 0; i < cuts->n; i++) {
		const struct cut *c = &cuts->at[i];

		if (c->was_ns >= report->stall_ns)
			f->saved_stall_ns +=
				c->was_ns - (c->is_ns >= report->stall_ns ? c->is_ns : 0);
	}
}

/* One loop: all findings together give the bound, then each by itself. */
static int loop_weigh(struct report *report, int loop, struct gain *all, size_t n)
{
	const struct loop *l = &report->loops.at[loop];
	struct busy_set busy = {0};
	cut_list cuts = {0};
	uint64_t above = 0, p99_ns;
	bool any;
	int rc = cuts_make(report, all, n, loop, &cuts);

	if (!rc && cuts.n)
		rc = p99_without(l, &l->busy, &cuts, 0, &above);
	if (!rc && cuts.n)
		rc = busy_copy(&l->busy, above, &busy);
	any = cuts.n > 0;
	for (size_t i = 0; i < report->findings.n && any && !rc; i++) {
		struct finding *f = &report->findings.at[i];

		rc = cuts_make(report, f->gains.at, f->gains.n, loop, &cuts);
		if (rc || !cuts.n)
			continue;
		stalls_save(report, f, &cuts);
		rc = p99_without(l, &busy, &cuts, above, &p99_ns);
		if (!rc && l->lag.p99_ns > p99_ns && l->lag.p99_ns - p99_ns > f->saved_p99_ns)
			f->saved_p99_ns = l->lag.p99_ns - p99_ns;
	}
	busy_free(&busy);
	free(cuts.at);
	return rc;
}

int saved_weigh(struct report *report)
{
	LIST(struct gain) all = {0};
	int rc = 0;

	for (size_t i = 0; i < report->findings.n; i++) {
		struct finding *f = &report->findings.at[i];

		if (f->gains.n)
			qsort(f->gains.at, f->gains.n, sizeof(*f->gains.at), gains_compare);
		for (size_t k = 0; k < f->gains.n; k++) {
			struct gain *gain = list_add(&all);

			if (!gain) {
				free(all.at);
				return -ENOMEM;
			}
			*gain = f->gains.at[k];
		}
	}
	if (all.n)
		qsort(all.at, all.n, sizeof(*all.at), gains_compare);
	for (size_t i = 0; i < report->loops.n && all.n && !rc; i++)
		rc = loop_weigh(report, (int)i, all.at, all.n);
	free(all.at);
	return rc;
}
