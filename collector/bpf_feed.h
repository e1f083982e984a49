/*
 * One process seen from outside as a feed of the recorder: the sensor in the kernel says what
 * happens, the target's memory what it means. Made by `attach`. Silent.
 */
#ifndef COLLECTOR_BPF_FEED_H
#define COLLECTOR_BPF_FEED_H

#include <limits.h>

#include "collector/bpf_native.h"
#include "collector/bpf_python.h"
#include "collector/bpf_sensor.h"
#include "collector/feed.h"
#include "collector/bpf_thread.h"
#include "collector/bpf_waits.h"
#include "collector/iopub.h"

struct bpf_feed;
struct target_task;

struct bpf_feed_options {
	uint32_t pid;
	uint64_t min_block_ns, min_step_ns;
	struct target *target; /* the feed's from now on, also on failure */
	struct points *points; /* the same; malloc'd */
	bool jupyter;          /* where it is a kernel, ask its iopub channel for cells */
};

/* The sensor is in place when this returns. *ret_why as in bpf_sensor.h. */
int bpf_feed_open(
	const struct bpf_feed_options *options, struct bpf_feed **ret, const char **ret_why);
struct feed *bpf_feed_base(struct bpf_feed *f);
unsigned int bpf_feed_loops(const struct bpf_feed *f); /* seen so far */
bool bpf_feed_execed(const struct bpf_feed *f);        /* the process has become another program */

/* ---- for the files behind it */

#define BPF_TIDS_MAX 4096u

struct bpf_feed {
	struct feed feed; /* first */
	struct bpf_feed_options options;
	struct target_constants constants;
	struct memory memory;
	struct bpf_sensor *sensor;
	struct bpf_python python;
	struct bpf_threads threads;
	struct record_queue queue;
	struct iopub *iopub;       /* NULL: not a kernel, or not asked */
	struct record_queue cells; /* from it */
	struct map types;          /* address -> struct known_type */
	struct map names;          /* hash of a text -> id */
	struct map sites;          /* of short waits -> id of the stack told last */
	struct map told;           /* tid -> its thread record was written */
	struct map outermost;      /* tid -> code of its outermost frame, in its loop's turn */
	struct bpf_native native;
	struct bpf_waits waits;
	uint32_t name_ids;
	uint64_t loss_told[LOSSES];
	uint64_t damaged;
	uint32_t minor;
	unsigned int loops;
	unsigned int expected;   /* how often asyncio's loop was looked for, see loops_expect() */
	uint64_t learn_after_ns; /* not before, see loops_learn() */
	int handed;              /* records of this turn */
	bool listed;             /* its pending tasks, once there is someone to take them */
	record_fn sink;
	void *ctx;
	uint64_t last_ns;      /* of the newest record */
	char folder[PATH_MAX]; /* the process's current one when it was attached to */
};

/* ---- bpf_feed.c */
int bpf_feed_hand_out(struct bpf_feed *f); /* what is in the queue */
void bpf_feed_hook(struct bpf_feed *f, const char *name, const char *reason, uint64_t now_ns);

/* ---- bpf_translate.c: a record of the kernel, checked, as records of the model, in the queue */
void translate(struct bpf_feed *f, const struct ev_head *record);
uint32_t translate_name(struct bpf_feed *f, const char *text, const struct ev_head *head);
uint32_t translate_call(uint32_t number);
/* A whole record, zeroed behind it. */
struct taken_record {
	struct ev_cpu_taken taken;
	char name[16];
};
void translate_taken(const struct ev_kernel_taken *r,
	struct taken_record *ret); /* id in syscalls.def; 0: not in it */
void translate_lost(struct bpf_feed *f, const char *what, uint64_t count, uint64_t now_ns);

/* ---- bpf_tasks.c: pending tasks from the target's memory. 0, or what the sink returned */
int tasks_list(struct bpf_feed *f, uint64_t now_ns, bool end);
/* What one waits for, as a record in a queue. -ENOBUFS: no room. */
int tasks_chain(struct bpf_feed *f, const struct target_task *task, const struct ev_head *head,
	struct record_queue *to);

/* ---- bpf_finish.c: at the end, what goes on just now, as if it ended */
void finish(struct bpf_feed *f, uint64_t now_ns);

/* ---- bpf_loops.c: which threads run loops */
void loops_find(struct bpf_feed *f, uint64_t now_ns);
/* Looks for the code of asyncio's turn, so that a loop is known from its first poll on; called
 * until it is there. */
void loops_expect(struct bpf_feed *f);
/* Whether there is a loop's turn in the stack that was not known as one; now it is. Not asked
 * often.
 */
bool loops_learn(struct bpf_feed *f, const struct kernel_frame *frame, uint32_t count);
void loops_poll(struct bpf_feed *f, const struct ev_kernel_poll *r);
/* Whether the stack of a busy loop's thread still has its turn in it. */
bool loops_turning(struct bpf_feed *f, const struct loop_slot *slot);
void loops_thread(struct bpf_feed *f, uint32_t tid, uint64_t thread_id, uint64_t now_ns);

#endif
