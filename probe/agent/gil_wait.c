/*
 * See gil_wait.h. Each wait is told with what the thread's clocks say of it. Runs without the GIL,
 * and in signal handlers; keeps errno, and neither allocates, locks, nor calls Python.
 */
#include "probe/agent/gil_wait.h"

#include <pthread.h>

#include "probe/agent/loop.h"

#define GIL_LONG_NS 1000000 /* who had it may be worth a name; a switch interval is 5 ms */

struct gil_wait {
	struct loop_thread *thread;
	uint64_t begin_ns;
	uint64_t cpu_ns;
	int64_t runq_ns;
};

static inline bool gil_begin(struct gil_wait *w)
{
	w->thread = loop_thread_active();
	if (!w->thread || agent_thread.call)
		return false;
	w->begin_ns = clock_now_ns();
	loop_clocks_read(w->thread, w->begin_ns);
	w->cpu_ns = w->thread->read_cpu_ns;
	w->runq_ns = w->thread->read_runq_ns;
	ring_gil_since(w->begin_ns);
	return true;
}

/* The wait less the thread's own CPU and run-queue time in it, which are told on their own. */
static inline void gil_end(const struct gil_wait *w)
{
	uint64_t now_ns = clock_now_ns();
	int64_t ns = (int64_t)(now_ns - w->begin_ns);

	ring_gil_since(0);
	loop_clocks_read(w->thread, now_ns);
	ns -= (int64_t)(w->thread->read_cpu_ns - w->cpu_ns);
	if (w->runq_ns >= 0 && w->thread->read_runq_ns >= 0)
		ns -= w->thread->read_runq_ns - w->runq_ns;
	if (ns <= 0)
		return;
	w->thread->gil_ns += (uint64_t)ns;
	if (w->thread->depth) {
		const struct loop_run *run = loop_innermost(w->thread);

		ring_gil_waited(w->thread->gil_ns - run->gil_ns, run->begin_ns);
	}
	if (ns >= GIL_LONG_NS)
		agent.gil_lost = true;
}

#define GIL_WRAP(call, params, args)                                                               \
	static int gil_##call params                                                               \
	{                                                                                          \
		struct gil_wait w;                                                                 \
		int rc;                                                                            \
                                                                                                   \
		if (!gil_begin(&w))                                                                \
			return REAL(call, int, params) args;                                       \
		rc = REAL(call, int, params) args;                                                 \
		gil_end(&w);                                                                       \
		return rc;                                                                         \
	}

GIL_WRAP(pthread_cond_wait, (pthread_cond_t * cond, pthread_mutex_t *mutex), (cond, mutex))
GIL_WRAP(pthread_cond_timedwait,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, const struct timespec *t), (cond, mutex, t))
GIL_WRAP(pthread_cond_clockwait,
	(pthread_cond_t * cond, pthread_mutex_t *mutex, clockid_t id, const struct timespec *t),
	(cond, mutex, id, t))

void *gil_wrapper(enum call_id id)
{
	switch (id) {
	case CALL_pthread_cond_wait:
		return (void *)gil_pthread_cond_wait;
	case CALL_pthread_cond_timedwait:
		return (void *)gil_pthread_cond_timedwait;
	case CALL_pthread_cond_clockwait:
		return (void *)gil_pthread_cond_clockwait;
	default:
		return NULL;
	}
}
