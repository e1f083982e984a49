/*
 * The producer's side of the ring file (probe/ring.h): makes it, grows it ring by ring, hands out
 * room for records. A full ring drops the new record and counts it; nobody ever waits. Never keeps
 * a file descriptor: the program's own numbers stay.
 */
#include "probe/agent/ring_fixed.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "probe/agent/symver.h"
#include "probe/announce.h"

#define RING_FILES_MAX                                                                             \
	16 /* images that one pid may exec one after the other, each with its own file */
#define PATH_BYTES 4096
#define ANNOUNCE_BACK_NS 1000000u /* well within what the recorder holds back for order */

struct ring_file *ring_mapped;

static struct {
	unsigned int count;
	struct ring ring[RING_SLOTS];
	char path[PATH_BYTES];
	char folder[PATH_BYTES]; /* given by who began the recording; "": the environment tells */
	pthread_key_t key;
	bool key_made;
} rings;

__thread struct thread_state agent_thread __attribute__((tls_model("initial-exec")));

uint32_t thread_tid(void)
{
	if (!agent_thread.tid) {
		agent_thread.tid = (uint32_t)syscall(SYS_gettid);
		agent_thread.pid = agent.pid;
	}
	return agent_thread.tid;
}

/* ---- the file ----------------------------------------------------------- */

/*
 * Make the file's bytes [off, off + size) exist and map them. Never a hole: on a full tmpfs a hole
 * is a SIGBUS later.
 */
static int range_map(int fd, uint64_t off, size_t size, void **ret)
{
	struct rlimit limit;
	void *map;
	int rc;

	/*
	 * Growing past RLIMIT_FSIZE sends SIGXFSZ, which kills by default (mm/shmem.c,
	 * inode_newsize_ok).
	 */
	if (getrlimit(RLIMIT_FSIZE, &limit) ||
		(limit.rlim_cur != RLIM_INFINITY && off + size > limit.rlim_cur))
		return -EFBIG;
	do
		rc = posix_fallocate(fd, (off_t)off, (off_t)size);
	while (rc == EINTR);
	if (rc)
		return -rc;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, (off_t)off);
	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

/*
 * A process that execs another program keeps its pid, so the plain name may be taken: ring-PID.1,
 * ring-PID.2, ...
 */
