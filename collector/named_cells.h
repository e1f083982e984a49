/*
 * Whose cell is it? Code of a kernel's cells is named by a hash of the source: the source is looked
 * up in the kernel's own list of inputs, in its memory, and in the notebook that the user named.
 * For cells that ran before the recording, and where nobody told of them. For
 * one process at a time. Silent.
 */
#ifndef COLLECTOR_NAMED_CELLS_H
#define COLLECTOR_NAMED_CELLS_H

#include "collector/notebook_cells.h"
#include "collector/record.h"

struct named_cells;

/* notebook: from now on its own; NULL: none. The caller owns *ret: named_cells_free(). */
int named_cells_new(struct notebook_cells *notebook, struct named_cells **ret);
void named_cells_free(struct named_cells *cells); /* accepts NULL */
/* A recorder_look_fn: before the first code of a cell whose beginning was not seen, what it is. */
void named_cells_look(
	void *cells, uint32_t pid, const struct ev_head *record, record_fn sink, void *sink_ctx);

#endif
