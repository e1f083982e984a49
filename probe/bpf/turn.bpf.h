/* A loop's turns: the selector that is the loop's own, where an iteration begins and ends. */
#ifndef PROBE_BPF_TURN_H
#define PROBE_BPF_TURN_H

#include "probe/bpf/calls.bpf.h"

#define ASK_AGAIN_NS 100000000u
#define ASK_AGAIN_MAX 8u /* doublings of that */

static __always_inline void causes_put(struct loop_slot *s, __u64 now_ns)
{
	struct ev_causes *ev = RECORD_RESERVE(causes);

	if (!ev)
		return;
	*ev = (struct ev_causes){.head = HEAD_OF(s->tid, causes, now_ns),
		.loop = s->loop,
#define PART(name, NAME, id, doc) .name##_ns = s->part.sum_ns[PART_##NAME],
#include "probe/part.def"
		.discrepancy_ns = s->part.discrepancy_ns};
	RECORD_SUBMIT(ev);
}

#define TURNS_TOLD_NS 100000000u /* how often, while the ring is filling */

/* Where records are many, short iterations are summed before any is lost. */
static __always_inline bool turn_summed(struct loop_slot *s, __u64 now_ns)
{
	__u64 busy_ns = now_ns - s->begin_ns;

	if (busy_ns >= config.min_step_ns || !ring_is_filling(s))
		return false;
	if (!s->turns)
		s->turns_begin_ns = s->begin_ns;
	s->turns++;
	s->turns_busy_ns += busy_ns;
	s->turns_select_ns += s->select_ns;
	if (busy_ns > s->turns_longest_ns)
		s->turns_longest_ns = busy_ns;
	return true;
}

static __always_inline void turns_put(struct loop_slot *s, __u64 end_ns)
{
	struct ev_turns *ev = RECORD_RESERVE(turns);

	if (!ev)
		return;
	*ev = (struct ev_turns){.head = HEAD(turns, end_ns),
		.loop = s->loop,
		.begin_ns = s->turns_begin_ns,
		.count = s->turns,
		.busy_ns = s->turns_busy_ns,
		.longest_ns = s->turns_longest_ns,
		.select_ns = s->turns_select_ns};
	RECORD_SUBMIT(ev);
	s->turns = s->turns_busy_ns = s->turns_longest_ns = s->turns_select_ns = 0;
}

/*
 * Where it lasted, not before the thread goes off its CPU or its selector returns: only then is
 * what a hypervisor took known up to its end.
 */
__noinline int turn_put(struct loop_slot *s)
{
	struct part_account account;
	struct ev_iteration *ev;
	__u64 now_ns;

	if (!s)
		return 0;
	now_ns = s->ended_ns;
	s->ended_ns = 0;
	if (now_ns - s->begin_ns >= config.min_step_ns) {
		account = account_with_cpu(task_now());
		part_settle(&s->part, &account);
		stolen_tell(&s->part, s->tid, 0, now_ns);
		taken_tell(&s->taken, s->tid, 0, now_ns);
		causes_put(s, now_ns);
	}
	ev = RECORD_RESERVE(iteration);
	if (ev) {
		*ev = (struct ev_iteration){.head = HEAD_OF(s->tid, iteration, now_ns),
			.loop = s->loop,
			.begin_ns = s->begin_ns,
			.select_ns = s->select_ns,
			.cpu_ns = (__s64)(s->part.sum_ns[PART_USER] + s->part.sum_ns[PART_KERNEL] +
					  s->part.sum_ns[PART_GC]),
			.runq_ns = (__s64)s->part.sum_ns[PART_RUNQ],
			.gil_ns = s->part.sum_ns[PART_GIL],
			.ready = (__s32)s->ready};
		RECORD_SUBMIT(ev);
	}
	s->part.discrepancy_ns = 0; /* what is found between turns is of the next one */
	turn_forget(s);
	return 0;
}

static __always_inline void turn_end(struct loop_slot *s, __u64 now_ns)
{
	bool summed;

	if (!s->begin_ns)
		return;
	summed = turn_summed(s, now_ns);
	if (rarely(s->turns) && (!summed || now_ns - s->turns_begin_ns >= TURNS_TOLD_NS))
		turns_put(s, summed ? now_ns : s->begin_ns);
	if (summed) {
		turn_forget(s);
		return;
	}
	s->ended_ns = now_ns;
	s->busy_since_ns = 0;
	if (now_ns - s->begin_ns < config.min_step_ns)
		turn_put(s);
}

static __always_inline void turn_begin(struct loop_slot *s, __u64 now_ns, __s64 ready)
{
	s->select_ns = now_ns - s->poll_ns;
	s->poll_ns = 0;
	s->ready = ready;
	part_turn(&s->part);
	__builtin_memset(s->part.sum_ns, 0, sizeof(s->part.sum_ns));
	s->gc_sum_ns = 0;
	taken_forget(&s->taken);
	s->begin_ns = now_ns;
	s->busy_since_ns = now_ns;
}

/* ---- which selector is a loop's */

