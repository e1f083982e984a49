/*
 * The program in the kernel (probe/bpf) from this side: loaded for one process, attached, its slots
 * and counters read. Everything of it is gone when this process is, however it ends. Silent.
 */
#ifndef COLLECTOR_BPF_SENSOR_H
#define COLLECTOR_BPF_SENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/bpf/slot.h"

struct bpf_sensor;

struct bpf_sensor_options {
	uint32_t pid;
	uint64_t min_block_ns, min_step_ns;
	const struct target_constants *target;
	const struct points *points;
};

struct bpf_thread {
	uint64_t tid, thread_id; /* pthread_self() */
};

typedef int (*bpf_record_fn)(void *ctx, void *record, size_t size);

/*
 * Load it. fn takes its records, in bpf_sensor_consume(). Where it fails *ret_why is a clause: what
 * could not be done. -EPERM: not privileged. The caller owns *ret: bpf_sensor_free().
 */
int bpf_sensor_open(const struct bpf_sensor_options *options, bpf_record_fn fn, void *ctx,
	struct bpf_sensor **ret, const char **ret_why);
void bpf_sensor_free(struct bpf_sensor *s); /* detaches; accepts NULL */
/*
 * Begins to take everything away, and does not wait for it: each uprobe has to see a grace period
 * of the kernel, 0.1 s (6.18, 2026-11). bpf_sensor_free() waits. No record comes any more.
 */
void bpf_sensor_detach(struct bpf_sensor *s);
/* System calls and scheduling from now on. */
int bpf_sensor_watch(struct bpf_sensor *s, const char **ret_why);
/* No more of them; slots stand still. What probes there are stays until the end. */
void bpf_sensor_unwatch(struct bpf_sensor *s);
/*
 * The probes of one kind, from now on. -ENOENT: the points have none; else what the first refused
 * one said, and none of the kind is in place.
 */
int bpf_sensor_probe(struct bpf_sensor *s, enum point_kind kind);
/* Its native stack while it computes for long, from now on. */
int bpf_sensor_clock(struct bpf_sensor *s, uint32_t tid);
/* Threads of the process; at most max. Returns how many, or -errno. */
int bpf_sensor_threads(struct bpf_sensor *s, struct bpf_thread *ret, size_t max);

/* A zeroed slot that nobody uses yet, and then: whom it belongs to from now on. NULL: none is free.
 */
struct loop_slot *bpf_sensor_slot(struct bpf_sensor *s, uint32_t *ret_index);
int bpf_sensor_slot_publish(struct bpf_sensor *s, uint32_t index);
const struct loop_slot *bpf_sensor_slots(const struct bpf_sensor *s); /* SLOTS_MAX of them */
void bpf_sensor_turn_forget(struct bpf_sensor *s, uint32_t index);    /* it does not run its loop */
/* It does, in the iteration that began then. */
void bpf_sensor_turn_seen(struct bpf_sensor *s, uint32_t index, uint64_t begin_ns);
/* The wait on a futex of the thread of a slot: the present one, if its `waits` is not 0. */
const struct futex_wait *bpf_sensor_wait(const struct bpf_sensor *s, uint32_t index);
uint64_t bpf_sensor_loop_id(struct bpf_sensor *s);
/* That this thread's poll of this descriptor is its loop's. */
int bpf_sensor_approve(struct bpf_sensor *s, uint32_t tid, int32_t epfd);
/* That this code object is a turn of asyncio's loop. -ENOSPC: too many are. */
int bpf_sensor_run_once(struct bpf_sensor *s, uint64_t code);
bool bpf_sensor_is_run_once(const struct bpf_sensor *s, uint64_t code);

/* The code object there is no cell's: it need not be told of again while its co_filename is that.
 */
void bpf_sensor_code_stays(struct bpf_sensor *s, uint64_t code, uint64_t file);

int bpf_sensor_fd(const struct bpf_sensor *s); /* readable when it wants to be consumed at once */
int bpf_sensor_consume(struct bpf_sensor *s);  /* how many, or what fn returned */
uint64_t bpf_sensor_loss(const struct bpf_sensor *s, enum kernel_loss what);
uint64_t bpf_sensor_exec_ns(const struct bpf_sensor *s); /* it became another program then; 0 */

#endif
