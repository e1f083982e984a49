/*
 * What the model's files share: the objects of a trace while they live. Every string here is
 * interned in the model's pool unless it says otherwise. Times are ns since t0.
 */
#ifndef COLLECTOR_MODEL_STATE_H
#define COLLECTOR_MODEL_STATE_H

#include <stdbool.h>

#include "collector/fold.h"
#include "collector/map.h"
#include "collector/model.h"
#include "collector/model_bounds.h"
#include "collector/model_stack.h"
#include "collector/pool.h"
#include "collector/store.h"
#include "collector/window.h"

/* A row that is written again whenever its object changed: at each commit, and once more if the
 * disk refused it. */
struct dirty {
	struct dirty *next;
	void (*put)(struct model *model, struct dirty *self);
	/* The commit succeeded; may free it. NULL: nothing to do. */
	void (*stored)(struct model *model, struct dirty *self);
	bool queued;
	bool changed; /* since it was put */
};

/* First member of an object with a row that may end before the trace does. */
struct live {
	struct dirty dirty; /* first */
	struct live *next, **link;
	bool done;          /* nothing more will come: freed once its row is stored */
	bool kept, dropped; /* its row is in the file; it was refused for want of room */
};

enum block_class {
	CLASS_sleep,
	CLASS_network,
	CLASS_file,
	CLASS_subprocess,
	CLASS_dns,
	CLASS_database,
	CLASS_lock,
	CLASS_fault,
	CLASS_other,
	CLASSES,
};

struct cell {
	struct dirty dirty;
	uint64_t id;
	struct process *process;
	struct thread *thread;
	struct loop *loop;
	struct cell *outer;  /* the open cell that ran it */
	struct task *runner; /* the task that runs it; NULL: none. Holds a reference while open */
	uint32_t index;
	int64_t execution_count; /* < 0: none */
	const char *source;
	const char *file; /* of its code objects; NULL: not known */
	uint32_t hash;    /* murmur2 of the source */
	uint64_t began_ns, ended_ns;
	bool ended, failed, synchronous, end_lost;
	bool known_only;        /* nothing was seen of its run */
	int64_t notebook_index; /* < 0: none */
	const char *error;
	uint64_t turned_ns; /* end of the first turn of its thread's loop after its beginning; 0 */
	uint64_t runner_steps; /* of its runner, likewise */
	uint64_t lost_before;  /* of its process */
	uint64_t tasks, steps;
};

enum { /* task.cancels: who called cancel() */
	CANCEL_USER = 1,
	CANCEL_TASK = 2,
	CANCEL_SHUTDOWN = 4,
	CANCEL_INTERRUPTED = 8, /* by the shutdown, with the main coroutine pending: Ctrl-C */
};

struct wake { /* who ended a wait; all 0: not seen */
	uint64_t time_ns, set_ns;
	uint64_t by_id; /* row of the task whose step did it */
	const struct thread *thread;
	uint32_t how; /* enum wake_how */
	uint32_t stack;
	bool set_seen;
	char *received; /* "TimeoutError: text", malloc'd; NULL: no exception */
};

