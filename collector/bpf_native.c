/*
 * Native frames under the Python ones of a stack: the kernel copies registers and stack, and here
 * they become codes without lines. See bpf_feed.h.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/bpf_feed.h"

static struct native *native_get(struct bpf_feed *f)
{
	const char *interpreter = f->options.points->object[POINT_INTERPRETER].name;

	if (!f->native && interpreter && !f->native_refused)
		f->native_refused = native_new(f->options.pid, interpreter, &f->native) != 0;
	return f->native;
}

void native_record(struct bpf_feed *f, const struct ev_kernel_native *r)
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
	struct native *native = native_get(f);

	if (!native)
		return;
	if (!f->moment)
		f->moment = calloc(1, sizeof(*f->moment));
	if (!f->moment)
		return;
	f->moment->time_ns = r->head.time_ns;
	f->moment->tid = r->head.tid;
	f->moment->code = r->code;
	f->moment->position = layout_position(&f->constants.layout, r->code, r->instr);
	f->moment->count = native_unwind(native, &state, f->moment->frame);
}

/* Before the stack of that moment is translated; none are kept for another. */
void native_begin(struct bpf_feed *f, const struct ev_head *head)
{
	const struct native_moment *m = f->moment;

	f->python.outside.natives = 0;
	if (!m || m->time_ns != head->time_ns || m->tid != head->tid)
		return;
	for (uint32_t i = 0; i < m->count; i++)
		outside_native(&f->python.outside, m->frame[i].object, m->frame[i].function,
			head->tid, head->time_ns);
}

void native_end(struct bpf_feed *f)
{
	f->python.outside.natives = 0;
}

void native_clear(struct bpf_feed *f)
{
	native_free(f->native);
	free(f->moment);
}
