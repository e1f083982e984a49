/* What the program beside agents is told before it is loaded. Compiled for the
 * kernel and for the recorder. */
#ifndef PROBE_BPF_BESIDE_H
#define PROBE_BPF_BESIDE_H

#include <linux/types.h>

/* With loops at one time; further ones are counted. A power of two. */
#define BESIDE_THREADS_MAX 2048u
/* Whose Python stacks can be read; of more, those that were not looked at for the longest cannot.
 */
#define BESIDE_PROCESSES_MAX 512u

struct beside_config {
	__u64 session;      /* announcement.session */
	__u64 min_block_ns; /* shorter waits are in the sums only */
	__u64 min_turn_ns;  /* shorter iterations are not told */
	__u32 casts;        /* 1: the kernel has bpf_rdonly_cast() (6.2 and newer) */
	__u32 pad0;
};

#endif
