/* The one place where texts of a target become strings that are kept. */
#include "collector/pool.h"

#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

struct entry {
	struct entry *next; /* of the same hash */
	size_t size;
	char text[];
};

static uint64_t hash(const char *p, size_t size)
{
	uint64_t h = 0xcbf29ce484222325u ^ size; /* FNV-1a */

	for (size_t i = 0; i < size; i++)
		h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
	return h;
}

static const char *intern(struct pool *pool, const char *text, size_t size)
{
	uint64_t key = hash(text, size);
	struct entry *first = map_get(&pool->text, key), *e;

	for (e = first; e; e = e->next)
		if (e->size == size && !memcmp(e->text, text, size))
			return e->text;
	e = NULL;
	if (!pool->limit_bytes || pool->bytes + size < pool->limit_bytes)
		e = malloc(sizeof(*e) + size + 1);
	if (!e) {
		pool->cut++;
		return POOL_CUT;
	}
	*e = (struct entry){first, size};
	memcpy(e->text, text, size);
	e->text[size] = '\0';
	if (map_put(&pool->text, key, e)) {
		free(e);
		pool->cut++;
		return POOL_CUT;
	}
	pool->bytes += sizeof(*e) + size;
	return e->text;
}

static int is_plain(const unsigned char *p, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (p[i] >= 0x80 || !p[i])
			return 0;
	return 1;
}

const char *pool_text(struct pool *pool, const void *bytes, size_t size)
{
	cleanup(freep) char *text = NULL;

	if (is_plain(bytes, size))
		return intern(pool, bytes, size);
	text = text_to_utf8(bytes, size);
	if (!text) {
		pool->cut++;
		return POOL_CUT;
	}
	return intern(pool, text, strlen(text));
}

static void free_chain(void *value, void *ctx)
{
	(void)ctx;
	for (struct entry *e = value, *next; e; e = next) {
		next = e->next;
		free(e);
	}
}

void pool_free(struct pool *pool)
{
	map_each(&pool->text, free_chain, NULL);
	map_free(&pool->text);
	*pool = (struct pool){0};
}
