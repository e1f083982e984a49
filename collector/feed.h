/*
 * Where a recorder's records come from: the rings of agents, or a program in the kernel. One
 * sensor, one feed. Called by the recorder only, in one thread.
 */
#ifndef COLLECTOR_FEED_H
#define COLLECTOR_FEED_H

#include "collector/record.h"
#include "collector/rings.h"
#include "probe/target/native.h"

struct feed;

struct feed_ops {
	/* when the recorder is freed; accepts NULL */
	void (*free)(struct feed *feed);
	/* at each turn: hand out what came, in order of time per process; final: all of it. Records
	 * handed out, or what sink returned. */
	int (*drain)(struct feed *feed, int final, record_fn sink, void *ctx);
	/* after a process's end was told; NULL: nothing to do */
	void (*release)(struct feed *feed, uint32_t pid);
	/* at each turn, by the sampler: loops that are busy now, at most max */
	size_t (*busy)(const struct feed *feed, struct busy_loop *buf, size_t max);
	/* before and after a sample: whether that loop has not been in its selector since */
	int (*still_busy)(const struct feed *feed, const struct busy_loop *busy);
	/* before and after the holder of the GIL is looked up: whether that loop's thread has
	 * waited for it since */
	int (*waits_for_gil)(const struct feed *feed, const struct busy_loop *busy);
	/* after a stack was read, by the sampler: the last native stack of a loop's thread; NULL,
	 * also as what it returns: none */
	const struct native_moment *(*native)(
		const struct feed *feed, const struct busy_loop *busy);
	/* before a sample: when the feed itself took the last one of that loop's thread; NULL, 0:
	 * it took none */
	uint64_t (*sampled_ns)(const struct feed *feed, const struct busy_loop *busy);
	/* when a process has ended, or the recording: loops that are busy still, at most max; NULL:
	 * the feed tells of them itself */
	size_t (*left)(const struct feed *feed, uint32_t pid, struct busy_loop *buf, size_t max);
	/* of those: hand out a record of the recorder's own, after what belongs to it. 0, or what
	 * sink returned; NULL: there is no such */
	int (*tell)(struct feed *feed, uint32_t pid, const struct ev_head *record, record_fn sink,
		void *ctx);
	/* how many processes were seen to be traced */
	unsigned int (*processes)(const struct feed *feed);
	/* records that came later than their order allows for; NULL: cannot be */
	uint64_t (*late)(const struct feed *feed);
	/* a descriptor that is readable when the next turn should not wait; NULL: none */
	int (*fd)(const struct feed *feed);
};

struct feed { /* first member of each kind of feed */
	const struct feed_ops *ops;
};

/* The rings in a session folder; the caller owns *ret: ret->ops->free(). */
int rings_feed_open(const char *dir, struct feed **ret);

#endif
