/* Single facts: collections, audit events, anomalies. */
#include "collector/model_state.h"

#include <stdlib.h>

#include "collector/shorten.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

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
	if (!t->gc)
		t->gc = malloc(PENDING_GC_MAX * sizeof(*t->gc));
	if (!t->gc) {
		loss_add(model, p, "records without memory", 1);
		return;
	}
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
	cell = cell_for_worker(t, r->task, s, time_ns, time_ns);
	STORE_PUT(model->store, audit, NUMBER(p->id), NUMBER(t->id), ID(task_row(task)),
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
		ID(task_row(task)), ID(cell ? cell->id : 0), TEXT_OF(coro), TEXT_OF(message),
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

/* Of one refusal one coroutine: a later one may have its address. */
static bool was_refused(struct process *p, uint64_t coroutine)
{
	for (unsigned int i = 0; coroutine && i < REFUSED_KEPT; i++) {
		if (p->refused[i] != coroutine)
			continue;
		p->refused[i] = 0;
		return true;
	}
	return false;
}

void never_awaited_record(struct model *model, struct process *p, const struct ev_never_awaited *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	const struct task *task = task_get(p, r->task);
	struct stack *s = stack_get(model, p, r->stack);
	const struct code *code = code_get(p, r->code);
	const char *coro = tail_text(model, &r->head, 0);
	char message[200];
	struct cell *cell;

	if (!t)
		return;
	shorten(message, sizeof(message), "coroutine '%s' was never awaited", coro);
	cell = cell_for_worker(t, r->task, s, time_ns, time_ns);
	if (!cell && !task)
		cell = cell_for_coroutine(t, code, time_ns);
	anomaly_put(model, p, time_ns, was_refused(p, r->coroutine) ? "refused" : "never_awaited",
		task, cell, coro, message, s, site_of_dropped(s, code));
}

void asyncgen_left_record(struct model *model, struct process *p, const struct ev_asyncgen_left *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	const struct task *task = task_get(p, r->task);
	struct stack *s = stack_get(model, p, r->stack);
	const char *name = tail_text(model, &r->head, 0);
	char message[200];

	if (!t)
		return;
	shorten(message, sizeof(message), "async generator '%s' was left to the loop's finalizer",
		name);
	anomaly_put(model, p, time_ns, "asyncgen_left", task,
		cell_for_worker(t, r->task, s, time_ns, time_ns), name, message, s,
		site_of_dropped(s, code_get(p, r->code)));
}

/* About a task, told when it goes on. */
static void put_of_task(struct model *model, struct process *p, const struct ev_head *r,
	const char *kind, const struct task *task, const char *message, struct stack *s)
{
	uint64_t time_ns = model_time(model, r->time_ns);
	struct thread *t = thread_get(model, p, r->tid, time_ns);

	if (!t)
		return;
	anomaly_put(model, p, time_ns, kind, task, cell_for_work(t, task, s, time_ns, time_ns),
		task ? task->coro : "", message, s, stack_site(s));
}

void gathered_record(struct model *model, struct process *p, const struct ev_gathered *r)
{
	const char *type = name_get(p, r->exception);
	char message[200];

	if (!r->failures)
		return;
	shorten(message, sizeof(message), "%u of %u%s%s", r->failures, r->results, type ? ", " : "",
		type ? type : "");
	put_of_task(model, p, &r->head, "gathered_failures", task_get(p, r->task), message,
		stack_get(model, p, r->stack));
}

void received_record(struct model *model, struct process *p, const struct ev_received *r)
{
	size_t size;
	const void *bytes = record_tail(&r->head, 0, &size);
	cleanup(freep) char *message = size ? text_to_utf8(bytes, size) : NULL;
	char buf[EXCEPTION_MAX];
	const char *text = exception_text(name_get(p, r->exception), message, buf, sizeof(buf));

	put_of_task(model, p, &r->head, "received", task_get(p, r->task), text ? text : "",
		stack_get(model, p, r->stack));
}
