/*
 * The code cells of a notebook file by the names that ipykernel gives to their code: a hash of the
 * source. Silent.
 */
#ifndef COLLECTOR_NOTEBOOK_CELLS_H
#define COLLECTOR_NOTEBOOK_CELLS_H

#include <stddef.h>
#include <stdint.h>

struct notebook_cells;

struct notebook_cell {
	const char *source; /* the notebook_cells keep it */
	size_t index;       /* among all cells of the notebook, from 0 */
	size_t alike; /* other code cells with the same source, whose code has the same name */
};

/* -EPROTO: not a notebook; -errno of fopen(3). The caller owns *ret: notebook_cells_free(). */
int notebook_cells_read(const char *path, struct notebook_cells **ret);
void notebook_cells_free(struct notebook_cells *cells); /* accepts NULL */
/* The first code cell whose code is named by this hash (place_cell_hash()). -ENOENT: none. */
int notebook_cells_find(
	const struct notebook_cells *cells, unsigned long hash, struct notebook_cell *ret);

#endif