struct task {
	struct dirty dirty;
	uint64_t id;
	uint64_t address;
	unsigned int references;
	struct process *process;
	struct thread *thread;
	struct loop *loop; /* NULL: not known yet */
	uint64_t parent_id;
	struct task *parent; /* reference, until this task ends */
	struct cell *cell;
	struct cell *ran; /* the last cell it ran */
	bool runs_cell, user, main, late;
	bool ended, destroyed, quiet, unretrieved;
	bool kept, dropped; /* its row is in the file; it was refused for want of room */
	uint8_t cancels;
	uint32_t state; /* enum task_state */
	char *name;     /* its own, malloc'd; NULL: out of memory */
	const char *coro;
	const struct code *code; /* of its coroutine; NULL: not native */
	uint32_t stack;          /* row */
	struct stack *birth;     /* seen from outside: its cell may be told of later; else NULL */
	struct site created;
	uint64_t created_ns, ended_ns;
	const char *exception; /* type */
	char *message;         /* malloc'd; NULL: none */
	struct stack *failed;  /* where it failed */
	uint64_t steps, busy_ns, max_step_ns, last_ns;
	uint64_t unheard; /* of its process, when it was last heard of */
	bool unsure;      /* pending, or its end is among what was lost since */
	/* What it waits for since its last step. */
	bool waits;
	struct stack *await_stack;
	const char *await_type;
	struct task *await_task; /* reference */
	uint64_t waits_on;       /* address, where it is no task; its key in process.waiting */
	struct wake wake;
	uint64_t *group; /* rows of the tasks it waits for at once; NULL: none */
	uint32_t group_count;
	bool group_one; /* each alone is enough to end its wait */
	uint64_t lock;  /* address of the asyncio.Lock that it waits for; 0: none is known */
	struct held_lock *held; /* those that it is inside of; model_lock.c. NULL: none is known */
	struct task *locked_next, **locked_link; /* NULL: it is not in its process's list */
	bool looked;                             /* by model_locked(), since its last step */
	bool bound_unknown;                      /* some timeout will end the wait */
	uint64_t bound_ns;  /* when the last of its timeouts is due; 0: it set none */
	uint64_t cancel_ns; /* when it was last asked to end; 0: only by a loop's shutdown, or never
			     */
	uint64_t wait_bound_ns; /* the same, of those it had set when it began to wait */
	const char *leaked;
	struct task *next, *previous; /* of its process */
	/* Of those whose rows are to be refreshed at the next checkpoint; link NULL: it is none. */
	struct task *stepped_next, **stepped_link;
	struct task *ended_next;
};

#define SPAN_TAKERS_MAX 8u

/* What happened on a thread inside the iteration of a loop that is still open. */
struct span {
	uint64_t blocked_ns[CLASSES]; /* off CPU, and not in the run queue */
	uint64_t short_ns[CLASSES];   /* in calls too short for records that may have waited */
	uint64_t gc_cpu_ns;
	uint64_t faults;
	uint64_t first_ns, last_ns; /* begin of the first, end of the last; last 0: nothing */
	uint64_t longest_block_ns, longest_step_ns;
	/* By the kernel's accounts, where it tells of them. */
	struct ev_causes exact;
	/* What the kernel accounts to a class, as it knows the system call only, and is of another,
	 * as the calls around it tell: by the class it leaves, and by the one it is of. */
	uint64_t raw_ns[CLASSES], known_ns[CLASSES];
	struct site block_site, step_site;
	struct span_taker { /* who had the CPU meanwhile */
		uint64_t ns;
		uint32_t pid;
		const char *name;
	} taker[SPAN_TAKERS_MAX];
	unsigned int takers;
};

/* A wait before a loop's first iteration has ended: where it lies is known then. */
struct early_wait {
	uint64_t begin_ns, end_ns, off_ns;
	enum block_class class;
	struct site site;
};
#define EARLY_WAITS_MAX 4096u /* of a loop; with more, all count for its first iteration */

struct loop_run {         /* one run_forever() */
	struct live live; /* first */
	uint64_t id;
	const struct loop *loop;
	const struct thread *thread;
	const struct cell *cell;
	uint64_t task_id;
	bool task_kept;      /* that task's row is in the trace */
	bool ended, settled; /* settled: whose step started it is known, or will not be */
	uint64_t began_ns, ended_ns;
	const struct stack *started;
	uint32_t stack; /* row */
	struct site site;
	struct loop_run *outer; /* of the same loop, where it is re-entered */
};

struct loop {
	struct dirty dirty;
	uint64_t id; /* row */
	struct process *process;
	struct thread *thread;
	const char *kind, *type;
	bool coarse, running, stopped, closed;
	uint64_t began_ns, ended_ns, closed_ns;
	uint32_t stack; /* row */
	uint64_t iterations, busy_ns, select_ns, max_busy_ns;
	struct window *window; /* NULL: all is kept */
	struct span span;
	struct early_wait *early; /* NULL: none, or the first iteration has ended */
	unsigned int earlies;
	unsigned int entries;  /* run_forever() calls that have not returned */
	struct loop_run *run;  /* the innermost of them */
	unsigned int runs_cut; /* of those inside it, the ones without a loop_run */
	struct task *main;     /* reference: the task of its run_until_complete() */
};

