/* A hash map from 64-bit keys to pointers; key 0 is a key like any other. Silent. */
#ifndef COLLECTOR_MAP_H
#define COLLECTOR_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map {
	struct map_slot *slot;
	size_t mask; /* slots - 1; slot NULL: empty map */
	size_t count;
};

void *map_get(const struct map *map, uint64_t key); /* NULL: not there */
int map_put(
	struct map *map, uint64_t key, void *value); /* value not NULL; replaces. 0 or -ENOMEM */
void map_remove(struct map *map, uint64_t key);
void map_free(struct map *map); /* the slots; values are the caller's */
/* Calls fn with every value, in no order; fn must not change the map. */
void map_each(const struct map *map, void (*fn)(void *value, void *ctx), void *ctx);
/* For keys made of several numbers. */
uint64_t map_mix(uint64_t a, uint64_t b);

#endif
