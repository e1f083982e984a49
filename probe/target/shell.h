/*
 * What an interactive shell keeps in a target's memory: the cells that were typed so far. Silent.
 */
#ifndef PROBE_TARGET_SHELL_H
#define PROBE_TARGET_SHELL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/target/target.h"

#define TARGET_INPUTS_MAX 4096u /* looked at, from the newest */

/* Whether that is the text that is looked for. */
typedef bool (*target_input_fn)(void *ctx, const char *source);

/*
 * The newest of the last `most` entries of IPython's list In that fn takes: its number, and its
 * text as typed, which fn is asked about too where it may differ (a magic, an indent). A shell adds
 * one before it runs a cell. -ENOENT: none, or there is no such list. The caller frees *ret_source.
 */
int target_input_find(struct target *target, size_t most, target_input_fn fn, void *ctx,
	uint32_t *ret_number, char **ret_source);

#endif
