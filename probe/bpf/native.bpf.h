/*
 * The native stack of the thread in hand as it stands: registers and the words from its inner end.
 * Nothing is unwound here; the recorder does that, by the unwind tables of the mapped files.
 */
#ifndef PROBE_BPF_NATIVE_H
#define PROBE_BPF_NATIVE_H

#include "probe/bpf/python.bpf.h"

#define NATIVE_BYTES                                                                               \
	8192u           /* a power of two; from there to python's own frames it is mostly less     \
			 */
#define NATIVE_TRIES 5u /* halvings: the stack may end before */
/* Not again before. A wait has its record anyway, and is seldom shorter. */
#define NATIVE_SAMPLE_AGAIN_NS 5000000u
#define NATIVE_WAIT_AGAIN_NS 1000000u
#define LASTI_UNITS_MINOR                                                                          \
	10 /* from there on f_lasti counts instructions, as layout_position() has it */

struct native_record {
	struct ev_kernel_native ev;
	unsigned char stack[NATIVE_BYTES];
};

/* The byte of an instruction: where a frame's pointer points, or at its lasti in co_code. */
static __always_inline __u32 opcode_of(python_target *target, __u64 code, __u64 instr)
{
	__u32 unit = target->layout.minor < LASTI_UNITS_MINOR ? 1 : LAYOUT_CODE_UNIT;
	__u8 opcode;

	if (target->layout.code_instructions == OFF_ABSENT)
		instr = read_u64(code + target->layout.code_bytes) + target->layout.bytes_data +
			instr * unit;
	return bpf_probe_read_user(&opcode, sizeof(opcode), (void *)instr) ? OPCODE_UNKNOWN
									   : opcode;
}

static __always_inline void native_fill(__u64 thread, struct native_record *r, __u64 now_ns)
{
	python_target *target = target_now();
	__u64 frame = target && thread ? innermost(target, thread) : 0;
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);
	__u32 size = NATIVE_BYTES;

	r->ev = (struct ev_kernel_native){.head = HEAD_OF(thread_now(), kernel_native, now_ns),
		.ip = regs->ip,
		.sp = regs->sp,
		.bp = regs->bp,
		.bx = regs->bx,
		.r12 = regs->r12,
		.r13 = regs->r13,
		.r14 = regs->r14,
		.r15 = regs->r15,
		.opcode = OPCODE_UNKNOWN,
		.pid = process_now(),
		.stack_len = NATIVE_BYTES};
	r->ev.head.size_words = sizeof(*r) / 8;
	if (target && frame) {
		r->ev.code = read_u64(frame + target->layout.frame_code) & ~(__u64)LAYOUT_CODE_MASK;
		r->ev.instr = frame_instr(target, frame);
		r->ev.opcode = opcode_of(target, r->ev.code, r->ev.instr);
	}
#pragma unroll
	for (__u32 i = 0; i < NATIVE_TRIES; i++)
		if (!r->ev.stack_bytes) {
			size = NATIVE_BYTES >> i;
			if (!bpf_probe_read_user(r->stack, size, (void *)r->ev.sp))
				r->ev.stack_bytes = size;
		}
}

/*
 * A wait's is not left out for a sample's sake, which a tick between its end and its return may
 * have taken; no sample's comes between a wait's and the record that it belongs to.
 */
static __always_inline bool native_again(
	const struct native_taken *taken, __u64 now_ns, bool waited)
{
	return waited ? now_ns >= taken->wait_ns + NATIVE_WAIT_AGAIN_NS
		      : now_ns >= taken->last_ns + NATIVE_SAMPLE_AGAIN_NS;
}

/*
 * Before the record that it belongs to, with the same time. thread: the thread's state, 0: not
 * known. taken: of that thread. waited: as a wait ends, else by a tick.
 */
__noinline int native_put(struct native_taken *taken, __u64 thread, __u64 now_ns, bool waited)
{
	struct native_record *r;

	if (!taken || !native_again(taken, now_ns, waited) || ring_is_half_full())
		return 0;
	taken->last_ns = now_ns;
	if (waited)
		taken->wait_ns = now_ns;
	r = bpf_ringbuf_reserve(&ring, sizeof(*r), 0);
	if (!r)
		return 0; /* the other record tells that the ring is full */
	native_fill(thread, r, now_ns);
	RECORD_SUBMIT(r);
	return 0;
}

#endif
