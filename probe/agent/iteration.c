/*
 * Iterations: what lies between two calls of a loop's own selector, with the thread's CPU and
 * run-queue time in it. Called from wrapped C calls without the GIL, on the loop's thread. Must
 * keep errno.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/agent/clock.h"
#include "probe/agent/loop.h"
#include "probe/agent/ring_fixed.h"

/* An iteration this long is worth a reading at its end, so that its causes are right. */
#define CLOCKS_WORTH_NS 100000u
/* Being switched out and in takes longer: whatever was off CPU for less did not wait to run. */
#define SWITCH_NS 2000u
/* The kernel answers a poll without a wait in less. */
#define SELECT_WAIT_NS 5000u
/* Reading the clocks takes less, unless the thread loses its CPU meanwhile. */
#define LATE_NS 50000
/* A major page fault is off CPU for longer. */
#define FAULT_NS 10000u
/* Calls by kind are told of iterations with at least so much in them. */
#define SHORT_TOLD_NS 100000u

#define SCHEDSTAT_BYTES 64
/*
 * The kept descriptor gets a high number, so that the program's own open() returns what it would
 * without us.
 */
#define FD_LIMIT_MAX 1024u
#define FD_BELOW_LIMIT 64u

/* "cpu_ns run_delay_ns timeslices", Documentation/scheduler/sched-stats.rst; -1: not that. */
static int64_t run_delay_parse(const char *text, size_t n)
{
	size_t i = 0;
	int64_t ns = 0;

	while (i < n && text[i] >= '0' && text[i] <= '9')
		i++;
	if (!i || i >= n || text[i++] != ' ')
		return -1;
	if (i >= n || text[i] < '0' || text[i] > '9')
		return -1;
	for (; i < n && text[i] >= '0' && text[i] <= '9'; i++) {
		if (ns > INT64_MAX / 10 - 9)
			return -1;
		ns = ns * 10 + (text[i] - '0');
	}
	return i < n && text[i] == ' ' ? ns : -1;
}

/* -1: closed by the program, or another file under its number. It is not ours to close then. */
static int64_t run_delay_read(struct loop_thread *thread)
{
	char text[SCHEDSTAT_BYTES];
	ssize_t n;
	int64_t ns;

	if (thread->schedstat_fd < 0)
		return -1;
	n = pread(thread->schedstat_fd, text, sizeof(text), 0);
	ns = n > 0 ? run_delay_parse(text, (size_t)n) : -1;
	if (ns < 0)
		thread->schedstat_fd = -1;
	return ns;
}

/*
 * As it was at now_ns. A thread that lost its CPU since then was in the queue for as long: no call
 * and no turn that ends at now_ns, or begins there, has waited otherwise in that time.
 */
static int64_t run_delay_at(struct loop_thread *thread, uint64_t now_ns)
{
	int64_t ns = run_delay_read(thread);
	int64_t late_ns = (int64_t)(clock_here_ns() - now_ns);

	if (ns < 0 || late_ns < LATE_NS)
		return ns;
	ns -= late_ns;
	return ns > thread->read_runq_ns ? ns : thread->read_runq_ns;
}

static uint64_t inode_of(int fd)
{
	struct stat st; /* the kernel's; fstat() has a new version since glibc 2.33 */

	return syscall(SYS_fstat, fd, &st) ? 0 : st.st_ino;
}

void loop_clocks_open(struct loop_thread *thread)
{
	struct rlimit limit;
	rlim_t top = FD_LIMIT_MAX;
	int low;

	thread->schedstat_fd = -1;
	low = agent.quiet ? -1 : open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	if (low < 0)
		return;
	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < top)
		top = limit.rlim_cur;
	if (top > 2 * FD_BELOW_LIMIT)
		thread->schedstat_fd = fcntl(low, F_DUPFD_CLOEXEC, (int)(top - FD_BELOW_LIMIT));
	close(low);
	if (thread->schedstat_fd >= 0)
		thread->schedstat_ino = inode_of(thread->schedstat_fd);
}

void loop_clocks_close(struct loop_thread *thread)
{
	if (thread->schedstat_fd >= 0 && thread->schedstat_ino && !agent.quiet &&
		inode_of(thread->schedstat_fd) == thread->schedstat_ino)
		close(thread->schedstat_fd);
	thread->schedstat_fd = -1;
}

void loop_clocks_read(struct loop_thread *thread, uint64_t now_ns)
{
	int error = errno;
	uint64_t cpu_ns, off_ns;

	if (agent.quiet) {
		thread->read_ns = now_ns;
		thread->read_runq_ns = -1;
		return;
	}
	cpu_ns = clock_thread_cpu_ns();
	off_ns = (now_ns - thread->read_ns) - (cpu_ns - thread->read_cpu_ns);
	/* on CPU all the time, so not in the queue; the clocks are read a moment apart */
	if (!thread->read_ns || (int64_t)off_ns > (int64_t)SWITCH_NS)
		thread->read_runq_ns = run_delay_at(thread, now_ns);
	thread->read_ns = now_ns;
	thread->read_cpu_ns = cpu_ns;
	thread->read_off_ns = 0;
	errno = error;
}

