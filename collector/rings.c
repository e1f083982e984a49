/*
 * The ring files of a session folder as one ordered stream per process. Called by the recorder
 * every 10 to 20 ms. Must survive whatever a target does to its files, and the folder.
 */
#include "collector/rings.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/ring.h"

#define STREAMS_MAX 65536u /* files looked at; further ones are not */

struct file_name { /* ring-PID, or ring-PID.SEQ where a process has had a file already: exec keeps
		      the pid */
	uint32_t pid, seq;
};

struct stream { /* one ring file */
	struct file_name name;
	ino_t inode;                /* 0: removed */
	struct ring_reader *reader; /* NULL: refused, or done with */
	bool refused, released;
	uint64_t latest_ns;            /* of the records handed out */
	struct ring_losses told, seen; /* seen: at seen_ns, to be told */
	uint64_t seen_ns;
	uint64_t
		ring_ns[RING_SLOTS]; /* time of a ring's next record, as ordered; never goes back */
};

struct rings {
	DIR *folder;
	bool consume;
	struct stream **stream; /* by pid, seq, age */
	size_t streams;
	uint64_t late;
};

struct sink { /* where a drain hands out to */
	record_fn fn;
	void *ctx;
	int count;
};

static int open_folder(const char *dir, bool consume, struct rings **ret)
{
	cleanup(freep) struct rings *r = calloc(1, sizeof(*r));
	cleanup(closep) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (!r)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	r->folder = fdopendir(fd);
	if (!r->folder)
		return -errno;
	fd = -1;
	r->consume = consume;
	*ret = TAKE(r);
	return 0;
}

int rings_open(const char *dir, struct rings **ret)
{
	return open_folder(dir, true, ret);
}

int rings_peek(const char *dir, struct rings **ret)
{
	return open_folder(dir, false, ret);
}

void rings_free(struct rings *rings)
{
	if (!rings)
		return;
	for (size_t i = 0; i < rings->streams; i++) {
		ring_reader_free(rings->stream[i]->reader);
		free(rings->stream[i]);
	}
	free(rings->stream);
	closedir(rings->folder);
	free(rings);
}

/* ---- finding files --------------------------------------------------------------------------- */

/* A number from 1 as printf("%u") writes it; 0: none. */
static uint32_t take_number(const char **s)
{
	uint64_t n = 0;

	if (**s == '0')
		return 0;
	for (; **s >= '0' && **s <= '9' && n <= INT32_MAX; (*s)++)
		n = n * 10 + (uint64_t)(**s - '0');
	return n > INT32_MAX ? 0 : (uint32_t)n;
}

static bool parse_name(const char *s, struct file_name *ret)
{
	static const char prefix[] = "ring-";
	struct file_name name = {0};

	if (strncmp(s, prefix, sizeof(prefix) - 1))
		return false;
	s += sizeof(prefix) - 1;
	name.pid = take_number(&s);
	if (*s == '.') {
		s++;
		name.seq = take_number(&s);
		if (!name.seq)
			return false;
	}
	*ret = name;
	return name.pid && !*s;
}

static void format_name(struct file_name name, char *buf, size_t size)
{
	if (name.seq)
		snprintf(buf, size, "ring-%u.%u", name.pid, name.seq);
	else
		snprintf(buf, size, "ring-%u", name.pid);
}

static bool name_is_after(struct file_name a, struct file_name b)
{
	return a.pid > b.pid || (a.pid == b.pid && a.seq > b.seq);
}

