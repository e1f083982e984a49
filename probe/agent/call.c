/*
 * The wrapped C calls. got.c puts these functions into the slots of the objects that call them; on
 * a thread that runs no loop they go straight to the original. They run without the GIL, in signal
 * handlers and in vfork children: they keep errno, and neither allocate, lock, nor call Python.
 */
#include "probe/agent/call.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "probe/agent/clock.h"
#include "probe/agent/gil_wait.h"
#include "probe/agent/loop.h"
#include "probe/agent/ring_fixed.h"
#include "probe/agent/target.h"

#define TARGET_BYTES 1024u /* of a block record's target; longer ones are cut */
#define CHILD_BYTES 256u   /* of a child's command line */

void *call_real[CALLS_END];
struct call_sqlite call_sqlite;

/* ---- one call ---------------------------------------------------------------------------- */

struct span {
	struct loop_thread *thread;
	uint64_t begin_ns;
	uint64_t end_ns;
	uint64_t cpu_ns; /* the thread's at begin; of a long call, what it used */
	int64_t runq_ns; /* the same */
	uint32_t call;
	int error; /* the call's errno */
};

/* False: not recorded, go straight on. Only the outermost call on a thread counts. */
static inline bool span_begin(struct span *s, enum call_id call)
{
	s->thread = loop_thread_active();
	if (!s->thread || agent_thread.call)
		return false;
	agent_thread.call = call; /* the kernel looks at it too (announce.h) */
	s->call = call;
	s->begin_ns = clock_here_ns();
	ring_call_begins(call, s->begin_ns);
	s->cpu_ns = loop_cpu_ns(s->thread, s->begin_ns);
	s->runq_ns = s->thread->read_runq_ns;
	return true;
}

/* A vfork child shares our memory, but not our pid. */
static bool process_is_other(void)
{
	return !agent.quiet && (uint32_t)syscall(SYS_getpid) != agent.pid;
}

/* Before anything else is done: a record's target takes time to find out. */
static void span_measure(struct span *s)
{
	int64_t cpu_ns, runq_ns = 0;

	s->error = errno;
	if (process_is_other())
		return;
	cpu_ns = (int64_t)(loop_cpu_ns(s->thread, s->end_ns) - s->cpu_ns);
	if (s->runq_ns >= 0 && s->thread->read_runq_ns >= 0)
		runq_ns = s->thread->read_runq_ns - s->runq_ns;
	s->cpu_ns = cpu_ns > 0 ? (uint64_t)cpu_ns : 0; /* readings a few µs apart */
	s->runq_ns = runq_ns > 0 ? runq_ns : 0;
}

/*
 * In a handler that has a stack of its own (faulthandler's, say), which may hold little more than
 * the kernel's frame: what a record takes, up to 8 KiB, could run over its end.
 */
static bool stack_is_alternate(void)
{
	stack_t stack;

	return !agent.quiet && !sigaltstack(NULL, &stack) && stack.ss_flags & SS_ONSTACK;
}

/* True: long enough for a record, which span_put() must write. */
static inline bool span_end(struct span *s)
{
	uint64_t ns;

	s->end_ns = clock_here_ns();
	ring_call_ended(); /* before a record tells of it: it is not told twice */
	ns = s->end_ns - s->begin_ns;
	if (__builtin_expect(ns >= agent.min_block_ns, 0) && !stack_is_alternate()) {
		span_measure(s);
		return true;
	}
	s->thread->short_ns += ns;
	s->thread->short_count++;
	if (ns >= SHORT_WAIT_NS) {
		s->thread->short_wait_ns += ns;
		s->thread->short_waits[s->call].total_ns += ns;
		s->thread->short_waits[s->call].count++;
	}
	agent_thread.call = 0;
	return false;
}