struct pending_gc { /* waits for the step that it happened in */
	uint64_t begin_ns, end_ns, cpu_ns;
	uint32_t generation, collected;
};
#define PENDING_GC_MAX 64 /* beyond it the oldest is stored without its cell */

#define CALL_WAITS_MAX 16u /* of one call; further ones are summed with the last */

struct call_waits { /* the kernel's, inside a call whose record comes next on the thread */
	struct call_wait {
		uint64_t off_ns, runq_ns, cpu_ns;
		enum block_class raw;
		uint32_t call;        /* id in syscalls.def */
		bool named;           /* the kernel has it in the call's class */
		struct stack *native; /* that begins in C functions; NULL: it does not */
	} at[CALL_WAITS_MAX];
	uint32_t count;
};

#define RECENT_CELLS 8 /* a thread's last cells, to clip iterations against */

struct thread {
	struct dirty dirty;
	uint64_t id; /* row */
	uint32_t tid;
	struct process *process;
	const char *name;
	uint64_t seen_ns;
	struct loop *loops[LOOP_DEPTH]; /* running, outermost first */
	unsigned int depth;
	struct cell *cell; /* open, innermost */
	struct cell *recent[RECENT_CELLS];
	unsigned int recent_at;
	struct call_waits waits;
	struct pending_gc *gc; /* room for PENDING_GC_MAX; NULL: none seen */
	unsigned int gcs;
	struct loop_run *inner_run[INNER_RUNS_MAX];
	unsigned int inner_runs;
	struct samples *samples; /* model_sample.h; NULL: never sampled */
	struct holders *holders; /* model_holder.c; NULL: none seen */
	struct ended {           /* who ended a wait of this thread, until it is told of */
		struct thread *by;
		struct stack *stack;
		const char *process; /* "python3 (pid 4711)", where it was another; else NULL */
		uint64_t time_ns;    /* 0: nobody */
	} ended;
};

struct loss {
	struct dirty dirty;
	struct loss *next;
	uint64_t id, count;
	struct process *process; /* NULL: the recorder's own */
	const char *what;
};

struct fact { /* a row of meta, or of coverage */
	struct dirty dirty;
	struct fact *next;
	uint64_t id; /* of coverage */
	struct process *process;
	const char *key;    /* meta: key; coverage: what */
	const char *value;  /* meta: value; coverage: sensor */
	const char *detail; /* coverage */
	int64_t number;
	bool is_number;
};

struct process {
	struct dirty dirty;
	struct process *next;
	uint64_t id; /* row */
	uint32_t pid, ppid, uid;
	const char *argv, *executable, *python, *stdlib;
	uint64_t began_ns, ended_ns, last_ns;
	bool named, ended, is_kernel;
	bool saw_tasks, saw_iterations, saw_calls;
	bool outside; /* no agent in it: seen from the kernel */
	bool watched; /* an agent is in it, and the kernel sees its loop threads too */
	uint64_t exact_ns, coarse_ns, coarse; /* busy time of its rows by whose account; how many */
	uint64_t lost;
	uint64_t unheard; /* records that its sensor could not give us */
	struct map threads, loops, names, codes, stacks,
		tasks, /* by the sensor's id, or the object's address */
		jobs, queues;
	struct map callbacks;    /* struct callback by handle, and by future with function */
	struct map waiting;      /* address of a future -> the task that waits for it */
	struct map holders;      /* address of an asyncio.Lock -> the waiting task that holds it */
	struct map cell_by_file; /* hash of ipykernel's file name, or interned pointer -> newest
				    cell */
	struct thread *last_thread;
	struct task *task;   /* list of all that are in memory */
	struct task *locked; /* those among them that wait for an asyncio.Lock */
	struct task *ended_first, *ended_last;
	unsigned int ended_count;
	struct cell **cell;
	uint32_t cells, cells_room;
	struct opcodes *opcodes;        /* NULL: not told */
	uint64_t refused[REFUSED_KEPT]; /* addresses of the coroutines that loops refused last */
	unsigned int refused_next;
};

