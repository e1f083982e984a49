/*
 * Records without a tail on a thread that has a ring of its own: the shortest way into it, for what
 * is written at every turn of a loop. Where anything is out of the ordinary it is ring_begin()'s.
 */
#ifndef PROBE_AGENT_RING_FIXED_H
#define PROBE_AGENT_RING_FIXED_H

#include <string.h>

#include "probe/agent/agent.h"

struct ring {
	struct ring_control *control;
	char *data;
	uint64_t head;         /* bytes ever written; control->head follows at ring_end() */
	uint64_t last_time_ns; /* of the newest record */
	uint64_t clear;        /* up to here nothing wraps, and nothing unread is written over */
	uint32_t owned; /* 1: a thread has it. Set under the GIL, cleared by the thread's end */
};

extern struct ring_file *ring_mapped; /* NULL: no rings, everything is dropped */

/*
 * The recorder has read these lines since they were last written, so its core has to give each one
 * back: asked for this far ahead, that is over by the time a record comes there. (20 ns of a turn
 * that does nothing, measured 2026-11-21.)
 */
#define RING_AHEAD 512u
#define RING_LINE 64u

/* To be written; a hint, which can fault nowhere. */
static inline void ring_line_expect(const char *at)
{
#ifdef __x86_64__
	__asm__ volatile("prefetchw %0" : : "m"(*at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* As ring_begin(); time_ns is never 0. any, with an own ring or under the GIL */
static inline void *ring_fixed_begin(unsigned int kind, size_t size, uint64_t time_ns)
{
	struct thread_state *thread = &agent_thread;
	struct ring *r = thread->ring;
	struct ev_head *head;
	char *at;

	if (__builtin_expect(!r || thread->writing || !ring_mapped, 0))
		return ring_begin(kind, size, 0, time_ns);
	thread->writing = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (__builtin_expect(r->head + size > r->clear, 0)) {
		thread->writing = 0;
		return ring_begin(kind, size, 0, time_ns);
	}
	at = r->data + (r->head & (RING_BYTES - 1));
	if (time_ns < r->last_time_ns)
		time_ns = r->last_time_ns;
	r->last_time_ns = time_ns;
	memset(at + size - 8, 0, 8); /* the struct's end may be padding */
	head = (struct ev_head *)at;
	head->time_ns = time_ns;
	head->tid = thread->tid; /* asked when it took its ring */
	head->kind = (__u16)kind;
	head->size_words = (__u16)(size / 8);
	return at;
}

static inline void ring_fixed_end(void *record, size_t size)
{
	struct thread_state *thread = &agent_thread;
	struct ring *r = thread->ring;

	if (__builtin_expect(!r || !thread->writing || !ring_mapped, 0)) {
		ring_end(record);
		return;
	}
	r->head += size;
	__atomic_store_n(&r->control->head, r->head, __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	thread->writing = 0;
	for (size_t line = 0; line < size; line += RING_LINE)
		ring_line_expect(r->data + ((r->head + RING_AHEAD + line) & (RING_BYTES - 1)));
}

#define ring_fixed_new(name, time_ns)                                                              \
	((struct ev_##name *)ring_fixed_begin(EV_##name, sizeof(struct ev_##name), (time_ns)))
#define ring_fixed_put(record) ring_fixed_end((record), sizeof(*(record)))

/* The calling thread's loop turns since then (0: it is in its selector, or no loop runs). any */
static inline void ring_busy_since(uint64_t ns)
{
	struct ring *r = agent_thread.ring;

	if (r && ring_mapped)
		__atomic_store_n(&r->control->busy_since_ns, ns, __ATOMIC_RELEASE);
}

/* The calling thread is in that call since then; it is in none. any */
static inline void ring_call_begins(uint32_t call, uint64_t since_ns)
{
	struct ring *r = agent_thread.ring;

	if (!r)
		return;
	__atomic_store_n(&r->control->call_since_ns, since_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&r->control->call, call, __ATOMIC_RELEASE);
}

static inline void ring_call_ended(void)
{
	struct ring *r = agent_thread.ring;

	if (r)
		__atomic_store_n(&r->control->call, 0, __ATOMIC_RELEASE);
}

#endif