static void span_write(const struct span *s, int fd, int32_t result, const char *target, size_t len)
{
	struct ev_block *ev;
	uint32_t stack;

	if (process_is_other() || !s->thread->depth)
		return;
	if (!agent_thread.ring) { /* ring 0 is for those with the GIL */
		ring_missed();
		return;
	}
	stack = loop_frames_stand(s->thread) ? stack_here() : 0;
	ev = ring_new(block, len, s->end_ns);
	if (!ev)
		return;
	ev->begin_ns = s->begin_ns;
	ev->cpu_ns = s->cpu_ns;
	ev->runq_ns = (uint64_t)s->runq_ns;
	ev->loop = loop_innermost(s->thread)->id;
	ev->task = agent_thread.task;
	ev->call = s->call;
	ev->stack = stack;
	ev->fd = fd;
	ev->result = result;
	ev->target_len = (uint32_t)len;
	memcpy(ev + 1, target, len);
	ring_end(ev);
}

static void span_put(const struct span *s, int fd, int32_t result, const char *target, size_t len)
{
	span_write(s, fd, result, target, len);
	agent_thread.call = 0;
	errno = s->error;
}

/* A return value that says -1 and errno. */
static int32_t result_of(const struct span *s, int64_t rc)
{
	if (rc < 0)
		return -s->error;
	return rc > INT32_MAX ? INT32_MAX : (int32_t)rc;
}

static void put_plain(const struct span *s, int32_t result)
{
	span_put(s, -1, result, "", 0);
}

static void put_text(const struct span *s, int32_t result, const char *text)
{
	span_put(s, -1, result, text ? text : "", text ? strnlen(text, TARGET_BYTES) : 0);
}

static void put_fd(const struct span *s, int64_t rc, int fd)
{
	char target[TARGET_BYTES];

	span_put(s, fd, result_of(s, rc), target, target_fd(fd, target, sizeof(target)));
}

static void put_listener(const struct span *s, int64_t rc, int fd)
{
	char target[TARGET_BYTES];

	span_put(s, fd, result_of(s, rc), target, target_listener(fd, target, sizeof(target)));
}

/* The address given, or else the peer's. */
static void put_address(const struct span *s, int32_t result, int fd, const void *address, size_t n)
{
	char target[TARGET_BYTES];
	size_t len = target_address(address, (socklen_t)n, target, sizeof(target));

	if (!len)
		len = target_fd(fd, target, sizeof(target));
	span_put(s, fd, result, target, len);
}

static void put_sender(
	const struct span *s, int64_t rc, int fd, const void *from, const socklen_t *len)
{
	put_address(s, result_of(s, rc), fd, from, from && len && rc >= 0 ? *len : 0);
}

static void put_database(const struct span *s, int32_t result, void *db)
{
	put_text(s, result,
		db && call_sqlite.db_filename ? call_sqlite.db_filename(db, "main") : NULL);
}

static void put_statement(const struct span *s, int32_t result, void *stmt)
{
	put_database(s, result, stmt && call_sqlite.db_handle ? call_sqlite.db_handle(stmt) : NULL);
}

/* ---- wrappers ---------------------------------------------------------------------------- */

/*
 * `blocks`: this use may wait at all; `put` writes the record of a long one, knowing `s` and `rc`.
 */
