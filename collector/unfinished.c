/*
 * See unfinished.h. It stands in the ring's control, which outlives the target, and is as little to
 * be believed as the rest of it.
 */
#include "collector/unfinished.h"

#include "probe/event.h"
#include "probe/ring.h"
#include "probe/sampling.h"

static bool call_known(uint32_t call)
{
	switch (call) {
#define CALL(name, id, class, doc) case id:
#include "probe/calls.def"
#undef CALL
		return true;
	default:
		return false;
	}
}

/* In the iteration, and not after it. */
static bool is_inside(uint64_t at_ns, uint64_t begin_ns, uint64_t end_ns)
{
	return at_ns >= begin_ns && at_ns <= end_ns;
}

static uint64_t gil_waited(const struct ring_loop *loop, uint64_t end_ns)
{
	uint64_t busy_ns = end_ns - loop->busy_since_ns, ns = 0;

	if (loop->gil_turn_ns == loop->busy_since_ns)
		ns = loop->gil_ns < busy_ns ? loop->gil_ns : busy_ns;
	if (is_inside(loop->gil_since_ns, loop->busy_since_ns, end_ns))
		ns += end_ns - loop->gil_since_ns;
	return ns < busy_ns ? ns : busy_ns;
}

static struct ev_unfinished record_of(
	const struct sampler *sampler, const struct busy_loop *busy, uint64_t end_ns)
{
	const struct ring_loop *loop = &busy->loop;
	struct ev_unfinished r = {
		.head = {end_ns, loop->tid, EV_unfinished, sizeof(r) / 8},
		.begin_ns = loop->busy_since_ns,
		.gil_ns = gil_waited(loop, end_ns),
		.cpu_ns = -1,
		.runq_ns = -1,
	};
	struct sampler_used used = {0};

	if (!sampler_used(sampler, busy, &used)) {
		r.cpu_ns = (int64_t)used.cpu_ns;
		r.runq_ns = (int64_t)used.runq_ns;
	}
	if (is_inside(loop->gc_since_ns, r.begin_ns, end_ns))
		r.gc_begin_ns = loop->gc_since_ns;
	if (call_known(loop->call) && is_inside(loop->call_since_ns, r.begin_ns, end_ns)) {
		r.call = loop->call;
		r.call_begin_ns = loop->call_since_ns;
		r.call_cpu_ns = used.call_cpu_ns;
	}
	return r;
}

int unfinished_tell(struct feed *feed, const struct sampler *sampler, uint32_t pid, uint64_t end_ns,
	record_fn sink, void *ctx)
{
	struct busy_loop busy[RING_SLOTS];
	size_t n = feed->ops->left ? feed->ops->left(feed, pid, busy, RING_SLOTS) : 0;
	int rc = 0;

	for (size_t i = 0; i < n && !rc; i++) {
		const uint64_t begin_ns = busy[i].loop.busy_since_ns;
		struct ev_unfinished r;

		/* a shorter one may be no more than how late its end was seen */
		if (!busy[i].loop.tid || begin_ns > end_ns || end_ns - begin_ns < SAMPLING_HELD_NS)
			continue;
		r = record_of(sampler, &busy[i], end_ns);
		rc = feed->ops->tell(feed, pid, &r.head, sink, ctx);
	}
	return rc;
}
