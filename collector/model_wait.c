/*
 * Waits of tasks: what each waits for since its last step, who ended that, and the rows of the
 * waits that lasted or brought an exception.
 */
#include "collector/model_state.h"

#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

void wait_begin(struct model *model, struct task *t, const struct ev_step *r)
{
	struct process *p = t->process;

	t->waits = r->waits_on != 0;
	t->wait_bound_ns = t->bound_ns;
	t->await_stack = stack_get(model, p, r->await_stack);
	t->await_type = name_get(p, r->await_type);
	if (!t->waits)
		return;
	lock_wait(model, t);
	t->await_task = task_ref(task_get(p, r->waits_on));
	if (t->await_task == t) { /* an address nobody can wait for */
		task_unref(model, t);
		t->await_task = NULL;
	}
	if (t->await_task)
		return;
	t->waits_on = r->waits_on;
	if (map_put(&p->waiting, t->waits_on, t))
		loss_add(model, p, "records without memory", 1);
}

void wait_stop(struct model *model, struct task *t)
{
	struct process *p = t->process;

	/* several may wait for one future: the map knows the last */
	if (t->waits_on && map_get(&p->waiting, t->waits_on) == t)
		map_remove(&p->waiting, t->waits_on);
	t->waits_on = 0;
	task_unref(model, t->await_task);
	t->await_task = NULL;
	t->waits = false;
	free(TAKE(t->group));
	t->group_count = 0;
	t->bound_unknown = false;
	lock_forget(t);
	free(t->wake.received);
	t->wake = (struct wake){0};
}

const struct task *wait_task(const struct process *p, uint64_t future)
{
	return future ? map_get(&p->waiting, future) : NULL;
}

/* malloc'd; NULL: no exception. */
static char *received_text(const struct process *p, const struct ev_wakeup *r)
{
	cleanup(freep) char *message = NULL;
	char buf[EXCEPTION_MAX];
	size_t size;
	const void *bytes = record_tail(&r->head, 0, &size);
	const char *text;

	if (!r->exception)
		return NULL;
	message = size ? text_to_utf8(bytes, size) : NULL;
	text = exception_text(name_get(p, r->exception), message, buf, sizeof(buf));
	return strdup(text ? text : "?");
}

void wakeup_record(struct model *model, struct process *p, const struct ev_wakeup *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct task *t = task_get(p, r->task);
	const struct task *by = task_get(p, r->by);

	if (!t || t->ended || !t->waits)
		return;
	free(t->wake.received);
	t->wake = (struct wake){
		.time_ns = time_ns,
		.set_ns = r->set_ns ? model_time(model, r->set_ns) : 0,
		.set_seen = r->set_ns != 0,
		.by_id = task_row(by),
		.thread = r->by_tid ? thread_get(model, p, r->by_tid, time_ns) : NULL,
		.how = r->how,
		.stack = r->stack,
		.received = received_text(p, r),
	};
	if (t->wake.set_ns > time_ns)
		t->wake.set_ns = time_ns;
}

/* Looked up when the wait had lasted: the task has not moved since its step. */
void chain_record(struct model *model, struct process *p, const struct ev_await_chain *r)
{
	struct task *t = task_get(p, r->task);
	const char *type = name_get(p, r->type);

	if (!t || t->ended)
		return;
	if (!t->waits) { /* listed: its last step was before the recording */
		struct ev_step step = {.waits_on = r->future, .await_type = r->type};

		wait_begin(model, t, &step);
	}
	t->await_stack = stack_get(model, p, r->stack);
	if (type)
		t->await_type = type;
	task_dirty(model, t);
}

static const char *how_text(uint32_t how)
{
	static const char *const names[] = {[WAKE_RESULT] = "result",
		[WAKE_EXCEPTION] = "exception",
		[WAKE_CANCEL] = "cancel",
		[WAKE_TIMER] = "timer",
		[WAKE_TASK_DONE] = "task",
		[WAKE_THREAD] = "thread"};

	return how < sizeof(names) / sizeof(*names) ? names[how] : NULL;
}

