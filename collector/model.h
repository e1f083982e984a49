/*
 * The model: what the events mean. Takes ordered records of any number of processes, keeps tasks,
 * steps, iterations, cells and causes, and stores them as a trace. Silent; one thread at a time.
 */
#ifndef COLLECTOR_MODEL_H
#define COLLECTOR_MODEL_H

#include <stdbool.h>

#include "collector/record.h"

struct model;

/* Of what the kernel said beside agents; their own records are all there. */
#define MODEL_LOST_BESIDE "waits and causes by the kernel: its ring was full"

struct model_options {
	uint64_t t0_ns;    /* the trace's zero, CLOCK_MONOTONIC; 0: the time of the first record */
	uint64_t stall_ns; /* only stored in meta; the viewer applies it */
	uint64_t min_step_ns;  /* shorter steps and iterations are folded; 0 keeps all */
	uint64_t min_block_ns; /* stored in meta */
	uint64_t max_bytes;    /* of the trace; folds further when reached; 0: no limit */
	uint64_t keep_ns;      /* delete what ended longer ago; 0: keep all */
	const char *mode;      /* run, attach, inline, tape */
	const char *sensor;    /* auto, agent, bpf */
};

/*
 * Creates the trace at path, mode 0600; -EEXIST if something is there already. The caller owns
 * *ret: model_free(). owner_uid/gid: to give the file to (-1: keep).
 */
int model_open(const char *path, const struct model_options *options, struct model **ret);
void model_free(struct model
		*model); /* accepts NULL; without model_close() the trace stays as last committed */

/* A record_fn with the model as ctx: one checked record, in time order of its process. */
int model_record(void *model, uint32_t pid, const struct ev_head *record);
/* Commit if 250 ms or 50,000 rows have passed; call it about every 20 ms. -ENOSPC, -EIO: what the
 * disk said; it may be called again. */
int model_tick(struct model *model, uint64_t now_ns);
/* For a reader of the trace: what it has now is decided as if it ended, and committed. The same. */
int model_tell(struct model *model);
/* This process has ended (wait status); its pending tasks stay pending. */
int model_process_end(struct model *model, uint32_t pid, uint64_t time_ns, int wait_status);
/* A task that an agent told of and that waits: for a lock, for other tasks. Addresses. */
struct model_locked {
	uint32_t pid;
	uint64_t task, future;
};
/* 1: done with it until its next step, 0: not yet; < 0: stop, which model_locked() returns. */
typedef int (*model_locked_fn)(void *ctx, const struct model_locked *at);
/*
 * Tasks that may be part of a circle with an asyncio.Lock in it, of which fn is not done: where one
 * waits for such a lock since before that time, CLOCK_MONOTONIC. 0, or what fn returned.
 */
int model_locked(struct model *model, uint64_t before_ns, model_locked_fn fn, void *ctx);
/* A fact for meta, or a coverage note of the whole trace (what = "note"). */
int model_meta(struct model *model, const char *key, const char *value);
int model_coverage(struct model *model, const char *what, const char *sensor, const char *detail);
/* A loss of the recorder's own. */
int model_lost(struct model *model, const char *what, uint64_t count);

struct model_held { /* where a loop is that has been busy for long; texts live as long as the model
		     */
	const char *file, *function;
	uint32_t line;
	int64_t execution_count;   /* of the cell that the file is, once that is known; < 0: none */
	bool in_cell;              /* the file is a cell's */
	const struct stack *stack; /* for model_held_frames(); as long as the model lives */
	const struct process *process; /* the same */
	bool own_cell;                 /* what runs is a cell itself, not a task beside it */
};
/* As of the last sample of the iteration that began then on this thread. -ENOENT: there is none. */
int model_held(
	struct model *model, uint32_t pid, uint32_t tid, uint64_t since_ns, struct model_held *ret);
struct model_frame {
	const char *file, *function;
	uint32_t line;
	bool user;
	int64_t execution_count; /* of the cell that the file is; < 0: none, or not known */
};
/* The stack of that sample, innermost first; at most max. Returns how many. */
size_t model_held_frames(const struct model_held *held, struct model_frame *ret, size_t max);
/* Decide leaks, write what is left, make the indexes, checkpoint, close. The first error of the
 * whole recording, if any. */
int model_close(struct model *model, uint64_t end_ns);

#endif