struct model {
	struct store *store;
	struct model_options options; /* mode and sensor are interned */
	struct pool pool;
	uint64_t t0_ns;
	bool t0_known, started_known;
	uint64_t last_ns; /* newest record, since t0 */
	uint64_t fold_ns; /* effective min_step_ns */
	unsigned int fold_level;
	bool full;                              /* max_bytes: no more rows of facts */
	uint64_t committed_at, checkpointed_at; /* CLOCK_MONOTONIC */
	int error;                              /* the first of the recording */
	bool refused;                           /* by the disk: the last batch */
	struct map processes;
	struct process *process; /* list, newest first */
	struct process *last_process;
	struct dirty *dirty;
	unsigned int dirtied; /* put into that list since the last commit */
	struct task *stepped;
	struct live *live;
	struct fold steps, iterations, timers;
	struct map frames; /* by hash */
	struct frame **frame;
	uint32_t frame_count, frames_room, frames_put, frames_committed;
	struct map stack_ids; /* (parent, frame) -> id */
	struct stack_node *node;
	uint32_t node_count, nodes_room, nodes_put, nodes_committed;
	struct loss *losses;
	struct fact *facts;
	struct source_cache *sources;
	uint64_t tasks, threads, loops, cells, processes_count, losses_count, coverage_count,
		loop_runs, jobs, queues;              /* ids given out */
	uint64_t jobs_forgotten, loop_runs_forgotten; /* ids up to which --keep has let go */
	uint64_t window_from_ns;                      /* of --keep; 0: all is there */
	uint64_t discrepancy_ns;                      /* the largest */
	uint32_t samples, live_tasks, audits, anomalies, short_waits, refusals, queue_samples;
};

/* ---- model.c */
void model_dirty(struct model *model, struct dirty *dirty);
/* Of a record's time stamp; never before t0. */
uint64_t model_time(const struct model *model, uint64_t time_ns);
/* 1: rows of facts may still be written; else it was counted as lost. */
bool model_room(struct model *model);

/* ---- model_keep.c */
/* After a commit. now_ns: CLOCK_MONOTONIC; last: of the recording. */
void keep_forget(struct model *model, uint64_t now_ns, bool last);

/* ---- model_live.c */
/* Zeroed but for its struct live, which is put at the next commit; NULL: out of memory. */
void *live_new(struct model *model, size_t size, void (*put)(struct model *, struct dirty *));
void live_done(struct model *model, struct live *live);
bool live_room(struct model *model, struct live *live); /* whether its row may be put */
void live_free(struct model *model);

/* ---- model_process.c: processes, threads, names, losses, facts */
struct process *process_get(struct model *model, uint32_t pid, uint64_t time_ns);
struct thread *thread_get(struct model *model, struct process *p, uint32_t tid, uint64_t time_ns);
const char *name_get(const struct process *p, uint32_t id); /* NULL: none or unknown */
void process_record(struct model *model, uint32_t pid, const struct ev_process *r);
void process_hook(struct model *model, struct process *p, const struct ev_hook *r);
void process_thread(struct model *model, struct process *p, const struct ev_thread *r);
void process_name(struct model *model, struct process *p, const struct ev_name *r);
void process_calls_seen(struct model *model, struct process *p);
void watched_record(struct model *model, struct process *p, const struct ev_watched *r);
void process_lost(struct model *model, struct process *p, const struct ev_lost *r);
void process_end(struct model *model, struct process *p, uint64_t time_ns, int wait_status);
void process_tell(struct model *model, struct process *p); /* leaks as of now */
void process_close(
	struct model *model, struct process *p); /* leaks, and coverage of what was not seen */
