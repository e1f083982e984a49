/*
 * What a trace says, as facts: read once, then written as text or JSON. Indexes point into the
 * lists below, NONE is no such thing. Times are ns since the trace's t0; texts are as the target
 * had them, not escaped. Silent.
 */
#ifndef VIEWER_REPORT_H
#define VIEWER_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "viewer/causes.h"
#include "viewer/lag.h"
#include "viewer/list.h"
#include "viewer/split.h"
#include "viewer/strings.h"
#include "viewer/suppress.h"
#include "viewer/trace.h"

#define NONE (-1)
#define NOT_COUNTED UINT32_MAX

struct report_options {
	uint64_t stall_ns;         /* 0: as recorded */
	uint64_t min_block_ns;     /* 0: as recorded */
	uint64_t await_timeout_ns; /* 0: the rule's default */
	bool all;                  /* tasks without user code in their creation stack too */
	struct allowlist *allow;   /* NULL: none; counts what each entry took */
};

struct place {
	const char *file; /* NULL: unknown */
	int line;         /* 0: unknown */
	const char *function;
};

enum coverage_kind {
	COVERAGE_tasks,
	COVERAGE_syscalls,
	COVERAGE_causes,
	COVERAGE_cells,
	COVERAGE_KINDS
};

struct coverage { /* the sensor of each kind, or "none" */
	const char *sensor[COVERAGE_KINDS];
};

struct process {
	int64_t id;
	long long pid;
	const char *argv; /* a JSON array */
	const char *python, *stdlib;
	uint64_t began_ns, ended_ns;
	bool ended; /* else it goes on beyond the trace */
	bool is_kernel;
	bool has_loop;
	struct coverage coverage;
};

struct loop {
	int64_t id;
	int process;
	long long tid;
	const char *thread, *kind;
	bool coarse;    /* its selector cannot be timed */
	bool machinery; /* Jupyter's own: IOPub, Control; those of what runs a notebook */
	bool ended;
	uint64_t began_ns, ended_ns;
	uint64_t iterations, busy_ns, select_ns, max_busy_ns;
	uint64_t stalls, stall_ns;
	uint64_t felt, felt_ns; /* of those, the ones that are not quiet */
	uint64_t observed_ns;   /* while it ran */
	struct causes causes;
	struct cpu_splits split;
	struct busy_set busy;
	struct lag lag;
	struct lag timer_late; /* known: it had timers whose due times were seen */
};

struct cell {
	int64_t id;
	int process, loop;
	int execution_count; /* NONE: unknown */
	const char *source, *filename, *status, *error;
	bool synchronous;
	uint64_t began_ns, ended_ns; /* the trace's end where it was still running */
	uint64_t tasks, leaked, blocking_ns;
	uint64_t busy_ns, longest_ns, stalls, stall_ns;
	uint64_t felt_ns; /* stall time that is not a synchronous cell's own, see struct stall */
	struct causes causes;
	struct cpu_splits split;
	struct busy_set busy;
	struct lag lag;
};

struct gil_holder {         /* the thread that kept a stalled loop from the GIL the longest */
	uint64_t samples;   /* at the place; 0: not known */
	const char *thread; /* its name; "": not known */
	struct place place; /* where it was most of that time */
	uint64_t held_ns;   /* of the stall's wait for it */
};
#define HOLDERS_MAX 8u /* of a stall that are told */

struct stall {
	int64_t iteration;
	int loop, cell;
	uint64_t begin_ns, busy_ns;
	uint64_t reach_ns;      /* end of the next iteration, if that followed at once */
	uint32_t tasks_delayed; /* NOT_COUNTED: waits were not recorded */
	bool delayed_most;      /* at most so many: when some of them were due is not known */
	uint64_t delay_ns;      /* the longest, of those whose due time is known */
	bool quiet;             /* a synchronous cell that delayed nobody: no fault */
	struct causes causes;
	struct cpu_splits split;
	struct place place;
	struct gil_holder holder;   /* who had it the longest */
	size_t holders_at, holders; /* all of them, in report->holders, that one first */
	uint64_t unheld_ns;         /* of the wait for the GIL: what none of these had */
};

struct leak {
	int64_t task;
	int process, loop, cell;
	const char *name, *coro, *reason, *awaiting;
	struct place created, await;
	uint64_t age_ns;
	int64_t stack; /* of its creation */
	bool user;     /* user code in that */
};