/* Index of the first stream with a later name. */
static size_t after_name(const struct rings *rings, struct file_name name)
{
	size_t low = 0, high = rings->streams;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (name_is_after(rings->stream[mid]->name, name))
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

/* Index of the first stream of a process, and of the first after them. */
static size_t streams_of(const struct rings *rings, uint32_t pid, size_t *ret_end)
{
	size_t end = after_name(rings, (struct file_name){pid, UINT32_MAX});
	size_t begin = end;

	while (begin && rings->stream[begin - 1]->name.pid == pid)
		begin--;
	*ret_end = end;
	return begin;
}

static void add_stream(
	struct rings *rings, struct file_name name, ino_t inode, struct ring_reader *reader)
{
	size_t at = after_name(rings, name);
	struct stream *s = calloc(1, sizeof(*s));
	struct stream **grown = reallocarray(rings->stream, rings->streams + 1, sizeof(*grown));

	if (grown)
		rings->stream = grown;
	if (!s || !grown) { /* found again at the next look */
		free(s);
		ring_reader_free(reader);
		return;
	}
	*s = (struct stream){.name = name, .inode = inode, .reader = reader, .refused = !reader};
	memmove(&grown[at + 1], &grown[at], (rings->streams - at) * sizeof(*grown));
	grown[at] = s;
	rings->streams++;
}

static void look_at_name(struct rings *rings, const char *path)
{
	struct ring_reader *reader = NULL;
	struct file_name name;
	struct stat st;
	size_t at;
	int rc;

	if (!parse_name(path, &name) ||
		fstatat(dirfd(rings->folder), path, &st, AT_SYMLINK_NOFOLLOW))
		return;
	at = after_name(rings, name);
	if (at && !name_is_after(name, rings->stream[at - 1]->name) &&
		rings->stream[at - 1]->inode == st.st_ino)
		return; /* known */
	rc = ring_reader_open(dirfd(rings->folder), path, name.pid, rings->consume, &reader);
	if (!rc)
		add_stream(rings, name, ring_reader_inode(reader), reader);
	else if (rc == -EPROTO || rc == -ELOOP || rc == -ENXIO || rc == -EACCES || rc == -EISDIR)
		add_stream(rings, name, st.st_ino, NULL);
	/* else: not ready, gone, or we are short of descriptors or memory: another time */
}

static void look_for_files(struct rings *rings)
{
	const struct dirent *entry;

	rewinddir(rings->folder);
	while (rings->streams < STREAMS_MAX && (entry = readdir(rings->folder)))
		look_at_name(rings, entry->d_name);
}

/* ---- handing out ----------------------------------------------------------------------------- */

static int hand_out(struct stream *s, const struct ev_head *record, struct sink *sink)
{
	int rc = sink->fn(sink->ctx, s->name.pid, record);

	if (!rc && sink->count < INT_MAX)
		sink->count++;
	return rc;
}

/* The next record of a ring; its place in time is not before its forerunner's. */
static const struct ev_head *next_of(struct stream *s, unsigned int slot)
{
	const struct ev_head *h = ring_reader_peek(s->reader, slot);

	if (h && h->time_ns > s->ring_ns[slot])
		s->ring_ns[slot] = h->time_ns;
	return h;
}

/* Hand out a ring's records up to this time. */
static int hand_out_ring(struct rings *rings, struct stream *s, unsigned int slot,
	uint64_t until_ns, struct sink *sink)
{
	const struct ev_head *h;

	while ((h = next_of(s, slot)) && s->ring_ns[slot] <= until_ns) {
		int rc = hand_out(s, h, sink);

		if (rc)
			return rc;
		if (s->ring_ns[slot] < s->latest_ns)
			rings->late++;
		else
			s->latest_ns = s->ring_ns[slot];
		ring_reader_take(s->reader, slot);
	}
	return 0;
}

/*
 * Merge the rings of a file: always the one whose next record is oldest, until another's is older.
 * Equals: the lower slot.
 */
static int merge(struct rings *rings, struct stream *s, uint64_t limit_ns, struct sink *sink)
{
	unsigned int n = ring_reader_rings(s->reader);

	for (;;) {
		uint64_t oldest_ns = limit_ns, until_ns = limit_ns;
		unsigned int oldest = n;
		int rc;

		for (unsigned int i = 0; i < n; i++) {
			if (!next_of(s, i) || s->ring_ns[i] > until_ns)
				continue;
			if (oldest == n || s->ring_ns[i] < oldest_ns) {
				until_ns = oldest == n ? limit_ns : oldest_ns - 1;
				oldest_ns = s->ring_ns[i];
				oldest = i;
			} else {
				until_ns = s->ring_ns[i];
			}
		}
		if (oldest == n)
			return 0;
		rc = hand_out_ring(rings, s, oldest, until_ns, sink);
		if (rc)
			return rc;
	}
}

static int hand_out_loss(struct stream *s, const char *what, uint64_t now, uint64_t *told,
	uint64_t now_ns, struct sink *sink)
{
	struct {
		struct ev_lost lost;
		char what[32];
	} r = {.lost.count = now - *told};
	int rc;

	if (now <= *told)
		return 0;
	r.lost.what_len = (ev_u32)strlen(what);
	memcpy(r.what, what, r.lost.what_len);
	r.lost.head = (struct ev_head){
		.time_ns = s->latest_ns ? s->latest_ns : now_ns,
		.tid = s->name.pid,
		.kind = EV_lost,
		.size_words = (uint16_t)((sizeof(r.lost) + r.lost.what_len + 7) / 8),
	};
	rc = hand_out(s, &r.lost.head, sink);
	if (!rc)
		*told = now;
	return rc;
}

/*
 * What was written up to the last look at the losses, then those losses: who judges by their place
 * in the stream finds what came before them before, and what came once there was room again after.
 */
static int hand_out_losses(
	struct rings *rings, struct stream *s, uint64_t now_ns, struct sink *sink)
{
	const struct ring_losses *seen = &s->seen;
	int rc = merge(rings, s, s->seen_ns, sink);

	if (!rc)
		rc = hand_out_loss(s, "ring full", seen->full, &s->told.full, now_ns, sink);
	if (!rc)
		rc = hand_out_loss(s, "no ring", seen->no_ring, &s->told.no_ring, now_ns, sink);
	if (!rc)
		rc = hand_out_loss(s, "in a signal handler", seen->in_signal, &s->told.in_signal,
			now_ns, sink);
	if (!rc)
		rc = hand_out_loss(
			s, "ring given up: bad record", seen->bad, &s->told.bad, now_ns, sink);
	if (rc)
		return rc;
	ring_reader_losses(s->reader, &s->seen);
	s->seen_ns = now_ns;
	return 0;
}

/*
 * All was handed out and nobody writes any more: its memory goes back. Another file may have the
 * name by now.
 */
static void finish(struct rings *rings, struct stream *s)
{
	int folder = dirfd(rings->folder);
	struct stat st;
	char name[32];

	ring_reader_free(s->reader);
	s->reader = NULL;
	format_name(s->name, name, sizeof(name));
	if (!rings->consume || fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) ||
		st.st_ino != s->inode)
		return;
	if (!unlinkat(folder, name, 0))
		s->inode = 0; /* the number may come again */
}

