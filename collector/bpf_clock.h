/* Clocks of threads' CPU time, each of which runs a program in the kernel at its ticks. Silent. */
#ifndef COLLECTOR_BPF_CLOCK_H
#define COLLECTOR_BPF_CLOCK_H

#include <stdint.h>

#define BPF_CLOCKS_MAX 1024u /* threads at one time; further ones have none */

struct bpf_clocks { /* zeroed before */
	struct bpf_clock {
		uint32_t tid;
		int fd;
	} clock[BPF_CLOCKS_MAX];
	uint32_t count;
};

/* A descriptor of one; -errno. */
int bpf_clock_open(uint32_t tid);
/*
 * program: descriptor of what is to run. A thread that had this number before has its own no
 * longer. 0 or -errno; -ENOBUFS: too many threads.
 */
int bpf_clocks_add(struct bpf_clocks *clocks, int program, uint32_t tid);
void bpf_clocks_clear(struct bpf_clocks *clocks);

#endif
