/*
 * /proc/self/maps as a table of ranges, in address order as the kernel gives them, for got.c, which
 * puts back the permissions it found; and memory apart from the target's malloc. Silent.
 */
#include "probe/agent/page.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define RANGES_MAX 65536u /* as many as vm.max_map_count allows by default */
#define CHUNK_BYTES 16384u

struct range {
	uintptr_t begin, end;
	int protection;
};

struct page_map {
	struct range *ranges;
	size_t count, room;
};

void *pages_get(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

void pages_put(void *pages, size_t bytes)
{
	if (pages)
		munmap(pages, bytes);
}

static const char *hex_parse(const char *at, uintptr_t *ret)
{
	uintptr_t value = 0;

	for (;; at++) {
		if (*at >= '0' && *at <= '9')
			value = value << 4 | (uintptr_t)(*at - '0');
		else if (*at >= 'a' && *at <= 'f')
			value = value << 4 | (uintptr_t)(*at - 'a' + 10);
		else
			break;
	}
	*ret = value;
	return at;
}

static bool ranges_grow(struct page_map *map)
{
	size_t room = map->room ? map->room * 2 : 512;
	struct range *more = room <= RANGES_MAX ? pages_get(room * sizeof(*more)) : NULL;

	if (!more)
		return false;
	if (map->count)
		memcpy(more, map->ranges, map->count * sizeof(*more));
	pages_put(map->ranges, map->room * sizeof(*more));
	map->ranges = more;
	map->room = room;
	return true;
}

/* "55d0-55e0 r-xp ..." (proc(5)) */
static void line_add(struct page_map *map, const char *line)
{
	struct range range;

	line = hex_parse(line, &range.begin);
	if (*line++ != '-')
		return;
	line = hex_parse(line, &range.end);
	if (*line++ != ' ')
		return;
	range.protection = (line[0] == 'r' ? PROT_READ : 0) | (line[1] == 'w' ? PROT_WRITE : 0) |
			   (line[2] == 'x' ? PROT_EXEC : 0);
	if (map->count == map->room && !ranges_grow(map))
		return;
	map->ranges[map->count++] = range;
}

static void lines_read(struct page_map *map, int fd)
{
	char chunk[CHUNK_BYTES];
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, chunk + used, sizeof(chunk) - used)) > 0) {
		char *line = chunk, *end;

		used += (size_t)n;
		while ((end = memchr(line, '\n', used - (size_t)(line - chunk)))) {
			*end = '\0';
			line_add(map, line);
			line = end + 1;
		}
		used -= (size_t)(line - chunk);
		memmove(chunk, line, used);
	}
}

struct page_map *page_map_read(void)
{
	struct page_map *map = pages_get(sizeof(*map));
	int fd = map ? open("/proc/self/maps", O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0) {
		pages_put(map, sizeof(*map));
		return NULL;
	}
	lines_read(map, fd);
	close(fd);
	return map;
}

void page_map_free(struct page_map *map)
{
	if (map)
		pages_put(map->ranges, map->room * sizeof(*map->ranges));
	pages_put(map, sizeof(*map));
}

int page_protection(const struct page_map *map, const void *address)
{
	uintptr_t at = (uintptr_t)address;

	for (size_t i = 0; map && i < map->count; i++)
		if (at >= map->ranges[i].begin && at < map->ranges[i].end)
			return map->ranges[i].protection;
	return -1;
}
