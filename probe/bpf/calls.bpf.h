/* System calls of loop threads: what each waits for, and the record of one that waited for long. */
#ifndef PROBE_BPF_CALLS_H
#define PROBE_BPF_CALLS_H

#include "probe/bpf/call_kind.h"
#include "probe/bpf/native.bpf.h"
#include "probe/bpf/python.bpf.h"
#include "probe/bpf/touch.bpf.h"

/* The thread was not in its loop all along: what seemed an iteration was none. */
static __always_inline void turn_forget(struct loop_slot *s)
{
	s->begin_ns = 0;
	s->busy_since_ns = 0;
}

/* The stack has all its frames, and none of them is the loop's turn. */
static __always_inline bool left_loop(const struct loop_slot *s, const struct stack *stack)
{
	return s->by_stack && stack->count && !stack->run_once && !stack->cut;
}

/* As the call returns: its Python stack is still that of its beginning. */
__noinline int block_put(
	struct loop_slot *s, __u32 index, __u64 now_ns, __u64 blocked_ns, __s64 result)
{
	struct scratch *to = scratch_get(index);
	struct call_kind kind;
	struct ev_kernel_block *ev;
	struct stack stack;
	__u32 what = TOUCHES_NOTHING, len, left;

	if (!s || !to)
		return 0;
	kind = call_kind_of(s->syscall);
	stack = stack_walk(s, to, sizeof(*ev));
	left = left_loop(s, &stack);
	if (left)
		turn_forget(s);
	else
		native_put(&s->native, thread_of(s), now_ns, true);
	ev = (struct ev_kernel_block *)to->record;
	*ev = (struct ev_kernel_block){.head = HEAD(kernel_block, now_ns),
		.begin_ns = s->enter_ns,
		.runq_ns = s->part.sum_ns[PART_RUNQ] - s->enter_runq_ns,
		.loop = s->loop,
		.task = s->steps ? s->step[(s->steps - 1) & (SLOT_STEPS - 1)].task : 0,
		.result = result,
		.number = s->syscall,
		.fd = call_fd(&kind, s->argument),
		.cut = stack.cut,
		.left = left,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	ev->cpu_ns = now_ns - s->enter_ns - blocked_ns - ev->runq_ns;
	len = call_touches(&kind, ev->fd, s->argument, to, &what);
	ev->touches = what;
	ev->touched_len = len;
	return record_put(to, sizeof(*ev), stack.count, len, to->told != 0);
}

#endif
