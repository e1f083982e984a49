/*
 * Where code stands: codes and stacks as a process announces them, frames and nodes of the stack
 * tree as the trace keeps them. Every string is interned in the model's pool.
 */
#ifndef COLLECTOR_MODEL_STACK_H
#define COLLECTOR_MODEL_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/cell_magic.h"
#include "collector/place.h"

struct cell;

struct frame { /* one position in one function, interned by content over all processes */
	struct frame *next; /* of the same hash */
	uint32_t id;
	uint32_t line, end_line;
	int32_t col, end_col;
	const char *file, *function;
	const char *module; /* dotted; "" for user code */
	enum place_owner owner;
	bool generator;
};

struct stack_node { /* a row of the stack tree */
	uint32_t parent, frame;
};

struct code { /* as one process announced it */
	uint32_t firstlineno, line_format, flags;
	struct cell *
		cell; /* a magic compiled it, from this one; NULL: its file says where it is from */
	struct magic_shift shift;
	const char *file, *function;
	struct place place;
	size_t size;
	unsigned char table[];
};

struct stack { /* as one process announced it; resolved at its first use */
	uint32_t count;
	uint32_t row; /* of its innermost node; 0: not stored yet */
	bool resolved;
	const struct frame *user; /* innermost frame of user code; NULL: none */
	bool awaited_known;
	/* A chain of coroutines: the innermost is in Lock.acquire(); at the end of a TaskGroup. */
	bool locks_known, locks, groups;
	/*
	 * Frames of C functions inside the innermost Python one. They stand behind the others,
	 * since nothing that judges whose code it is wants them.
	 */
	uint32_t natives;
	/* What a chain of coroutines waits for, by its frames; NULL: a future itself. */
	const char *awaited;
	union {
		uint64_t pair; /* code id, position << 32: as announced */
		const struct frame *frame;
	} at[]; /* innermost first */
};

struct site { /* a place to show; file NULL: not known; line 0: not known */
	const char *file, *function;
	uint32_t line;
};

#endif
