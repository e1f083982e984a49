/*
 * The asyncio tasks of a target and its threads with loops, read from outside: which are pending,
 * what each waits for and through which coroutines. Nothing runs in the target and it is never
 * stopped, so what changed while it was read is counted, not guessed. Silent.
 */
#ifndef PROBE_TARGET_TASK_H
#define PROBE_TARGET_TASK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/target/target.h"

#define TARGET_TASKS_MAX 1000000u /* of one reading; those beyond are counted in `unread` */
#define TARGET_CHAIN_MAX 64u      /* frames of an await chain, from the innermost */

struct target_task {
	uint64_t task, loop, coro; /* addresses; coro 0: none, or not a native coroutine */
	uint64_t code;             /* its coroutine's own, also while it runs; 0: not known */
	uint64_t waits_on;         /* the future; 0: it is about to run, or running */
	uint32_t state;            /* enum task_state of event.h */
	bool python;               /* asyncio's pure-Python Task */
	bool running;              /* its coroutine was executing while it was read */
	const char *name;          /* UTF-8 */
	const char *coro_name;     /* qualified name; of what is no coroutine: its type */
	const char *waits_type;    /* tp_name of waits_on; empty: none */
	uint32_t frames, cut;      /* of its await chain; cut: left out at the outer end */
	struct target_frame
		frame[TARGET_CHAIN_MAX]; /* innermost first; lines by target_code_read() */
};

struct target_tasks {
	size_t read;   /* handed out */
	size_t done;   /* finished ones that asyncio still lists: not handed out */
	size_t unread; /* listed, but gone or torn while they were read */
	bool whole;    /* the list itself was read to its end */
};

/* What is handed over lives until it returns; not 0: stop, and target_tasks_read() returns that. */
typedef int (*target_task_fn)(void *ctx, const struct target_task *task);

/*
 * Every pending task of every interpreter of the process, in no order. -ENOENT: asyncio is not
 * imported; *ret_why names where it failed otherwise.
 */
int target_tasks_read(struct target *target, target_task_fn fn, void *ctx, struct target_tasks *ret,
	const char **ret_why);
/* What was known of types is asked anew: before tasks that are read one by one. */
void target_tasks_begin(struct target *target);
/* The task at an address, if it is one and pending. -EPROTO: it is none, -EAGAIN: it goes on. */
int target_task_read(struct target *target, uint64_t task, target_task_fn fn, void *ctx);

struct target_thread {
	uint64_t thread;    /* address of its thread state */
	uint64_t thread_id; /* pthread_self() */
	uint64_t loop;      /* the asyncio loop that runs on it; 0: none */
	uint32_t tid;       /* as the target's pid namespace sees it; 0: not known */
	char loop_type[64]; /* its type, or that type's base in C: "uvloop.loop.Loop" */
};

/* At most max of them; *ret_count: how many there are. */
int target_threads_read(
	struct target *target, struct target_thread *ret, size_t max, size_t *ret_count);

#endif
