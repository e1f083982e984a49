/* Names of what is covered, and the rules that could be judged. */
#ifndef VIEWER_COVERAGE_H
#define VIEWER_COVERAGE_H

#include "viewer/report.h"

struct rule {
	const char *id, *name;
	const char *needs; /* what a trace must hold for it */
	const char *doc;
};

extern const char *const
	coverage_names[COVERAGE_KINDS]; /* keys of the JSON report, values of coverage.what */
extern const struct rule rules[];
extern const size_t rules_count;

#endif
