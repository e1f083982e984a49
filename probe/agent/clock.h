/*
 * The clock of what is read at every turn of a loop: clock_now_ns() without a call, while the
 * newest anchor serves. Anchors belong to clock.c.
 */
#ifndef PROBE_AGENT_CLOCK_H
#define PROBE_AGENT_CLOCK_H

#include "probe/agent/agent.h"

#ifdef __x86_64__

#define CLOCK_FRACTION 32 /* bits of ns per tick behind the point */

struct clock_anchor {
	uint64_t tsc, ns;
	uint64_t ticks;       /* it serves for */
	uint64_t ns_per_tick; /* << CLOCK_FRACTION */
};

struct clock_anchors {
	uint32_t turn;             /* anchors so far; the newest is at[turn & 1]; 0: none yet */
	struct clock_anchor at[2]; /* readers have one turn's time to read */
};
extern struct clock_anchors clock_anchors;

/* CLOCK_MONOTONIC; any */
static inline uint64_t clock_here_ns(void)
{
	uint32_t turn = __atomic_load_n(&clock_anchors.turn, __ATOMIC_ACQUIRE);
	const struct clock_anchor *a = &clock_anchors.at[turn & 1];
	uint64_t ticks = __builtin_ia32_rdtsc() - a->tsc;
	uint64_t most = a->ticks, ns = a->ns + ((ticks * a->ns_per_tick) >> CLOCK_FRACTION);

	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	/* none yet: it serves for 0 ticks */
	if (__builtin_expect(
		    ticks <= most && turn == __atomic_load_n(&clock_anchors.turn, __ATOMIC_RELAXED),
		    1))
		return ns;
	return clock_now_ns();
}

#else

static inline uint64_t clock_here_ns(void)
{
	return clock_now_ns();
}

#endif
#endif
