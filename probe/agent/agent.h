/*
 * What the agent's files share. All of it runs inside somebody else's program: nothing here may
 * exit, abort, print, block, allocate without bound or leave a Python error set that was not set
 * before. "GIL" after a prototype: the caller holds the GIL of our interpreter. "any" : also
 * without it, in GOT wrappers, on the calling thread.
 */
#ifndef PROBE_AGENT_H
#define PROBE_AGENT_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>

#include "probe/event.h"
#include "probe/ring.h"

/* Not on the way that every turn takes: kept out of it, so that it saves no registers for this. */
#define SELDOM __attribute__((noinline, cold))

/* ---- the calling thread: initial-exec TLS, so 64 bytes at most  */

struct ring;        /* ring.c */
struct loop_thread; /* loop.c: what a thread that runs a loop keeps */

struct thread_state {
	struct ring *ring;        /* its own; NULL: none, ring 0 serves under the GIL */
	struct loop_thread *loop; /* NULL: runs no loop, GOT wrappers pass straight through */
	uint64_t task;            /* address of the task whose step is open; or of the handle whose
				     function runs, with WORK_CALLBACK; 0 = none */
	uint64_t step_begin_ns;
	uint32_t tid;     /* kernel id; 0 = not asked yet */
	uint32_t pid;     /* of the process that set this up: differs in a vfork child */
	uint32_t writing; /* > 0: a record is being written (a signal handler must not) */
	uint32_t call;    /* inside a GOT wrapper of this one; only the outermost is recorded; 0 */
	uint32_t known;   /* 1: its thread record is written */
	uint32_t cells;   /* > 0: inside so many nested run_cell() of IPython */
	uint32_t beyond;  /* 1: the loop that runs has no place among loop_threads, and that is told
			   */
};
_Static_assert(
	sizeof(struct thread_state) <= 64, "initial-exec TLS of a dlopened object is scarce");
extern __thread struct thread_state agent_thread;

/* The task whose step is open, if nothing runs inside it that a loop was given; 0 = none. any */
static inline uint64_t task_here(void)
{
	return agent_thread.task & WORK_CALLBACK ? 0 : agent_thread.task;
}

struct agent_state {
	bool on; /* hooks record; off: straight to the original (at exit, in a child before its
		    ring) */
	bool finalizing; /* set when the interpreter is gone: nothing records any more */
	bool forked;     /* off since fork(): the next task makes this process rings of its own */
	bool many;       /* a subinterpreter was made: hooks must ask whose they are */
	bool quiet;      /* the program may forbid itself system calls: none of ours any more */
	bool gil_lost;   /* a loop waited long for the GIL since threads_announce() */
	bool rescan;     /* objects were loaded since got_open() or got_rescan() */
	int minor;       /* Python 3.minor */
	uint64_t min_block_ns;
	uint64_t min_step_ns;
	uint32_t pid;
	uint64_t since_ns; /* when this process began to record: a step that began before belongs to
			      the parent's */
	uint64_t look_ns;  /* when what is looked at once a second is due; UINT64_MAX: nothing is */
	uint64_t session;  /* announce_session() of the rings' folder */
	void *interp;      /* PyInterpreterState* of the interpreter we serve */
};
extern struct agent_state agent;

/* First line of each hook that may run without the GIL: record here? any */
static inline bool agent_active(void);
/* The same where the GIL of some interpreter is held: is it ours? PyMethodDefs and static types are
 * shared by all. GIL */
static inline bool agent_ours(void);
bool agent_interp_ours(void);
/* Off since a fork? Then make this process rings of its own. True if recording goes on. GIL */
bool agent_resume(void);
/* The calling thread holds the GIL of our interpreter. any */
bool agent_gil_held(void);
/* The interpreter is finalizing: objects may be half torn down. any */
bool agent_finalizing(void);

void clock_open(void);              /* choose how to tell the time; before the first use */
uint64_t clock_now_ns(void);        /* CLOCK_MONOTONIC; any */
uint64_t clock_thread_cpu_ns(void); /* CLOCK_THREAD_CPUTIME_ID, 114 ns; any */

uint32_t thread_tid(void); /* kernel id of the calling thread; any */

/* Say that a hook was placed (reason NULL) or refused. GIL */
void hook_report(const char *name, const char *reason);
/* What could not be recorded; false: neither can this, try again later. GIL */
bool lost_report(uint64_t count, const char *what);
void hook_forked(void); /* in the child: say it all again. GIL */

/* The thread record of the calling thread, once; every hook that holds the GIL calls it before its
 * first record. GIL */
static inline void thread_seen(void);
void thread_announce(void);
/* The records of all threads that threading knows, at most ten times a second. GIL */
void threads_announce(void);

/* ---- ring.c: records out ------------------------------------------------ */

/* Where ring files are made from now on, instead of where the environment says. GIL */
int ring_folder(const char *folder);
int ring_open(void); /* the ring file with ring 0. GIL */
/* a ring of its own for the calling thread, released when the thread ends. GIL */
int ring_acquire(void);
/* in the child: forget the parent's rings; the next ring_open() makes new ones */
void ring_forked(void);
void ring_close(void); /* mark the file closed */
/* A record is left out, since the calling thread has no ring of its own. any */
void ring_missed(void);
/* Where busy_since_ns of the calling thread is kept; NULL: nowhere. any */
const uint64_t *ring_busy_at(void);
/* It waits for the GIL since then (0: it does not): recorders look who has it. any */
void ring_gil_since(uint64_t ns);
/* So long has it waited for the GIL in the turn that began then. any */
void ring_gil_waited(uint64_t ns, uint64_t turn_ns);
void ring_gc_since(uint64_t ns); /* it collects since then (0: it does not). any */
/*
 * Room for a record with `tails` bytes after its fixed part. Head and tail padding are filled in,
 * time_ns 0 means now. Times in one ring never go back: an earlier time_ns than the last record's
 * becomes that. RING_ANNOUNCE: a little before now, for what must not push the record that refers
 * to it to a later time, nor come so early that the recorder has gone on. NULL: dropped and counted
 * (ring full, no ring, in a signal handler). Between begin and end: no call into Python and no
 * other begin. any; without an own ring only under the GIL.
 */
