/*
 * What a thread keeps that runs event loops, and how the wrapped selector calls of call.c report to
 * it. The struct belongs to loop.c; call.c adds to the three totals, selector.c says which
 * selector.
 */
#ifndef PROBE_AGENT_LOOP_H
#define PROBE_AGENT_LOOP_H

#include "probe/agent/call.h"

#define RUNS_MAX 8u /* loops running inside each other on one thread; more are not seen */

struct loop_run {         /* one loop that runs on this thread; the innermost is the last */
	const void *loop; /* its address; it may be gone where a program never undid that it runs */
	uint64_t id;
	uint32_t flags; /* LOOP_UVLOOP, LOOP_COARSE */
	uint32_t stack; /* who started it */
	bool hooked;    /* it set the async generator hooks and ends when they are put back */
	/* the open iteration; the last five are the thread's totals at its begin */
	uint64_t begin_ns; /* 0: none */
	uint64_t select_ns;
	int32_t ready;
	uint32_t short_count;
	uint64_t cpu_ns;
	int64_t runq_ns;
	uint64_t gil_ns;
	uint64_t short_ns;
};

struct reentry { /* the innermost loop made to run again inside of its own run (nest_asyncio) */
	const void *loop;
	const void *frame; /* the function that asked for it and will undo it; compared only */
	uint32_t stack;
	bool told; /* it polled while a step was open */
};

/* A call this long has probably waited: copying some pages or starting a write takes less. */
#define SHORT_WAIT_NS 50000u

struct short_wait {
	uint64_t total_ns;
	uint32_t count;
};

struct loop_thread {
	uint32_t taken; /* 1: a thread has it */
	uint32_t pid;   /* process that set it up */
	uint32_t depth; /* runs in use; 0: no loop runs */
	bool armed;     /* inside the loop's own selector's poll() */
	bool polled;    /* while armed, the wrapped epoll_wait was called */
	bool no_got;    /* the wrapped epoll_wait is not called: poll() itself is timed */
	/* totals since the thread was set up */
	uint32_t short_count;
	uint64_t short_ns;
	uint64_t gil_ns;
	/* the same for calls of at least SHORT_WAIT_NS in the open iteration, by call */
	uint64_t short_wait_ns;
	struct short_wait short_waits[CALLS_END];
	/* the last reading of the thread's clocks */
	uint64_t read_ns;
	uint64_t read_off_ns; /* waited in the selector since */
	uint64_t read_cpu_ns;
	int64_t read_runq_ns; /* < 0: not to be had */
	uint64_t faults;      /* major page faults when last asked */
	int schedstat_fd;     /* -1: none */
	uint64_t schedstat_ino;
	uint64_t select_ns; /* entry of the selector call in flight */
	uint64_t blocked;   /* signals that were when its newest loop began, a bit each */
	/* select.epoll objects seen in poll() since the innermost loop began */
	const void *selector;
	const void *stranger;
	struct loop_run runs[RUNS_MAX];
	uint32_t reentered; /* in use of the next */
	struct reentry reentries[RUNS_MAX];
};

/*
 * A reading younger than this is carried on as if the thread had been on CPU since, but for its
 * waits in the selector: short iterations cost no system call (clock_gettime 114 ns, schedstat
 * 170 ns; several times that in some virtual machines). No cpu_ns is off by more than this.
 */
#define CLOCKS_AGE_NS 200000u

/* CPU time and run-queue wait (< 0: not to be had) of the thread, read now. any */
SELDOM void loop_clocks_read(struct loop_thread *thread, uint64_t now_ns);
/*
 * The thread's CPU time at `now_ns`; exact, or at most CLOCKS_AGE_NS off where it was read a moment
 * ago. any
 */
static inline uint64_t loop_cpu_ns(struct loop_thread *thread, uint64_t now_ns)
{
	if (__builtin_expect(now_ns - thread->read_ns >= CLOCKS_AGE_NS, 0))
		loop_clocks_read(thread, now_ns);
	return thread->read_cpu_ns + (now_ns - thread->read_ns) - thread->read_off_ns;
}

/*
 * Nothing moves in the thread's Python frames: it is off the GIL, or is in no signal handler, which
 * may have interrupted the interpreter between two states of them. any
 */
bool loop_frames_stand(const struct loop_thread *thread);

/* selector.c: the hook on select.epoll.poll. GIL */
int selector_open(void);
/* The loop polls while a step is open: now it is certain that it runs again. GIL */
SELDOM void loop_reentries_tell(struct loop_thread *thread);

/* The selector of the innermost loop is entered, or has returned. any */
void selector_enter(struct loop_thread *thread, uint64_t now_ns);
void selector_leave(struct loop_thread *thread, uint64_t now_ns, int ready);

/* Major page faults of the calling thread so far. any */
uint64_t loop_faults(void);

/* The descriptor behind run-queue waits: one per thread that ever ran a loop. any */
void loop_clocks_open(struct loop_thread *thread);
void loop_clocks_close(struct loop_thread *thread);

/*
 * The iteration of a run: opened at now_ns, written at its end (nothing if none is open). any, with
 * an own ring
 */
void iteration_begin(struct loop_thread *thread, struct loop_run *run, uint64_t now_ns);
void iteration_end(struct loop_thread *thread, struct loop_run *run, uint64_t now_ns);

/*
 * loop_id.c: the id of a loop that runs, given now if it has none; 0: too many loops at once. GIL
 */
uint64_t loop_id_take(PyObject *loop);
/*
 * The loop at that address that was given that id, borrowed; NULL: gone, or there is no telling.
 * GIL
 */
PyObject *loop_alive(const void *loop, uint64_t id);
/*
 * LOOP_UVLOOP, and LOOP_COARSE where its selector cannot be timed; `type` gets "module.Class". GIL
 */
uint32_t loop_describe(PyObject *loop, char *type, size_t size);
/* Whether `epoll` is what this loop's selector polls. GIL */
bool loop_polls(PyObject *loop, const void *epoll);

/*
 * The calling thread, where it runs a loop of this process that is being recorded; else NULL.
 * agent_thread.loop is set only while a loop runs. any
 */
static inline struct loop_thread *loop_thread_active(void)
{
	struct loop_thread *thread = agent_thread.loop;

	if (__builtin_expect(!thread, 1))
		return NULL;
	return agent_active() && thread->pid == agent.pid ? thread : NULL;
}

static inline struct loop_run *loop_innermost(struct loop_thread *thread)
{
	return &thread->runs[thread->depth - 1];
}

/*
 * The calling thread takes steps of this loop, so it runs it, even if its start was not seen (late
 * agent, uvloop). Cheap. GIL
 */
SELDOM void loop_seen_anew(PyObject *loop);
static inline void loop_seen(PyObject *loop)
{
	struct loop_thread *thread = agent_thread.loop;

	if (__builtin_expect(
		    !thread || loop_innermost(thread)->loop != loop || thread->pid != agent.pid, 0))
		loop_seen_anew(loop);
}

#endif