void process_free(struct process *p);
void loss_add(struct model *model, struct process *p, const char *what, uint64_t count);
void meta_text(struct model *model, const char *key, const char *value);
void meta_number(struct model *model, const char *key, int64_t value);
void coverage_add(struct model *model, struct process *p, const char *what, const char *sensor,
	const char *detail);
const char *tail_text(struct model *model, const struct ev_head *r, unsigned int n); /* interned */

/* ---- model_stack.c: codes, stacks, frames */
void stack_code(struct model *model, struct process *p, const struct ev_code *r);
void stack_record(struct model *model, struct process *p, const struct ev_stack *r);
const struct code *code_get(const struct process *p, uint32_t id);
/* Resolved; NULL: 0 or unknown. */
struct stack *stack_get(struct model *model, struct process *p, uint32_t id);
uint32_t stack_row(struct model *model, struct stack *s); /* 0 for NULL */
struct site stack_site(const struct stack *s); /* innermost user frame, else innermost frame */
void stack_put_new(struct model *model);       /* rows of frames and nodes since the last call */
void stack_stored(struct model *model);        /* the commit succeeded */
void stack_refused(struct model *model);       /* the batch was rolled back: put them again */
void stack_free(struct model *model);
static inline bool frame_is_user(const struct frame *f)
{
	return f->owner == PLACE_USER;
}

/* ---- model_task.c */
void task_new(struct model *model, struct process *p, const struct ev_task_new *r);
void task_name(struct model *model, struct process *p, const struct ev_task_name *r);
void task_step(struct model *model, struct process *p, const struct ev_step *r);
/* Of one seen from outside, as soon as the cell is told of. */
void task_find_cell(struct model *model, struct task *t);
void task_cancel(struct model *model, struct process *p, const struct ev_task_cancel *r);
void task_gone(struct model *model, struct process *p, const struct ev_task_gone *r);
void task_failed(struct model *model, struct process *p, const struct ev_task_failed *r);
struct task *task_get(const struct process *p, uint64_t address);
struct task *task_ref(struct task *t); /* accepts NULL */
void task_unref(struct model *model, struct task *t);
void task_dirty(struct model *model, struct task *t);
/* What other rows say of it; 0: NULL, or it has no row. */
static inline uint64_t task_row(const struct task *t)
{
	return t && !t->dropped ? t->id : 0;
}
/* "ValueError: row 1"; NULL where there is neither. Returns buf. */
const char *exception_text(const char *type, const char *message, char *buf, size_t size);
void task_free_all(struct process *p);
/* Rows of tasks that only stepped since the last call. */
void task_refresh(struct model *model);

/* ---- model_wait.c */
void wait_begin(struct model *model, struct task *t, const struct ev_step *r);
void wait_stop(struct model *model, struct task *t);
void wait_record(struct model *model, struct task *t, uint64_t begin_ns); /* its row, if any */
void wakeup_record(struct model *model, struct process *p, const struct ev_wakeup *r);
void chain_record(struct model *model, struct process *p, const struct ev_await_chain *r);
/* Who waits for a future that is no task; NULL: nobody. */
const struct task *wait_task(const struct process *p, uint64_t future);

/* ---- model_lock.c: who holds which asyncio.Lock */
void lock_record(struct model *model, struct process *p, const struct ev_task_lock *r);
/* It waits since its last step. */
void lock_wait(struct model *model, struct task *t);
/* Its wait ended: it may hold others by now, or none. */
void lock_forget(struct task *t);
/* Who holds the lock that a task waits for; NULL: nobody, or it is not sure who. */
const struct task *lock_holder(const struct task *t, struct stack **ret_taken);

/* ---- model_await.c: what tasks wait for */
void await_describe(struct model *model, const struct task *t, char *buf, size_t size);
struct site await_site(const struct task *t);

/* ---- model_leak.c */
bool leak_is_shutdown(const struct stack *s); /* the stack of a cancel() */
bool leak_is_main(const struct stack *s);     /* the creation stack of a loop's main task */
const char *leak_reason(const struct task *t);

