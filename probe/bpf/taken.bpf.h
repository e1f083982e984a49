/*
 * Who has a CPU while a watched thread that was put off it could run: told at each switch of that
 * CPU until the thread is back on it. Exact, or not told: one that was moved to another CPU or
 * woke to a busy one, and time around a switch that was lost, is in nobody's part.
 */
#ifndef PROBE_BPF_TAKEN_H
#define PROBE_BPF_TAKEN_H

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "probe/bpf/kernel.bpf.h"
#include "probe/bpf/taken.h"

#define CPUS_MAX 1024u /* a power of two; on further ones nothing is told */

/* The thread that could run on a CPU and is not, if any is watched. */
struct wanted {
	__u32 tid;      /* 0: none */
	__u32 runs;     /* who has it, */
	__u64 since_ns; /* since then */
};

static struct wanted cpus[CPUS_MAX]; /* static: no part of the skeleton */

static __always_inline struct wanted *wanted_get(void)
{
	return &cpus[bpf_get_smp_processor_id() & (CPUS_MAX - 1)];
}

/* It was put off this CPU, and can run. */
static __always_inline void taken_begin(struct taken *t, struct wanted *c, struct task_struct *from,
	struct task_struct *to, __u64 now_ns)
{
	if (c->tid)
		return;
	c->tid = from->pid;
	c->runs = to->pid;
	c->since_ns = now_ns;
	t->task = (__u64)from;
	t->moved = from->se.nr_migrations;
	t->wants = 1;
}

/*
 * comm: address of its name. A function of its own for the verifier, which follows each way through
 * the list: with those of on_switch() behind it that is 960,000 instructions of a million, as clang
 * 19 compiles it (Linux 6.18, 2026-11), else 28,000.
 */
__noinline int taken_add(struct taken *t, __u32 pid, __u64 comm, __u64 ns)
{
	struct taker *least;

	if (!t)
		return 0;
	least = &t->by[0];
#pragma unroll
	for (__u32 i = 0; i < TAKERS_MAX; i++) {
		if (t->by[i].ns && t->by[i].pid == pid) {
			t->by[i].ns += ns;
			return 0;
		}
		if (t->by[i].ns < least->ns)
			least = &t->by[i];
	}
	if (least->ns >= ns)
		return 0;
	least->ns = ns;
	least->pid = pid;
	bpf_probe_read_kernel(least->name, sizeof(least->name), (void *)comm);
	return 0;
}

/* Another iteration begins. The first place is taken first: nearly always none is. */
static __always_inline void taken_forget(struct taken *t)
{
	if (t->by[0].ns)
		__builtin_memset(t->by, 0, sizeof(t->by));
}

/* A switch of the CPU that it wants. */
static __always_inline void taken_switch(struct taken *t, struct wanted *c,
	struct task_struct *from, struct task_struct *to, __u64 now_ns)
{
	struct task_struct *task = (struct task_struct *)t->task;
	__u32 back = to->pid == c->tid;
	__u64 moved = back ? to->se.nr_migrations : BPF_CORE_READ(task, se.nr_migrations);

	if (t->wants && moved == t->moved && from->pid && from->pid == c->runs)
		taken_add(t, from->tgid,
			(__u64)BPF_CORE_READ(from, group_leader) +
				bpf_core_field_offset(struct task_struct, comm),
			now_ns - c->since_ns);
	if (!t->wants || moved != t->moved || back)
		c->tid = 0;
	c->runs = to->pid;
	c->since_ns = now_ns;
}

#endif