struct site { /* equal process, loop, cell, place, call and class */
	int process, loop, cell;
	struct place place;
	const char *call, *syscall, *class,
		*target;           /* syscall, target, stack, ended_by of the longest */
	const char *ended_thread;  /* name of the thread that ended the wait; NULL: not known */
	struct place ended;        /* where that thread was */
	const char *ended_process; /* another process that did; NULL: none, or not known */
	int64_t stack;
	uint64_t count, total_ns, max_ns;
	uint64_t unfinished;         /* of the calls: had not returned as the recording, or its
					process, ended */
	uint64_t stall_ns;           /* of it inside stalls that are not quiet */
	uint64_t in_stalls, held_ns; /* number of those, and how long they were */
	uint32_t tasks_delayed;      /* the most by one stall that it was part of */
	bool delayed_most;           /* as that stall's */
	uint64_t delay_ns;
	int last_stall;
	const char *words;   /* the call as people are told of it */
	struct place caller; /* of code that no file holds: the nearest that one does; or none */
	bool by_loop;        /* C code that the loop itself called: the place is where that runs */
	size_t order;        /* scratch: before it was sorted */
	bool in_step;        /* of a task, the longest; else a callback's, or of no loop */
	bool machinery;      /* Jupyter's own: no cell, and no user code in its stack */
};

struct call { /* one blocking call on a loop */
	int loop;
	uint64_t begin_ns, end_ns, off_ns;
	uint64_t waited_ns; /* off_ns without what was spent in it waiting for a CPU or the GIL */
	enum cause cause;
	size_t site;
};

struct turn { /* an iteration long enough to matter */
	int loop;
	uint64_t begin_ns, busy_ns;
};

struct hot_line { /* samples of one place, and C function if there is one */
	int loop, cell;
	struct place place;
	bool in_native;     /* in a C function, else in bytecode */
	const char *native; /* that of an extension; "": not known */
	uint64_t cpu_ns;    /* what they stand for */
	uint64_t samples;
};
#define HOT_MAX 50u
/* "bytecode", "a C function". */
const char *hot_kind(const struct hot_line *line);

enum severity { SEVERITY_note, SEVERITY_warning, SEVERITY_error };

struct gain { /* time of one turn that would not have been without a finding */
	int loop;
	uint64_t begin_ns, ns;
};

struct finding {
	const struct rule *rule;
	enum severity severity;
	int process, cell;
	struct place place;
	struct place caller; /* of code that no file holds: the nearest that one does; or none */
	uint64_t count;
	bool costed; /* it has a measured cost */
	uint64_t cost_ns, longest_ns;
	bool saves; /* what loops would lose without it is known */
	uint64_t saved_p99_ns, saved_stall_ns;
	uint64_t fingerprint;
	uint32_t delayed;    /* tasks, by one stall it was part of */
	bool delayed_most;   /* at most so many */
	uint64_t delay_ns;   /* the longest that is known; 0: none */
	const char *subject; /* the call, coroutine, ...; as its rule needs it */
	const char *words;   /* a call as the message names it; NULL: as the subject */
	const char *detail;
	const char *message, *advice;
	const char *evidence;   /* a JSON object */
	bool known;             /* in the baseline, and no worse there */
	const char *suppressed; /* IGNORE_COMMENT, or the entry of an allowlist; NULL: it stands */
	LIST(struct gain) gains;
};

struct frame {
	struct place place;
	bool user, generator;
};

struct open_turn { /* had not ended in what was read */
	int loop, cell;
	struct place place; /* where its thread was last */
	uint64_t ns;        /* up to then; 0: there is none of the length of a stall */
};

struct lost {
	const char *what;
	uint64_t count;
};

