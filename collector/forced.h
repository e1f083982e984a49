/*
 * From which source alone an attach shall take layout and probe points: a test says so in the
 * environment (CONTRIBUTING.md). Silent.
 */
#ifndef COLLECTOR_FORCED_H
#define COLLECTOR_FORCED_H

#include "probe/target/layout.h"
#include "probe/target/points.h"

struct forced {
	enum layout_source layout; /* LAYOUT_ANY: not said */
	enum point_source points;  /* POINT_ANY: not said */
};

/* -EINVAL: there is no such source; *ret_why is a clause that names those there are. */
int forced_read(struct forced *ret, const char **ret_why);
/* NULL: the points are what was asked for; else a clause that tells why they are not. */
const char *forced_missing(const struct forced *forced, const struct points *points);

#endif
