/* Calls that held a loop thread. */
#include "collector/callsite.h"

#include <stdio.h>

#define CALL_MAX 100 /* bytes of a call's name */

void block_record(struct model *model, struct process *p, const struct ev_block *r)
{
	uint64_t end_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->begin_ns), wall_ns;
	struct thread *t = thread_get(model, p, r->head.tid, end_ns);
	struct stack *s = stack_get(model, p, r->stack);
	struct task *task = task_get(p, r->task);
	const char *target = tail_text(model, &r->head, 0), *syscall = callsite_syscall(r->call);
	char call[CALL_MAX], number[24];
	struct site site = stack_site(s);
	enum block_class class;
	struct loop *loop;
	struct cell *cell;
	uint64_t cpu_ns, off_ns;

	if (!t)
		return;
	if (begin_ns > end_ns)
		begin_ns = end_ns;
	wall_ns = end_ns - begin_ns;
	cpu_ns = r->cpu_ns < wall_ns ? r->cpu_ns : wall_ns;
	process_calls_seen(model, p);
	if (!syscall) {
		snprintf(number, sizeof(number), "call %u", r->call); /* of a newer sensor */
		syscall = number;
	}
	class = callsite_class(r->call, s, r->fd, target);
	off_ns = wall_ns - cpu_ns;
	off_ns = off_ns > r->runq_ns ? off_ns - r->runq_ns : 0;
	span_block(t, class, begin_ns, end_ns, off_ns, site);
	if (p->outside)
		span_raw(t, callsite_raw_class(r->call, r->fd), off_ns);
	if (!model_room(model))
		return;
	loop = r->loop ? loop_get(model, p, t, r->loop, end_ns) : thread_loop(t);
	cell = cell_for_work(t, task, s, begin_ns, end_ns);
	callsite_name(model, p, s, syscall, call, sizeof(call));
	STORE_PUT(model->store, block, NUMBER(p->id), NUMBER(t->id), ID(loop ? loop->id : 0),
		ID(task_row(task)), ID(cell ? cell->id : 0), NUMBER(begin_ns),
		NUMBER(wall_ns - cpu_ns), NUMBER(cpu_ns), TEXT_OF(call), TEXT_OF(syscall),
		TEXT_OF(callsite_class_name(class)), TEXT_OF(target), ID(stack_row(model, s)),
		TEXT_OF(site.file), NUMBER_IF(site.line, site.line), TEXT_OF(site.function));
}

void short_calls_record(struct model *model, struct process *p, const struct ev_short_calls *r)
{
	struct thread *t = thread_get(model, p, r->head.tid, model_time(model, r->head.time_ns));

	if (t)
		span_short(t, callsite_class(r->call, NULL, -1, ""), r->total_ns);
}