#define WRAP(call, type, params, args, blocks, put)                                                \
	static type wrap_##call params                                                             \
	{                                                                                          \
		struct span s;                                                                     \
		type rc;                                                                           \
                                                                                                   \
		if (!(blocks) || !span_begin(&s, CALL_##call))                                     \
			return REAL(call, type, params) args;                                      \
		rc = REAL(call, type, params) args;                                                \
		if (span_end(&s))                                                                  \
			put;                                                                       \
		return rc;                                                                         \
	}

WRAP(clock_nanosleep, int,
	(clockid_t id, int flags, const struct timespec *t, struct timespec *rest),
	(id, flags, t, rest), true, put_plain(&s, -rc))
WRAP(nanosleep, int, (const struct timespec *t, struct timespec *rest), (t, rest), true,
	put_plain(&s, result_of(&s, rc)))
WRAP(usleep, int, (useconds_t us), (us), true, put_plain(&s, result_of(&s, rc)))
WRAP(poll, int, (struct pollfd * fds, nfds_t n, int timeout), (fds, n, timeout), timeout != 0,
	put_fd(&s, rc, n ? fds[0].fd : -1))
WRAP(ppoll, int, (struct pollfd * fds, nfds_t n, const struct timespec *t, const sigset_t *mask),
	(fds, n, t, mask), !t || t->tv_sec || t->tv_nsec, put_fd(&s, rc, n ? fds[0].fd : -1))
WRAP(recv, ssize_t, (int fd, void *buf, size_t n, int flags), (fd, buf, n, flags), true,
	put_fd(&s, rc, fd))
WRAP(recvfrom, ssize_t,
	(int fd, void *buf, size_t n, int flags, struct sockaddr *from, socklen_t *len),
	(fd, buf, n, flags, from, len), true, put_sender(&s, rc, fd, from, len))
WRAP(recvmsg, ssize_t, (int fd, struct msghdr *msg, int flags), (fd, msg, flags), true,
	put_fd(&s, rc, fd))
WRAP(send, ssize_t, (int fd, const void *buf, size_t n, int flags), (fd, buf, n, flags), true,
	put_fd(&s, rc, fd))
WRAP(sendto, ssize_t,
	(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to, socklen_t len),
	(fd, buf, n, flags, to, len), true, put_address(&s, result_of(&s, rc), fd, to, len))
WRAP(sendmsg, ssize_t, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags), true,
	put_address(&s, result_of(&s, rc), fd, msg->msg_name, msg->msg_namelen))
WRAP(connect, int, (int fd, const struct sockaddr *to, socklen_t len), (fd, to, len), true,
	put_address(&s, result_of(&s, rc), fd, to, len))
WRAP(accept, int, (int fd, struct sockaddr *from, socklen_t *len), (fd, from, len), true,
	put_listener(&s, rc, fd))
WRAP(accept4, int, (int fd, struct sockaddr *from, socklen_t *len, int flags),
	(fd, from, len, flags), true, put_listener(&s, rc, fd))
WRAP(getaddrinfo, int,
	(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **ret),
	(node, service, hints, ret), true, put_text(&s, rc, node ? node : service))
WRAP(gethostbyname_r, int,
	(const char *name, struct hostent *ret, char *buf, size_t n, struct hostent **result,
		int *h),
	(name, ret, buf, n, result, h), true, put_text(&s, -rc, name))
WRAP(gethostbyaddr_r, int,
	(const void *address, socklen_t len, int family, struct hostent *ret, char *buf, size_t n,
		struct hostent **result, int *h),
	(address, len, family, ret, buf, n, result, h), true, put_plain(&s, -rc))
WRAP(getnameinfo, int,
	(const struct sockaddr *address, socklen_t len, char *host, socklen_t host_len,
		char *service, socklen_t service_len, int flags),
	(address, len, host, host_len, service, service_len, flags), true,
	put_address(&s, rc, -1, address, len))
/*
 * The mode is only there with O_CREAT; what the register holds without it is passed on and not
 * looked at.
 */
WRAP(open, int, (const char *path, int flags, mode_t mode), (path, flags, mode), true,
	put_text(&s, result_of(&s, rc), path))
WRAP(open64, int, (const char *path, int flags, mode_t mode), (path, flags, mode), true,
	put_text(&s, result_of(&s, rc), path))
WRAP(openat, int, (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode),
	true, put_text(&s, result_of(&s, rc), path))
WRAP(openat64, int, (int dir, const char *path, int flags, mode_t mode), (dir, path, flags, mode),
	true, put_text(&s, result_of(&s, rc), path))
WRAP(read, ssize_t, (int fd, void *buf, size_t n), (fd, buf, n), true, put_fd(&s, rc, fd))
WRAP(write, ssize_t, (int fd, const void *buf, size_t n), (fd, buf, n), true, put_fd(&s, rc, fd))
WRAP(pread64, ssize_t, (int fd, void *buf, size_t n, off64_t at), (fd, buf, n, at), true,
	put_fd(&s, rc, fd))
WRAP(pwrite64, ssize_t, (int fd, const void *buf, size_t n, off64_t at), (fd, buf, n, at), true,
	put_fd(&s, rc, fd))
WRAP(readv, ssize_t, (int fd, const struct iovec *v, int n), (fd, v, n), true, put_fd(&s, rc, fd))
WRAP(writev, ssize_t, (int fd, const struct iovec *v, int n), (fd, v, n), true, put_fd(&s, rc, fd))
WRAP(fsync, int, (int fd), (fd), true, put_fd(&s, rc, fd))
WRAP(fdatasync, int, (int fd), (fd), true, put_fd(&s, rc, fd))
WRAP(flock, int, (int fd, int operation), (fd, operation), true, put_fd(&s, rc, fd))
/* The third argument is an int, a pointer or nothing: the register is passed on as it is. */
WRAP(fcntl, int, (int fd, int command, void *arg), (fd, command, arg),
	command == F_SETLKW || command == F_OFD_SETLKW, put_fd(&s, rc, fd))
WRAP(fcntl64, int, (int fd, int command, void *arg), (fd, command, arg),
	command == F_SETLKW || command == F_OFD_SETLKW, put_fd(&s, rc, fd))
WRAP(lockf64, int, (int fd, int command, off64_t len), (fd, command, len), command == F_LOCK,
	put_fd(&s, rc, fd))
WRAP(sendfile64, ssize_t, (int to, int from, off64_t *at, size_t n), (to, from, at, n), true,
	put_fd(&s, rc, to))
WRAP(pause, int, (void), (), true, put_plain(&s, result_of(&s, rc)))
WRAP(sigwait, int, (const sigset_t *set, int *signal), (set, signal), true, put_plain(&s, -rc))
WRAP(sigwaitinfo, int, (const sigset_t *set, siginfo_t *info), (set, info), true,
	put_plain(&s, result_of(&s, rc)))
WRAP(sigtimedwait, int, (const sigset_t *set, siginfo_t *info, const struct timespec *t),
	(set, info, t), true, put_plain(&s, result_of(&s, rc)))
WRAP(wait, pid_t, (int *status), (status), true, put_plain(&s, result_of(&s, rc)))
WRAP(wait3, pid_t, (int *status, int options, struct rusage *usage), (status, options, usage),
	!(options & WNOHANG), put_plain(&s, result_of(&s, rc)))
WRAP(system, int, (const char *command), (command), true,
	put_text(&s, rc < 0 ? -s.error : rc, command))
WRAP(sem_wait, int, (sem_t * sem), (sem), true, put_plain(&s, result_of(&s, rc)))
WRAP(sem_timedwait, int, (sem_t * sem, const struct timespec *t), (sem, t), true,
	put_plain(&s, result_of(&s, rc)))
WRAP(sem_clockwait, int, (sem_t * sem, clockid_t id, const struct timespec *t), (sem, id, t), true,
	put_plain(&s, result_of(&s, rc)))
WRAP(pthread_cond_timedwait, int,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *t), (cond, mutex, t),
	true, put_plain(&s, -rc))
