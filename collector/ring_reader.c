/*
 * One ring file, read with pread(2) and not through a mapping: its owner may truncate it at any
 * moment, and a mapping would then kill the recorder with SIGBUS. Heads and tails are aligned
 * words, which the kernel copies whole: 0 of 15 M reads and 10 M writes were torn (6.18, fsrm,
 * tmpfs and ext4, 2026-11); a head is read twice all the same. Must not believe a byte of the file.
 */
#include "collector/ring_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/base/cleanup.h"
#include "probe/ring.h"

#define RING_BYTES_MIN RING_PAGE /* bounds of what we believe; agents use RING_BYTES */
#define RING_BYTES_MAX (256u << 20)
/* Read at once: stays in the L2 cache until it is handed out. */
#define CHUNK_BYTES ((size_t)256 << 10)
/* Sensors and we use one clock: what claims to be later than that from now is no record. */
#define FUTURE_NS 1000000000ull
#define HEAD_READS 4 /* until two agree */

struct ring {
	uint64_t head;    /* as last seen */
	uint64_t copied;  /* position in the stream up to which bytes are in buf */
	uint64_t dropped; /* as last seen */
	unsigned char *buf;
	size_t size, begin, end; /* of buf; [begin, end) is not taken yet */
	bool checked;            /* a record stands at begin */
	bool bad;                /* given up: only what is in buf still counts */
};

struct ring_reader {
	int fd;
	bool consume, closed;
	ino_t inode;
	uint64_t ring_bytes;
	uint64_t latest_ns; /* no record is later */
	uint64_t no_ring, in_signal, bad;
	unsigned int slots, rings;
	struct ring ring[RING_SLOTS];
};

/* All n bytes at off; -EPROTO: the file ends before. */
static int read_at(int fd, void *buf, size_t n, uint64_t off)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(fd, (char *)buf + done, n - done, (off_t)(off + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -EPROTO;
		done += (size_t)got;
	}
	return 0;
}

/* ---- the file -------------------------------------------------------------------------------- */

static int check_page(const struct ring_file *page, uint32_t pid)
{
	if (!page->magic)
		return -EAGAIN; /* written last */
	if (page->magic != RING_MAGIC || page->abi != RING_ABI || page->pid != pid)
		return -EPROTO;
	if (page->ring_bytes < RING_BYTES_MIN || page->ring_bytes > RING_BYTES_MAX)
		return -EPROTO;
	if (page->ring_bytes & (page->ring_bytes - 1))
		return -EPROTO;
	return page->slots && page->slots <= RING_SLOTS ? 0 : -EPROTO;
}

