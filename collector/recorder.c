/* The drain loop: feed to model, with the processes they belong to. See recorder.h. */
#include "collector/recorder.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#include "collector/log.h"
#include "collector/machine.h"
#include "collector/sampler.h"
#include "collector/tape.h"
#include "collector/unfinished.h"
#include "probe/base/cleanup.h"

/* A 4 MiB ring holds 100 ms of the fastest known program: turns are a fifth of that, half while
 * records come. */
#define TURN_IDLE_MS 20
#define TURN_BUSY_MS 10
/* rings hold young records back for a few ms: an end is told when all records before it have come
 * out. */
#define END_SETTLES_NS 100000000ull
/* Tasks that wait for a lock for so long are looked at, in looks of at most that, and the next look
 * is so many times a look's length later: a 50th of a core. */
#define LOCKED_NS 100000000ull
#define LOCKS_LOOK_NS 2000000ull
#define LOCKS_LAST_LOOK_NS 200000000ull
#define LOCKS_COST_SHARE 50u
#define UNKNOWN_STATUS (-1)
#define NS_PER_MS 1000000ull
#define NS_PER_S 1000000000ull

struct watched { /* a traced process */
	uint32_t pid;
	int pidfd; /* -1: none, its end is looked for in /proc */
	bool ended, told;
	uint64_t ended_ns;
	int status;
};

