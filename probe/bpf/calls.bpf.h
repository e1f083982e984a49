/* System calls of loop threads: what each waits for, and the record of one that waited for long. */
#ifndef PROBE_BPF_CALLS_H
#define PROBE_BPF_CALLS_H

#include "probe/bpf/call_kind.h"
#include "probe/bpf/python.bpf.h"
#include "probe/bpf/touch.bpf.h"

#define NO_FD (-1)

static __always_inline __s32 call_fd(const struct call_kind *kind, const __u64 argument[3])
{
	__s32 fd = NO_FD;

	if (kind->how == HOW_SELECT)
		return (__s32)argument[0] - 1;
	if (kind->how == HOW_POLL && argument[1])
		bpf_probe_read_user(
			&fd, sizeof(fd), (void *)argument[0]); /* struct pollfd begins so */
	if (kind->fd_at == 0)
		fd = (__s32)argument[0];
	if (kind->fd_at == 1)
		fd = (__s32)argument[1];
	return fd;
}

static __always_inline __u32 call_touches(const struct call_kind *kind, __s32 fd,
	const __u64 argument[3], struct scratch *to, __u32 *ret_what)
{
	switch (kind->how) {
	case HOW_FD:
	case HOW_POLL:
	case HOW_SELECT:
		return touch_fd(fd, to, ret_what);
	case HOW_PATH:
		return touch_name(argument[0], to, ret_what);
	case HOW_PATH_AT:
		return touch_name(argument[1], to, ret_what);
	case HOW_ADDRESS:
		return touch_address(argument[1], to, ret_what);
	case HOW_CHILD:
		return touch_child(argument[0], to, ret_what);
	default:
		return 0;
	}
}

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
	__u32 what = TOUCHES_NOTHING, len;

	if (!s || !to)
		return 0;
	kind = call_kind_of(s->syscall);
	stack = stack_walk(s, to, sizeof(*ev));
	if (left_loop(s, &stack)) {
		turn_forget(s);
		return 0; /* between two runs of a loop its thread may block */
	}
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
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	ev->cpu_ns = now_ns - s->enter_ns - blocked_ns - ev->runq_ns;
	len = call_touches(&kind, ev->fd, s->argument, to, &what);
	ev->touches = what;
	ev->touched_len = len;
	return record_put(to, sizeof(*ev), stack.count, len, true);
}

#endif
