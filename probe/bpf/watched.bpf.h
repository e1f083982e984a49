/*
 * The threads that are watched beside agents, and what is known of each: found by tid, or in a
 * system call by its stack. For beside.bpf.c alone.
 */
#ifndef PROBE_BPF_WATCHED_H
#define PROBE_BPF_WATCHED_H

#include "probe/announce.h"
#include "probe/bpf/beside.h"
#include "probe/bpf/ender.bpf.h"
#include "probe/bpf/native.bpf.h"
#include "probe/bpf/state.bpf.h"

const volatile struct beside_config beside;

#define NO_EPFD (~0u)

struct watched {
	struct announcement said;
	__u64 begin_ns; /* of the open iteration, whose the sums are; 0: none */
	__u64 ended_ns; /* it has ended then, and is told at the next look at the CPU's account; 0
			 */
	/* the system call in flight */
	__u64 enter_ns, enter_off_ns, enter_runq_ns;
	__u64 argument[3];
	__u32 syscall;       /* number; NO_SYSCALL */
	__u32 polls;         /* 1: it is the loop's selector */
	__u32 epfd;          /* that one's, since its loop runs; NO_EPFD: not seen yet */
	__u32 named;         /* 1: it waits for what the agent's call waits for */
	__u32 waits;         /* on a futex: what wait_begin() returned; 0: it does not */
	__u32 index;         /* where it stands among the threads */
	__u64 task;          /* its task_struct; */
	__u64 registers;     /* where those stand that it enters the kernel with: watched_here() */
	__u64 thread;        /* address of its thread state; 0: not known */
	__u64 scan_after_ns; /* there was none: not looked for again before */
	struct native_taken native;
	__u64 sample_after_ns; /* it is not sampled again before */
	struct partition part;
	struct ender ender;
	struct taken taken; /* last: what every call runs does not look there */
};

/*
 * The threads, by the end of their tid, each in one of a few places: every system call and switch
 * of the machine looks here, so it is a look into memory and no hash of 30 ns.
 */
#define WAYS 4u
#define SETS (BESIDE_THREADS_MAX / WAYS) /* a power of two */
#define NOWHERE BESIDE_THREADS_MAX

__u32 tids[BESIDE_THREADS_MAX]; /* 0: free; in a set's places, one after the other */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, BESIDE_THREADS_MAX);
	__type(key, __u32);
	__type(value, struct watched);
} threads SEC(".maps");

static const struct watched thread_new;

/* Where the thread with that stack was found last. A hint; the thread itself says whose it is. */
#define STACK_SHIFT 14 /* THREAD_SIZE, arch/x86/include/asm/page_64_types.h@6.1, 6.18 */
#define STACK_HINTS 4096u
__u32 stack_hint[STACK_HINTS];

/* Compiled to nothing: an address as that of a structure to read, checked where it is read. */
extern void *bpf_rdonly_cast(const void *address, __u32 type) __ksym __weak;

/* Where that tid, or 0, stands in a tid's set. */
static __always_inline __u32 place_of(__u32 set_of, __u32 tid)
{
	__u32 at = (set_of & (SETS - 1)) * WAYS;

	for (__u32 i = 0; i < WAYS; i++)
		if (tids[at + i] == tid)
			return at + i;
	return NOWHERE;
}

/* Not of 0, which is every CPU's idle thread: it would find a free place. */
static __always_inline __u32 watched_place(__u32 tid)
{
	return tid ? place_of(tid, tid) : NOWHERE;
}

/* NULL: nowhere. */
static __always_inline struct watched *watched_at(__u32 place)
{
	return bpf_map_lookup_elem(&threads, &place);
}

static __always_inline struct watched *watched_get(__u32 tid)
{
	return watched_at(watched_place(tid));
}

static __always_inline struct watched *watched_make(__u32 tid)
{
	__u32 at = NOWHERE;

	/* another CPU may take the same place at this moment */
	for (__u32 i = 0; i < WAYS && at == NOWHERE; i++) {
		at = place_of(tid, 0);
		if (at >= BESIDE_THREADS_MAX)
			return NULL;
		if (!__sync_bool_compare_and_swap(&tids[at], 0, tid))
			at = NOWHERE;
	}
	return at == NOWHERE ? NULL : bpf_map_lookup_elem(&threads, &at);
}

static __always_inline void watched_drop(__u32 tid)
{
	__u32 at = watched_place(tid);
	struct watched *w = watched_at(at);

	if (w) {
		tids[at] = 0;
		w->registers = 0;
	}
}

/*
 * The thread whose system call this is: each enters the kernel with its registers at the top of its
 * own stack, so where they stand tells which it is. Asking the kernel who runs costs 8 ns, as any
 * function of the kernel does whose return no CPU may predict (2026-11).
 */
static __always_inline struct watched *watched_here(struct pt_regs *regs)
{
	/* a verifier takes the difference of two addresses for a number, and no address */
	__u64 key = (__u64)regs - (__u64)tids;
	__u32 *known, at;
	struct watched *w;

	barrier_var(key);
	known = &stack_hint[(key >> STACK_SHIFT) & (STACK_HINTS - 1)];
	w = watched_at(*known);
	if (w && w->registers == key)
		return w;
	at = watched_place(task_now()->pid);
	w = watched_at(at);
	if (w) {
		w->registers = key;
		w->task = (__u64)task_now();
		*known = at;
	}
	return w;
}

/* What the scheduler accounts to a thread in its own system call, as much as part_seen() wants. */
static __always_inline struct part_account account_here(const struct watched *w)
{
	struct task_struct *task = beside.casts
					   ? bpf_rdonly_cast((void *)w->task,
						     bpf_core_type_id_kernel(struct task_struct))
					   : task_now();
	struct part_account account = {.arrived = task->sched_info.last_arrival};

	if (rarely(part_was_away(&w->part, account.arrived)))
		account = account_of(task);
	return account;
}

#endif
