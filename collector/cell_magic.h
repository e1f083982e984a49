/*
 * Where the code that a magic of IPython compiles (%%capture, %%time, %timeit) stands in its cell.
 * Silent; no allocation.
 */
#ifndef COLLECTOR_CELL_MAGIC_H
#define COLLECTOR_CELL_MAGIC_H

#include <stdbool.h>
#include <stdint.h>

struct magic_shift { /* to be added to what the code says of itself */
	uint32_t lines;
	uint32_t columns; /* of its first line */
};

/* Does IPython name the code of some magics so? It says nothing of the cell. */
bool magic_is_name(const char *file);

/*
 * Is this the body of that cell, as far as a magic runs it as a cell of its own (%%capture), by the
 * hash that names its file?
 */
bool magic_body_is(const char *source, uint32_t hash, struct magic_shift *ret);

/*
 * Is the code of a name of those above from that cell? By the function's `def` on its first line;
 * code without one (a module, a lambda) only if `running`, and if the cell has no second place that
 * it could be from.
 */
bool magic_code_is(const char *source, const char *function, uint32_t firstlineno, bool running,
	struct magic_shift *ret);

#endif
