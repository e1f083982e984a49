/* Tasks: their rows, steps, waits and ends. An address is one task until another is created there.
 */
#include "collector/model_state.h"

#include <stdlib.h>
#include <string.h>

#include "collector/shorten.h"
#include "probe/base/text.h"

#define TASK_OF(d) ((struct task *)((char *)(d)-offsetof(struct task, dirty)))

/* ---- life */

struct task *task_get(const struct process *p, uint64_t address)
{
	return address ? map_get(&p->tasks, address) : NULL;
}

struct task *task_ref(struct task *t)
{
	if (t)
		t->references++;
	return t;
}

static void free_task(struct task *t)
{
	free(t->name);
	free(t->message);
	free(t->group);
	free(t->held);
	free(t->wake.received);
	free(t);
}

void task_unref(struct model *model, struct task *t)
{
	(void)model;
	if (!t || --t->references)
		return;
	if (t->previous)
		t->previous->next = t->next;
	else
		t->process->task = t->next;
	if (t->next)
		t->next->previous = t->previous;
	free_task(t);
}

void task_free_all(struct process *p)
{
	for (struct task *t = p->task, *next; t; t = next) {
		next = t->next;
		free_task(t);
	}
}

static const char *state_text(const struct task *t)
{
	static const char *const names[] = {[TASK_PENDING] = "pending",
		[TASK_CANCELLED] = "cancelled",
		[TASK_FINISHED] = "done",
		[TASK_FAILED] = "failed"};

	if (t->destroyed)
		return "destroyed";
	if (t->unsure)
		return "unknown";
	return t->ended ? names[t->state] : "pending";
}

static const char *canceller(const struct task *t)
{
	if (t->state != TASK_CANCELLED && !(t->cancels & (CANCEL_SHUTDOWN | CANCEL_INTERRUPTED)))
		return NULL;
	if (t->cancels & CANCEL_USER)
		return "user";
	if (t->cancels & CANCEL_TASK)
		return "task";
	return t->cancels ? "shutdown" : NULL;
}

const char *exception_text(const char *type, const char *message, char *buf, size_t size)
{
	if (!type && !message)
		return NULL;
	return shorten(buf, size, "%s%s%s", type ? type : "", type && message ? ": " : "",
		message ? message : "");
}

/* From outside a cell's beginning comes by another way than its tasks, and may come after them. */
void task_find_cell(struct model *model, struct task *t)
{
	if (!t->birth || t->cell)
		return;
	if (t->parent && t->parent->cell)
		t->cell = t->parent->cell;
	else
		t->cell = cell_for_stack(t->process, t->birth);
	if (!t->cell)
		return;
	t->cell->tasks++;
	model_dirty(model, &t->cell->dirty);
}

static void put_task(struct model *model, struct dirty *d)
{
	struct task *t = TASK_OF(d);
	char exception[EXCEPTION_MAX], what[WHAT_MAX];
	bool waits = !t->ended && !t->unsure && t->waits;
	struct site at = waits ? await_site(t) : (struct site){0};

	if (model->full && !t->kept) {
		if (!t->dropped)
			loss_add(model, t->process, "tasks beyond --max-size", 1);
		t->dropped = true;
		return;
	}
	t->kept = true;
	task_find_cell(model, t);
	if (waits)
		await_describe(model, t, what, sizeof(what));
	STORE_PUT(model->store, task, NUMBER(t->id), NUMBER(t->process->id),
		ID(t->loop ? t->loop->id : 0), NUMBER(t->thread->id), ID(t->parent_id),
		ID(t->cell ? t->cell->id : 0), NUMBER(t->runs_cell),
		TEXT_OF(t->name ? t->name : ""), TEXT_OF(t->coro), NUMBER(t->user),
		NUMBER(t->created_ns), ID(t->stack), TEXT_OF(t->created.file),
		NUMBER_IF(t->created.line, t->created.line), TEXT_OF(t->created.function),
		NUMBER_IF(t->ended || t->unsure, t->unsure ? t->last_ns : t->ended_ns),
		TEXT_OF(state_text(t)),
		TEXT_OF(exception_text(t->exception, t->message, exception, sizeof(exception))),
		NUMBER(!t->unretrieved), TEXT_OF(canceller(t)), NUMBER(t->steps),
		NUMBER(t->busy_ns), NUMBER(t->max_step_ns), NUMBER_IF(t->steps, t->last_ns),
		TEXT_OF(waits ? what : NULL), ID(waits ? stack_row(model, t->await_stack) : 0),
		TEXT_OF(at.file), NUMBER_IF(at.line, at.line), TEXT_OF(at.function),
		ID(waits ? task_row(t->await_task) : 0), TEXT_OF(t->leaked),
		NUMBER_IF(t->bound_ns || t->bound_unknown,
			t->bound_unknown ? INT64_MAX : (int64_t)t->bound_ns),
		NUMBER_IF(t->cancel_ns, t->cancel_ns));
}

