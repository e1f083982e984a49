/* Single facts: collections, audit events, anomalies. */
#include "collector/model_state.h"

#include <string.h>

#include "collector/shorten.h"

/* ---- collections: which task they interrupted is known when its step ends */

static void put_gc(struct model *model, const struct thread *t, const struct pending_gc *g,
	const struct cell *cell)
{
	if (model_room(model))
		STORE_PUT(model->store, gc, NUMBER(t->process->id), NUMBER(t->id),
			ID(cell ? cell->id : 0), NUMBER(g->begin_ns),
			NUMBER(g->end_ns - g->begin_ns), NUMBER(g->cpu_ns), NUMBER(g->generation),
			NUMBER(g->collected));
}

/* Stores those that lie within begin to end, as work of the task (NULL: none). */
void gc_settle(struct model *model, struct thread *t, const struct task *task, uint64_t begin_ns,
	uint64_t end_ns)
{
	unsigned int left = 0;

	for (unsigned int i = 0; i < t->gcs; i++) {
		const struct pending_gc *g = &t->gc[i];

		if (task && (g->begin_ns < begin_ns || g->end_ns > end_ns)) {
			t->gc[left++] = *g;
			continue;
		}
		put_gc(model, t, g, cell_for_work(t, task, NULL, g->begin_ns, g->end_ns));
	}
	t->gcs = left;
}

void gc_record(struct model *model, struct process *p, const struct ev_gc *r)
{
	uint64_t end_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->begin_ns);
	struct thread *t = thread_get(model, p, r->head.tid, end_ns);

	if (!t)
		return;
	if (begin_ns > end_ns)
		begin_ns = end_ns;
	if (t->gcs == PENDING_GC_MAX)
		gc_settle(model, t, NULL, 0, UINT64_MAX);
	t->gc[t->gcs++] =
		(struct pending_gc){begin_ns, end_ns, r->cpu_ns, r->generation, r->collected};
	span_gc(t, begin_ns, end_ns, r->cpu_ns);
	if (!t->depth)
		gc_settle(model, t, NULL, 0, UINT64_MAX); /* no loop here: no step will come */
}

/* ---- audit events */

void audit_record(struct model *model, struct process *p, const struct ev_audit *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	const struct task *task = task_get(p, r->task);
	const char *event = name_get(p, r->event);
	const struct cell *cell;
	struct stack *s;

	if (!t || !model_room(model))
		return;
	if (model->audits >= AUDIT_MAX) {
		loss_add(model, p, "audit events beyond the limit", 1);
		return;
	}
	model->audits++;
	s = stack_get(model, p, r->stack);
	cell = cell_for_work(t, task, s, time_ns, time_ns);
	STORE_PUT(model->store, audit, NUMBER(p->id), NUMBER(t->id), ID(task ? task->id : 0),
		ID(cell ? cell->id : 0), NUMBER(time_ns), TEXT_OF(event ? event : "?"),
		TEXT_OF(tail_text(model, &r->head, 0)), ID(stack_row(model, s)));
}

/* ---- anomalies */

void anomaly_put(struct model *model, struct process *p, uint64_t time_ns, const char *kind,
	const struct task *task, struct cell *cell, const char *coro, const char *message,
	struct stack *s, struct site site)
{
	if (!model_room(model))
		return;
	if (model->anomalies >= ANOMALY_MAX) {
		loss_add(model, p, "anomalies beyond the limit", 1);
		return;
	}
	model->anomalies++;
	STORE_PUT(model->store, anomaly, NUMBER(p->id), NUMBER(time_ns), TEXT_OF(kind),
		ID(task ? task->id : 0), ID(cell ? cell->id : 0), TEXT_OF(coro), TEXT_OF(message),
		ID(stack_row(model, s)), TEXT_OF(site.file), NUMBER_IF(site.line, site.line),
		TEXT_OF(site.function));
}

/* Where it was dropped by user code; else its own definition. */
static struct site site_of_dropped(const struct stack *s, const struct code *code)
{
	if (s && s->user)
		return stack_site(s);
	if (code)
		return (struct site){code->file, code->function, code->firstlineno};
	return stack_site(s);
}

void never_awaited_record(struct model *model, struct process *p, const struct ev_never_awaited *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	const struct task *task = task_get(p, r->task);
	struct stack *s = stack_get(model, p, r->stack);
	const char *coro = tail_text(model, &r->head, 0);
	char message[200];

	if (!t)
		return;
	shorten(message, sizeof(message), "coroutine '%s' was never awaited", coro);
	anomaly_put(model, p, time_ns, "never_awaited", task,
		cell_for_work(t, task, s, time_ns, time_ns), coro, message, s,
		site_of_dropped(s, code_get(p, r->code)));
}
