/* Records made by the recorder itself. See record_queue.h. */
#include "collector/record_queue.h"

#include <stdlib.h>
#include <string.h>

void record_queue_free(struct record_queue *q)
{
	free(q->bytes);
	*q = (struct record_queue){0};
}

void *record_queue_new(struct record_queue *q, unsigned int kind, size_t fixed, size_t tails,
	uint32_t tid, uint64_t time_ns)
{
	size_t size = (fixed + tails + 7) & ~(size_t)7, want = q->size ? q->size : 4096;
	unsigned char *more;
	void *record;

	if (size > EV_SIZE_MAX)
		return NULL;
	while (want < q->end + size)
		want *= 2;
	if (want > RECORD_QUEUE_MAX_BYTES)
		return NULL;
	if (want > q->size) {
		more = realloc(q->bytes, want);
		if (!more)
			return NULL;
		q->bytes = more;
		q->size = want;
	}
	record = q->bytes + q->end;
	memset(record, 0, size);
	*(struct ev_head *)record =
		(struct ev_head){time_ns, tid, (uint16_t)kind, (uint16_t)(size / 8)};
	q->end += size;
	return record;
}

char *record_tail_put(void *at, const void *bytes, size_t n)
{
	if (n)
		memcpy(at, bytes, n);
	return (char *)at + n;
}

void record_queue_keep(struct record_queue *q)
{
	q->kept = q->end;
}

void record_queue_drop(struct record_queue *q, size_t end)
{
	q->end = end;
	q->kept = end;
}

bool record_queue_pending(const struct record_queue *q)
{
	return q->begin < q->kept;
}

int record_queue_hand_out(
	struct record_queue *q, uint32_t pid, uint64_t until_ns, record_fn sink, void *ctx)
{
	int rc = 0;

	while (!rc && q->begin < q->kept) {
		const struct ev_head *h = (const struct ev_head *)(q->bytes + q->begin);

		if (h->time_ns > until_ns)
			break;
		rc = sink(ctx, pid, h);
		if (!rc)
			q->begin += (size_t)h->size_words * 8;
	}
	if (q->begin == q->end)
		q->begin = q->kept = q->end = 0;
	return rc;
}
