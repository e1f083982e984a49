/* Threads' names, read from outside. See bpf_thread.h. */
#include "collector/bpf_thread.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "probe/base/cleanup.h"

#define PATH_BYTES 96
#define NAME_BYTES 32

/* As the kernel has it; bytes. */
static size_t comm_read(uint32_t pid, uint32_t tid, char name[NAME_BYTES])
{
	char path[PATH_BYTES];
	cleanup(closep) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task/%" PRIu32 "/comm", pid, tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, name, NAME_BYTES);
	if (n > 0 && name[n - 1] == '\n')
		n--;
	return n > 0 ? (size_t)n : 0;
}

void bpf_thread_put(
	struct record_queue *queue, uint32_t pid, uint32_t tid, uint64_t thread_id, uint64_t now_ns)
{
	char name[NAME_BYTES];
	struct ev_thread *ev;
	size_t n;

	if (tid == pid) /* as threading calls it */
		n = (size_t)snprintf(name, sizeof(name), "MainThread");
	else
		n = comm_read(pid, tid, name);
	ev = RECORD_NEW(queue, thread, n, tid, now_ns);
	if (!ev)
		return;
	ev->ident = thread_id;
	ev->name_len = (uint32_t)n;
	record_tail_put(ev + 1, name, n);
}
