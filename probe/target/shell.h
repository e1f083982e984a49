/*
 * What an interactive shell keeps in a target's memory: the cells that were typed so far. Silent.
 */
#ifndef PROBE_TARGET_SHELL_H
#define PROBE_TARGET_SHELL_H

#include <stdint.h>

#include "probe/target/target.h"

/*
 * The newest entry of IPython's list In, which a shell adds before it runs a cell: its number and
 * its source as IPython transformed it (the typed one where there is no magic in it). -ENOENT:
 * there is no such list. The caller frees *ret_source.
 */
int target_input_read(struct target *target, uint32_t *ret_number, char **ret_source);

#endif