static void stored_task(struct model *model, struct dirty *d)
{
	task_unref(model, TASK_OF(d));
}

void task_dirty(struct model *model, struct task *t)
{
	if (!t->dirty.queued)
		task_ref(t);
	model_dirty(model, &t->dirty);
}

/* Only its sums changed: the row can wait for the next checkpoint. */
static void stepped(struct model *model, struct task *t)
{
	if (t->stepped_link)
		return;
	t->stepped_link = &model->stepped;
	t->stepped_next = model->stepped;
	if (t->stepped_next)
		t->stepped_next->stepped_link = &t->stepped_next;
	model->stepped = task_ref(t);
}

/* Its row is put at the next commit, which lets go of it if it has ended. */
static void unstep(struct model *model, struct task *t)
{
	if (!t->stepped_link)
		return;
	*t->stepped_link = t->stepped_next;
	if (t->stepped_next)
		t->stepped_next->stepped_link = t->stepped_link;
	t->stepped_link = NULL;
	task_dirty(model, t);
	task_unref(model, t);
}

void task_refresh(struct model *model)
{
	while (model->stepped)
		unstep(model, model->stepped);
}

/* ---- birth */

static struct task *make(
	struct model *model, struct process *p, struct thread *thread, uint64_t address)
{
	struct task *t;

	if (model->live_tasks >= TASKS_LIVE_MAX) {
		loss_add(model, p, "tasks beyond the limit", 1);
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t || map_put(&p->tasks, address, t)) {
		free(t);
		loss_add(model, p, "records without memory", 1);
		return NULL;
	}
	model->live_tasks++;
	t->dirty = (struct dirty){.put = put_task, .stored = stored_task};
	t->id = ++model->tasks;
	t->address = address;
	t->references = 1; /* while it is pending, then in the list of ended ones */
	t->process = p;
	t->thread = thread;
	t->coro = "";
	t->next = p->task;
	if (t->next)
		t->next->previous = t;
	p->task = t;
	if (!p->saw_tasks) {
		p->saw_tasks = true;
		coverage_add(model, p, "tasks", p->outside ? "uprobe" : "agent", "");
	}
	task_dirty(model, t);
	return t;
}

static void forget_oldest(struct model *model, struct process *p)
{
	struct task *t = p->ended_first;

	p->ended_first = t->ended_next;
	if (!p->ended_first)
		p->ended_last = NULL;
	p->ended_count--;
	if (map_get(&p->tasks, t->address) == t)
		map_remove(&p->tasks, t->address);
	task_unref(model, t);
}

static void end_task(struct model *model, struct task *t, uint32_t state, uint64_t time_ns)
{
	struct process *p = t->process;

	if (t->ended)
		return;
	t->ended = true;
	t->state = state;
	t->ended_ns = time_ns;
	t->leaked = leak_reason(t);
	wait_stop(model, t);
	task_unref(model, t->parent);
	t->parent = NULL;
	model->live_tasks--;
	if (p->ended_last)
		p->ended_last->ended_next = t;
	else
		p->ended_first = t;
	p->ended_last = t;
	p->ended_count++;
	unstep(model, t);
	task_dirty(model, t);
	if (p->ended_count > TASKS_ENDED_MAX)
		forget_oldest(model, p);
}

/* Innermost user frame, else innermost frame outside asyncio. */
static struct site site_of_birth(const struct stack *s)
{
	if (!s || s->user)
		return stack_site(s);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct frame *f = s->at[i].frame;

		if (strncmp(f->module, "asyncio", 7))
			return (struct site){f->file, f->function, f->line};
	}
	return stack_site(s);
}

/* asyncio.run_coroutine_threadsafe() has the other thread's loop make the task: its caller does. */
static struct stack *asked_by(const struct process *p, uint64_t worker, struct stack *s)
{
	const struct callback *callback = callback_get(p, worker);