static __always_inline __u64 loop_known(const struct loop_slot *s, __s32 epfd)
{
#pragma unroll
	for (__u32 i = 0; i < SLOT_LOOPS; i++)
		if (s->known[i].loop && s->known[i].epfd == epfd)
			return s->known[i].loop;
	return 0;
}

static __always_inline __u32 loop_by_stack(const struct loop_slot *s, __u64 loop)
{
#pragma unroll
	for (__u32 i = 0; i < SLOT_LOOPS; i++)
		if (s->known[i].loop == loop)
			return s->known[i].by_stack;
	return 0;
}

/* Its id; the oldest of too many gives way. */
static __always_inline __u64 loop_add(struct loop_slot *s, __s32 epfd, bool by_stack)
{
	__u64 id = __sync_fetch_and_add(&loops, 1) + 1;

#pragma unroll
	for (__u32 i = SLOT_LOOPS - 1; i > 0; i--)
		s->known[i] = s->known[i - 1];
	s->known[0] = (struct slot_loop){.loop = id, .epfd = epfd, .by_stack = by_stack};
	return id;
}

/* Whether to tell the recorder again of a thread that it has not approved. */
static __always_inline bool ask_again(__u32 tid, __s32 epfd, __u64 now_ns)
{
	struct asked *known = bpf_map_lookup_elem(&asked, &tid);
	struct asked new = {.time_ns = now_ns, .epfd = epfd};

	if (known && known->epfd == epfd) {
		__u32 times = known->times < ASK_AGAIN_MAX ? known->times : ASK_AGAIN_MAX;

		if (now_ns - known->time_ns < (__u64)ASK_AGAIN_NS << times)
			return false;
		new.times = times + 1;
	}
	bpf_map_update_elem(&asked, &tid, &new, BPF_ANY);
	return true;
}

static __always_inline bool is_approved(__u32 tid, __s32 epfd)
{
	__s32 *known = bpf_map_lookup_elem(&approved, &tid);

	return known && *known == epfd;
}

/*
 * A thread polls a descriptor that is not known as its loop's: it is one where _run_once is on the
 * stack right above the selector's own function, or where the recorder says so. The loop's id, or
 * 0.
 */
__noinline __u64 poll_judge(
	struct loop_slot *s, __u32 index, __s32 epfd, __u64 now_ns, __u64 stack_pointer)
{
	struct scratch *to = scratch_get(index);
	struct ev_kernel_poll *ev;
	struct kernel_frame *frame;
	struct stack stack;
	__u64 loop = 0;
	bool by_stack;

	if (!s || !to)
		return 0;
	stack = stack_walk(s, to, sizeof(*ev));
	frame = (struct kernel_frame *)(to->record + sizeof(*ev));
	if (!stack.count)
		return 0; /* no Python thread */
	by_stack = stack.count > 1 && is_run_once(frame[1].code);
	if (by_stack || is_approved(s->tid, epfd)) {
		if (s->known[0].loop && s->known[0].epfd == EPFD_UNKNOWN) {
			s->known[0].epfd = epfd;
			return s->known[0].loop; /* told already */
		}
		loop = loop_add(s, epfd, by_stack);
	} else if (!ask_again(s->tid, epfd, now_ns)) {
		return 0;
	}
	ev = (struct ev_kernel_poll *)to->record;
	*ev = (struct ev_kernel_poll){.head = HEAD(kernel_poll, now_ns),
		.thread_id = s->thread_id,
		.loop = loop,
		.stack_pointer = stack_pointer,
		.epfd = epfd,
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	record_put(to, sizeof(*ev), stack.count, 0, true);
	return loop;
}

/* Entry of a poll. 1: it is the loop's own. */
static __always_inline bool poll_enter(
	struct loop_slot *s, __u32 index, __s32 epfd, __u64 now_ns, __u64 stack_pointer)
{
	__u64 loop = loop_known(s, epfd);

	if (rarely(!loop))
		loop = poll_judge(s, index, epfd, now_ns, stack_pointer);
	if (!loop)
		return false;
	if (rarely(s->loop != loop)) {
		turn_forget(s); /* what came before its first poll is no turn of it */
		if (s->turns)
			turns_put(s, now_ns);
		s->loop = loop;
		s->by_stack = loop_by_stack(s, loop);
	}
	return true;
}

/* The loop's selector is closed, and with it the loop. */
static __always_inline void loop_drop(struct loop_slot *s, __s32 epfd, __u64 now_ns)
{
	__u64 loop = 0;
	struct ev_loop_close *ev;

#pragma unroll
	for (__u32 i = 0; i < SLOT_LOOPS; i++)
		if (s->known[i].loop && s->known[i].epfd == epfd) {
			loop = s->known[i].loop;
			s->known[i].loop = 0;
		}
	if (!loop)
		return;
	if (s->loop == loop) {
		turn_forget(s);
		s->loop = 0;
	}
	ev = RECORD_RESERVE(loop_close);
	if (!ev)
		return;
	*ev = (struct ev_loop_close){.head = HEAD(loop_close, now_ns), .loop = loop};
	RECORD_SUBMIT(ev);
}

#endif
