/*
 * The cell that a kernel was running before anybody listened: by the code on its main thread's
 * stack and the shell's own list of inputs. Silent.
 */
#ifndef COLLECTOR_RUNNING_CELL_H
#define COLLECTOR_RUNNING_CELL_H

#include <stdint.h>

#include "probe/target/target.h"

/*
 * -ENOENT: none runs at this moment, or it cannot be told for certain which. The caller frees
 * *ret_source.
 */
int running_cell_find(struct target *target, uint32_t pid, uint32_t *ret_number, char **ret_source);

#endif