	for (uint32_t i = 0; callback && s && i < s->count; i++) {
		const struct frame *f = s->at[i].frame;
		const char *dot =
			strrchr(f->function, '.'); /* 3.11+: with the functions around it */

		if (!strcmp(f->module, "asyncio.tasks") &&
			!strcmp(dot ? dot + 1 : f->function, "callback"))
			return callback_stack(callback, s);
	}
	return s;
}

static void main_of_loop(struct model *model, struct task *t)
{
	if (!t->main || !t->loop || t->loop->main == t)
		return;
	task_unref(model, t->loop->main);
	t->loop->main = task_ref(t);
}

static void born(struct model *model, struct task *t, const struct ev_task_new *r)
{
	struct process *p = t->process;
	struct stack *s = asked_by(p, r->parent, stack_get(model, p, r->stack));
	struct task *parent = task_get(p, r->parent);
	size_t size;
	const void *name = record_tail(&r->head, 0, &size);

	t->name = text_to_utf8(name, size);
	t->coro = tail_text(model, &r->head, 1);
	t->code = code_get(p, r->code);
	t->late = r->flags & TASK_LATE;
	t->created_ns = t->last_ns = model_time(model, r->head.time_ns);
	t->unheard = p->unheard;
	t->loop = r->loop ? loop_get(model, p, t->thread, r->loop, t->created_ns) : NULL;
	t->stack = stack_row(model, s);
	t->birth = p->outside ? s : NULL;
	t->created = site_of_birth(s);
	t->user = s ? s->user != NULL : t->code && t->code->place.owner == PLACE_USER;
	t->main = !parent && leak_is_main(s);
	if (parent == t)
		parent = NULL; /* its address said twice: no task creates itself */
	if (parent) {
		t->parent_id = parent->id;
		t->parent = parent->ended ? NULL : task_ref(parent);
	}
	if (!t->late)
		t->cell = cell_for_birth(t->thread, r->parent, s, t->created_ns);
	if (!t->late && !t->cell && !parent)
		t->cell = cell_for_coroutine(t->thread, t->code, t->created_ns);
	if (t->cell) {
		t->cell->tasks++;
		model_dirty(model, &t->cell->dirty);
	}
	main_of_loop(model, t);
}

void task_new(struct model *model, struct process *p, const struct ev_task_new *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *thread = thread_get(model, p, r->head.tid, time_ns);
	struct task *old = task_get(p, r->task), *t;

	if (!thread || !r->task)
		return;
	if (old && !old->ended) {
		if (r->flags & TASK_LATE)
			return;                 /* listed, but known */
		if (old->late && !old->steps) { /* listed before its own record came */
			free(old->name);
			born(model, old, r);
			task_dirty(model, old);
			return;
		}
		/* Its memory was given to another task: its end was not recorded. */
		loss_add(model, p, "ends of tasks", 1);
		end_task(model, old, TASK_FINISHED, time_ns);
	}
	t = make(model, p, thread, r->task);
	if (t)
		born(model, t, r);
}

void task_name(struct model *model, struct process *p, const struct ev_task_name *r)
{
	struct task *t = task_get(p, r->task);
	size_t size;
	const void *name = record_tail(&r->head, 0, &size);
	char *text = t ? text_to_utf8(name, size) : NULL;

	if (!text)
		return;
	free(t->name);
	t->name = text;
	task_dirty(model, t);
}

/* ---- steps */

/* Where its coroutine stands in the source; only user code is worth showing. */
static struct site site_of_coro(const struct task *t)
{
	if (!t->code || t->code->place.owner != PLACE_USER)
		return (struct site){0};
	return (struct site){t->code->file, t->code->function, t->code->firstlineno};
}

static void record_step(struct model *model, struct task *t, struct thread *thread,
	uint64_t begin_ns, uint64_t end_ns)
{
	struct cell *cell = cell_for_work(thread, t, NULL, begin_ns, end_ns);
	uint64_t duration_ns = end_ns - begin_ns;

	if (t->cell) {
		t->cell->steps++;
		model_dirty(model, &t->cell->dirty);
	}
	if (thread->gcs)
		gc_settle(model, thread, t, begin_ns, end_ns);
	if (thread->inner_runs)
		loop_settle(model, thread, t, begin_ns, end_ns);
	if (duration_ns < model->fold_ns) {
		if (fold_add(&model->steps, t->loop ? t->loop->id : 0, cell ? cell->id : 0,
			    begin_ns, duration_ns, 0))
			loss_add(model, t->process, "records without memory", 1);
		return;
	}
	span_step(thread, duration_ns, site_of_coro(t));
	if (model_room(model))
		STORE_PUT(model->store, step, NUMBER(t->id), ID(cell ? cell->id : 0),
			NUMBER(thread->id), NUMBER(begin_ns), NUMBER(duration_ns));
}

