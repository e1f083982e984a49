/* Names of what is covered. */
#ifndef VIEWER_COVERAGE_H
#define VIEWER_COVERAGE_H

#include "viewer/report.h"

extern const char *const
	coverage_names[COVERAGE_KINDS]; /* keys of the JSON report, values of coverage.what */
#endif
