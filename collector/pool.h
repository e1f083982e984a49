/* Interned strings: the same text is the same pointer as long as the pool lives. Always valid UTF-8
 * without NUL. Silent. */
#ifndef COLLECTOR_POOL_H
#define COLLECTOR_POOL_H

#include "collector/map.h"

struct pool {
	struct map text; /* chains by hash */
	size_t bytes;
	size_t limit_bytes; /* 0: none; beyond it new texts become POOL_CUT */
	unsigned long cut;  /* how often that happened */
};

#define POOL_CUT "(not kept)"

/* Never NULL: POOL_CUT when out of memory or beyond the limit. Bytes that are no UTF-8 become
 * U+FFFD. */
const char *pool_text(struct pool *pool, const void *bytes, size_t size);
void pool_free(struct pool *pool);

#endif