/* Waits too short for a row that have one for the sake of their exception are bounded by number. */
static bool short_room(struct model *model, const struct task *t)
{
	if (model->short_waits >= SHORT_WAITS_MAX) {
		loss_add(model, t->process, "short waits with an exception, beyond the limit", 1);
		return false;
	}
	model->short_waits++;
	return true;
}

void wait_record(struct model *model, struct task *t, uint64_t begin_ns)
{
	static const struct wake unseen;
	uint64_t wait_ns = begin_ns > t->last_ns ? begin_ns - t->last_ns : 0;
	/* One from before this wait lost the step that it announced. */
	const struct wake *w = t->wake.time_ns >= t->last_ns ? &t->wake : &unseen;
	char what[WHAT_MAX];

	if (!t->waits || (wait_ns < model->fold_ns && !w->received) || !model_room(model))
		return;
	if (wait_ns < model->fold_ns && !short_room(model, t))
		return;
	await_describe(model, t, what, sizeof(what));
	STORE_PUT(model->store, await, NUMBER(t->id), NUMBER(t->last_ns), NUMBER(wait_ns),
		TEXT_OF(what), ID(stack_row(model, t->await_stack)), ID(task_row(t->await_task)),
		TEXT_OF(how_text(w->how)), ID(w->by_id), ID(w->thread ? w->thread->id : 0),
		ID(stack_row(model, stack_get(model, t->process, w->stack))),
		NUMBER_IF(w->set_seen, w->set_ns), TEXT_OF(w->received),
		NUMBER_IF(t->wait_bound_ns > t->last_ns, t->wait_bound_ns));
}

void group_record(struct model *model, struct process *p, const struct ev_group *r)
{
	struct task *t = task_get(p, r->task);
	size_t size;
	const char *members = record_tail(&r->head, 0, &size);
	uint64_t address;
	bool others = false;

	if (!t || t->ended || !t->waits || t->group || size < sizeof(address))
		return;
	t->group = malloc(size);
	t->group_one = r->one;
	for (size_t i = 0; t->group && i + sizeof(address) <= size; i += sizeof(address)) {
		const struct task *on;

		memcpy(&address, members + i, sizeof(address));
		on = task_get(p, address);
		if (on && !on->ended)
			t->group[t->group_count++] = on->id;
		else
			others = true;
	}
	if (!t->group)
		loss_add(model, p, "records without memory", 1);
	if (r->one && others) /* anything may end that one, and with it the wait */
		t->group_count = 0;
}

static void put_waits_for(struct model *model, const struct task *t, uint64_t on, bool one,
	uint64_t lock, struct stack *taken)
{
	struct site at = await_site(t), held = stack_site(taken);

	STORE_PUT(model->store, waits_for, NUMBER(t->id), NUMBER(on),
		ID(stack_row(model, t->await_stack)), TEXT_OF(at.file), NUMBER_IF(at.line, at.line),
		TEXT_OF(at.function), NUMBER(one), ID(lock), TEXT_OF(held.file),
		NUMBER_IF(held.line, held.line), TEXT_OF(held.function));
}

void wait_told(struct model *model, struct task *t)
{
	const struct task *holder;
	struct stack *taken;

	if (!t->waits || !model_room(model))
		return;
	if (t->await_task && (!t->await_task->ended || t->await_task->destroyed))
		put_waits_for(model, t, task_row(t->await_task), false, 0, NULL);
	for (uint32_t i = 0; i < t->group_count; i++)
		put_waits_for(model, t, t->group[i], t->group_one, 0, NULL);
	holder = lock_holder(t, &taken);
	if (holder)
		put_waits_for(model, t, holder->id, false, t->lock, taken);
}

void timeout_record(struct model *model, struct process *p, const struct ev_timeout *r)
{
	struct task *t = task_get(p, r->task);
	uint64_t due_ns = model_time(model, r->due_ns);

	if (!t || t->ended)
		return;
	if (r->due_ns == INT64_MAX) {
		t->bound_unknown = true;
		task_dirty(model, t);
		return;
	}
	if (due_ns <= t->bound_ns)
		return;
	t->bound_ns = due_ns;
	task_dirty(model, t);
}
