/* Sums and parts of the causes of busy time. Whatever is divided or rounded here, the sums stay
 * exact. */
#include "viewer/causes.h"

#include <string.h>

const char *const cause_keys[CAUSE_COUNT] = {
#define CAUSE(id, key, column, family) key,
#include "viewer/causes.def"
#undef CAUSE
	"short",
};

const enum cause_family cause_families[CAUSE_COUNT] = {
#define CAUSE(id, key, column, family) FAMILY_##family,
#include "viewer/causes.def"
#undef CAUSE
	FAMILY_UNKNOWN,
};

#define BLOCKED "blocked:"

enum cause cause_of_class(const char *class)
{
	for (int i = 0; i < CAUSE_COUNT; i++)
		if (cause_families[i] == FAMILY_BLOCKED &&
			!strcmp(cause_keys[i] + strlen(BLOCKED), class))
			return (enum cause)i;
	return CAUSE_other;
}

const char *cause_name(enum cause cause)
{
	return cause_keys[cause] + (cause_families[cause] == FAMILY_BLOCKED ? strlen(BLOCKED) : 0);
}

void causes_add(struct causes *sum, const struct causes *more)
{
	for (int i = 0; i < CAUSE_COUNT; i++)
		sum->ns[i] += more->ns[i];
}

uint64_t causes_total(const struct causes *causes)
{
	uint64_t total = 0;

	for (int i = 0; i < CAUSE_COUNT; i++)
		total += causes->ns[i];
	return total;
}

uint64_t causes_family(const struct causes *causes, enum cause_family family)
{
	uint64_t total = 0;

	for (int i = 0; i < CAUSE_COUNT; i++)
		if (cause_families[i] == family)
			total += causes->ns[i];
	return total;
}

enum cause causes_largest(const struct causes *causes)
{
	int largest = 0;

	for (int i = 1; i < CAUSE_COUNT; i++)
		if (causes->ns[i] > causes->ns[largest])
			largest = i;
	return (enum cause)largest;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

void causes_part(const struct causes *whole, const struct causes *inside,
	const struct causes *outside, uint64_t part_ns, struct causes *ret)
{
	struct causes part = {0}, open = {0}; /* open: nobody knows on which side */
	uint64_t left = part_ns, pool;

	for (int i = 0; i < CAUSE_COUNT; i++) {
		uint64_t known = least(inside->ns[i], whole->ns[i]);

		open.ns[i] = whole->ns[i] - known;
		open.ns[i] -= least(open.ns[i], outside->ns[i]);
		part.ns[i] = least(known, left);
		left -= part.ns[i];
	}
	pool = causes_total(&open);
	for (int i = 0; i < CAUSE_COUNT && pool; i++) {
		uint64_t share = (uint64_t)((unsigned __int128)open.ns[i] * left / pool);

		pool -= open.ns[i];
		share = least(share, open.ns[i]);
		part.ns[i] += share;
		left -= share;
	}
	part.ns[CAUSE_unknown] += left;
	*ret = part;
}

void causes_us(const struct causes *causes, uint64_t total_ns, uint64_t ret_us[CAUSE_COUNT])
{
	uint64_t left = (total_ns + 500) / 1000;

	for (int i = 0; i < CAUSE_COUNT; i++) {
		ret_us[i] = least(left, causes->ns[i] / 1000);
		left -= ret_us[i];
	}
	ret_us[causes_largest(causes)] += left;
}
