/* System calls of loop threads: what each waits for, and the record of one that waited for long. */
#ifndef PROBE_BPF_CALLS_H
#define PROBE_BPF_CALLS_H

#include "probe/bpf/call_kind.h"
#include "probe/bpf/native.bpf.h"
#include "probe/bpf/python.bpf.h"
#include "probe/bpf/ender.bpf.h"

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
		.runq_ns = part_queued(&s->part) - s->enter_runq_ns,
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
	if (s->ender.enter_ns == s->enter_ns &&
		ends_by_call(&s->ender, s->syscall, result, what, to, len))
		ender_tell(&s->ender, s->tid, 0, now_ns);
	return record_put(to, sizeof(*ev), stack.count, len, to->told != 0);
}

/* ---- waits too short for that: what they were for, by where they were called */

#define SHORT_WAIT_NS 50000u /* less is what its system call says: 20,000 a second at most */
#define SITE_AGAIN_NS 1000000000u

/* The thread's innermost position: function, its file, instruction. 0: none. */
static __always_inline __u64 site_of(__u64 thread)
{
	python_target *target = target_now();
	__u64 frame = target && thread ? innermost(target, thread) : 0, code;

	code = frame ? read_u64(frame + target->layout.frame_code) & ~(__u64)LAYOUT_CODE_MASK : 0;
	if (!code)
		return 0;
	return (code * 31 + read_u64(code + target->layout.code_filename)) * 31 +
	       frame_instr(target, frame);
}

/* The stack of each place once in a while only: its native part is 8 KB, and to be unwound. */
__noinline int short_put(struct loop_slot *s, __u32 index, __u64 now_ns, __u64 off_ns)
{
	struct scratch *to = scratch_get(index);
	struct call_kind kind;
	struct ev_kernel_short *ev;
	struct stack stack = {0};
	__u64 *told_ns, site;

	if (!s || !to)
		return 0;
	site = site_of(thread_of(s));
	if (!site)
		return 0;
	told_ns = bpf_map_lookup_elem(&sites, &site);
	to->told = 0;
	if ((!told_ns || now_ns - *told_ns > SITE_AGAIN_NS) &&
		native_again(&s->short_native, now_ns, true)) {
		s->native.last_ns = now_ns; /* no sample's in between */
		native_put(&s->short_native, thread_of(s), now_ns, true);
		stack = stack_walk(s, to, sizeof(*ev));
		bpf_map_update_elem(&sites, &site, &now_ns, BPF_ANY);
	}
	kind = call_kind_of(s->syscall);
	ev = (struct ev_kernel_short *)to->record;
	*ev = (struct ev_kernel_short){.head = HEAD(kernel_short, now_ns),
		.off_ns = off_ns,
		.site = site,
		.number = s->syscall,
		.fd = call_fd(&kind, s->argument),
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	return record_put(to, sizeof(*ev), stack.count, 0, to->told != 0);
}

#endif