#define RING_ANNOUNCE 1u
void *ring_begin(unsigned int kind, size_t fixed, size_t tails, uint64_t time_ns);
void ring_end(void *record);
#define ring_new(name, tails, time_ns)                                                             \
	((struct ev_##name *)ring_begin(EV_##name, sizeof(struct ev_##name), (tails), (time_ns)))

/* ---- announce.c: for a program in the kernel, if one watches ------------- */

/* The calling thread, which has a ring, runs a loop from now on, or does not any more. GIL */
void announce_thread(bool runs);
void announce_collection(bool begins); /* or is done. GIL */

/* ---- frame.c, intern.c: stacks, codes, names ---------------------------- */

int frame_open(void); /* choose the layout of this version and prove it on the live stack. GIL */
/* Stack id of the calling thread's Python frames, read raw; 0 = none or not taken. any, on the
 * thread itself */
uint32_t stack_here(void);
struct innermost { /* of a chain; borrowed: good until something runs or is freed. NULL: none */
	const void *coroutine, *code;
};
/*
 * Chain of suspended coroutines from the task's root coroutine down, as a stack id (innermost
 * first). *ret may be NULL, and is set in any case. GIL
 */
uint32_t stack_of_coroutine(PyObject *coro, struct innermost *ret);
/* Stack id of a traceback object, innermost first. GIL */
uint32_t stack_of_traceback(PyObject *tb);
uint32_t code_id(PyObject *code); /* GIL */
/* 0: not a native coroutine, generator or async generator. GIL */
uint32_t code_of_coroutine(PyObject *coro);
uint32_t name_id(const char *text); /* interned by content. GIL */
void intern_forked(void);           /* in the child: announce everything anew */

int body_open(void);            /* the names of this interpreter's instructions. GIL */
void body_tell(PyObject *code); /* what a coroutine's code does; of a code with an id. GIL */
void body_forked(void);         /* in the child: the names again. GIL */

/* ---- got.c, call.c: C calls on loop threads ----------------------------- */

int got_open(void); /* patch what is loaded. GIL */
/* objects were loaded since (an "import" audit event with a file name). GIL */
void got_rescan(void);

/* ---- loop.c: loops and their selectors ---------------------------------- */

int loop_open(void); /* hooks on select.epoll.poll. GIL */
void loop_audit(const char *event,
	PyObject *args);          /* sys.set_asyncgen_hook_*: a loop begins or ends. GIL */
uint64_t loop_id(PyObject *loop); /* of a loop object; 0 = has not run yet. GIL */
/* That stack is where the calling thread's innermost loop was started, no function of a callback's
 * on it. GIL */
bool loop_started_by(uint32_t stack);
bool loop_runs_here(PyObject *loop); /* on the calling thread, as far as was seen. GIL */
/* The calling thread's loop has been running for long: its open turn counts from now on. GIL */
void loop_late(void);
/* Recording is about to end: what is open of the calling thread's loops ends now. GIL */
void loop_rest(void);

/* ---- task.c, pytask.c, cell.c, gc.c, anomaly.c, audit.c ----------------- */

int task_open(void);         /* slot hooks on _asyncio.Task and its hidden types. GIL */
int pytask_open(void);       /* C descriptors on asyncio.tasks._PyTask. GIL */
int anomaly_open(void);      /* warnings._warn_unawaited_coroutine. GIL */
int gc_open(void);           /* gc.callbacks. GIL */
int callback_open(void);     /* handles of loops, call_soon_threadsafe(). GIL */
int timer_open(void);        /* _heapq.heappop. GIL */
int base_loop_open(void);    /* asyncio's BaseEventLoop, asyncio.run(). GIL */
void base_loop_missed(void); /* a loop runs that is none: say once what is not seen of it. GIL */
int queue_open(void);        /* asyncio.Queue. GIL */
void queues_look(void);      /* their sizes. GIL */
void queues_forked(void);    /* in the child: their stacks were the parent's. GIL */
int job_open(void);          /* thread pools. GIL */
void cell_expect(void);      /* IPython is being imported. GIL */
void cell_try(void);         /* IPython's events, once InteractiveShell is there. GIL */
void cell_exec(void);        /* code is about to run: of a shell's first cell? GIL */
void cell_late(void);        /* the cell that runs already begins now. GIL */
void cell_rest(void);        /* recording is about to end: so does the cell that runs. GIL */
void tasks_late(void);       /* those of the running loop that are pending already. GIL */
void audit_event(const char *event, PyObject *args); /* the ones that matter. GIL */

static inline bool agent_active(void)
{
	return __builtin_expect(agent.on, 1);
}

static inline bool agent_ours(void)
{
	return agent_active() && (__builtin_expect(!agent.many, 1) || agent_interp_ours());
}

static inline void thread_seen(void)
{
	if (__builtin_expect(!agent_thread.known, 0))
		thread_announce();
}

#endif
