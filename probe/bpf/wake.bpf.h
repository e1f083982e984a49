/*
 * Who ends a loop thread's wait on a futex: the thread that lets go of the GIL, or of a lock. Seen
 * as that thread enters futex(2) to wake, with its own stack at that moment; any other thread's
 * futex(2) costs a look into memory. And who keeps the GIL meanwhile: seen at the waits' timeouts.
 */
#ifndef PROBE_BPF_WAKE_H
#define PROBE_BPF_WAKE_H

#include <asm/unistd.h>

#include "probe/bpf/python.bpf.h"
#include "probe/sampling.h"

/* From include/uapi/linux/futex.h */
#define FUTEX_CMD_MASK 0x7fu
#define FUTEX_WAKE 1u
#define FUTEX_WAKE_BITSET 10u

#define GIL_AGAIN_NS                                                                               \
	200000u      /* between two futex calls of one wait for the GIL; a few us measured */
#define GIL_WORDS 4u /* glibc: the words of a condition's two groups are next to each other */
#define GIL_WORDS_SHIFT 3

/*
 * The waits of the threads, by their index: the includer's WAITERS_MAX of them. Which of those wait
 * now is kept by address and process, a bit a thread, so that none can hide another.
 */
#define WAIT_BUCKETS 256u /* a power of two */
#define WAIT_WORD_BITS 64u
#define WAIT_WORDS (WAITERS_MAX / WAIT_WORD_BITS) /* a power of two */

struct futex_wait futex_waits[WAITERS_MAX];
__u32 waiting[WAIT_BUCKETS]; /* how many threads; no fewer than have their bit */
__u64 waiters[WAIT_BUCKETS][WAIT_WORDS];

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
 * A loop's thread, of that index, enters futex(2) to wait. One wait for the GIL is many calls, of
 * 5 ms each. For wait_end().
 */
static __always_inline __u32 wait_begin(__u32 index, const struct futex_wait *begun)
{
	__u32 bucket = wait_bucket(begun->address, begun->tgid);
	struct futex_wait *w = &futex_waits[index & (WAITERS_MAX - 1)];
	__u64 gil_ns = begun->begin_ns, taken_ns = gil_ns;

	if (begun->class == PART_GIL && w->class == PART_GIL && w->tid == begun->tid &&
		w->tgid == begun->tgid && begun->begin_ns - w->end_ns <= GIL_AGAIN_NS) {
		gil_ns = w->gil_ns;
		taken_ns = w->taken_ns;
	}
	*w = *begun;
	w->gil_ns = gil_ns;
	w->taken_ns = taken_ns;
	__sync_fetch_and_add(&waiting[bucket], 1);
	__sync_fetch_and_or(&waiters[bucket][index / WAIT_WORD_BITS & (WAIT_WORDS - 1)],
		1ull << (index & (WAIT_WORD_BITS - 1)));
	return bucket + 1;
}

static __always_inline void wait_end(__u32 index, __u32 begun, __u64 now_ns)
{
	__u32 bucket = (begun - 1) & (WAIT_BUCKETS - 1);

	__sync_fetch_and_and(&waiters[bucket][index / WAIT_WORD_BITS & (WAIT_WORDS - 1)],
		~(1ull << (index & (WAIT_WORD_BITS - 1))));
	__sync_fetch_and_add(&waiting[bucket], -1);
	futex_waits[index & (WAITERS_MAX - 1)].end_ns = now_ns;
}