static int file_create(const char *folder, int *ret_fd)
{
	unsigned int i;
	int fd, n;

	for (i = 0; i < RING_FILES_MAX; i++) {
		n = i ? snprintf(rings.path, PATH_BYTES, "%s/ring-%u.%u", folder, agent.pid, i)
		      : snprintf(rings.path, PATH_BYTES, "%s/ring-%u", folder, agent.pid);
		if (n < 0 || n >= PATH_BYTES)
			return -ENAMETOOLONG;
		fd = open(rings.path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (fd >= 0) {
			*ret_fd = fd;
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
	return -EEXIST;
}

static void ring_init(struct ring *r, void *control, uint32_t tid)
{
	r->control = control;
	r->data = (char *)control + RING_PAGE;
	r->head = 0;
	r->clear = 0;
	r->last_time_ns = clock_now_ns();
	r->owned = 1;
	r->control->tid = tid;
}

/* The thread that had a ring has ended, or is about to; what it wrote stays for the recorder. */
static void ring_release(void *p)
{
	struct ring *r = p;

	agent_thread.ring = NULL;
	agent_thread.loop = NULL;
	__atomic_store_n(&r->control->busy_since_ns, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&r->control->gil_since_ns, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&r->control->call, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&r->control->gc_since_ns, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&r->control->tid, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&r->owned, 0, __ATOMIC_RELEASE);
}

int ring_folder(const char *folder)
{
	size_t size = strlen(folder) + 1;

	if (size > sizeof(rings.folder))
		return -ENAMETOOLONG;
	memcpy(rings.folder, folder, size);
	return 0;
}

int ring_open(void)
{
	const char *folder = *rings.folder ? rings.folder : getenv(ENV_SESSION);
	void *map = NULL;
	int fd = -1, rc;

	if (!folder || folder[0] != '/')
		return -ENOENT;
	if (!rings.key_made) {
		rc = pthread_key_create(&rings.key, ring_release);
		if (rc)
			return -rc;
		rings.key_made = true;
	}
	rc = file_create(folder, &fd);
	if (rc)
		return rc;
	rc = range_map(fd, 0, RING_OFFSET(1, RING_BYTES), &map);
	close(fd);
	if (rc) {
		unlink(rings.path);
		return rc;
	}
	agent.session = announce_session(folder);
	ring_init(&rings.ring[0], (char *)map + RING_OFFSET(0, RING_BYTES), 0);
	ring_mapped = map;
	rings.count = 1;
	ring_mapped->abi = RING_ABI;
	ring_mapped->pid = agent.pid;
	ring_mapped->ring_bytes = RING_BYTES;
	ring_mapped->slots = RING_SLOTS;
	ring_mapped->rings = 1;
	__atomic_store_n(&ring_mapped->magic, RING_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

static struct ring *ring_grow(uint32_t tid)
{
	struct ring *r = &rings.ring[rings.count];
	void *map = NULL;
	int fd, rc;

	if (rings.count >= RING_SLOTS || agent.quiet)
		return NULL;
	fd = open(rings.path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	rc = range_map(fd, RING_OFFSET(rings.count, RING_BYTES), RING_PAGE + RING_BYTES, &map);
	close(fd);
	if (rc)
		return NULL;
	ring_init(r, map, tid);
	rings.count++;
	__atomic_store_n(&ring_mapped->rings, rings.count, __ATOMIC_RELEASE);
	return r;
}

int ring_acquire(void)
{
	struct ring *r = NULL;
	int err = errno;
	unsigned int i;

	if (agent_thread.ring || !ring_mapped)
		return agent_thread.ring ? 0 : -ENODEV;
	for (i = 1; i < rings.count && !r; i++)
		if (!__atomic_load_n(&rings.ring[i].owned, __ATOMIC_ACQUIRE))
			r = &rings.ring[i];
	if (r) {
		r->owned = 1;
		r->last_time_ns = clock_now_ns();
		__atomic_store_n(&r->control->tid, thread_tid(), __ATOMIC_RELEASE);
	} else {
		r = ring_grow(thread_tid());
	}
	if (r && pthread_setspecific(
			 rings.key, r)) { /* without it nobody would give the ring back */
		ring_release(r);
		r = NULL;
	}
	agent_thread.ring = r;
	if (r) { /* for readers from outside; valid while busy_since_ns is not 0 */
		r->control->thread_id = (uint64_t)pthread_self();
		r->control->task_at = (uint64_t)(uintptr_t)&agent_thread.task;
	}
	errno = err;
	if (!r)
		return -ENOSPC;
	thread_seen();
	return 0;
}

void ring_missed(void)
{
	struct ring_file *file = ring_mapped;

	if (file)
		__atomic_fetch_add(&file->no_ring, 1, __ATOMIC_RELAXED);
}

/*
 * Only this thread lives on in the child. Its mappings stay: a signal handler that forked may
 * return into a half-written record.
 */
void ring_forked(void)
{
	if (rings.key_made)
		pthread_setspecific(rings.key, NULL);
	ring_mapped = NULL;
	rings.count = 0;
	agent_thread = (struct thread_state){0};
}

void ring_close(void)
{
	struct ring_file *file = ring_mapped;

	ring_mapped = NULL;
	if (file)
		__atomic_store_n(&file->closed, 1, __ATOMIC_RELEASE);
}

const uint64_t *ring_busy_at(void)
{
	return agent_thread.ring && ring_mapped
		       ? (uint64_t *)&agent_thread.ring->control->busy_since_ns
		       : NULL;
}

void ring_gil_since(uint64_t ns)
{
	struct ring *r = agent_thread.ring;

	if (r && ring_mapped)
		__atomic_store_n(&r->control->gil_since_ns, ns, __ATOMIC_RELEASE);
}

void ring_gil_waited(uint64_t ns, uint64_t turn_ns)
{
	struct ring *r = agent_thread.ring;

	if (!r || !ring_mapped)
		return;
	__atomic_store_n(&r->control->gil_ns, ns, __ATOMIC_RELAXED);
	__atomic_store_n(&r->control->gil_turn_ns, turn_ns, __ATOMIC_RELEASE);
}

void ring_gc_since(uint64_t ns)
{
	struct ring *r = agent_thread.ring;

	if (r && ring_mapped)
		__atomic_store_n(&r->control->gc_since_ns, ns, __ATOMIC_RELEASE);
}

/* ---- records ------------------------------------------------------------ */

/*
 * Where the next `size` bytes go, after a pad where they would wrap; NULL: the ring is full. size
 * <= EV_SIZE_MAX, so is a pad.
 */
static char *ring_reserve(struct ring *r, size_t size)
{
	uint64_t tail = __atomic_load_n(&r->control->tail, __ATOMIC_ACQUIRE);
	uint64_t at = r->head & (RING_BYTES - 1);
	uint64_t pad = RING_BYTES - at < size ? RING_BYTES - at : 0;

	if (r->head - tail > RING_BYTES || RING_BYTES - (r->head - tail) < pad + size)
		return NULL;
	/* a rest too short for a head is skipped unwritten, by the reader too */
	if (pad >= sizeof(struct ev_head)) {
		*(struct ev_head *)(r->data + at) = (struct ev_head){
			.time_ns = r->last_time_ns,
			.kind = EV_pad,
			.size_words = (__u16)(pad / 8),
		};
	}
	r->head += pad;
	r->clear = (r->head | (RING_BYTES - 1)) + 1;
	if (r->clear > tail + RING_BYTES)
		r->clear = tail + RING_BYTES;
	return r->data + (r->head & (RING_BYTES - 1));
}

void *ring_begin(unsigned int kind, size_t fixed, size_t tails, uint64_t time_ns)
{
	struct ring *r = agent_thread.ring ? agent_thread.ring : &rings.ring[0];
	struct ring_file *file = ring_mapped; /* a thread without the GIL may be here at the end */
	size_t size = (fixed + tails + 7) & ~(size_t)7;
	struct ev_head *head;
	char *at;

	if (!file)
		return NULL;
	if (agent_thread.writing) {
		__atomic_fetch_add(&file->in_signal, 1, __ATOMIC_RELAXED);
		return NULL;
	}
	agent_thread.writing = 1;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	at = size <= EV_SIZE_MAX ? ring_reserve(r, size) : NULL;
	if (!at) {
		__atomic_fetch_add(&r->control->dropped, 1, __ATOMIC_RELAXED);
		agent_thread.writing = 0;
		return NULL;
	}
	if (time_ns <= RING_ANNOUNCE)
		time_ns = clock_now_ns() - (time_ns ? ANNOUNCE_BACK_NS : 0);
	if (time_ns < r->last_time_ns)
		time_ns = r->last_time_ns;
	r->last_time_ns = time_ns;
	memset(at + fixed - 8, 0, 8); /* the struct's end may be padding */
	memset(at + size - 8, 0, 8);
	head = (struct ev_head *)at;
	head->time_ns = time_ns;
	head->tid = thread_tid();
	head->kind = (__u16)kind;
	head->size_words = (__u16)(size / 8);
	return at;
}

void ring_end(void *record)
{
	struct ring *r = agent_thread.ring ? agent_thread.ring : &rings.ring[0];
	const struct ev_head *head = record;

	/* else a signal handler forked in between, and this is of the parent's ring */
	if (agent_thread.writing && ring_mapped) {
		r->head += (uint64_t)head->size_words * 8;
		__atomic_store_n(&r->control->head, r->head, __ATOMIC_RELEASE);
	}
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	agent_thread.writing = 0;
}
