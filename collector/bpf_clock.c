/* See bpf_clock.h. */
#include "collector/bpf_clock.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CLOCK_HZ 99u /* no multiple of what programs do */

int bpf_clock_open(uint32_t tid)
{
	struct perf_event_attr clock = {.type = PERF_TYPE_SOFTWARE,
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.size = sizeof(clock),
		.sample_freq = CLOCK_HZ,
		.freq = 1};
	int fd =
		(int)syscall(SYS_perf_event_open, &clock, (pid_t)tid, -1, -1, PERF_FLAG_FD_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static void drop(struct bpf_clocks *clocks, uint32_t at)
{
	close(clocks->clock[at].fd);
	clocks->clock[at] = clocks->clock[--clocks->count];
}

static bool is_gone(uint32_t tid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%" PRIu32, tid); /* a thread's too, though not listed */
	return access(path, F_OK) != 0;
}

int bpf_clocks_add(struct bpf_clocks *clocks, int program, uint32_t tid)
{
	bool full = clocks->count == BPF_CLOCKS_MAX;
	int fd;

	for (uint32_t i = clocks->count; i > 0; i--)
		if (clocks->clock[i - 1].tid == tid || (full && is_gone(clocks->clock[i - 1].tid)))
			drop(clocks, i - 1);
	if (clocks->count == BPF_CLOCKS_MAX)
		return -ENOBUFS;
	fd = bpf_clock_open(tid);
	if (fd < 0)
		return fd;
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, program)) {
		int rc = -errno;

		close(fd);
		return rc;
	}
	clocks->clock[clocks->count++] = (struct bpf_clock){tid, fd};
	return 0;
}

void bpf_clocks_clear(struct bpf_clocks *clocks)
{
	while (clocks->count)
		drop(clocks, clocks->count - 1);
}