/* ---- model_cell.c */
void cell_turned(struct thread *t, uint64_t end_ns); /* a turn of its loop has ended */
void cell_begin(struct model *model, struct process *p, const struct ev_cell_begin *r);
void cell_end(struct model *model, struct process *p, const struct ev_cell_end *r);
void cell_known(struct model *model, struct process *p, const struct ev_cell_known *r);
void cell_code(struct model *model, struct process *p,
	const char *file); /* a code object of this file exists */
struct cell *cell_for_file(const struct process *p, const char *file);
struct cell *cell_for_magic(const struct process *p, const struct code *code,
	struct magic_shift *ret); /* whose code a magic compiled under another name */
struct cell *cell_for_stack(
	const struct process *p, const struct stack *s); /* the newest with a frame in it */
/* For whom a thread that runs no cells works: what it does now, or (no pool's) at all; NULL:
 * nobody. */
struct cell *cell_asking(const struct thread *t, uint64_t time_ns);
/* Of what a task, or callback, makes or gives to a loop on this thread. worker 0: none was open. */
struct cell *cell_for_birth(
	const struct thread *t, uint64_t worker, const struct stack *s, uint64_t time_ns);
/* What task (NULL: none) did on this thread from begin to end. s NULL: not known. */
struct cell *cell_for_work(const struct thread *t, const struct task *task, const struct stack *s,
	uint64_t begin_ns, uint64_t end_ns);
/* The same for the task, or callback, that a record names. */
struct cell *cell_for_worker(const struct thread *t, uint64_t worker, const struct stack *s,
	uint64_t begin_ns, uint64_t end_ns);
/*
 * Whose a coroutine is, by its code (NULL: not known), that a thread without cells was given, where
 * no code of the user's gave it: asyncio.to_thread(asyncio.run, main()).
 */
struct cell *cell_for_coroutine(const struct thread *t, const struct code *code, uint64_t time_ns);
struct cell *cell_for_span(const struct thread *t, uint64_t begin_ns, uint64_t end_ns);

/* ---- model_callback.c: who gave loops their work */
struct callback {
	struct cell *cell;   /* whose code gave it; NULL: none's */
	struct cell *asking; /* none's gave it, but a thread for it; NULL: for none */
	struct stack *stack; /* where; NULL: not taken */
	uint64_t unheard;    /* of its process, when it was told */
};
void callback_record(struct model *model, struct process *p, const struct ev_callback_new *r);
/* Of what a record names as a task; NULL: it is one, or this callback is not known. */
const struct callback *callback_get(const struct process *p, uint64_t worker);
void callback_free_all(struct process *p);
/* asyncio's Handle._run(): what is inside was called by the loop, and not by who runs that. */
bool callback_is_run(const struct frame *f);
/* The stack, or where it was given what runs, if no code of the user's runs. Accepts NULL. */
struct stack *callback_stack(const struct callback *callback, struct stack *s);

/* ---- model_loop.c */
void loop_free(void *loop, void *ctx); /* accepts NULL; ctx is not used */
struct loop *loop_get(
	struct model *model, struct process *p, struct thread *t, uint64_t id, uint64_t time_ns);
void loop_start(struct model *model, struct process *p, const struct ev_loop_start *r);
void loop_stop(struct model *model, struct process *p, const struct ev_loop_stop *r);
void loop_close(struct model *model, struct process *p, const struct ev_loop_close *r);
void loop_enter(struct model *model, struct thread *t, struct loop *l);
/* This task's step from begin to end started the loops that were started meanwhile. */
void loop_settle(struct model *model, struct thread *t, const struct task *task, uint64_t begin_ns,
	uint64_t end_ns);
void refused_record(struct model *model, struct process *p, const struct ev_refused *r);
struct loop *thread_loop(const struct thread *t); /* the innermost running one; NULL: none */

/* ---- model_iteration.c: iterations and their causes */
void iteration_record(struct model *model, struct process *p, const struct ev_iteration *r);
void unfinished_record(struct model *model, struct process *p, const struct ev_unfinished *r);
/* An iteration whose end nobody told: the process ended in it, or the trace did. */
void iteration_unfinished(
	struct model *model, struct thread *t, uint64_t begin_ns, uint64_t last_ns);
