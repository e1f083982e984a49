/* Several feeds behind one. See feed_series.h. */
#include "collector/feed_series.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "probe/base/cleanup.h"

struct member {
	uint32_t pid;
	struct feed *feed; /* NULL: freed */
	bool ending;
	uint64_t drained_ns; /* to the end; 0: not yet */
};

struct feed_series {
	struct feed feed; /* first */
	struct member *member;
	size_t count;
	int epoll_fd; /* of the members' descriptors */
};

/* Freeing one waits for the kernel to take its probes away, unless it has had the time to. */
#define DETACHED_NS 3000000000ull

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void series_free(struct feed *feed)
{
	struct feed_series *s = (struct feed_series *)feed;

	if (!s)
		return;
	for (size_t i = 0; i < s->count; i++)
		if (s->member[i].feed)
			s->member[i].feed->ops->free(s->member[i].feed);
	free(s->member);
	closep(&s->epoll_fd);
	free(s);
}

/* Records handed out, or what sink returned. */
static int member_drain(struct member *m, int final, record_fn sink, void *ctx)
{
	int rc = 0;

	if (m->feed && !m->drained_ns)
		rc = m->feed->ops->drain(m->feed, final || m->ending, sink, ctx);
	if (m->ending && !m->drained_ns)
		m->drained_ns = clock_ns();
	if (!m->feed || !m->drained_ns || clock_ns() < m->drained_ns + DETACHED_NS)
		return rc;
	m->feed->ops->free(m->feed);
	m->feed = NULL;
	return rc;
}

static int drain(struct feed *feed, int final, record_fn sink, void *ctx)
{
	struct feed_series *s = (struct feed_series *)feed;
	int handed = 0;

	for (size_t i = 0; i < s->count; i++) {
		int rc = member_drain(&s->member[i], final, sink, ctx);

		if (rc < 0)
			return rc;
		handed += rc;
	}
	return handed;
}

static size_t busy(const struct feed *feed, struct busy_loop *buf, size_t max)
{
	const struct feed_series *s = (const struct feed_series *)feed;
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++) {
		const struct feed *one = s->member[i].feed;

		if (one && !s->member[i].ending)
			n += one->ops->busy(one, buf + n, max - n);
	}
	return n;
}

/* The feed that watches a process now. NULL: none does. */
static const struct feed *feed_of(const struct feed *feed, uint32_t pid)
{
	const struct feed_series *s = (const struct feed_series *)feed;

	for (size_t i = s->count; i-- > 0;)
		if (s->member[i].pid == pid && s->member[i].feed && !s->member[i].ending)
			return s->member[i].feed;
	return NULL;
}

static int still_busy(const struct feed *feed, const struct busy_loop *loop)
{
	const struct feed *one = feed_of(feed, loop->pid);

	return one && one->ops->still_busy(one, loop);
}

static int waits_for_gil(const struct feed *feed, const struct busy_loop *loop)
{
	const struct feed *one = feed_of(feed, loop->pid);

	return one && one->ops->waits_for_gil(one, loop);
}

static const struct native_moment *native(const struct feed *feed, const struct busy_loop *loop)
{
	const struct feed *one = feed_of(feed, loop->pid);

	return one && one->ops->native ? one->ops->native(one, loop) : NULL;
}

static unsigned int processes(const struct feed *feed)
{
	return (unsigned int)((const struct feed_series *)feed)->count;
}

static int poll_fd(const struct feed *feed)
{
	return ((const struct feed_series *)feed)->epoll_fd;
}

int feed_series_new(struct feed_series **ret)
{
	static const struct feed_ops ops = {
		.free = series_free,
		.drain = drain,
		.busy = busy,
		.still_busy = still_busy,
		.waits_for_gil = waits_for_gil,
		.native = native,
		.processes = processes,
		.fd = poll_fd,
	};
	struct feed_series *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->feed.ops = &ops;
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll_fd < 0) {
		free(s);
		return -errno;
	}
	*ret = s;
	return 0;
}

struct feed *feed_series_base(struct feed_series *s)
{
	return &s->feed;
}

int feed_series_add(struct feed_series *s, uint32_t pid, struct feed *feed)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct member *more = reallocarray(s->member, s->count + 1, sizeof(*more));

	if (!more) {
		feed->ops->free(feed);
		return -ENOMEM;
	}
	s->member = more;
	more[s->count++] = (struct member){.pid = pid, .feed = feed};
	/* without it the recorder's turns are no shorter when much comes; closing it takes it out
	 */
	if (feed->ops->fd)
		epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, feed->ops->fd(feed), &event);
	return 0;
}

void feed_series_end(struct feed_series *s, uint32_t pid)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->member[i].pid == pid)
			s->member[i].ending = true;
}
