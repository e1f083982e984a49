/*
 * Records that a part of the recorder makes itself and that wait for their turn in the stream.
 * Silent.
 */
#ifndef COLLECTOR_RECORD_QUEUE_H
#define COLLECTOR_RECORD_QUEUE_H

#include <stdbool.h>

#include "collector/record.h"

#define RECORD_QUEUE_MAX_BYTES (1u << 20) /* beyond it none is taken until some were handed out */

struct record_queue {
	unsigned char *bytes;
	size_t begin, kept, end, size; /* [begin, kept) may be handed out, [kept, end) not yet */
};

void record_queue_free(struct record_queue *q); /* what it holds */
/*
 * Room for a record with these tails, zeroed, its head filled, not kept yet; good until the next
 * call. NULL: the queue is full, or there is no memory.
 */
void *record_queue_new(struct record_queue *q, unsigned int kind, size_t fixed, size_t tails,
	uint32_t tid, uint64_t time_ns);
#define RECORD_NEW(q, name, tails, tid, time_ns)                                                   \
	((struct ev_##name *)record_queue_new(                                                     \
		q, EV_##name, sizeof(struct ev_##name), tails, tid, time_ns))
/* Copies a tail to `at`, a record's end or what the last call returned. */
char *record_tail_put(void *at, const void *bytes, size_t n);
void record_queue_keep(struct record_queue *q);
/* Takes back what was made since `end` was that. */
void record_queue_drop(struct record_queue *q, size_t end);
bool record_queue_pending(const struct record_queue *q);
/* Hand out what is kept and not later than that. 0, or what sink returned. */
int record_queue_hand_out(
	struct record_queue *q, uint32_t pid, uint64_t until_ns, record_fn sink, void *ctx);

#endif
