/* One event record, as bytes that we did not write: checked here once, trusted after. Silent. */
#ifndef COLLECTOR_RECORD_H
#define COLLECTOR_RECORD_H

#include "probe/event.h"

/*
 * Takes the records of one process in order. Returns 0, or -errno to stop the source (the record
 * counts as not taken). The record is only valid during the call.
 */
typedef int (*record_fn)(void *ctx, uint32_t pid, const struct ev_head *record);

enum field_type {
	FIELD_u64,
	FIELD_u32,
	FIELD_s64,
	FIELD_s32,
	FIELD_TEXT,
	FIELD_BYTES,
	FIELD_PAIRS
};

struct field { /* one member of a kind, from event.def */
	const char *name;
	enum field_type type;
	size_t off; /* of the value, or of a tail's length, in the record */
};

struct kind {
	const char *name; /* "step" */
	const char *doc;
	size_t size; /* of the fixed part, head included */
	size_t fields;
	size_t tails; /* how many of the fields, the last ones, are TEXT, BYTES or PAIRS */
	const struct field *field;
};

/* NULL where the id is no kind. */
const struct kind *record_kind(unsigned int id);
/* -1 where the name is no kind. */
int record_kind_id(const char *name);

/*
 * -EPROTO unless `avail` bytes at p begin with a whole, well-formed record: a known kind other than
 * pad, the size its lengths add up to, PAIRS a multiple of 8 bytes, valid enums in no way assumed.
 * Reads p, which must be 8-byte aligned, only within avail.
 */
int record_check(const void *p, size_t avail);
/* The n-th tail (0-based, n < tails) of a checked record; not NUL-terminated. */
const void *record_tail(const struct ev_head *r, unsigned int n, size_t *ret_len);

#endif