void turns_record(struct model *model, struct process *p, const struct ev_turns *r);
void span_block(struct thread *t, enum block_class class, uint64_t begin_ns, uint64_t end_ns,
	uint64_t off_ns, struct site site);
/* What the kernel accounts to `raw` is of that class. */
void span_wait(struct thread *t, enum block_class raw, enum block_class class, uint64_t off_ns);
void causes_record(struct model *model, struct process *p, const struct ev_causes *r);
void span_short(struct thread *t, enum block_class class, uint64_t ns);
void span_gc(struct thread *t, uint64_t begin_ns, uint64_t end_ns, uint64_t cpu_ns);
void faults_record(struct model *model, struct process *p, const struct ev_faults *r);
void span_step(struct thread *t, uint64_t duration_ns, struct site site);

/* ---- model_timer.c, model_job.c, model_queue.c, model_block.c */
void timer_record(struct model *model, struct process *p, const struct ev_timer *r);
void job_new(struct model *model, struct process *p, const struct ev_job_new *r);
void job_run(struct model *model, struct process *p, const struct ev_job_run *r);
void queue_record(struct model *model, struct process *p, const struct ev_queue *r);
void block_record(struct model *model, struct process *p, const struct ev_block *r);
/* The call in which an iteration was left. */
void block_unfinished(
	struct model *model, struct process *p, struct thread *t, const struct ev_unfinished *r);
void short_calls_record(struct model *model, struct process *p, const struct ev_short_calls *r);
void short_wait_record(struct model *model, struct process *p, const struct ev_short_wait *r);
/* A wait that the kernel saw, beside an agent: part of the next call on its thread, or by itself.
 */
void call_wait_record(struct model *model, struct process *p, const struct ev_call_wait *r);

/* ---- model_fact.c: collections, audit events, anomalies */
void gc_record(struct model *model, struct process *p, const struct ev_gc *r);
void gc_settle(struct model *model, struct thread *t, const struct task *task, uint64_t begin_ns,
	uint64_t end_ns);
void audit_record(struct model *model, struct process *p, const struct ev_audit *r);
void group_record(struct model *model, struct process *p, const struct ev_group *r);
/* Of a task that nothing may ever wake: rows of what it waits for. */
void wait_told(struct model *model, struct task *t);
void timeout_record(struct model *model, struct process *p, const struct ev_timeout *r);
void body_opcodes(struct model *model, struct process *p, const struct ev_opcodes *r);
void body_record(struct model *model, struct process *p, const struct ev_body *r);
void never_awaited_record(struct model *model, struct process *p, const struct ev_never_awaited *r);
void asyncgen_left_record(struct model *model, struct process *p, const struct ev_asyncgen_left *r);
void gathered_record(struct model *model, struct process *p, const struct ev_gathered *r);
void received_record(struct model *model, struct process *p, const struct ev_received *r);
void anomaly_put(struct model *model, struct process *p, uint64_t time_ns, const char *kind,
	const struct task *task, struct cell *cell, const char *coro, const char *message,
	struct stack *s, struct site site);

/* ---- model_taken.c */
void cpu_taken_record(struct model *model, struct process *p, const struct ev_cpu_taken *r);
void machine_record(struct model *model, struct process *p, const struct ev_machine *r);
void takers_put(struct model *model, const struct loop *l, uint64_t begin_ns, uint64_t runq_ns);

/* ---- model_holder.c */
void gil_holder_record(struct model *model, struct process *p, const struct ev_gil_holder *r);
/* An iteration ended that began then. */
void holders_end(struct model *model, struct thread *t, uint64_t begin_ns, uint64_t busy_ns);
void block_ended_record(struct model *model, struct process *p, const struct ev_block_ended *r);
/* Who ended the thread's wait, if that is known and was then. */
struct ended ended_take(struct thread *t, uint64_t begin_ns, uint64_t end_ns);

#endif
