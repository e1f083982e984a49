/*
 * Who ends a loop thread's wait on a futex: the thread that lets go of the GIL, or of a lock. Seen
 * as that thread enters futex(2) to wake, with its own stack at that moment.
 */
#ifndef PROBE_BPF_WAKE_H
#define PROBE_BPF_WAKE_H

#include "probe/bpf/calls.bpf.h"

/* From include/uapi/linux/futex.h */
#define FUTEX_CMD_MASK 0x7fu
#define FUTEX_WAKE 1u
#define FUTEX_WAKE_BITSET 10u

#define GIL_AGAIN_NS                                                                               \
	200000u      /* between two futex calls of one wait for the GIL; a few us measured */
#define GIL_WORDS 4u /* glibc: the words of a condition's two groups are next to each other */

static __always_inline bool futex_wakes(__u32 number, __u64 operation)
{
	__u32 command = operation & FUTEX_CMD_MASK;

	return number == __NR_futex && (command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET);
}

/* The slot's thread enters futex(2) to wait. One wait for the GIL is many calls, of 5 ms each. */
static __always_inline void wait_begin(struct loop_slot *s, __u32 index, __u32 class, __u64 now_ns)
{
	if (class == PART_GIL && (!s->gil_ns || now_ns - s->gil_exit_ns > GIL_AGAIN_NS))
		s->gil_ns = now_ns;
	waiting[index & (WAITERS - 1)] = index + 1;
}

/* The current thread's stack, whether it has a slot or not. */
static __always_inline struct stack waker_stack(struct scratch *to, __u32 fixed, __u64 thread_id)
{
	struct walk w = {.to = to};
	__u64 thread = thread_scan(thread_id);

	to->now_ns = bpf_ktime_get_ns();
	to->fixed = fixed;
	to->count = to->cut = to->run_once = to->told = 0;
	to->frame = thread ? innermost(thread) : 0;
	if (to->frame)
		bpf_loop(FRAMES_MAX * 4, walk_one, &w, 0);
	return (struct stack){
		to->count < FRAMES_MAX ? to->count : FRAMES_MAX, to->cut, to->run_once};
}

static __always_inline int waker_put(
	const struct loop_slot *s, __u64 now_ns, __u64 waited_ns, __u32 what)
{
	__u64 thread_id = ((struct task_struct *)bpf_get_current_task_btf())->thread.fsbase;
	struct scratch *to = scratch_get(SLOTS_MAX + (tid_now() & (WAITERS - 1)));
	struct ev_kernel_wake *ev;
	struct stack stack;

	if (!to)
		return 0;
	stack = waker_stack(to, sizeof(*ev), thread_id);
	ev = (struct ev_kernel_wake *)to->record;
	*ev = (struct ev_kernel_wake){.head = HEAD(kernel_wake, now_ns),
		.thread_id = thread_id,
		.busy_since_ns = s->begin_ns,
		.waited_ns = waited_ns,
		.waiter = s->tid,
		.what = what,
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	return record_put(to, sizeof(*ev), stack.count, 0, to->told != 0);
}

/* 1: stop. */
static long waiter_tell(__u32 i, __u64 *address)
{
	__u32 index = waiting[i & (WAITERS - 1)] - 1;
	struct loop_slot *s = index < SLOTS_MAX ? bpf_map_lookup_elem(&slots, &index) : NULL;
	__u64 now_ns, waited_ns;

	if (!s || !s->tid || s->tid == tid_now() || s->syscall != __NR_futex || !s->begin_ns)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (s->part.syscall == PART_GIL && *address + GIL_WORDS - s->argument[0] <= 2 * GIL_WORDS) {
		waited_ns = now_ns - s->gil_ns;
		s->gil_ns = now_ns; /* who takes it next holds it from now on */
		if (waited_ns >= config.min_step_ns)
			waker_put(s, now_ns, waited_ns, WAKES_GIL);
	} else if (s->part.syscall == PART_LOCK && *address == s->argument[0]) {
		waited_ns = now_ns - s->enter_ns;
		if (waited_ns >= config.min_block_ns)
			waker_put(s, now_ns, waited_ns, WAKES_LOCK);
	}
	return 0;
}

static __always_inline void waiters_tell(__u64 address)
{
	bpf_loop(WAITERS, waiter_tell, &address, 0);
}

#endif