struct recorder {
	struct feed *feed;
	struct sampler *sampler;
	struct machine machine;
	uint64_t look_ns;  /* when the sampler wants its next turn */
	uint64_t locks_ns; /* when tasks that wait for locks may be looked at again */
	struct model *model;
	struct tape_writer tape;
	struct watched *watched;
	size_t watched_count;
	uint64_t refused; /* records that the model did not take */
	int error;        /* the first error */
	bool busy;        /* the last turn brought records */
	bool tape_failed;
	recorder_look_fn look; /* NULL: nobody looks */
	void *look_ctx;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static int process_fd(uint32_t pid)
{
	/* by number: glibc has a wrapper only from 2.36 */
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

static struct watched *watched_find(const struct recorder *r, uint32_t pid)
{
	for (size_t i = r->watched_count; i > 0; i--)
		if (r->watched[i - 1].pid == pid)
			return &r->watched[i - 1];
	return NULL;
}

static void watched_add(struct recorder *r, uint32_t pid)
{
	struct watched *w = watched_find(r, pid);
	struct watched *more;

	if (w && !w->ended)
		return; /* the same process in another program: exec keeps the pid */
	more = reallocarray(r->watched, r->watched_count + 1, sizeof(*more));
	if (!more)
		return;
	r->watched = more;
	w = &more[r->watched_count++];
	*w = (struct watched){.pid = pid, .status = UNKNOWN_STATUS};
	w->pidfd = process_fd(pid);
	if (w->pidfd < 0 && errno == ESRCH) {
		w->ended = true;
		w->ended_ns = now_ns();
	}
}

/*
 * One line, once. No time is told: what was refused may have waited since an earlier commit. The
 * model goes on and counts its losses, and writes again where there is room again.
 */
static void disk_failed(struct recorder *r, int rc)
{
	if (r->error)
		return;
	r->error = rc;
	log_error("%s: the trace keeps what it has, what cannot be written is lost; the program is "
		  "not disturbed",
		rc == -ENOSPC ? "the disk is full" : strerror(-rc));
}

/* A record_fn. Never stops the source: what cannot be kept is counted. */
static int put(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct recorder *r = ctx;
	int rc;

	if (r->tape.file && !r->tape_failed && tape_write(&r->tape, pid, record)) {
		r->tape_failed = true;
		log_error("the tape cannot be written: it ends here");
	}
	rc = model_record(r->model, pid, record);
	if (rc) {
		r->refused++;
		disk_failed(r, rc);
	}
	return 0;
}

/* A record_fn: the same, after what whoever looks at it has to say before. */
static int keep(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct recorder *r = ctx;

	if (r->look)
		r->look(r->look_ctx, pid, record, put, r);
	return put(ctx, pid, record);
}

/* A record_fn for what targets wrote; samples taken before it go first. */
static int take(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct recorder *r = ctx;

	sampler_hand_out(r->sampler, pid, record->time_ns, keep, r);
	if (record->kind == EV_process) {
		watched_add(r, pid);
		/* without memory for it the process is not sampled, and no more */
		sampler_process(r->sampler, pid, ((const struct ev_process *)record)->hexversion);
	}
	return keep(r, pid, record);
}

static void ends_notice(struct recorder *r, uint64_t now)
{
	for (size_t i = 0; i < r->watched_count; i++) {
		struct watched *w = &r->watched[i];
		struct pollfd fd = {.fd = w->pidfd, .events = POLLIN};

		if (w->ended)
			continue;
		w->ended = w->pidfd >= 0 ? poll(&fd, 1, 0) > 0
					 : kill((pid_t)w->pid, 0) && errno == ESRCH;
		if (!w->ended)
			continue;
		w->ended_ns = now;
		sampler_ended(r->sampler, w->pid);
		if (w->pidfd >= 0)
			close(w->pidfd);
		w->pidfd = -1;
	}
}

static void ends_tell(struct recorder *r, uint64_t before_ns)
{
	for (size_t i = 0; i < r->watched_count; i++) {
		struct watched *w = &r->watched[i];
		int rc;

		if (!w->ended || w->told || w->ended_ns > before_ns)
			continue;
		w->told = true;
		sampler_hand_out(r->sampler, w->pid, UINT64_MAX, keep, r);
		unfinished_tell(r->feed, r->sampler, w->pid, w->ended_ns, keep, r);
		sampler_process_end(r->sampler, w->pid);
		rc = model_process_end(r->model, w->pid, w->ended_ns, w->status);
		if (rc)
			disk_failed(r, rc);
		if (r->feed->ops->release)
			r->feed->ops->release(r->feed, w->pid);
	}
}

/* A record belongs to a process: to the newest that the model does not know the end of. */
static void machine_tell(struct recorder *r, uint64_t now, bool end)
{
	size_t i = r->watched_count;
	struct ev_machine record;

	while (i && r->watched[i - 1].told)
		i--;
	if (i && machine_look(&r->machine, now, end, &record))
		put(r, r->watched[i - 1].pid, &record.head);
}

struct locks_look {
	struct recorder *r;
	uint64_t until_ns;
};

/* A model_locked_fn. */
static int locked_take(void *ctx, const struct model_locked *at)
{
	struct locks_look *look = ctx;
	uint64_t now = now_ns();

	if (now >= look->until_ns)
		return -ETIME;
	return sampler_task(look->r->sampler, at->pid, at->task, at->future, now) != -EAGAIN;
}

/* Who holds which asyncio.Lock only a task's own frames tell. */
static void locks_look(struct recorder *r, uint64_t now, bool last)
{
	struct locks_look look = {r, now + (last ? LOCKS_LAST_LOOK_NS : LOCKS_LOOK_NS)};

	if (!last && now < r->locks_ns)
		return;
	model_locked(r->model, last ? now : now - LOCKED_NS, locked_take, &look);
	now = now_ns() - now;
	r->locks_ns = now_ns() +
		      (now * LOCKS_COST_SHARE > LOCKED_NS ? now * LOCKS_COST_SHARE : LOCKED_NS);
}

void recorder_look(struct recorder *r, recorder_look_fn fn, void *ctx)
{
	r->look = fn;
	r->look_ctx = ctx;
}

void recorder_take(struct recorder *r)
{
	uint64_t now = now_ns();
	int rc;

	if (!r->model)
		return;
	ends_notice(r, now);
	r->busy = r->feed->ops->drain(r->feed, 0, take, r) > 0;
	sampler_hand_out_all(r->sampler, now - RINGS_HOLDBACK_NS, keep, r);
	machine_tell(r, now, false);
	ends_tell(r, now - END_SETTLES_NS);
	rc = model_tick(r->model, now);
	if (rc)
		disk_failed(r, rc);
	r->look_ns = sampler_look(r->sampler, r->feed, now_ns());
	locks_look(r, now_ns(), false);
}

static void recorder_freep(struct recorder **r)
{
	recorder_free(*r);
}

int recorder_open(struct feed *feed, FILE *tape, struct recorder **ret)
{
	cleanup(recorder_freep) struct recorder *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		feed->ops->free(feed);
		return -ENOMEM;
	}
	r->feed = feed;
	r->tape.file = tape;
	r->look_ns = UINT64_MAX;
	rc = sampler_new(&r->sampler);
	if (rc)
		return rc;
	*ret = TAKE(r);
	return 0;
}

void recorder_free(struct recorder *r)
{
	if (!r)
		return;
	for (size_t i = 0; i < r->watched_count; i++)
		if (r->watched[i].pidfd >= 0)
			close(r->watched[i].pidfd);
	free(r->watched);
	model_free(r->model);
	sampler_free(r->sampler);
	r->feed->ops->free(r->feed);
	free(r);
}

/* One descriptor a traced process. Called when the traced program has been forked: its own limit
 * stays. */
static void descriptors_allow(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int recorder_begin(struct recorder *r, const char *path, const struct model_options *options)
{
	struct model_options o = *options;
	struct model *model;
	int rc;

	descriptors_allow();
	if (!o.t0_ns)
		o.t0_ns = now_ns();
	rc = model_open(path, &o, &model);
	if (!rc)
		r->model = model;
	return rc;
}

struct model *recorder_model(struct recorder *r)
{
	return r->model;
}

/* How long a turn lasts at most; less where a busy loop is to be sampled before. */
static struct timespec turn_time(const struct recorder *r)
{
	uint64_t now = now_ns(), ns = (r->busy ? TURN_BUSY_MS : TURN_IDLE_MS) * NS_PER_MS;

	if (r->look_ns < now + ns)
		ns = r->look_ns > now ? r->look_ns - now : 0;
	return (struct timespec){.tv_nsec = (long)ns};
}

int recorder_poll(struct recorder *r, struct pollfd *fds, size_t count)
{
	cleanup(freep) struct pollfd *all = calloc(count + r->watched_count + 2, sizeof(*all));
	const struct timespec turn = turn_time(r);
	size_t n = count;
	int ready = 0;

	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		all[i] = fds[i];
	for (size_t i = 0; i < r->watched_count; i++)
		if (r->watched[i].pidfd >= 0)
			all[n++] = (struct pollfd){.fd = r->watched[i].pidfd, .events = POLLIN};
	if (r->feed->ops->fd)
		all[n++] = (struct pollfd){.fd = r->feed->ops->fd(r->feed), .events = POLLIN};
	if (ppoll(all, n, &turn, NULL) < 0 && errno != EINTR)
		return -errno;
	for (size_t i = 0; i < count; i++) {
		fds[i].revents = all[i].revents;
		ready += fds[i].revents != 0;
	}
	recorder_take(r);
	return ready;
}

int recorder_held(struct recorder *r, struct recorder_held *ret)
{
	struct busy_loop busy;
	struct model_held at;

	if (!r->model || !sampler_longest(r->sampler, &busy) ||
		model_held(r->model, busy.pid, busy.loop.tid, busy.loop.busy_since_ns, &at))
		return 0;
	*ret = (struct recorder_held){busy.pid, busy.loop.busy_since_ns, at};
	return 1;
}

void recorder_process_end(struct recorder *r, uint32_t pid, int wait_status)
{
	struct watched *w = watched_find(r, pid);

	if (!w || w->told)
		return;
	w->status = wait_status;
	if (!w->ended)
		w->ended_ns = now_ns();
	w->ended = true;
}

unsigned int recorder_processes(const struct recorder *r)
{
	return r->feed->ops->processes(r->feed);
}

unsigned int recorder_running(const struct recorder *r)
{
	unsigned int running = 0;

	for (size_t i = 0; i < r->watched_count; i++)
		running += !r->watched[i].ended;
	return running;
}

int recorder_finish(struct recorder *r)
{
	uint64_t end = now_ns(), late;
	int rc;

	if (!r->model)
		return 0;
	locks_look(r, end, true);
	r->feed->ops->drain(r->feed, 1, take, r);
	sampler_hand_out_all(r->sampler, UINT64_MAX, keep, r);
	machine_tell(r, end, true);
	ends_notice(r, end);
	ends_tell(r, UINT64_MAX);
	for (size_t i = 0; i < r->watched_count; i++)
		if (!r->watched[i].ended)
			unfinished_tell(r->feed, r->sampler, r->watched[i].pid, end, keep, r);
	late = r->feed->ops->late ? r->feed->ops->late(r->feed) : 0;
	if (late) {
		char note[96];

		snprintf(note, sizeof(note),
			"%" PRIu64 " records came late and may be out of order", late);
		model_coverage(r->model, "note", "agent", note);
	}
	if (r->refused)
		model_lost(r->model, "records that could not be kept", r->refused);
	rc = model_close(r->model, end);
	if (rc)
		disk_failed(r, rc);
	return r->error;
}
