/*
 * The settings of a check: awaitscope.toml, or [tool.awaitscope] of a pyproject.toml, as named or
 * as found from the current folder upward. Silent; what is wrong with it is a sentence.
 */
#ifndef VIEWER_CONFIG_H
#define VIEWER_CONFIG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "viewer/list.h"
#include "viewer/suppress.h"

struct config {
	char *path;     /* NULL: there is none */
	json_t *values; /* owns every text below */
	LIST(const char *) fail_on;
	struct allowlist allow;
	uint64_t stall_ns, min_block_ns, await_timeout_ns; /* 0: not set */
	bool allow_unchecked;
	char *baseline; /* relative to the current folder; NULL: none */
};

/*
 * path NULL: looks for one; none is no error. The caller frees *ret: config_free(), after a failure
 * too. -EINVAL and others: `why` names the file and what to change.
 */
int config_read(const char *path, char *why, size_t size, struct config *ret);
void config_free(struct config *config);

#endif
