/* How busy time divides: sums of causes, exact parts of them, and the same in whole microseconds.
 * Silent. */
#ifndef VIEWER_CAUSES_H
#define VIEWER_CAUSES_H

#include <stdint.h>

enum cause {
#define CAUSE(id, key, column, family) CAUSE_##id,
#include "viewer/causes.def"
#undef CAUSE
	CAUSE_short, /* iterations below --min-step carry no causes */
	CAUSE_COUNT
};

#define CAUSE_COLUMNS CAUSE_short /* causes that are columns of `iteration`: 0 to here */

enum cause_family { FAMILY_BLOCKED, FAMILY_CPU, FAMILY_WAIT, FAMILY_UNKNOWN, FAMILY_COUNT };

struct causes {
	uint64_t ns[CAUSE_COUNT];
};

extern const char *const cause_keys[CAUSE_COUNT];
extern const enum cause_family cause_families[CAUSE_COUNT];

/* The cause named "blocked:<class>", else CAUSE_other. */
enum cause cause_of_class(const char *class);
/* The cause without "blocked:". */
const char *cause_name(enum cause cause);

void causes_add(struct causes *sum, const struct causes *more);
uint64_t causes_total(const struct causes *causes);
uint64_t causes_family(const struct causes *causes, enum cause_family family);
enum cause causes_largest(const struct causes *causes);

/*
 * The causes of a part of an iteration, part_ns long. `inside` and `outside` are what was timed by
 * itself on either side of the cut; the rest is divided in proportion. The result sums to part_ns.
 */
void causes_part(const struct causes *whole, const struct causes *inside,
	const struct causes *outside, uint64_t part_ns, struct causes *ret);

/* Each cause rounded to 1 µs so that the sum is total_ns rounded to 1 µs. */
void causes_us(const struct causes *causes, uint64_t total_ns, uint64_t ret_us[CAUSE_COUNT]);

#endif
