/*
 * Memory of another process, and where its files are mapped. Every byte of it may be wrong, and may
 * change while it is read. Silent.
 */
#ifndef PROBE_TARGET_MEMORY_H
#define PROBE_TARGET_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Where a reader gets its bytes from; a test has an image of its own. */
struct memory {
	/* All n bytes at address, or -errno: -EFAULT nothing is there, -ESRCH, -EPERM. */
	int (*read)(const struct memory *memory, uint64_t address, void *buf, size_t n);
	uint32_t pid;
	const void *image; /* of a test */
};

/* Of a live process, by process_vm_readv(2): nothing runs in it and it is not stopped. */
struct memory memory_of_process(uint32_t pid);

static inline int memory_read(const struct memory *m, uint64_t address, void *buf, size_t n)
{
	return m->read(m, address, buf, n);
}

/* -EFAULT also where the address is no multiple of 8: pointers to objects always are. */
int memory_read_pointer(const struct memory *m, uint64_t address, uint64_t *ret);

/*
 * Pages as they were at their first reading: many small reads of what lies together cost one system
 * call, and agree with each other. The caller begins anew to see changes.
 */
#define SNAPSHOT_PAGE 4096u
#define SNAPSHOT_PAGES 16u /* the oldest gives way, and is read anew when it is needed again */

struct snapshot {
	const struct memory *memory;
	unsigned int pages; /* ever read */
	uint64_t page[SNAPSHOT_PAGES];
	unsigned char bytes[SNAPSHOT_PAGES][SNAPSHOT_PAGE];
};

void snapshot_begin(struct snapshot *s, const struct memory *memory);
int snapshot_read(struct snapshot *s, uint64_t address, void *buf, size_t n);

#endif
