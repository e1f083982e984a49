/* The rings of agents as a feed of the recorder. See feed.h, rings.h. */
#include <errno.h>
#include <stdlib.h>

#include "collector/feed.h"

struct rings_feed {
	struct feed feed; /* first */
	struct rings *rings;
};

static struct rings *rings_of(const struct feed *feed)
{
	return ((const struct rings_feed *)feed)->rings;
}

static void feed_free(struct feed *feed)
{
	if (!feed)
		return;
	rings_free(rings_of(feed));
	free(feed);
}

static int drain(struct feed *feed, int final, record_fn sink, void *ctx)
{
	return rings_drain(rings_of(feed), final, sink, ctx);
}

static void release(struct feed *feed, uint32_t pid)
{
	rings_release(rings_of(feed), pid);
}

static size_t busy(const struct feed *feed, struct busy_loop *buf, size_t max)
{
	return rings_busy(rings_of(feed), buf, max);
}

static int still_busy(const struct feed *feed, const struct busy_loop *loop)
{
	return rings_still_busy(rings_of(feed), loop);
}

static int waits_for_gil(const struct feed *feed, const struct busy_loop *loop)
{
	return rings_waits_for_gil(rings_of(feed), loop);
}

static size_t left(const struct feed *feed, uint32_t pid, struct busy_loop *buf, size_t max)
{
	return rings_left(rings_of(feed), pid, buf, max);
}

static int tell(
	struct feed *feed, uint32_t pid, const struct ev_head *record, record_fn sink, void *ctx)
{
	return sink(ctx, pid, record);
}

static unsigned int processes(const struct feed *feed)
{
	return rings_processes(rings_of(feed));
}

static uint64_t late(const struct feed *feed)
{
	return rings_late(rings_of(feed));
}

int rings_feed_open(const char *dir, struct feed **ret)
{
	static const struct feed_ops ops = {
		.free = feed_free,
		.drain = drain,
		.release = release,
		.busy = busy,
		.still_busy = still_busy,
		.waits_for_gil = waits_for_gil,
		.left = left,
		.tell = tell,
		.processes = processes,
		.late = late,
	};
	struct rings_feed *f = calloc(1, sizeof(*f));
	int rc = f ? rings_open(dir, &f->rings) : -ENOMEM;

	if (rc) {
		free(f);
		return rc;
	}
	f->feed.ops = &ops;
	*ret = &f->feed;
	return 0;
}