/* ---- who lets go */

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
	*ev = (struct ev_kernel_wake){.head = HEAD_OF(thread_now(), kernel_wake, now_ns),
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
__noinline int waiter_tell(__u32 index, __u64 address, __u32 crowds)
{
	struct futex_wait *w = &futex_waits[index & (WAITERS_MAX - 1)];
	__u64 now_ns = bpf_ktime_get_ns(), waited_ns;

	if (w->tid == tid_now() || w->tgid != bpf_get_current_pid_tgid() >> 32)
		return 0;
	if (w->class == PART_GIL && address + GIL_WORDS - w->address <= 2 * GIL_WORDS) {
		waited_ns = now_ns - w->gil_ns;
		w->gil_ns = w->taken_ns = now_ns; /* who takes it next holds it from now on */
		return waited_ns >= w->min_ns * crowds ? waker_put(w, now_ns, waited_ns, WAKES_GIL)
						       : 0;
	}
	waited_ns = now_ns - w->begin_ns;
	if (w->class != PART_LOCK || address != w->address || waited_ns < w->min_ns)
		return 0;
	return waker_put(w, now_ns, waited_ns, WAKES_LOCK);
}

/*
 * Each that lets go is told to each that waits: where many do, only of those who had the GIL for
 * the longer, so that there are no more records than with a few. The rest is nobody's.
 */
#define WAIT_CROWD 8u

struct wakeup_of {
	__u64 address;
	__u32 bucket;
	__u32 crowds;
};

/* Those of one word; so that a verifier looks at it once. */
static long waiters_tell_some(__u32 i, const struct wakeup_of *of)
{
	__u64 some = waiters[of->bucket & (WAIT_BUCKETS - 1)][i & (WAIT_WORDS - 1)];

	for (__u32 bit = 0; some && bit < WAIT_WORD_BITS; bit++)
		if (some >> bit & 1)
			waiter_tell(i * WAIT_WORD_BITS + bit, of->address, of->crowds);
	return 0;
}

static __always_inline void waiters_tell(__u64 address)
{
	struct wakeup_of of = {.address = address,
		.bucket = wait_bucket(address, bpf_get_current_pid_tgid() >> 32)};

	if (!rarely(waiting[of.bucket]))
		return;
	of.crowds = 1 + waiting[of.bucket] / WAIT_CROWD;
	bpf_loop(WAIT_WORDS, waiters_tell_some, &of, 0);
}

/* ---- who keeps the GIL */

#define ETIMEDOUT 110 /* include/uapi/asm-generic/errno.h */
#define EAGAIN 11     /* the word had changed: it did not wait */
/* Not again before: an interpreter's switch interval may be microseconds. */
#define KEEPS_AGAIN_NS 4000000u
#define KEEPS_INNER 4u /* frames that may have come on top of one since */

/* The thread state that has the GIL at this moment; 0: none, or not where it should be. */
static __always_inline __u64 gil_keeper(python_target *target)
{
	__u64 gil = target->gil_last_holder - target->layout.gil_last_holder, thread, interp;
	__s32 locked = 0;

	if (!target->gil_last_holder)
		return 0;
	bpf_probe_read_user(&locked, sizeof(locked), (void *)(gil + target->layout.gil_locked));
	thread = read_u64(target->gil_last_holder);
	if (locked != 1 || !thread)
		return 0;
	interp = read_u64(target->runtime + target->layout.runtime_interpreters_main);
	return interp && read_u64(thread + target->layout.thread_interp) == interp ? thread : 0;
}

/* That frame, running that code, is still one of the thread's innermost: those outside of it have
 * stood still meanwhile. */
static __always_inline bool frame_stays(
	python_target *target, __u64 thread, __u64 frame, __u64 code)
{
	__u64 at = innermost(target, thread);

#pragma unroll
	for (__u32 i = 0; i < KEEPS_INNER; i++) {
		if (at == frame)
			return read_u64(frame + target->layout.frame_code) == code;
		at = at ? read_u64(at + target->layout.frame_previous) : 0;
	}
	return false;
}

static __always_inline int keeper_put(
	python_target *target, const struct futex_wait *w, __u64 thread, __u64 now_ns)
{
	__u64 frame = innermost(target, thread), code;
	struct scratch *to = room_get(ROOM_TRACEPOINT);
	struct ev_kernel_keeps *ev;
	struct stack stack;

	if (!to)
		return 0;
	code = frame ? read_u64(frame + target->layout.frame_code) : 0;
	stack = stack_of(thread, to, sizeof(*ev));
	ev = (struct ev_kernel_keeps *)to->record;
	*ev = (struct ev_kernel_keeps){.head = HEAD_OF(w->waiter, kernel_keeps, now_ns),
		.thread_id = read_u64(thread + target->layout.thread_thread_id),
		.busy_since_ns = w->turn_ns,
		.kept_ns = now_ns - w->gil_ns,
		.pid = process_now(),
		.moved = !frame_stays(target, thread, frame, code),
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	if (target->layout.thread_native_thread_id != OFF_ABSENT)
		ev->tid = (__u32)read_u64(thread + target->layout.thread_native_thread_id);
	else
		bpf_probe_read_user(
			&ev->tid, sizeof(ev->tid), (void *)(ev->thread_id + LAYOUT_PTHREAD_TID));
	return record_put(to, sizeof(*ev), stack.count, 0, to->told != 0);
}

/*
 * A call to wait for the GIL ends, and nobody has let go of it: at a timeout, or because the thread
 * or its process is to end. What is told here of the wait the one that lets go does not tell again.
 */
__noinline int keeper_tell(__u32 index, __s64 result)
{
	struct futex_wait *w = &futex_waits[index & (WAITERS_MAX - 1)];
	python_target *target = target_now();
	__u64 now_ns = bpf_ktime_get_ns(), thread, again_ns;

	if (w->class != PART_GIL || !target || result >= 0 || result == -EAGAIN)
		return 0;
	again_ns = (now_ns - w->taken_ns) / SAMPLING_PERIODS_PER_AGE;
	if (again_ns < KEEPS_AGAIN_NS)
		again_ns = KEEPS_AGAIN_NS;
	if (result == -ETIMEDOUT && now_ns - w->gil_ns < again_ns)
		return 0;
	thread = gil_keeper(target);
	if (!thread)
		return 0;
	keeper_put(target, w, thread, now_ns);
	w->gil_ns = now_ns;
	return 0;
}

#endif
