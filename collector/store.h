/*
 * The trace file while it is written: made, filled in batches, closed. Knows rows, not their
 * meaning. Silent; one thread at a time. Never loses more than the batch that the disk refused, and
 * says how many rows that was.
 */
#ifndef COLLECTOR_STORE_H
#define COLLECTOR_STORE_H

#include <stddef.h>
#include <stdint.h>

struct store;

enum store_row {
#define PUT(name, sql) ROW_##name,
#include "collector/store.def"
#undef PUT
	STORE_ROWS,
};

enum value_type { VALUE_NULL, VALUE_INT, VALUE_TEXT };

struct value { /* one column */
	enum value_type type;
	int64_t number;
	const char *text; /* NUL-terminated UTF-8; must live during store_put() */
};
#define NUMBER(n) ((struct value){.type = VALUE_INT, .number = (int64_t)(n)})
#define NUMBER_IF(known, n)                                                                        \
	((struct value){.type = (known) ? VALUE_INT : VALUE_NULL, .number = (int64_t)(n)})
#define ID(n) NUMBER_IF((n) != 0, n) /* a reference; 0 is null */
#define TEXT_OF(s) store_text(s)     /* NULL is null */

static inline struct value store_text(const char *s)
{
	return (struct value){.type = s ? VALUE_TEXT : VALUE_NULL, .text = s};
}

/*
 * Makes the file, mode 0600, with the schema; -EEXIST if anything is there. *ret_exclusive: the
 * file system cannot share a WAL, so nobody else can read the trace until it is closed. The caller
 * owns *ret: store_free().
 */
int store_open(const char *path, struct store **ret, int *ret_exclusive);
void store_free(struct store *store); /* accepts NULL; what was not committed is gone */

/* One row of the current batch, which begins with the first. Errors surface at store_commit();
 * until then rows only count. */
void store_put(struct store *store, enum store_row row, const struct value *values, size_t columns);
#define STORE_PUT(store, name, ...)                                                                \
	store_put(store, ROW_##name, (const struct value[]){__VA_ARGS__},                          \
		sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value))
/* Rows put since the last commit. */
size_t store_pending(const struct store *store);
/*
 * 0, or why the batch is not in the file: then it was rolled back, the next one may succeed.
 * -EBUSY: another program holds the file, the batch is still pending and can be committed later.
 */
int store_commit(struct store *store);
/* Bytes of the file that hold something, once the WAL is gone; 0 where unknown. */
uint64_t store_bytes(const struct store *store);
/* Deletes what ended before then (forget.def); nothing may be pending. 0, or why nothing was
 * deleted. */
int store_forget(struct store *store, uint64_t before_ns);
/* Moves what is committed from the WAL into the file, as far as readers let it. */
int store_checkpoint(struct store *store);
/* Indexes, then one file without a WAL. Nothing may be pending. */
int store_finish(struct store *store);

#endif
