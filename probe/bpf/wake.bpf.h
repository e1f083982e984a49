/*
 * Who ends a loop thread's wait on a futex: the thread that lets go of the GIL, or of a lock. Seen
 * as that thread enters futex(2) to wake, with its own stack at that moment. Any other thread's
 * futex(2) costs a look into memory.
 */
#ifndef PROBE_BPF_WAKE_H
#define PROBE_BPF_WAKE_H

#include <asm/unistd.h>

#include "probe/bpf/python.bpf.h"

/* From include/uapi/linux/futex.h */
#define FUTEX_CMD_MASK 0x7fu
#define FUTEX_WAKE 1u
#define FUTEX_WAKE_BITSET 10u

#define GIL_AGAIN_NS                                                                               \
	200000u      /* between two futex calls of one wait for the GIL; a few us measured */
#define GIL_WORDS 4u /* glibc: the words of a condition's two groups are next to each other */
#define GIL_WORDS_SHIFT 3

/* By address and process, in one of a few places by the end of the tid: the last one there counts.
 */
#define WAIT_BUCKETS 256u /* a power of two */
#define WAIT_WAYS 8u      /* the same */
#define WAIT_PLACES (WAIT_BUCKETS * WAIT_WAYS)

struct futex_wait futex_waits[WAIT_PLACES];
__u32 waiting[WAIT_PLACES]; /* their threads; 0: that wait has ended */

static __always_inline bool futex_wakes(__u32 number, __u64 operation)
{
	__u32 command = operation & FUTEX_CMD_MASK;

	return number == __NR_futex && (command == FUTEX_WAKE || command == FUTEX_WAKE_BITSET);
}

static __always_inline __u32 wait_bucket(__u64 address, __u32 tgid)
{
	return ((__u32)(address >> GIL_WORDS_SHIFT) ^ tgid) & (WAIT_BUCKETS - 1);
}

/*
 * A loop's thread enters futex(2) to wait. One wait for the GIL is many calls, of 5 ms each. For
 * wait_end().
 */
static __always_inline __u32 wait_begin(const struct futex_wait *begun)
{
	__u32 place = wait_bucket(begun->address, begun->tgid) * WAIT_WAYS +
		      (begun->tid & (WAIT_WAYS - 1));
	struct futex_wait *w = &futex_waits[place & (WAIT_PLACES - 1)];
	__u64 gil_ns = begun->begin_ns;

	if (begun->class == PART_GIL && w->class == PART_GIL && w->tid == begun->tid &&
		w->tgid == begun->tgid && begun->begin_ns - w->end_ns <= GIL_AGAIN_NS)
		gil_ns = w->gil_ns;
	*w = *begun;
	w->gil_ns = gil_ns;
	barrier();
	waiting[place & (WAIT_PLACES - 1)] = begun->tid;
	return place + 1;
}

static __always_inline void wait_end(__u32 begun, __u64 now_ns)
{
	__u32 place = (begun - 1) & (WAIT_PLACES - 1);

	if (waiting[place] != tid_now())
		return; /* it had to give way */
	waiting[place] = 0;
	futex_waits[place].end_ns = now_ns;
}

static __always_inline int waker_put(
	const struct futex_wait *w, __u64 now_ns, __u64 waited_ns, __u32 what)
{
	__u64 thread_id = ((struct task_struct *)bpf_get_current_task_btf())->thread.fsbase;
	struct scratch *to = room_get(ROOM_TRACEPOINT);
	struct ev_kernel_wake *ev;
	struct stack stack;

	if (!to)
		return 0;
	stack = stack_of(thread_scan(thread_id), to, sizeof(*ev));
	ev = (struct ev_kernel_wake *)to->record;
	*ev = (struct ev_kernel_wake){.head = HEAD(kernel_wake, now_ns),
		.thread_id = thread_id,
		.busy_since_ns = w->turn_ns,
		.waited_ns = waited_ns,
		.pid = process_now(),
		.waiter = w->waiter,
		.what = what,
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	return record_put(to, sizeof(*ev), stack.count, 0, to->told != 0);
}

/* A thread is about to wake who waits at an address; whether that is this one. */
__noinline int waiter_tell(__u32 place, __u64 address)
{
	struct futex_wait *w = &futex_waits[place & (WAIT_PLACES - 1)];
	__u64 now_ns = bpf_ktime_get_ns(), waited_ns;

	if (w->tid == tid_now() || w->tgid != bpf_get_current_pid_tgid() >> 32)
		return 0;
	if (w->class == PART_GIL && address + GIL_WORDS - w->address <= 2 * GIL_WORDS) {
		waited_ns = now_ns - w->gil_ns;
		w->gil_ns = now_ns; /* who takes it next holds it from now on */
		return waited_ns >= w->min_ns ? waker_put(w, now_ns, waited_ns, WAKES_GIL) : 0;
	}
	waited_ns = now_ns - w->begin_ns;
	if (w->class != PART_LOCK || address != w->address || waited_ns < w->min_ns)
		return 0;
	return waker_put(w, now_ns, waited_ns, WAKES_LOCK);
}

static __always_inline void waiters_tell(__u64 address)
{
	__u32 first = wait_bucket(address, bpf_get_current_pid_tgid() >> 32) * WAIT_WAYS;

#pragma unroll
	for (__u32 i = 0; i < WAIT_WAYS; i++)
		if (waiting[first + i])
			waiter_tell(first + i, address);
}

#endif
