/*
 * What makes a pair better or worse. Two runs of one program never cost quite the same, and what
 * lies near a rule's threshold fires in one and not in the other: so a change has to be larger than
 * what such runs differ by, and a finding that appears has to be well above its threshold.
 */
#include "viewer/diff.h"

#include <errno.h>

/*
 * On a starved machine CPU time has to differ by so much more. Where loops were without a CPU for
 * two thirds of their busy time, a collection of the same objects took 167 ms once and 782 ms
 * another time (2026-11-21, 2 cores, load 12).
 */
#define STARVED_LEAST 3
#define STARVED_SHARE 8
/* Percent, of costs that grew with the number of calls. */
#define MORE_CALLS_SHARE 10

enum steadiness {
	STEADY,   /* the program's own: the length of a sleep */
	COMPUTED, /* CPU time: caches and neighbours change it, on a starved machine by much */
	OUTSIDE,  /* what it waited for answers later on a busy machine */
	MACHINE,  /* the wall clock alone */
};

/*
 * Of rules with a cost, in percent of --stall: what a finding must cost to count where the other
 * trace has none, and by how much equal ones must differ; that in percent of the smaller cost too.
 * Rules that are not here are compared by their counts.
 */
static const struct tolerance {
	const char *name; /* a rule or a measure */
	unsigned int appears, least, share;
	enum steadiness steadiness;
} tolerances[] = {
	{"AS101", 15, 50, 10, STEADY}, {"AS102", 30, 100, 50, OUTSIDE},
	{"AS103", 100, 100, 100, OUTSIDE}, {"AS104", 30, 100, 50, OUTSIDE},
	{"AS105", 30, 100, 50, OUTSIDE}, {"AS106", 50, 100, 50, OUTSIDE},
	{"AS107", 30, 100, 50, OUTSIDE}, {"AS108", 150, 100, 50, COMPUTED},
	{"AS109", 100, 100, 100, COMPUTED}, {"AS110", 150, 100, 100, MACHINE},
	{"AS111", 150, 100, 100, MACHINE}, {"AS112", 30, 100, 50, OUTSIDE},
	{"AS113", 150, 100, 100, MACHINE}, {"AS208", 300, 100, 100, MACHINE},
	{"AS210", 300, 100, 100, MACHINE}, {"AS401", 150, 100, 100, MACHINE},
	{"AS402", 150, 100, 100, MACHINE}, {"cpu", 0, 100, 50, COMPUTED},
	{"blocked:sleep", 0, 50, 10, STEADY},
	{"blocked:", 0, 100, 50, OUTSIDE}, /* of any other class */
};

static const struct tolerance *tolerance_of(const struct change *c)
{
	const char *name = c->rule ? c->rule->id : c->measure;

	for (size_t i = 0; i < sizeof(tolerances) / sizeof(*tolerances); i++) {
		const char *one = tolerances[i].name;

		if (!strcmp(one, name) ||
			(one[strlen(one) - 1] == ':' && !strncmp(one, name, strlen(one))))
			return &tolerances[i];
	}
	return NULL;
}

static uint64_t percent(uint64_t ns, unsigned int share)
{
	return (uint64_t)((unsigned __int128)ns * share / 100);
}

static bool differs(const struct diff *diff, const struct tolerance *t, uint64_t a, uint64_t b)
{
	uint64_t less = a < b ? a : b, more = a < b ? b : a;

	return more - less >= percent(diff->new->stall_ns, t->least) &&
	       more - less >= percent(less, t->share);
}

/* One side has a finding, the other none; what its site held there is in the other's cost. */
static enum change_kind appeared_judge(
	const struct diff *diff, const struct change *c, const struct tolerance *t)
{
	const struct side *here = c->new.finding ? &c->new : &c->old;
	const struct side *there = c->new.finding ? &c->old : &c->new;
	enum change_kind kind = c->new.finding ? CHANGE_worse : CHANGE_better;
	unsigned int appears = t->appears;
	uint64_t cost_ns = here->longest_ns && appears > 100 ? here->longest_ns : here->cost_ns;

	if (diff->starved && t->steadiness == MACHINE)
		return CHANGE_aside;
	if (diff->starved && t->steadiness == OUTSIDE)
		appears *= 2;
	if (cost_ns < percent(diff->new->stall_ns, appears) ||
		here->cost_ns < percent(there->cost_ns, 150))
		return CHANGE_none;
	return kind;
}

/*
 * Are there more calls on the side that costs more, which beside the longest are worth half of what
 * counts? A busy machine makes the same calls slower, not more.
 */
static bool has_more_calls(const struct diff *diff, const struct change *c,
	const struct tolerance *t, const struct side *more, const struct side *less)
{
	uint64_t rest = more->cost_ns - more->longest_ns;
	uint64_t rest_less = less->cost_ns - less->longest_ns;

	return c->rule && t->steadiness == OUTSIDE && more->count > less->count &&
	       rest >= rest_less + percent(diff->new->stall_ns, t->least) / 2;
}

static enum change_kind cost_judge(
	const struct diff *diff, const struct change *c, const struct tolerance *t)
{
	bool more = c->new.cost_ns > c->old.cost_ns;
	bool calls = has_more_calls(diff, c, t, more ? &c->new : &c->old, more ? &c->old : &c->new);
	struct tolerance narrow = *t;

	if (calls)
		narrow.share = MORE_CALLS_SHARE;
	if (diff->starved && t->steadiness == COMPUTED) {
		narrow.least *= STARVED_LEAST;
		narrow.share *= STARVED_SHARE;
	}
	if (!differs(diff, &narrow, c->old.cost_ns, c->new.cost_ns))
		return CHANGE_none;
	if (diff->starved && t->steadiness > COMPUTED && !calls)
		return CHANGE_aside;
	return more ? CHANGE_worse : CHANGE_better;
}

/* Counted ones; of notes it is only told. */
static enum change_kind count_judge(const struct change *c)
{
	const struct side *old = &c->old, *new = &c->new;
	bool notes = (!old->finding || old->severity == SEVERITY_note) &&
		     (!new->finding || new->severity == SEVERITY_note);
	int order;

	if (!old->finding || !new->finding)
		order = new->finding ? 1 : -1;
	else if (old->severity != new->severity)
		order = new->severity > old->severity ? 1 : -1;
	else
		order = (new->count > old->count) - (new->count < old->count);
	if (!order)
		return CHANGE_none;
	return notes ? CHANGE_note : order > 0 ? CHANGE_worse : CHANGE_better;
}

bool rule_incomparable(const struct diff *diff, const struct rule *rule)
{
	return rule_checked(diff->old, rule) != rule_checked(diff->new, rule);
}

enum change_kind change_judge(const struct diff *diff, const struct change *c)
{
	const struct tolerance *t;

	if (c->new.status)
		return !strcmp(c->new.status, "ok")   ? CHANGE_better
		       : !strcmp(c->old.status, "ok") ? CHANGE_worse
						      : CHANGE_note;
	if (c->rule && rule_incomparable(diff, c->rule))
		return c->new.finding ? CHANGE_note : CHANGE_none;
	t = tolerance_of(c);
	if (!t)
		return count_judge(c);
	if (c->rule && (!c->old.finding || !c->new.finding))
		return appeared_judge(diff, c, t);
	return cost_judge(diff, c, t);
}
