/*
 * Finds in the code of a coroutine what is read of a shared name before an await and written back
 * after it. Follows values through locals, statement by statement, in the order of the code; where
 * it cannot follow it finds nothing. Reads bytes we did not write. Silent.
 */
#ifndef COLLECTOR_INSTRUCTIONS_H
#define COLLECTOR_INSTRUCTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARED_NAME_BYTES 96

struct opcodes { /* of one interpreter */
	unsigned char does[256];
	bool known;
	/* numbers are shifted, see Lib/dis.py of each version */
	bool global_shifted;    /* 3.11+: a bit says whether a NULL is pushed too */
	bool attribute_shifted; /* 3.12+: whether a method is meant */
	bool cells_with_locals; /* 3.11+: one numbering for both */
	bool item_is_operation; /* 3.14+: BINARY_OP */
};

/* Names are separated by NUL. */
void opcodes_read(struct opcodes *ret, const char *names, size_t names_size,
	const unsigned char *numbers, size_t count);

struct names { /* separated by NUL */
	const char *text;
	size_t size;
};

struct body { /* as the interpreter has it; see the event */
	const unsigned char *at;
	size_t size;
	struct names names, locals;
	uint32_t cells, free; /* to 3.10: how many */
};

struct stale_write {
	char name[SHARED_NAME_BYTES];         /* counter, self.total, rows[...] */
	uint32_t read_at, await_at, write_at; /* offsets in bytes */
	bool guarded; /* something before it may keep others out: async with, acquire() */
};

/* At most `max`, one for each await between a read and its write; returns how many. */
size_t stale_writes_find(const struct opcodes *opcodes, const struct body *body,
	struct stale_write *ret, size_t max);

#endif