int ring_reader_open(
	int folder, const char *name, uint32_t pid, bool consume, struct ring_reader **ret)
{
	cleanup(freep) struct ring_reader *r = calloc(1, sizeof(*r));
	/* O_NONBLOCK: a FIFO of that name must not hold us. */
	int flags = (consume ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	cleanup(closep) int fd = openat(folder, name, flags);
	struct ring_file page;
	struct stat st;
	int rc;

	if (!r)
		return -ENOMEM;
	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EPROTO;
	if (st.st_size < (off_t)sizeof(page))
		return -EAGAIN;
	rc = read_at(fd, &page, sizeof(page), 0);
	if (!rc)
		rc = check_page(&page, pid);
	if (rc)
		return rc;
	r->inode = st.st_ino;
	r->consume = consume;
	r->ring_bytes = page.ring_bytes;
	r->slots = page.slots;
	r->fd = fd;
	fd = -1;
	*ret = TAKE(r);
	return 0;
}

void ring_reader_free(struct ring_reader *r)
{
	if (!r)
		return;
	close(r->fd);
	for (unsigned int i = 0; i < r->rings; i++)
		free(r->ring[i].buf);
	free(r);
}

ino_t ring_reader_inode(const struct ring_reader *r)
{
	return r->inode;
}

unsigned int ring_reader_rings(const struct ring_reader *r)
{
	return r->rings;
}

bool ring_reader_closed(const struct ring_reader *r)
{
	return r->closed;
}

/* ---- looking --------------------------------------------------------------------------------- */

static void give_up(struct ring_reader *r, struct ring *ring)
{
	r->bad += !ring->bad;
	ring->bad = true;
	ring->head = ring->copied;
}

static void look_at_ring(struct ring_reader *r, unsigned int slot)
{
	uint64_t off = RING_OFFSET(slot, r->ring_bytes);
	struct ring *ring = &r->ring[slot];
	struct ring_control c, again;
	int rc = read_at(r->fd, &c, sizeof(c), off);

	for (int i = 1; i < HEAD_READS && !rc; i++) {
		again = c;
		rc = read_at(r->fd, &c, sizeof(c), off);
		if (c.head == again.head)
			break;
	}
	/* The bytes that a head publishes are to be loaded after it. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!rc && c.dropped > ring->dropped)
		ring->dropped = c.dropped;
	if (ring->bad)
		return;
	if (rc || c.head < ring->head || c.head % 8 || c.head - ring->copied > r->ring_bytes)
		give_up(r, ring);
	else
		ring->head = c.head;
}

/*
 * Rings that came since the last look. They begin at the tail they have: an earlier recorder may
 * have read from them.
 */
static int take_rings(struct ring_reader *r, unsigned int rings)
{
	struct ring_control c;
	struct stat st;

	if (rings < r->rings || rings > r->slots)
		return -EPROTO;
	if (rings == r->rings)
		return 0;
	if (fstat(r->fd, &st) || (uint64_t)st.st_size < RING_OFFSET(rings, r->ring_bytes))
		return -EPROTO;
	for (; r->rings < rings; r->rings++) {
		struct ring *ring = &r->ring[r->rings];
		int rc = read_at(r->fd, &c, sizeof(c), RING_OFFSET(r->rings, r->ring_bytes));

		if (rc || c.tail % 8)
			return -EPROTO;
		ring->copied = ring->head = c.tail;
	}
	return 0;
}

void ring_reader_look(struct ring_reader *r, uint64_t now_ns)
{
	struct ring_file page;
	int rc = read_at(r->fd, &page, sizeof(page), 0);

	r->latest_ns = now_ns + FUTURE_NS;
	if (!rc) {
		/* Before the heads: what it wrote before closing is seen too. */
		r->closed = page.closed == 1;
		r->no_ring = page.no_ring > r->no_ring ? page.no_ring : r->no_ring;
		r->in_signal = page.in_signal > r->in_signal ? page.in_signal : r->in_signal;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		rc = take_rings(r, page.rings);
	}
	for (unsigned int i = 0; i < r->rings; i++) {
		if (rc)
			give_up(r, &r->ring[i]);
		else
			look_at_ring(r, i);
	}
	if (rc && !r->rings)
		r->bad = 1;
}

void ring_reader_losses(const struct ring_reader *r, struct ring_losses *ret)
{
	*ret = (struct ring_losses){
		.no_ring = r->no_ring, .in_signal = r->in_signal, .bad = r->bad};
	for (unsigned int i = 0; i < r->rings; i++)
		ret->full += r->ring[i].dropped;
}

int ring_reader_loop(const struct ring_reader *r, unsigned int slot, struct ring_loop *ret)
{
	struct ring_control c;
	int rc = slot < r->rings ? read_at(r->fd, &c, sizeof(c), RING_OFFSET(slot, r->ring_bytes))
				 : -EPROTO;

	if (!rc)
		*ret = (struct ring_loop){.tid = c.tid,
			.thread_id = c.thread_id,
			.task_at = c.task_at,
			.busy_since_ns = c.busy_since_ns,
			.gil_since_ns = c.gil_since_ns,
			.call_since_ns = c.call_since_ns,
			.gil_ns = c.gil_ns,
			.gil_turn_ns = c.gil_turn_ns,
			.gc_since_ns = c.gc_since_ns,
			.call = c.call};
	return rc;
}

/* ---- records --------------------------------------------------------------------------------- */

/* Room for `need` bytes and more after what is not taken yet. */
static int make_room(struct ring *ring, size_t need)
{
	size_t kept = ring->end - ring->begin;
	size_t size = need > CHUNK_BYTES ? need : CHUNK_BYTES;
	unsigned char *buf = ring->buf;

	if (ring->size < size) {
		buf = malloc(size);
		if (!buf)
			return -ENOMEM;
		ring->size = size;
	}
	if (kept)
		memmove(buf, ring->buf + ring->begin, kept);
	if (buf != ring->buf)
		free(ring->buf);
	ring->buf = buf;
	ring->begin = 0;
	ring->end = kept;
	return 0;
}

/*
 * Copy more of the ring, at least as much as makes `need` bytes; the caller knows that the target
 * wrote them.
 */
static int copy_more(struct ring_reader *r, struct ring *ring, size_t need)
{
	unsigned int slot = (unsigned int)(ring - r->ring);
	uint64_t off = RING_OFFSET(slot, r->ring_bytes);
	int rc = make_room(ring, need);

	while (!rc && ring->end < ring->size && ring->copied < ring->head) {
		uint64_t at = ring->copied & (r->ring_bytes - 1), n = ring->size - ring->end;

		n = n < ring->head - ring->copied ? n : ring->head - ring->copied;
		n = n < r->ring_bytes - at ? n : r->ring_bytes - at;
		rc = read_at(r->fd, ring->buf + ring->end, (size_t)n, off + RING_PAGE + at);
		if (rc)
			break;
		ring->end += (size_t)n;
		ring->copied += n;
	}
	if (rc || !r->consume)
		return rc;
	/* The bytes are ours now: the loads above come before this store. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	off += offsetof(struct ring_control, tail);
	if (pwrite(r->fd, &ring->copied, sizeof(ring->copied), (off_t)off) < 0)
		return -errno;
	return 0;
}

static const struct ev_head *record_at(const struct ring *ring)
{
	return (const struct ev_head *)(const void *)(ring->buf + ring->begin);
}

/*
 * Go to the next record. 1: it stands at begin, checked; 0: there is none yet; -EPROTO: the bytes
 * are none.
 */
static int next_record(struct ring_reader *r, struct ring *ring)
{
	for (;;) {
		size_t have = ring->end - ring->begin, need = sizeof(struct ev_head);
		uint64_t at = ring->copied - have;
		uint64_t room = r->ring_bytes - (at & (r->ring_bytes - 1)), left = ring->head - at;
		const struct ev_head *h = have ? record_at(ring) : NULL;

		if (!left)
			return 0;
		if (room < need)
			need = (size_t)room; /* too little for a head: skipped */
		else if (have >= need)
			need = (size_t)h->size_words * 8;
		if (need > room || need > left || !need)
			return -EPROTO;
		if (have < need) {
			int rc = copy_more(r, ring, need);

			if (rc)
				return rc;
		} else if (room < sizeof(*h) || (h->kind == EV_pad && need == room)) {
			ring->begin += need;
		} else {
			return record_check(h, need) || h->time_ns > r->latest_ns ? -EPROTO : 1;
		}
	}
}

const struct ev_head *ring_reader_peek(struct ring_reader *r, unsigned int slot)
{
	struct ring *ring = &r->ring[slot];
	int rc;

	if (ring->checked)
		return record_at(ring);
	rc = next_record(r, ring);
	if (rc < 0 && rc != -ENOMEM) { /* out of memory: another time */
		give_up(r, ring);
		ring->begin = ring->end;
	}
	ring->checked = rc == 1;
	return ring->checked ? record_at(ring) : NULL;
}

void ring_reader_take(struct ring_reader *r, unsigned int slot)
{
	const struct ev_head *h = ring_reader_peek(r, slot);

	if (h)
		r->ring[slot].begin += (size_t)h->size_words * 8;
	r->ring[slot].checked = false;
}
