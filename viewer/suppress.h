/*
 * Findings that somebody has decided about: "# awaitscope: ignore[AS101]" on their source line, or
 * an entry of an allowlist. They leave report->findings for report->suppressed, with who said so.
 */
#ifndef VIEWER_SUPPRESS_H
#define VIEWER_SUPPRESS_H

#include <stdbool.h>

#include "viewer/list.h"

struct rule;

#define IGNORE_COMMENT "# awaitscope: ignore"

struct allowance { /* what is NULL matches everything; patterns are fnmatch(3)'s, * matches / too */
	const struct rule *rule;
	const char *file, *function, *reason;
	size_t used; /* findings that it took */
};

struct allowlist {
	const char *name; /* of the file that holds it, as shown */
	char *folder;     /* that file's: patterns may be relative to it */
	LIST(struct allowance) entries;
};

#endif