struct report {
	struct trace *trace;
	const struct report_options *options;
	struct strings strings;
	sqlite3_stmt *stack_rows; /* asked for each stack; NULL: not yet */
	const char *started_at, *mode, *notebook;
	uint64_t duration_ns, stall_ns, min_block_ns, min_step_ns;
	uint64_t committed_ns;
	uint64_t kept_from_ns; /* --keep: what ended before is not there; at most duration_ns */
	bool complete;         /* the recorder closed it in good order */
	bool has_cpu_split;    /* cpu_user and cpu_kernel instead of cpu */
	uint64_t tasks, user_tasks;
	LIST(struct process) processes;
	LIST(struct loop) loops;
	LIST(struct cell) cells;
	LIST(struct stall) stalls;       /* by begin */
	LIST(struct leak) leaks;         /* by creation */
	LIST(struct gil_holder) holders; /* of all stalls */
	LIST(struct site) sites;         /* by total, longest first */
	LIST(struct call) calls;         /* by loop and begin */
	LIST(struct turn) turns;         /* by loop and begin */
	LIST(struct hot_line) hot;       /* by CPU time, the longest first */
	LIST(struct finding) findings;   /* what to mend first, first */
	LIST(struct finding) suppressed; /* in the same order: somebody has decided about them */
	struct open_turn open;           /* of a trace that is not complete */
	LIST(struct lost) lost;
	LIST(const char *) notes;
	LIST(const char *)
	refused; /* hooks that the agent did not place, and probes of the kernel */
	LIST(const char *) placed; /* and those that are */
	struct coverage coverage;  /* the weakest over the processes that run loops */
	uint64_t lost_events;
	uint64_t busy_ns; /* of all loops; where there was none the next two mean nothing */
	double accounted_share;
	uint64_t discrepancy_ns;
	char *verdict; /* one sentence, and what to do */
};

/*
 * Everything but stacks. The caller owns *ret: report_free(); it borrows trace and options. -EIO:
 * trace_why() tells. -ERANGE: a threshold below the one recorded.
 */
int report_read(struct trace *trace, const struct report_options *options, struct report **ret);
void report_free(struct report *report); /* accepts NULL */
void report_freep(struct report **report);

/* "; thread b, in f, app.py:8, had it 412 ms": those that had the GIL beside the first, for what
 * counts. */
void holders_print_others(
	const struct report *report, int cell, const struct stall *stall, FILE *out);

typedef LIST(struct frame) frame_list;

/* Frames of one stack that are looked at; a loop in a broken tree ends here. */
#define STACK_DEPTH_MAX 512
/* Innermost first. The caller frees frames->at. */
int report_stack(struct report *report, int64_t stack, frame_list *frames);

struct sample { /* all of one place and kind in one stall */
	struct place place;
	const char *kind;   /* python, native, unknown */
	const char *native; /* the C function of an extension that it was in; "": not known */
	uint64_t count;
};

typedef LIST(struct sample) sample_list;

#define STALL_PLACES_MAX 20 /* told of one stall */
/* By what they stand for, the longest first. The caller frees samples->at. */
int report_samples(struct report *report, const struct stall *stall, sample_list *samples);

/* First of report->calls of a loop that begins at or after `from`; they are by loop and begin. */
size_t call_from(const struct report *report, int loop, uint64_t from);
/* Of the calls in a turn of a loop, by its causes: what they waited without the wait for a CPU. */
void calls_settle(struct report *report, int loop, uint64_t begin_ns, uint64_t end_ns,
	const struct causes *causes);

/* The parts of report_read(), in this order; each in its own file. */
int coverage_read(struct report *report);   /* needs processes and loops */
int blocking_read(struct report *report);   /* calls and sites */
int iterations_read(struct report *report); /* busy time, causes, stalls; needs calls */
int timers_read(struct report *report);
int hot_read(struct report *report);
int holders_read(struct report *report);   /* who had the GIL in them */
int delays_read(struct report *report);    /* who waited during stalls */
int blocking_weigh(struct report *report); /* what sites did to stalls */
int sites_name(struct report *report);     /* needs them as blocking_weigh() leaves them */
int leaks_read(struct report *report);
int open_turn_read(struct report *report);
int findings_read(struct report *report); /* needs all of the above */
int findings_suppress(struct report *report);
int verdict_write(struct report *report);

/* Index of a row id in a list sorted by id, or NONE. */
int process_index(const struct report *report, int64_t id);
int loop_index(const struct report *report, int64_t id);
int cell_index(const struct report *report, int64_t id);
/* The text of a column, kept; NULL when out of memory. */
const char *keep_column(struct report *report, sqlite3_stmt *rows, int column);
/* Three columns: file, line, function. -ENOMEM. */
int keep_place(struct report *report, sqlite3_stmt *rows, int column, struct place *ret);
int note_add(struct report *report, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
