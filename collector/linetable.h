/* Where in the source an instruction stands, from the line table of its code object. Reads bytes we
 * did not write. Silent. */
#ifndef COLLECTOR_LINETABLE_H
#define COLLECTOR_LINETABLE_H

#include <stddef.h>
#include <stdint.h>

struct position {
	uint32_t line;     /* 0: unknown, or the instruction has none */
	uint32_t end_line; /* 0: unknown */
	int32_t col;       /* 0-based, in UTF-8 bytes; -1: unknown */
	int32_t end_col;   /* after the last byte; -1: unknown */
};

/* format: enum line_format. A table that is cut or broken gives what was read before the break. */
struct position linetable_find(
	uint32_t format, uint32_t firstlineno, const void *table, size_t size, uint32_t position);

#endif
