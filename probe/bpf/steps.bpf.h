/* Tasks of asyncio's C implementation: created, stepped. Probes on emulated instructions only. */
#ifndef PROBE_BPF_STEPS_H
#define PROBE_BPF_STEPS_H

#include "probe/bpf/turn.bpf.h"

#define NAME_BYTES_MAX 128u
#define WAIT_SHOWN_NS 1000000u /* through which coroutines a shorter wait went is not looked up */

#define STEP_MASK (SLOT_STEPS - 1)
#define STATE_FINISHED 2u
#define TUPLE_SIZE_OFF 16u /* ob_size, CPython 3.8 to 3.14 */
/* PyLongObject@3.12: lv_tag, the number of digits << 3; then digits of 30 bits */
#define LONG_TAG_OFF 16u
#define LONG_DIGIT_OFF 24u
#define LONG_TAG_SHIFT 3u
#define LONG_DIGIT_BITS 30u

static __always_inline __u64 argument_get(void *ctx, const volatile struct point_argument *a)
{
	__u64 value = 0;
	__u16 reg = a->reg;

	if (a->kind == ARGUMENT_NONE)
		return 0;
	if (a->kind == ARGUMENT_CONSTANT)
		return (__u64)a->value;
	bpf_probe_read_kernel(&value, sizeof(value), ctx + reg);
	if (a->kind == ARGUMENT_MEMORY)
		value = read_u64(value + (__u64)a->value);
	if (a->size == 4)
		return a->is_signed ? (__u64)(__s64)(__s32)value : (__u32)value;
	return value;
}

static __always_inline __u64 open_task(const struct loop_slot *s)
{
	__u32 n = s->steps;

	return n ? s->step[(n - 1) & STEP_MASK].task : 0;
}

/* What begins below the stack pointer of an open step has returned from it, told or not. */
static __always_inline void step_push(struct loop_slot *s, const struct open_step *step)
{
	__u32 n = s->steps;

#pragma unroll
	for (__u32 i = 0; i < SLOT_STEPS; i++)
		if (n && s->step[(n - 1) & STEP_MASK].stack_pointer <= step->stack_pointer)
			n--;
	if (n >= SLOT_STEPS)
		n = SLOT_STEPS - 1;
	barrier_var(n); /* the compiler would leave out the mask that the verifier wants */
	s->step[n & STEP_MASK] = *step;
	s->steps = n + 1;
}

/* ---- names */

static __always_inline void task_name_put(
	struct loop_slot *s, __u32 index, __u64 task, __u64 now_ns)
{
	struct scratch *to = scratch_get(index);
	struct ev_kernel_task_name *ev;
	__u64 name = read_u64(task + LAY.task_name);
	__u32 len;

	if (!to || !name)
		return;
	ev = (struct ev_kernel_task_name *)to->record;
	*ev = (struct ev_kernel_task_name){.head = HEAD(kernel_task_name, now_ns), .task = task};
	ev->str_state = str_read(name, to, NAME_BYTES_MAX, &len);
	ev->name_len = len;
	if (!ev->str_state) {
		__u64 digits = read_u64(name + LONG_DIGIT_OFF), tag = read_u64(name + LONG_TAG_OFF);

		ev->number = digits & ((1u << LONG_DIGIT_BITS) - 1);
		if (tag >> LONG_TAG_SHIFT > 1)
			ev->number |= digits >> 32 << LONG_DIGIT_BITS;
	}
	record_put(to, sizeof(*ev), 0, len, false);
}

/* ---- steps */

static __always_inline void wakeup_put(struct loop_slot *s, __u32 index, __u64 task, __u64 now_ns)
{
	struct scratch *to = scratch_get(index);
	__u64 future = read_u64(task + LAY.task_fut_waiter);
	struct ev_kernel_wakeup *ev;
	__u32 state = 0;

	if (!to || !future)
		return;
	bpf_probe_read_user(&state, sizeof(state), (void *)(future + LAY.future_state));
	if (state == STATE_FINISHED && read_u64(future + LAY.future_exception))
		state = TASK_FAILED;
	ev = (struct ev_kernel_wakeup *)to->record;
	*ev = (struct ev_kernel_wakeup){.head = HEAD(kernel_wakeup, now_ns),
		.task = task,
		.future = future,
		.type = read_u64(future + LAY.object_type),
		.state = state};
	record_put(to, sizeof(*ev), 0, 0, false);
}

