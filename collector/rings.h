/*
 * All ring files of one session folder: found as they appear, drained, merged into one stream per
 * process in time order. Trusts nothing in them. Silent.
 */
#ifndef COLLECTOR_RINGS_H
#define COLLECTOR_RINGS_H

#include "collector/record.h"
#include "collector/ring_reader.h"

/*
 * A producer stamps, then publishes; preempted in between it is late. 5 ms: more than a scheduler's
 * slice on an idle machine. Records younger than that are not handed out yet.
 */
#define RINGS_HOLDBACK_NS 5000000ull

struct rings;

struct busy_loop { /* a loop that is between two calls of its selector, and which ring says so */
	uint32_t pid, file, slot;
	struct ring_loop loop;
};

/*
 * dir: the session folder. The caller owns *ret: rings_free(). One file descriptor a live process.
 */
int rings_open(const char *dir, struct rings **ret);
/*
 * The same, but the targets' files are left as they are: their records are not consumed, nothing is
 * removed.
 */
int rings_peek(const char *dir, struct rings **ret);
void rings_free(struct rings *rings); /* accepts NULL */
/*
 * Look for new files, take what the targets wrote and hand it out in time order per process.
 * Records younger than a few ms are held back for their turn; `final` hands out all. Losses (full
 * rings, no ring, signal handlers, bytes that are no record) come as `lost` records of the stream.
 * A ring with bad bytes is given up from there on, the others go on. A file that its target closed,
 * or that was released, is removed when all of it has been handed out. Returns the number of
 * records handed out, or what sink returned.
 */
int rings_drain(struct rings *rings, int final, record_fn sink, void *ctx);
/* The same as if it were now_ns on CLOCK_MONOTONIC. */
int rings_drain_at(struct rings *rings, uint64_t now_ns, int final, record_fn sink, void *ctx);
/* This process has ended: no one writes to its files any more. */
void rings_release(struct rings *rings, uint32_t pid);
/* How many processes ever opened a ring file. */
unsigned int rings_processes(const struct rings *rings);
/* Loops that are busy now, at most max; returns how many. */
size_t rings_busy(const struct rings *rings, struct busy_loop *buf, size_t max);
/* Of one process, when it has ended or nothing more is taken. */
size_t rings_left(const struct rings *rings, uint32_t pid, struct busy_loop *buf, size_t max);
/* Whether that loop has not been in its selector since. */
int rings_still_busy(const struct rings *rings, const struct busy_loop *busy);
/* Whether it has not, and waits for the GIL now. */
int rings_waits_for_gil(const struct rings *rings, const struct busy_loop *busy);
/*
 * Records so far that came after a younger one of their process: published later than the holdback
 * allows for. None is lost.
 */
uint64_t rings_late(const struct rings *rings);

#endif
