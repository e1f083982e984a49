/*
 * What `awaitscope live` shows: read from a trace that is perhaps still written, again and again.
 * Each reading takes only rows that are new, and tasks that had not ended. Silent.
 */
#ifndef VIEWER_LIVE_MODEL_H
#define VIEWER_LIVE_MODEL_H

#include "viewer/causes.h"
#include "viewer/lag.h"
#include "viewer/list.h"
#include "viewer/strings.h"
#include "viewer/trace.h"

#define LIVE_SECONDS_MOST 60 /* the longest window */
#define LIVE_SLOTS 64        /* seconds whose causes are kept: more than a window */
#define LIVE_WHOLE 0         /* the window that is everything */

struct live_place { /* texts are kept once; file NULL: unknown */
	const char *file, *function;
	int line;
};

struct live_process {
	int64_t id, pid;
	const char *argv, *python; /* argv: a JSON array */
	bool is_kernel, ended;
};

struct live_held {           /* the iteration of a loop that has not ended */
	uint64_t begin_ns;   /* 0: none */
	uint64_t time_ns;    /* of its last sample */
	int64_t stack, task; /* 0: none */
	struct live_place at;
	bool computes;          /* it was on a CPU, or ready to be */
	uint64_t gil_ns;        /* when it was last seen to wait for the GIL */
	const char *gil_thread; /* who had the GIL that it waited for; NULL: not seen */
	struct live_place gil_at;
};

struct live_past {    /* the last iteration that was seen to hold its loop */
	int64_t loop; /* 0: none */
	uint64_t ns, end_ns;
	int64_t stack;
	struct live_place at;
};

struct live_second {
	uint64_t second; /* since t0 */
	struct causes causes;
};

struct live_lag { /* of all iterations read, by size: some hundred classes in all */
	struct busy *class;
};

struct live_turn { /* an iteration that ended not long ago */
	uint64_t end_ns, busy_ns;
};

struct live_figures {       /* of one loop in the window */
	uint64_t window_ns; /* that it was there for */
	uint64_t iterations, busy_ns;
	struct lag lag; /* exact from --min-step on */
	struct causes causes;
};

struct live_loop {
	int64_t id, process, thread;
	const char *thread_name, *kind;
	uint64_t began_ns, ended_ns; /* 0: it runs */
	uint64_t iterations, busy_ns, select_ns, max_busy_ns;
	bool user;              /* it has run user code, as far as is known */
	uint64_t last_begin_ns; /* of the last iteration read */
	struct causes causes;   /* of those read */
	struct live_lag lag;
	struct live_second seconds[LIVE_SLOTS];
	LIST(struct live_turn) turns; /* of the last LIVE_SECONDS_MOST */
	struct live_figures figures;
	struct live_held held;
};

enum live_state { LIVE_RUNNING, LIVE_READY, LIVE_NEW, LIVE_WAITING, LIVE_ENDED };

struct live_task {
	int64_t id, process, loop, cell; /* cell 0: none */
	char *name, *awaiting, *state;   /* its own */
	const char *coro;
	uint64_t created_ns, ended_ns, last_ns;
	uint64_t steps, busy_ns, max_step_ns;
	int64_t await_stack;
	struct live_place created, await;
	bool user, runs_cell, leaked, gone;
};

struct live_site {  /* blocking calls of one place */
	int64_t id; /* of its first row */
	int64_t loop, stack;
	struct live_place at;
	const char *call, *class, *target;
	uint64_t count, total_ns, longest_ns, last_ns; /* last: its end */
};

struct live_cell {
	int64_t id, process, loop, count; /* count: In [count]; 0: none */
	uint64_t began_ns, ended_ns;      /* 0: it runs */
	const char *status, *filename;
	char *line; /* its first; its own */
	uint64_t tasks, pending;
};

struct live_stalls { /* of one cell, by its id */
	int64_t cell;
	uint64_t count, ns, longest_ns;
};

struct live_model {
	struct trace *trace;
	sqlite3_stmt *rows[QUERY_COUNT]; /* prepared once */
	struct strings strings;
	uint64_t t0_ns, duration_ns, committed_ns, stall_ns, min_step_ns, min_block_ns;
	const char *mode, *notebook;
	bool complete;     /* closed in good order */
	bool recorded;     /* a recorder has the trace open */
	uint64_t now_ns;   /* the end of what is shown, since t0 */
	bool behind;       /* not all rows have been read yet */
	double read_share; /* of the iterations, while behind */
	uint64_t lost;
	int64_t iteration_id, task_id, call_id, sample_id, gil_id; /* the last ones read */
	LIST(struct live_process) processes;
	LIST(struct live_loop) loops;
	struct live_past past;
	LIST(struct live_task) tasks; /* those that have not ended, or just have */
	size_t task_next;             /* that is looked at again next */
	LIST(struct live_site) sites;
	int *site_slots;               /* their indexes, by hash */
	uint64_t sites_cut, tasks_cut; /* calls and tasks beyond what is kept */
	LIST(struct live_cell) cells;  /* the newest first */
	LIST(struct live_stalls) stalls;
};

/* The caller owns *ret: live_model_free(). It borrows the trace. -ENOMEM. */
int live_model_new(struct trace *trace, struct live_model **ret);
void live_model_free(struct live_model *model); /* accepts NULL */
/* Takes at most about 40 ms; then `behind` is set, and the next call goes on. -ENOMEM; -EIO:
 * trace_why() tells. */
int live_model_read(struct live_model *model);

/* The figures of all loops, over the last so many seconds or LIVE_WHOLE. -ENOMEM, -EIO. */
int live_figures_read(struct live_model *model, unsigned int seconds);
/* The one held the longest; NULL: none. */
const struct live_loop *live_held_longest(const struct live_model *model);
/* The loop that it holds now; NULL: none. */
const struct live_loop *live_task_holds(
	const struct live_model *model, const struct live_task *task);
enum live_state live_task_state(const struct live_model *model, const struct live_task *task);
struct live_loop *live_loop_of(const struct live_model *model, int64_t id);
struct live_cell *live_cell_of(const struct live_model *model, int64_t id);

/* The parts of live_model_read(), each in its own file. deadline_ns: CLOCK_MONOTONIC. */
int live_loops_read(struct live_model *model);
int live_turns_read(struct live_model *model, uint64_t deadline_ns);
int live_held_read(struct live_model *model);
/* again_ns: until when those that had not ended are looked at again. */
int live_tasks_read(struct live_model *model, uint64_t deadline_ns, uint64_t again_ns);
int live_sites_read(struct live_model *model, uint64_t deadline_ns);
int live_cells_read(struct live_model *model);
/* For them: a statement ready to be bound and stepped; NULL when it cannot be prepared. It is reset
 * when the reading ends. */
sqlite3_stmt *live_rows(struct live_model *model, enum query query);
const char *live_text(struct live_model *model, sqlite3_stmt *rows, int column);
int live_place_of(struct live_model *model, sqlite3_stmt *rows, int column, struct live_place *ret);
bool live_late(uint64_t deadline_ns);
void live_loop_is_users(const struct live_model *model, int64_t id);
void live_tasks_free(struct live_model *model);
void live_cells_free(struct live_model *model);

#endif