WRAP(pthread_cond_wait, int, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex), true,
	put_plain(&s, -rc))
WRAP(pthread_cond_clockwait, int,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t id, const struct timespec *t),
	(cond, mutex, id, t), true, put_plain(&s, -rc))
WRAP(pthread_join, int, (pthread_t thread, void **ret), (thread, ret), true, put_plain(&s, -rc))
WRAP(sqlite3_step, int, (void *stmt), (stmt), true, put_statement(&s, rc, stmt))
WRAP(sqlite3_exec, int,
	(void *db, const char *sql, int (*row)(void *, int, char **, char **), void *arg,
		char **error),
	(db, sql, row, arg, error), true, put_database(&s, rc, db))
WRAP(sqlite3_prepare_v2, int, (void *db, const char *sql, int n, void **stmt, const char **tail),
	(db, sql, n, stmt, tail), true, put_database(&s, rc, db))
WRAP(sqlite3_prepare_v3, int,
	(void *db, const char *sql, int n, unsigned int flags, void **stmt, const char **tail),
	(db, sql, n, flags, stmt, tail), true, put_database(&s, rc, db))
WRAP(sqlite3_open_v2, int, (const char *path, void **db, int flags, const char *vfs),
	(path, db, flags, vfs), true, put_text(&s, rc, path))
