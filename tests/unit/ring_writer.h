/*
 * A target's side of a ring file, for tests and benchmarks: makes one, writes records, and lets a
 * test put anything else there. It does what probe/ring.h says and no more.
 */
#ifndef TESTS_UNIT_RING_WRITER_H
#define TESTS_UNIT_RING_WRITER_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/event.h"
#include "probe/ring.h"

struct ring_writer {
	char path[256];
	int fd;
	char *map;
	uint64_t ring_bytes;
	unsigned int rings;
	struct ring_file *file;
};

static inline struct ring_control *ring_writer_control(
	const struct ring_writer *w, unsigned int slot)
{
	return (struct ring_control *)(void *)(w->map + RING_OFFSET(slot, w->ring_bytes));
}

/* A file of `rings` rings; its magic is set, so it is ready. */
static inline void ring_writer_open(struct ring_writer *w, const char *folder, const char *name,
	uint32_t pid, uint64_t ring_bytes, unsigned int rings)
{
	size_t size = RING_OFFSET(rings, ring_bytes);

	*w = (struct ring_writer){.ring_bytes = ring_bytes, .rings = rings};
	snprintf(w->path, sizeof(w->path), "%s/%s", folder, name);
	w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (w->fd < 0 || ftruncate(w->fd, (off_t)size))
		abort();
	w->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
	if (w->map == MAP_FAILED)
		abort();
	w->file = (struct ring_file *)(void *)w->map;
	*w->file = (struct ring_file){
		.magic = RING_MAGIC,
		.abi = RING_ABI,
		.pid = pid,
		.ring_bytes = ring_bytes,
		.slots = RING_SLOTS,
		.rings = rings,
	};
}

static inline void ring_writer_close(struct ring_writer *w)
{
	munmap(w->map, RING_OFFSET(w->rings, w->ring_bytes));
	close(w->fd);
}

/* 0, or -ENOSPC: dropped and counted. */
static inline int ring_writer_put(
	const struct ring_writer *w, unsigned int slot, const void *record)
{
	struct ring_control *c = ring_writer_control(w, slot);
	char *data = (char *)c + RING_PAGE;
	uint64_t size = ((const struct ev_head *)record)->size_words * 8ull;
	uint64_t tail = __atomic_load_n(&c->tail, __ATOMIC_ACQUIRE);
	uint64_t at = c->head & (w->ring_bytes - 1);
	uint64_t skip = at + size > w->ring_bytes ? w->ring_bytes - at : 0;

	if (c->head + skip + size - tail > w->ring_bytes) {
		c->dropped++;
		return -ENOSPC;
	}
	if (skip >= sizeof(struct ev_head)) {
		struct ev_head pad = {.kind = EV_pad, .size_words = (uint16_t)(skip / 8)};

		memcpy(data + at, &pad, sizeof(pad));
	}
	memcpy(data + ((c->head + skip) & (w->ring_bytes - 1)), record, size);
	__atomic_store_n(&c->head, c->head + skip + size, __ATOMIC_RELEASE);
	return 0;
}

#endif
