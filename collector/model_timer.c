/* How late loops were for their timers: exact totals, and a row with whom it kept waiting for each
 * that was min_step late. */
#include "collector/model_state.h"

/* Of one timer: a due time from no clock would make sums overflow. 3 days. */
#define LATENESS_MAX_NS (1ull << 48)

void timer_record(struct model *model, struct process *p, const struct ev_timer *r)
{
	uint64_t now_ns = model_time(model, r->head.time_ns), due_ns = model_time(model, r->due_ns),
		 late_ns;
	struct thread *t = thread_get(model, p, r->head.tid, now_ns);
	struct loop *l = t ? loop_get(model, p, t, r->loop, now_ns) : NULL;
	const struct cell *held, *cell = NULL;
	const struct task *task;

	if (!l)
		return;
	if (due_ns > now_ns)
		due_ns = now_ns; /* a loop takes what comes due within its clock's resolution */
	late_ns = now_ns - due_ns < LATENESS_MAX_NS ? now_ns - due_ns : LATENESS_MAX_NS;
	held = p->cells ? cell_for_span(t, due_ns, now_ns) : NULL;
	if (fold_add(&model->timers, l->id, held ? held->id : 0, now_ns, late_ns, 0))
		loss_add(model, p, "records without memory", 1);
	if (late_ns < model->fold_ns || !model_room(model))
		return;
	task = wait_task(p, r->future);
	if (task)
		cell = cell_for_work(t, task, task->await_stack, due_ns, now_ns);
	STORE_PUT(model->store, late_timer, NUMBER(l->id), NUMBER(due_ns), NUMBER(late_ns),
		ID(task_row(task)), ID(cell ? cell->id : 0));
}