WRAP(sqlite3_close_v2, int, (void *db), (db), true, put_plain(&s, rc)) /* db is gone by then */
WRAP(sqlite3_backup_step, int, (void *backup, int pages), (backup, pages), true, put_plain(&s, rc))

/*
 * A function of a C module, with the GIL: (self, args) or (self, args, nargs) by its flags; the
 * third register is passed on as it is.
 */
WRAP(fork_exec, void *, (void *module, void *args, ssize_t n), (module, args, n), true,
	put_plain(&s, rc ? 0 : -s.error))

/* The lowest descriptor of the sets, before select() changes them; -1: none, so it is a sleep. */
static int lowest_fd(int n, const fd_set *a, const fd_set *b, const fd_set *c)
{
	for (int fd = 0; fd < n && fd < FD_SETSIZE; fd++)
		if ((a && FD_ISSET(fd, a)) || (b && FD_ISSET(fd, b)) || (c && FD_ISSET(fd, c)))
			return fd;
	return -1;
}

static int wrap_select(int n, fd_set *r, fd_set *w, fd_set *e, struct timeval *t)
{
#define SELECT REAL(select, int, (int, fd_set *, fd_set *, fd_set *, struct timeval *))
	struct span s;
	int fd, rc;

	if ((t && !t->tv_sec && !t->tv_usec) || !span_begin(&s, CALL_select))
		return SELECT(n, r, w, e, t);
	fd = lowest_fd(n, r, w, e);
	rc = SELECT(n, r, w, e, t);
	if (span_end(&s))
		put_fd(&s, rc, fd);
	return rc;
}

/* ---- children: their command line is gone once they are reaped --------------------------- */

struct child {
	char line[CHILD_BYTES];
	size_t len;
};

/* A fork that is not yet its own program, or never will be, has our line, which tells nothing. */
static void child_look(struct child *child, pid_t pid)
{
	char ours[CHILD_BYTES];
	int error = errno;

	child->len = target_child(pid, child->line, sizeof(child->line));
	if (child->len && child->len == target_child((pid_t)agent.pid, ours, sizeof(ours)) &&
		!memcmp(child->line, ours, child->len))
		child->len = 0;
	errno = error;
}

static pid_t wrap_waitpid(pid_t pid, int *status, int options)
{
	struct span s;
	struct child child;
	pid_t rc;

	if (options & WNOHANG || !span_begin(&s, CALL_waitpid))
		return REAL(waitpid, pid_t, (pid_t, int *, int))(pid, status, options);
	child_look(&child, pid);
	rc = REAL(waitpid, pid_t, (pid_t, int *, int))(pid, status, options);
	if (span_end(&s))
		span_put(&s, -1, result_of(&s, rc), child.line, child.len);
	return rc;
}

static pid_t wrap_wait4(pid_t pid, int *status, int options, struct rusage *usage)
{
	struct span s;
	struct child child;
	pid_t rc;

	if (options & WNOHANG || !span_begin(&s, CALL_wait4))
		return REAL(wait4, pid_t, (pid_t, int *, int, struct rusage *))(
			pid, status, options, usage);
	child_look(&child, pid);
	rc = REAL(wait4, pid_t, (pid_t, int *, int, struct rusage *))(pid, status, options, usage);
	if (span_end(&s))
		span_put(&s, -1, result_of(&s, rc), child.line, child.len);
	return rc;
}

static int wrap_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	struct span s;
	struct child child;
	int rc;

	if (options & WNOHANG || !span_begin(&s, CALL_waitid))
		return REAL(waitid, int, (idtype_t, id_t, siginfo_t *, int))(
			type, id, info, options);
	child_look(&child, type == P_PID ? (pid_t)id : 0);
	rc = REAL(waitid, int, (idtype_t, id_t, siginfo_t *, int))(type, id, info, options);
	if (span_end(&s))
		span_put(&s, -1, result_of(&s, rc), child.line, child.len);
	return rc;
}

/* ---- selectors --------------------------------------------------------------------------- */

typedef int epoll_wait_t(int, struct epoll_event *, int, int);
typedef int epoll_pwait_t(int, struct epoll_event *, int, int, const sigset_t *);

