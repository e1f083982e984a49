/*
 * Any bytes as a ring file: whatever is handed out is well formed, and a second look at other bytes
 * hurts as little. The input is two files in a short form, one after the other, the second for what
 * the target makes of the first while it is read: a page's used part, two rings' controls, data for
 * both.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/rings.h"
#include "probe/ring.h"

#define RING 4096u
#define PID 7u
#define NOW_NS 1000000000000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int check(void *ctx, uint32_t pid, const struct ev_head *record)
{
	(void)ctx;
	if (pid != PID || record_check(record, record->size_words * 8ull))
		abort();
	for (unsigned int i = 0; i < record_kind(record->kind)->tails; i++) {
		size_t n;
		const volatile unsigned char *tail = record_tail(record, i, &n);

		while (n--)
			(void)*tail++;
	}
	return 0;
}

/* Copies what there is of n bytes to its place in the file. */
static void put(int fd, const uint8_t **data, size_t *size, size_t n, uint64_t off)
{
	n = n < *size ? n : *size;
	if (pwrite(fd, *data, n, (off_t)off) != (ssize_t)n)
		abort();
	*data += n;
	*size -= n;
}

static void put_file(int fd, const uint8_t **data, size_t *size)
{
	put(fd, data, size, sizeof(struct ring_file), 0);
	for (unsigned int i = 0; i < 2; i++)
		put(fd, data, size, sizeof(struct ring_control), RING_OFFSET(i, RING));
	for (unsigned int i = 0; i < 2; i++)
		put(fd, data, size, 256, RING_OFFSET(i, RING) + RING_PAGE);
}

static char folder_made[] = "/dev/shm/ring-fuzz-XXXXXX";

static void remove_folder(void)
{
	rmdir(folder_made);
}

/* Made once a process, removed at its end. */
static const char *session_folder(void)
{
	if (folder_made[sizeof(folder_made) - 2] == 'X' &&
		(!mkdtemp(folder_made) || atexit(remove_folder)))
		abort();
	return folder_made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *folder = session_folder();
	struct busy_loop left[RING_SLOTS];
	struct rings *rings = NULL;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/ring-%u", folder, PID);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)RING_OFFSET(2, RING)) || rings_open(folder, &rings))
		abort();
	put_file(fd, &data, &size);
	rings_drain_at(rings, NOW_NS, 0, check, NULL);
	put_file(fd, &data, &size);
	rings_drain_at(rings, NOW_NS, 0, check, NULL);
	rings_drain_at(rings, NOW_NS, 1, check, NULL);
	rings_left(rings, PID, left, sizeof(left) / sizeof(*left));
	rings_free(rings);
	close(fd);
	unlink(path);
	return 0;
}
