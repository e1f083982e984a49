/* Native frames from what the kernel copied. See bpf_native.h. */
#include "collector/bpf_native.h"

#include <stdlib.h>

void bpf_native_clear(struct bpf_native *n)
{
	native_free(n->native);
	free(n->moment);
	*n = (struct bpf_native){.hidden = n->hidden};
}

static struct native *native_get(
	struct bpf_native *n, uint32_t pid, const struct target_constants *constants)
{
	if (!n->native && !n->refused)
		n->refused = native_new(pid, constants->code_type, n->hidden, &n->native) != 0;
	return n->native;
}

void bpf_native_take(struct bpf_native *n, uint32_t pid, const struct target_constants *constants,
	const struct ev_kernel_native *r)
{
	size_t size;
	const void *stack = record_tail(&r->head, 0, &size);
	/* rax, rdx, rcx, rbx, rsi, rdi, rbp, rsp, r8 to r15, rip: System V ABI, figure 3.36 */
	struct native_state state = {
		.reg = {0, 0, 0, r->bx, 0, 0, r->bp, r->sp, 0, 0, 0, 0, r->r12, r->r13, r->r14,
			r->r15, r->ip},
		.stack = stack,
		.stack_bytes = r->stack_bytes < size ? r->stack_bytes : size,
	};
	struct native *native = native_get(n, pid, constants);

	if (!n->moment)
		n->moment = calloc(1, sizeof(*n->moment));
	if (!n->moment)
		return;
	n->moment->time_ns = r->head.time_ns;
	n->moment->tid = r->head.tid;
	n->moment->code = r->code;
	n->moment->opcode = r->opcode;
	n->moment->position = layout_position(&constants->layout, r->code, r->instr);
	n->moment->count = 0;
	n->moment->elsewhere = false;
	if (native)
		n->moment->count =
			native_unwind(native, &state, n->moment->frame, &n->moment->elsewhere);
}

const struct native_moment *bpf_native_at(const struct bpf_native *n, const struct ev_head *head)
{
	const struct native_moment *m = n->moment;

	return m && m->time_ns == head->time_ns && m->tid == head->tid ? m : NULL;
}

void bpf_native_begin(const struct bpf_native *n, struct outside *outside,
	const struct ev_head *head, uint64_t told_ns)
{
	const struct native_moment *m = bpf_native_at(n, head);

	outside->natives = 0;
	for (uint32_t i = 0; m && i < m->count; i++)
		outside_native(
			outside, m->frame[i].object, m->frame[i].function, head->tid, told_ns);
}

void bpf_native_end(struct outside *outside)
{
	outside->natives = 0;
}