/*
 * The innermost loop's own selector: armed by its poll(), or any epoll of uvloop on a thread that
 * runs it.
 */
static struct loop_thread *selector_thread(enum call_variant variant)
{
	struct loop_thread *thread = loop_thread_active();

	if (!thread || agent_thread.call)
		return NULL;
	if (variant == CALL_UVLOOP)
		return loop_innermost(thread)->flags & LOOP_UVLOOP ? thread : NULL;
	if (!thread->armed)
		return NULL;
	thread->polled = true;
	return thread;
}

static inline void selector_begin(struct loop_thread *thread)
{
	agent_thread.call = CALL_epoll_wait;
	selector_enter(thread, clock_here_ns());
}

static inline void selector_end(struct loop_thread *thread, int rc)
{
	selector_leave(thread, clock_here_ns(), rc < 0 ? -errno : rc);
	agent_thread.call = 0;
}

static int epoll_wait_as(
	enum call_variant variant, int fd, struct epoll_event *ev, int n, int timeout)
{
	epoll_wait_t *real = (epoll_wait_t *)call_real[CALL_epoll_wait];
	struct loop_thread *thread = selector_thread(variant);
	struct span s;
	int rc;

	if (thread) {
		selector_begin(thread);
		rc = real(fd, ev, n, timeout);
		selector_end(thread, rc);
		return rc;
	}
	if (!timeout || !span_begin(&s, CALL_epoll_wait))
		return real(fd, ev, n, timeout);
	rc = real(fd, ev, n, timeout);
	if (span_end(&s))
		put_fd(&s, rc, fd);
	return rc;
}

static int epoll_pwait_as(enum call_variant variant, int fd, struct epoll_event *ev, int n,
	int timeout, const sigset_t *mask)
{
	epoll_pwait_t *real = (epoll_pwait_t *)call_real[CALL_epoll_pwait];
	struct loop_thread *thread = selector_thread(variant);
	struct span s;
	int rc;

	if (thread) {
		selector_begin(thread);
		rc = real(fd, ev, n, timeout, mask);
		selector_end(thread, rc);
		return rc;
	}
	if (!timeout || !span_begin(&s, CALL_epoll_pwait))
		return real(fd, ev, n, timeout, mask);
	rc = real(fd, ev, n, timeout, mask);
	if (span_end(&s))
		put_fd(&s, rc, fd);
	return rc;
}

static int wrap_epoll_wait(int fd, struct epoll_event *ev, int n, int timeout)
{
	return epoll_wait_as(CALL_PLAIN, fd, ev, n, timeout);
}

static int uvloop_epoll_wait(int fd, struct epoll_event *ev, int n, int timeout)
{
	return epoll_wait_as(CALL_UVLOOP, fd, ev, n, timeout);
}

static int wrap_epoll_pwait(
	int fd, struct epoll_event *ev, int n, int timeout, const sigset_t *mask)
{
	return epoll_pwait_as(CALL_PLAIN, fd, ev, n, timeout, mask);
}

static int uvloop_epoll_pwait(
	int fd, struct epoll_event *ev, int n, int timeout, const sigset_t *mask)
{
	return epoll_pwait_as(CALL_UVLOOP, fd, ev, n, timeout, mask);
}

/* ---- the table --------------------------------------------------------------------------- */

/* The wrapper of `name` in an object of that variant; NULL where got.c knows no such name. */
void *call_wrapper(enum call_id id, enum call_variant variant)
{
	static void *const plain[CALLS_END] = {
#define CALL(name, id, class, doc) [id] = (void *)wrap_##name,
#include "probe/calls.def"
#undef CALL
	};
	static void *const uvloop[CALLS_END] = {
		[CALL_epoll_wait] = (void *)uvloop_epoll_wait,
		[CALL_epoll_pwait] = (void *)uvloop_epoll_pwait,
	};

	if (variant == CALL_INTERPRETER && gil_wrapper(id))
		return gil_wrapper(id);
	if (variant == CALL_UVLOOP && uvloop[id])
		return uvloop[id];
	return plain[id];
}
