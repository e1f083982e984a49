/* Tasks of asyncio's C implementation: created, stepped. Probes on emulated instructions only. */
#ifndef PROBE_BPF_STEPS_H
#define PROBE_BPF_STEPS_H

#include "probe/bpf/turn.bpf.h"

#define LAY (config.target.layout)

#define NAME_BYTES_MAX 128u
#define WAIT_SHOWN_NS 500000u /* through which coroutines a shorter wait went is not looked up */

#define STEP_MASK (SLOT_STEPS - 1)
#define STATE_FINISHED 2u
#define TUPLE_SIZE_OFF 16u /* ob_size, CPython 3.8 to 3.14 */
/* PyLongObject@3.12: lv_tag, the number of digits << 3; then digits of 30 bits */
#define LONG_TAG_OFF 16u
#define LONG_DIGIT_OFF 24u
#define LONG_TAG_SHIFT 3u
#define LONG_DIGIT_BITS 30u

/* The two registers that nearly every argument is in cost no call into the kernel. */
static __always_inline __u64 register_get(struct pt_regs *regs, __u16 reg)
{
	__u64 value = 0, di = regs->di, si = regs->si;

	barrier_var(
		di); /* the compiler would choose the address instead, which no verifier takes */
	barrier_var(si);
	if (reg == bpf_core_field_offset(regs->di))
		return di;
	if (reg == bpf_core_field_offset(regs->si))
		return si;
	bpf_probe_read_kernel(&value, sizeof(value), (void *)regs + reg);
	return value;
}

static __always_inline __u64 argument_get(
	struct pt_regs *regs, const volatile struct point_argument *a)
{
	__u64 value;

	if (a->kind == ARGUMENT_NONE)
		return 0;
	if (a->kind == ARGUMENT_CONSTANT)
		return (__u64)a->value;
	value = register_get(regs, a->reg);
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

/* ---- await chains */

#define CHAIN_MAX 24u /* coroutines; those further in are left out */
/*
 * Objects that stand for a coroutine keep it as their first member (coroutine_wrapper,
 * async_generator_asend, ...; CPython 3.8 to 3.14).
 */
#define WRAPPED_OFF 16u

struct chain_walk {
	struct scratch *to;
};

/* The innermost value on a suspended frame's stack; 0: there is none. */
static __always_inline __u64 awaited_by(__u64 frame)
{
	__u64 stack = frame + LAY.frame_locals, top;
	__s32 depth = 0;

	if (LAY.frame_stack != OFF_ABSENT)
		stack = read_u64(frame + LAY.frame_stack);
	if (LAY.frame_stack_top != OFF_ABSENT) {
		top = read_u64(frame + LAY.frame_stack_top);
	} else {
		bpf_probe_read_user(&depth, sizeof(depth), (void *)(frame + LAY.frame_stack_depth));
		top = depth > 0 ? stack + 8ull * (__u32)depth : 0;
	}
	return top > stack ? read_u64(top - 8) & ~(__u64)LAYOUT_CODE_MASK : 0;
}

/* Where a coroutine's frame is; 0: it has none, or is no coroutine. */
static __always_inline __u64 coroutine_frame(__u64 coroutine)
{
	__u64 frame = coroutine + LAY.generator_frame, code;

	if (LAY.generator_frame_state == OFF_ABSENT)
		frame = read_u64(frame);
	if (!frame)
		return 0;
	code = read_u64(frame + LAY.frame_code) & ~(__u64)LAYOUT_CODE_MASK;
	return code && read_u64(code + LAY.object_type) == config.target.code_type ? frame : 0;
}

/* The innermost one is put last: the recorder turns them round. */
static long chain_walk_one(__u32 i, struct chain_walk *w)
{
	struct scratch *to = w->to;
	__u64 object = to->frame, frame = object ? coroutine_frame(object) : 0, code;
	struct kernel_frame *at;
	__u32 place;

	if (object && !frame) { /* it may stand for one */
		object = read_u64(object + WRAPPED_OFF);
		frame = object ? coroutine_frame(object) : 0;
	}
	if (!frame)
		return 1;
	place = to->fixed + to->count * sizeof(*at);
	if (place > RECORD_BYTES - TOUCHED_BYTES)
		return 1;
	code = read_u64(frame + LAY.frame_code) & ~(__u64)LAYOUT_CODE_MASK;
	at = (struct kernel_frame *)(to->record + place);
	at->code = code;
	at->instr = frame_instr(&config.target, frame);
	to->count++;
	to->frame = awaited_by(frame);
	return 0;
}

/* The coroutines through which a suspended task waits, behind a record's fixed part. */
static __always_inline __u32 chain_walk(__u64 task, struct scratch *to, __u32 fixed)
{
	struct chain_walk w = {.to = to};

	to->fixed = fixed;
	to->count = 0;
	to->frame = read_u64(task + LAY.task_coro);
	bpf_loop(CHAIN_MAX, chain_walk_one, &w, 0);
	return to->count < CHAIN_MAX ? to->count : CHAIN_MAX;
}

/* ---- who sets a future */

/*
 * By the middle of the future's address; a later one takes the place. Its waiter runs in the next
 * iteration, so the place is wanted for that long only. A hash would cost 300 ns more.
 */
#define SETS 16384u /* a power of two */
#define SET_SHIFT 4

struct set_by {
	__u64 future, set_ns, task;
	__u32 tid, pad0;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SETS);
	__type(key, __u32);
	__type(value, struct set_by);
} sets SEC(".maps");

