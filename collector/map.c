/* Open addressing with linear probing and backward-shift deletion: no tombstones, so lookups stay
 * short for any history. */
#include "collector/map.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 16

struct map_slot {
	uint64_t key;
	void *value; /* NULL: free */
};

static size_t home(const struct map *map, uint64_t key)
{
	return (size_t)(map_mix(key, 0) & map->mask);
}

/* The finalizer of splitmix64: addresses and small ids both spread well. */
uint64_t map_mix(uint64_t a, uint64_t b)
{
	uint64_t x = a + b * 0x9e3779b97f4a7c15u;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

static struct map_slot *find(const struct map *map, uint64_t key)
{
	size_t i = home(map, key);

	while (map->slot[i].value && map->slot[i].key != key)
		i = (i + 1) & map->mask;
	return &map->slot[i];
}

void *map_get(const struct map *map, uint64_t key)
{
	return map->slot ? find(map, key)->value : NULL;
}

static int grow(struct map *map)
{
	size_t slots = map->slot ? (map->mask + 1) * 2 : SLOTS_MIN;
	struct map bigger = {calloc(slots, sizeof(*bigger.slot)), slots - 1, map->count};

	if (!bigger.slot)
		return -ENOMEM;
	for (size_t i = 0; map->slot && i <= map->mask; i++)
		if (map->slot[i].value)
			*find(&bigger, map->slot[i].key) = map->slot[i];
	free(map->slot);
	*map = bigger;
	return 0;
}

int map_put(struct map *map, uint64_t key, void *value)
{
	struct map_slot *slot;

	if (!map->slot || map->count * 4 >= (map->mask + 1) * 3) {
		int rc = grow(map);

		if (rc)
			return rc;
	}
	slot = find(map, key);
	if (!slot->value)
		map->count++;
	slot->key = key;
	slot->value = value;
	return 0;
}

void map_remove(struct map *map, uint64_t key)
{
	size_t hole, i;

	if (!map->slot || !find(map, key)->value)
		return;
	hole = (size_t)(find(map, key) - map->slot);
	map->count--;
	for (i = (hole + 1) & map->mask; map->slot[i].value; i = (i + 1) & map->mask) {
		size_t want = home(map, map->slot[i].key);

		/* It may move into the hole only if that is not before its home. */
		if (((i - want) & map->mask) >= ((i - hole) & map->mask)) {
			map->slot[hole] = map->slot[i];
			hole = i;
		}
	}
	map->slot[hole].value = NULL;
}

void map_free(struct map *map)
{
	free(map->slot);
	*map = (struct map){0};
}

void map_each(const struct map *map, void (*fn)(void *value, void *ctx), void *ctx)
{
	for (size_t i = 0; map->slot && i <= map->mask; i++)
		if (map->slot[i].value)
			fn(map->slot[i].value, ctx);
}