void task_step(struct model *model, struct process *p, const struct ev_step *r)
{
	uint64_t end_ns = model_time(model, r->head.time_ns),
		 begin_ns = model_time(model, r->begin_ns);
	struct thread *thread = thread_get(model, p, r->head.tid, end_ns);
	struct task *t = task_get(p, r->task);

	if (!thread || !r->task)
		return;
	if (!t) {
		/* Older than the agent, or its creation was lost. */
		t = make(model, p, thread, r->task);
		if (!t)
			return;
		t->late = true;
		t->created_ns = t->last_ns = begin_ns;
	}
	if (t->ended)
		return;
	if (begin_ns > end_ns)
		begin_ns = end_ns;
	if (!t->loop) {
		t->loop = thread_loop(thread);
		main_of_loop(model, t);
	}
	if (t->unheard == p->unheard) /* else the steps between may be what was lost */
		wait_record(model, t, begin_ns);
	wait_stop(model, t);
	t->steps++;
	t->busy_ns += end_ns - begin_ns;
	if (end_ns - begin_ns > t->max_step_ns)
		t->max_step_ns = end_ns - begin_ns;
	t->last_ns = end_ns;
	t->unheard = p->unheard;
	record_step(model, t, thread, begin_ns, end_ns);
	if (r->state == TASK_PENDING) {
		wait_begin(model, t, r);
		stepped(model, t);
		return;
	}
	t->exception = r->state == TASK_FAILED ? name_get(p, r->exception) : NULL;
	end_task(model, t, r->state <= TASK_FAILED ? r->state : TASK_FINISHED, end_ns);
}

/* ---- ends */

void task_cancel(struct model *model, struct process *p, const struct ev_task_cancel *r)
{
	struct task *t = task_get(p, r->task), *by = task_get(p, r->by);
	struct stack *s;

	if (!t || t->ended || !r->accepted)
		return;
	s = stack_get(model, p, r->stack);
	if (leak_is_shutdown(s) && !t->cancels)
		wait_told(model, t);
	if (!leak_is_shutdown(s)) {
		t->cancels |= by && !by->runs_cell ? CANCEL_TASK : CANCEL_USER;
		t->cancel_ns = model_time(model, r->head.time_ns);
	} else if (t->loop && t->loop->main && !t->loop->main->ended) {
		t->cancels |= CANCEL_INTERRUPTED;
	} else {
		t->cancels |= CANCEL_SHUTDOWN;
	}
}

void task_gone(struct model *model, struct process *p, const struct ev_task_gone *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct task *t = task_get(p, r->task);
	struct stack *s = stack_get(model, p, r->stack);

	if (!t)
		return;
	if (r->flags & GONE_UNRETRIEVED && !t->unretrieved) {
		char text[EXCEPTION_MAX];
		const char *said = exception_text(t->exception, t->message, text, sizeof(text));

		t->unretrieved = true;
		task_dirty(model, t);
		anomaly_put(model, p, time_ns, "never_retrieved", t, t->cell, t->coro,
			said ? said : "", t->failed ? t->failed : s,
			t->failed ? stack_site(t->failed) : t->created);
	}
	if (!(r->flags & GONE_PENDING) || r->flags & GONE_AT_EXIT || t->ended)
		return; /* what the end of the interpreter took was pending when the program ended
			 */
	wait_told(model, t);
	t->destroyed = true;
	/* Its maker knew: run_until_complete()'s own, the children of a gather() that was given up.
	 */
	t->quiet = r->flags & GONE_QUIET;
	if (!t->quiet)
		anomaly_put(model, p, time_ns, "destroyed_pending", t, t->cell, t->coro,
			t->name ? t->name : "", s, t->created);
	end_task(model, t, TASK_PENDING, time_ns);
}

void task_failed(struct model *model, struct process *p, const struct ev_task_failed *r)
{
	struct task *t = task_get(p, r->task);
	const char *type = name_get(p, r->exception);
	size_t size;
	const void *message = record_tail(&r->head, 0, &size);

	if (!t)
		return;
	if (type)
		t->exception = type;
	free(t->message);
	t->message = size ? text_to_utf8(message, size) : NULL;
	t->failed = stack_get(model, p, r->stack);
	task_dirty(model, t);
}