static __always_inline struct set_by *set_at(__u64 future)
{
	__u32 index = (future >> SET_SHIFT ^ future >> (SET_SHIFT + 14)) & (SETS - 1);

	return bpf_map_lookup_elem(&sets, &index);
}

static __always_inline int future_set(struct loop_slot *s, __u64 future, __u64 now_ns)
{
	struct set_by *by = set_at(future);

	if (!by)
		return 0;
	by->future = future;
	by->set_ns = now_ns;
	by->tid = s->tid;
	by->task = open_task(s);
	return 0;
}

/* ---- steps */

static __always_inline void wakeup_put(
	struct loop_slot *s, __u32 index, __u64 task, __u64 since_ns, __u64 now_ns)
{
	struct scratch *to = scratch_get(index);
	__u64 future = read_u64(task + LAY.task_fut_waiter);
	struct ev_kernel_wakeup *ev;
	struct set_by *by;
	__u32 state = 0, frames;

	if (!to || !future)
		return;
	frames = chain_walk(task, to, sizeof(*ev));
	bpf_probe_read_user(&state, sizeof(state), (void *)(future + LAY.future_state));
	if (state == STATE_FINISHED && read_u64(future + LAY.future_exception))
		state = TASK_FAILED;
	ev = (struct ev_kernel_wakeup *)to->record;
	*ev = (struct ev_kernel_wakeup){.head = HEAD(kernel_wakeup, now_ns),
		.task = task,
		.future = future,
		.type = read_u64(future + LAY.object_type),
		.state = state,
		.frames_len = frames * sizeof(struct kernel_frame)};
	by = set_at(future);
	/* else it was another one at this address */
	if (by && by->future == future && by->set_ns > since_ns) {
		ev->set_ns = by->set_ns;
		ev->by = by->task;
		ev->by_tid = by->tid;
	}
	record_put(to, sizeof(*ev), frames, 0, false);
}

static __always_inline int step_begin(
	struct loop_slot *s, __u32 index, __u64 task, __u64 stack_pointer, __u64 now_ns)
{
	struct open_step step = {task, now_ns, stack_pointer};
	struct known_task *known = bpf_map_lookup_elem(&tasks, &task);
	struct known_task new = {.since_ns = now_ns, .named = 1};
	__u64 since_ns;

	step_push(s, &step);
	since_ns = known ? known->since_ns : 0;
	/* of one that was pending before anybody looked, the wait lasted */
	if (rarely(!known || (since_ns && now_ns - since_ns >= WAIT_SHOWN_NS)))
		wakeup_put(s, index, task, since_ns, now_ns);
	if (!rarely(!known || !known->named)) {
		known->since_ns = now_ns;
		return 0;
	}
	if (known)
		*known = new;
	else if (bpf_map_update_elem(&tasks, &task, &new, BPF_ANY))
		lose(LOSS_TASKS);
	task_name_put(s, index, task, now_ns);
	return 0;
}

/*
 * Of a task, from its exception to its state and what it waits for, in one reading; a power of two.
 * 3.8: 48 to 112, 3.10: 48 to 160, 3.14: 48 to 128.
 */
#define OUTCOME_BYTES 128u
#define OUTCOME_AT(member) ((__u32)LAY.member - LAY.future_exception)
#define OUTCOME_WORD(raw, member) ((raw)[OUTCOME_AT(member) >> 3 & (OUTCOME_BYTES / 8 - 1)])
#define OUTCOME_END                                                                                \
	((LAY.future_state > LAY.task_fut_waiter ? OUTCOME_AT(future_state)                        \
						 : OUTCOME_AT(task_fut_waiter)) +                  \
		8)

static __always_inline int step_end(struct loop_slot *s, __u64 now_ns)
{
	__u32 n = s->steps, state;
	__u64 outcome[OUTCOME_BYTES / 8];
	struct ev_kernel_step *ev;
	__u64 task, begin_ns, future, exception = 0;

	if (!n)
		return 0;
	task = s->step[(n - 1) & STEP_MASK].task;
	begin_ns = s->step[(n - 1) & STEP_MASK].begin_ns;
	s->steps = n - 1;
	if (OUTCOME_END > OUTCOME_BYTES ||
		bpf_probe_read_user(outcome, OUTCOME_END, (void *)task + LAY.future_exception))
		return 0;
	state = (__u32)OUTCOME_WORD(outcome, future_state);
	future = state ? 0 : OUTCOME_WORD(outcome, task_fut_waiter);
	if (state == STATE_FINISHED) {
		exception = outcome[0];
		state = exception ? TASK_FAILED : TASK_FINISHED;
	}
	if (!state && now_ns - begin_ns < config.min_step_ns && ring_is_filling(s)) {
		lose(LOSS_STEPS);
		return 0;
	}
	ev = RECORD_RESERVE(kernel_step);
	if (!ev)
		return 0;
	*ev = (struct ev_kernel_step){.head = HEAD_OF(s->tid, kernel_step, now_ns),
		.task = task,
		.begin_ns = begin_ns,
		.waits_on = future,
		.type = exception ? read_u64(exception + LAY.object_type) : 0,
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
	if (left_loop(s, &stack))
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
	return record_put(to, sizeof(*ev), stack.count, len, to->told || !ev->code);
}

#endif