static int64_t clamp(int64_t ns, uint64_t max)
{
	if (ns < 0)
		return 0;
	return (uint64_t)ns > max ? (int64_t)max : ns;
}

void iteration_begin(struct loop_thread *thread, struct loop_run *run, uint64_t now_ns)
{
	ring_busy_since(now_ns); /* first: a program in the kernel looks when clocks are read */
	run->begin_ns = now_ns;
	run->cpu_ns = loop_cpu_ns(thread, now_ns);
	run->runq_ns = thread->read_runq_ns;
	run->gil_ns = thread->gil_ns;
	run->short_ns = thread->short_ns;
	run->short_count = thread->short_count;
}

static SELDOM void short_waits_tell(
	struct loop_thread *thread, const struct loop_run *run, uint64_t now_ns)
{
	bool worth = thread->short_wait_ns >= SHORT_TOLD_NS;

	thread->short_wait_ns = 0;
	for (uint32_t i = 1; i < CALLS_END; i++) {
		struct short_wait *w = &thread->short_waits[i];
		struct ev_short_calls *ev;

		if (!w->count)
			continue;
		ev = worth ? ring_new(short_calls, 0, now_ns) : NULL;
		if (ev) {
			ev->loop = run->id;
			ev->total_ns = w->total_ns;
			ev->call = i;
			ev->count = w->count;
			ring_end(ev);
		}
		*w = (struct short_wait){0};
	}
}

uint64_t loop_faults(void)
{
	int error = errno;
	struct rusage usage;
	uint64_t faults = 0;

	if (!agent.quiet && !getrusage(RUSAGE_THREAD, &usage))
		faults = (uint64_t)usage.ru_majflt;
	errno = error;
	return faults;
}

static SELDOM void faults_tell(
	struct loop_thread *thread, const struct loop_run *run, uint64_t now_ns)
{
	uint64_t faults = loop_faults();
	struct ev_faults *ev = faults > thread->faults ? ring_new(faults, 0, now_ns) : NULL;

	if (ev) {
		ev->loop = run->id;
		ev->count = faults - thread->faults;
		ring_end(ev);
	}
	thread->faults = faults;
}

void iteration_end(struct loop_thread *thread, struct loop_run *run, uint64_t now_ns)
{
	struct ev_iteration *ev;
	uint64_t busy_ns = now_ns - run->begin_ns;
	uint64_t cpu_ns;

	ring_busy_since(0);
	if (!run->begin_ns)
		return;
	if (busy_ns >= CLOCKS_WORTH_NS)
		loop_clocks_read(thread, now_ns);
	cpu_ns = loop_cpu_ns(thread, now_ns);
	if (busy_ns >= CLOCKS_WORTH_NS && run->cpu_ns + busy_ns >= cpu_ns + FAULT_NS)
		faults_tell(thread, run, now_ns);
	if (thread->short_wait_ns)
		short_waits_tell(thread, run, now_ns);
	ev = ring_fixed_new(iteration, now_ns);
	if (ev) {
		ev->loop = run->id;
		ev->begin_ns = run->begin_ns;
		ev->select_ns = run->select_ns;
		ev->cpu_ns = -1;
		if (!agent.quiet)
			ev->cpu_ns = clamp((int64_t)(cpu_ns - run->cpu_ns), busy_ns);
		ev->runq_ns = -1;
		if (run->runq_ns >= 0 && thread->read_runq_ns >= 0)
			ev->runq_ns = clamp(thread->read_runq_ns - run->runq_ns, busy_ns);
		ev->gil_ns = thread->gil_ns - run->gil_ns;
		ev->short_ns = thread->short_ns - run->short_ns;
		ev->short_count = thread->short_count - run->short_count;
		ev->ready = run->ready;
		ring_fixed_put(ev);
	}
	run->begin_ns = 0;
}

void selector_enter(struct loop_thread *thread, uint64_t now_ns)
{
	struct loop_run *run = loop_innermost(thread);

	thread->select_ns = now_ns;
	if (agent_thread.ring) {
		iteration_end(thread, run, now_ns);
	} else if (run->begin_ns) {
		ring_missed();
		run->begin_ns = 0;
	}
}

void selector_leave(struct loop_thread *thread, uint64_t now_ns, int ready)
{
	struct loop_run *run;

	if (!thread->depth)
		return;
	run = loop_innermost(thread);
	run->select_ns = now_ns - thread->select_ns;
	if (run->select_ns >= SELECT_WAIT_NS && thread->read_ns <= thread->select_ns)
		thread->read_off_ns += run->select_ns;
	iteration_begin(thread, run, now_ns);
	run->ready = ready;
}
