/* Reading another process, directly and by pages. See memory.h. Must not believe an address. */
#include "probe/target/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

static int process_read(const struct memory *m, uint64_t address, void *buf, size_t n)
{
	struct iovec local = {.iov_base = buf, .iov_len = n};
	struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = n};
	ssize_t got = process_vm_readv((pid_t)m->pid, &local, 1, &remote, 1, 0);

	if (got < 0)
		return -errno;
	return (size_t)got == n ? 0 : -EFAULT;
}

struct memory memory_of_process(uint32_t pid)
{
	return (struct memory){.read = process_read, .pid = pid};
}

int memory_read_pointer(const struct memory *m, uint64_t address, uint64_t *ret)
{
	return address % 8 ? -EFAULT : memory_read(m, address, ret, sizeof(*ret));
}

void snapshot_begin(struct snapshot *s, const struct memory *memory)
{
	s->memory = memory;
	s->pages = 0;
}

static int page_find(struct snapshot *s, uint64_t page, const unsigned char **ret)
{
	unsigned int kept = s->pages < SNAPSHOT_PAGES ? s->pages : SNAPSHOT_PAGES;
	unsigned int at = s->pages % SNAPSHOT_PAGES;
	int rc;

	for (unsigned int i = 0; i < kept; i++) {
		if (s->page[i] != page)
			continue;
		*ret = s->bytes[i];
		return 0;
	}
	s->page[at] = UINT64_MAX; /* no page; what stood there is overwritten even on failure */
	rc = memory_read(s->memory, page, s->bytes[at], SNAPSHOT_PAGE);
	if (rc)
		return rc;
	s->page[at] = page;
	s->pages++;
	*ret = s->bytes[at];
	return 0;
}

int snapshot_read(struct snapshot *s, uint64_t address, void *buf, size_t n)
{
	unsigned char *to = buf;

	if (address > UINT64_MAX - n - SNAPSHOT_PAGE)
		return -EFAULT;
	while (n) {
		size_t off = address % SNAPSHOT_PAGE;
		size_t part = SNAPSHOT_PAGE - off < n ? SNAPSHOT_PAGE - off : n;
		const unsigned char *page;
		int rc = page_find(s, address - off, &page);

		if (rc)
			return rc;
		memcpy(to, page + off, part);
		to += part;
		address += part;
		n -= part;
	}
	return 0;
}
