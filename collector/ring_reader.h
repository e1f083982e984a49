/*
 * One ring file of one target process (probe/ring.h), as bytes we did not write: opened, looked at,
 * its records copied out and checked. Called by rings.c. Silent.
 */
#ifndef COLLECTOR_RING_READER_H
#define COLLECTOR_RING_READER_H

#include <stdbool.h>
#include <sys/types.h>

#include "collector/record.h"

struct ring_reader;

struct ring_losses {        /* records that are missing, as the file tells */
	uint64_t full;      /* the ring was full */
	uint64_t no_ring;   /* their thread had none */
	uint64_t in_signal; /* their thread was writing another */
	uint64_t bad; /* rings given up for bytes that are no record; what they held is not known */
};

struct ring_loop { /* what a ring tells of the loop on its thread */
	uint32_t tid, call;
	uint64_t thread_id, task_at, busy_since_ns, gil_since_ns; /* as in struct ring_control */
	uint64_t task; /* what stands at task_at, where that is 0: the sensor knows it itself */
	uint64_t call_since_ns, gil_ns, gil_turn_ns, gc_since_ns;
};

/*
 * consume: what was taken is free for the target to write again. -EAGAIN: the target is still
 * making it; -EPROTO: it is no ring file of this process and ABI; else what open(2) said. The
 * caller owns *ret: ring_reader_free().
 */
int ring_reader_open(
	int folder, const char *name, uint32_t pid, bool consume, struct ring_reader **ret);
void ring_reader_free(struct ring_reader *r); /* accepts NULL */
ino_t ring_reader_inode(const struct ring_reader *r);
/*
 * See how far the target has come; nothing beyond is taken until the next look. now_ns: no record
 * can be much later.
 */
void ring_reader_look(struct ring_reader *r, uint64_t now_ns);
/* Rings in use, at most RING_SLOTS. */
unsigned int ring_reader_rings(const struct ring_reader *r);
/*
 * The next record of a ring, checked, in memory of ours; NULL: none. Valid until
 * ring_reader_take(), which goes on to the next.
 */
const struct ev_head *ring_reader_peek(struct ring_reader *r, unsigned int slot);
void ring_reader_take(struct ring_reader *r, unsigned int slot);
/* What was lost in all, as of the last look. */
void ring_reader_losses(const struct ring_reader *r, struct ring_losses *ret);
/* As it is now; nothing of it is checked. */
int ring_reader_loop(const struct ring_reader *r, unsigned int slot, struct ring_loop *ret);
/* As of the last look, the target had said that it writes no more. */
bool ring_reader_closed(const struct ring_reader *r);

#endif
