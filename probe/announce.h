/*
 * What an agent announces of a thread that runs loops, for a program in the kernel that may be
 * there (probe/bpf/beside.bpf.c): it calls a function that does nothing, with this. Integers only.
 */
#ifndef PROBE_ANNOUNCE_H
#define PROBE_ANNOUNCE_H

#include <linux/types.h>

/* Exported by agent.so: void (*)(enum announce_what, const struct announcement *) */
#define ANNOUNCE awaitscope_agent_announce

enum announce_what {
	ANNOUNCE_RUNS,     /* the thread begins to run a loop */
	ANNOUNCE_STOPS,    /* that is over, and its iteration */
	ANNOUNCE_COLLECTS, /* a collection begins on it; these have no announcement */
	ANNOUNCE_COLLECTED,
};

struct announcement {
	__u64 session; /* announce_session() */
	/* address of a u64: its loop turns since then, 0 = it is in its selector (probe/ring.h) */
	__u64 busy_at;
	__u64 call_at;            /* address of a u32: the call of calls.def it is in; 0 = none */
	__u64 gil_begin, gil_end; /* a futex(2) on an address in between is about the GIL */
	/* address of its struct target_constants, proven; 0: its Python stacks cannot be read */
	__u64 target;
	__u32 pid, tid; /* as its records have them */
};

/* Whom it is for: recorders share the agent's file. FNV-1a of the session's folder. */
static inline __u64 announce_session(const char *folder)
{
	__u64 h = 0xcbf29ce484222325ull;

	for (; *folder; folder++)
		h = (h ^ (unsigned char)*folder) * 0x100000001b3ull;
	return h;
}

#endif