static int drain_stream(
	struct rings *rings, struct stream *s, uint64_t now_ns, bool final, struct sink *sink)
{
	uint64_t limit_ns = now_ns > RINGS_HOLDBACK_NS ? now_ns - RINGS_HOLDBACK_NS : 0;
	bool done;
	int rc;

	if (s->refused)
		return hand_out_loss(s, "ring file refused", 1, &s->told.bad, now_ns, sink);
	if (!s->reader)
		return 0;
	ring_reader_look(s->reader, now_ns);
	done = s->released || ring_reader_closed(s->reader);
	if (final || done)
		limit_ns = UINT64_MAX;
	rc = s->seen_ns <= limit_ns ? hand_out_losses(rings, s, now_ns, sink) : 0;
	if (!rc && s->seen_ns <= limit_ns) /* nothing is held back: what was lost by now, too */
		rc = hand_out_losses(rings, s, now_ns, sink);
	if (!rc)
		rc = merge(rings, s, limit_ns, sink);
	if (!rc && done)
		finish(rings, s);
	return rc;
}

int rings_drain_at(struct rings *rings, uint64_t now_ns, int final, record_fn fn, void *ctx)
{
	struct sink sink = {.fn = fn, .ctx = ctx};

	look_for_files(rings);
	for (size_t i = 0; i < rings->streams; i++) {
		int rc = drain_stream(rings, rings->stream[i], now_ns, final, &sink);

		if (rc)
			return rc;
	}
	return sink.count;
}