static __always_inline int step_begin(
	struct loop_slot *s, __u32 index, __u64 task, __u64 stack_pointer, __u64 now_ns)
{
	struct open_step step = {task, now_ns, stack_pointer};
	struct known_task *known = bpf_map_lookup_elem(&tasks, &task);
	struct known_task new = {.named = 1};

	step_push(s, &step);
	if (known && known->named) {
		if (known->since_ns && now_ns - known->since_ns >= WAIT_SHOWN_NS)
			wakeup_put(s, index, task, now_ns);
		return 0;
	}
	if (known)
		known->named = 1;
	else if (bpf_map_update_elem(&tasks, &task, &new, BPF_ANY))
		lose(LOSS_TASKS);
	task_name_put(s, index, task, now_ns);
	return 0;
}

static __always_inline bool ring_is_filling(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > RING_SIZE_BYTES / 2;
}

static __always_inline int step_end(struct loop_slot *s, __u64 now_ns)
{
	__u32 n = s->steps, state = 0;
	struct known_task *known;
	struct ev_kernel_step *ev;
	__u64 task, begin_ns, future = 0, type_of;

	if (!n)
		return 0;
	task = s->step[(n - 1) & STEP_MASK].task;
	begin_ns = s->step[(n - 1) & STEP_MASK].begin_ns;
	s->steps = n - 1;
	if (bpf_probe_read_user(&state, sizeof(state), (void *)(task + LAY.future_state)))
		return 0;
	type_of = future = state ? 0 : read_u64(task + LAY.task_fut_waiter);
	if (state == STATE_FINISHED) {
		type_of = read_u64(task + LAY.future_exception);
		state = type_of ? TASK_FAILED : TASK_FINISHED;
	}
	known = bpf_map_lookup_elem(&tasks, &task);
	if (known)
		known->since_ns = state ? 0 : now_ns;
	if (!state && now_ns - begin_ns < config.min_step_ns && ring_is_filling()) {
		lose(LOSS_STEPS);
		return 0;
	}
	ev = RECORD_RESERVE(kernel_step);
	if (!ev)
		return 0;
	*ev = (struct ev_kernel_step){.head = HEAD(kernel_step, now_ns),
		.task = task,
		.begin_ns = begin_ns,
		.waits_on = future,
		.type = type_of ? read_u64(type_of + LAY.object_type) : 0,
		.state = state};
	RECORD_SUBMIT(ev);
	return 0;
}

/* ---- births */

/* Of a native coroutine: its code object; 0 where it is something else. */
static __always_inline __u64 coro_code(__u64 coro)
{
	__u64 code;

	if (LAY.generator_code != OFF_ABSENT)
		code = read_u64(coro + LAY.generator_code);
	else
		code = read_u64(coro + LAY.generator_frame + LAY.frame_code) &
		       ~(__u64)LAYOUT_CODE_MASK;
	return code && read_u64(code + LAY.object_type) == config.target.code_type ? code : 0;
}

static __always_inline int task_born(
	struct loop_slot *s, __u32 index, __u64 task, __u64 arguments, __u64 now_ns)
{
	struct scratch *to = scratch_get(index);
	struct known_task new = {0};
	struct ev_kernel_task_new *ev;
	struct stack stack;
	__u64 coro = 0;
	__u32 len = 0;

	if (!to || !task)
		return 0;
	if (bpf_map_update_elem(&tasks, &task, &new, BPF_ANY))
		lose(LOSS_TASKS);
	if (arguments && read_u64(arguments + TUPLE_SIZE_OFF))
		coro = read_u64(arguments + LAY.tuple_item);
	stack = stack_walk(s, to, sizeof(*ev));
	if (stack.count && run_once_code && !stack.run_once && !stack.cut)
		turn_forget(s);
	ev = (struct ev_kernel_task_new *)to->record;
	*ev = (struct ev_kernel_task_new){.head = HEAD(kernel_task_new, now_ns),
		.task = task,
		.parent = open_task(s),
		.loop = s->begin_ns ? s->loop : 0,
		.coro = coro,
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	if (coro) {
		ev->type = read_u64(coro + LAY.object_type);
		ev->code = coro_code(coro);
	}
	if (ev->code)
		ev->str_state =
			str_read(read_u64(coro + LAY.generator_qualname), to, NAME_BYTES_MAX, &len);
	ev->name_len = len;
	return record_put(to, sizeof(*ev), stack.count, len, true);
}

#endif
