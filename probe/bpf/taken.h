/* What a watched thread keeps of who had its CPU, in the kernel and in its slot. */
#ifndef PROBE_BPF_TAKEN_DATA_H
#define PROBE_BPF_TAKEN_DATA_H

#include <linux/types.h>

#define TAKERS_MAX 8u           /* of an iteration; the least of more gives way, and is not told */
#define TAKEN_LEAST_NS 1000000u /* less is not told */
#define STOLEN_LEAST_NS 100000u /* less of what a hypervisor took is not */
#define TAKEN_BY_HYPERVISOR 0   /* for a pid */

struct taker {
	__u64 ns; /* 0: none */
	__u64 name[2];
	__u32 pid, pad0;
};

struct taken {
	__u64 task;  /* the thread's own */
	__u64 moved; /* how often it had been, from CPU to CPU */
	__u32 wants; /* 1: it can run, and waits for the CPU it was put off from */
	__u32 pad0;
	struct taker by[TAKERS_MAX]; /* in the open iteration */
};

#endif