int rings_drain(struct rings *rings, int final, record_fn fn, void *ctx)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return rings_drain_at(
		rings, (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec, final, fn, ctx);
}

/* ---- asking ---------------------------------------------------------------------------------- */

void rings_release(struct rings *rings, uint32_t pid)
{
	size_t end;

	for (size_t i = streams_of(rings, pid, &end); i < end; i++)
		rings->stream[i]->released = true;
}

unsigned int rings_processes(const struct rings *rings)
{
	unsigned int processes = 0;
	uint32_t pid = 0;

	for (size_t i = 0; i < rings->streams; i++) {
		const struct stream *s = rings->stream[i];

		processes += !s->refused && s->name.pid != pid;
		pid = s->refused ? pid : s->name.pid;
	}
	return processes;
}

static bool is_live(const struct stream *s)
{
	return s->reader && !s->refused && !s->released && !ring_reader_closed(s->reader);
}

/* Only the newest file of a process counts: a program that it was before exec() left its own
 * behind. */
size_t rings_busy(const struct rings *rings, struct busy_loop *buf, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < rings->streams && n < max; i++) {
		const struct stream *s = rings->stream[i];

		if (!is_live(s) ||
			(i + 1 < rings->streams && rings->stream[i + 1]->name.pid == s->name.pid))
			continue;
		for (unsigned int slot = 0; slot < ring_reader_rings(s->reader) && n < max;
			slot++) {
			buf[n] = (struct busy_loop){s->name.pid, s->name.seq, slot, {0}};
			if (!ring_reader_loop(s->reader, slot, &buf[n].loop) &&
				buf[n].loop.busy_since_ns)
				n++;
		}
	}
	return n;
}

size_t rings_left(const struct rings *rings, uint32_t pid, struct busy_loop *buf, size_t max)
{
	size_t n = 0, end;
	const struct stream *s;

	if (streams_of(rings, pid, &end) == end || !is_live(rings->stream[end - 1]))
		return 0;
	s = rings->stream[end - 1];
	for (unsigned int slot = 0; slot < ring_reader_rings(s->reader) && n < max; slot++) {
		struct ring_loop again;

		buf[n] = (struct busy_loop){s->name.pid, s->name.seq, slot, {0}};
		if (ring_reader_loop(s->reader, slot, &buf[n].loop) || !buf[n].loop.busy_since_ns ||
			ring_reader_loop(s->reader, slot, &again))
			continue;
		if (memcmp(&again, &buf[n].loop, sizeof(again)) != 0)
			continue; /* it goes on */
		n++;
	}
	return n;
}

/* What its ring says of that loop now; false: it has been in its selector since. */
static bool busy_now(const struct rings *rings, const struct busy_loop *busy, struct ring_loop *ret)
{
	size_t at = after_name(rings, (struct file_name){busy->pid, busy->file});

	if (!at || !is_live(rings->stream[at - 1]))
		return false;
	return !ring_reader_loop(rings->stream[at - 1]->reader, busy->slot, ret) &&
	       ret->busy_since_ns == busy->loop.busy_since_ns &&
	       ret->thread_id == busy->loop.thread_id;
}

int rings_still_busy(const struct rings *rings, const struct busy_loop *busy)
{
	struct ring_loop now;

	return busy_now(rings, busy, &now);
}

int rings_waits_for_gil(const struct rings *rings, const struct busy_loop *busy)
{
	struct ring_loop now;

	return busy_now(rings, busy, &now) && now.gil_since_ns;
}

uint64_t rings_late(const struct rings *rings)
{
	return rings->late;
}
