/* Calls that held a loop thread. */
#include "collector/callsite.h"
#include "collector/model_sample.h"

#include <stdio.h>

#define CALL_MAX 100 /* bytes of a call's name */
#define NUMBER_MAX 24

struct call { /* one row */
	uint64_t begin_ns, end_ns, off_ns, runq_ns, cpu_ns;
	uint64_t loop, task; /* as the record has them */
	uint32_t id;         /* what was called */
	uint32_t syscall;    /* what it waited in, or the same */
	int32_t fd;
	const char *target;
	struct stack *stack;
	bool unfinished;
};

/* The C call's name, or the system call's; of a newer sensor its number. */
static const char *name_of(uint32_t id, char buf[NUMBER_MAX])
{
	const char *name = callsite_syscall(id);

	snprintf(buf, NUMBER_MAX, "call %u", id);
	return name ? name : buf;
}

/* Of C code that a loop was given, where that was. */
static struct stack *place_of_call(const struct process *p, const struct call *c)
{
	return callback_stack(callback_get(p, c->task), c->stack);
}

static void put(struct model *model, struct process *p, struct thread *t, const struct call *c,
	enum block_class class)
{
	struct task *task = task_get(p, c->task);
	struct stack *place = place_of_call(p, c);
	struct site site = stack_site(place);
	struct ended ended = ended_take(t, c->begin_ns, c->end_ns);
	struct site ended_site = stack_site(ended.stack);
	char call[CALL_MAX], number[NUMBER_MAX];
	struct loop *loop;
	struct cell *cell;

	if (!model_room(model))
		return;
	loop = c->loop ? loop_get(model, p, t, c->loop, c->end_ns) : thread_loop(t);
	cell = cell_for_worker(t, c->task, c->stack, c->begin_ns, c->end_ns);
	if (place == c->stack || !callsite_request(model, p, place, call, sizeof(call)))
		callsite_name(model, p, c->stack, name_of(c->id, number), call, sizeof(call));
	STORE_PUT(model->store, block, NUMBER(p->id), NUMBER(t->id), ID(loop ? loop->id : 0),
		ID(task_row(task)), ID(cell ? cell->id : 0), NUMBER(c->begin_ns),
		NUMBER(c->off_ns + c->runq_ns), NUMBER(c->cpu_ns), TEXT_OF(call),
		TEXT_OF(name_of(c->syscall, number)), TEXT_OF(callsite_class_name(class)),
		TEXT_OF(c->target), ID(stack_row(model, c->stack)), TEXT_OF(site.file),
		NUMBER_IF(site.line, site.line), TEXT_OF(site.function),
		ID(ended.by ? ended.by->id : 0), ID(stack_row(model, ended.stack)),
		TEXT_OF(ended_site.file), NUMBER_IF(ended_site.line, ended_site.line),
		TEXT_OF(ended_site.function), TEXT_OF(ended.process), NUMBER(c->unfinished));
}

/* The one wait that the kernel saw in a call is what the call was; of several, the longest. */
static void refine(struct call *c, const struct call_waits *waits)
{
	const struct call_wait *longest = &waits->at[0];

	for (uint32_t i = 1; i < waits->count; i++)
		if (waits->at[i].off_ns > longest->off_ns)
			longest = &waits->at[i];
	if (!waits->count)
		return;
	c->syscall = longest->call;
	if (longest->native)
		c->stack = longest->native;
	if (waits->count > 1)
		return;
	c->off_ns = longest->off_ns;
	c->runq_ns = longest->runq_ns;
	c->cpu_ns = longest->cpu_ns;
}

/* The call, and what the kernel saw of it, of which not all is told by the call's class. */
static void told(struct model *model, struct process *p, struct thread *t, struct call *c)
{
	enum block_class class;

	refine(c, &t->waits);
	process_calls_seen(model, p);
	class = callsite_class(model, p, c->id, c->stack, c->fd, c->target);
	span_block(t, class, c->begin_ns, c->end_ns, c->off_ns, stack_site(place_of_call(p, c)));
	if (p->outside)
		span_wait(t, callsite_raw_class(c->id, c->fd), class, c->off_ns);
	for (uint32_t i = 0; i < t->waits.count; i++)
		if (!t->waits.at[i].named)
			span_wait(t, t->waits.at[i].raw, class, t->waits.at[i].off_ns);
	t->waits.count = 0;
	put(model, p, t, c, class);
}

void block_record(struct model *model, struct process *p, const struct ev_block *r)
{
	struct call c = {.begin_ns = model_time(model, r->begin_ns),
		.end_ns = model_time(model, r->head.time_ns),
		.loop = r->loop,
		.task = r->task,
		.id = r->call,
		.syscall = r->call,
		.fd = r->fd,
		.target = tail_text(model, &r->head, 0),
		.stack = stack_get(model, p, r->stack),
		.unfinished = r->result == BLOCK_UNFINISHED};
	struct thread *t = thread_get(model, p, r->head.tid, c.end_ns);
	uint64_t wall_ns;

	if (!t)
		return;
	if (c.begin_ns > c.end_ns)
		c.begin_ns = c.end_ns;
	wall_ns = c.end_ns - c.begin_ns;
	c.cpu_ns = r->cpu_ns < wall_ns ? r->cpu_ns : wall_ns;
	c.runq_ns = r->runq_ns < wall_ns - c.cpu_ns ? r->runq_ns : wall_ns - c.cpu_ns;
	c.off_ns = wall_ns - c.cpu_ns - c.runq_ns;
	if (c.unfinished && !c.stack)
		c.stack = samples_stack(t, c.begin_ns, c.end_ns, &c.task);
	told(model, p, t, &c);
}

void block_unfinished(
	struct model *model, struct process *p, struct thread *t, const struct ev_unfinished *r)
{
	struct call c = {.begin_ns = model_time(model, r->call_begin_ns),
		.end_ns = model_time(model, r->head.time_ns),
		.id = r->call,
		.syscall = r->call,
		.fd = -1,
		.target = "",
		.unfinished = true};
	uint64_t wall_ns = c.end_ns > c.begin_ns ? c.end_ns - c.begin_ns : 0;

	if (wall_ns < model->options.min_block_ns)
		return;
	c.cpu_ns = r->call_cpu_ns < wall_ns ? r->call_cpu_ns : wall_ns;
	c.off_ns = wall_ns - c.cpu_ns;
	c.stack = samples_stack(t, c.begin_ns, c.end_ns, &c.task);
	told(model, p, t, &c);
}

/* Its call's record comes next. */
static void keep(struct model *model, struct process *p, struct call_waits *waits,
	const struct ev_call_wait *r)
{
	struct call_wait w = {.off_ns = r->off_ns,
		.runq_ns = r->runq_ns,
		.cpu_ns = r->cpu_ns,
		.raw = callsite_raw_class(r->call, r->fd),
		.call = r->call,
		.named = r->named,
		.native = r->native ? stack_get(model, p, r->stack) : NULL};

	if (waits->count < CALL_WAITS_MAX)
		waits->at[waits->count++] = w;
	else if (waits->at[CALL_WAITS_MAX - 1].raw == w.raw && !w.named)
		waits->at[CALL_WAITS_MAX - 1].off_ns += w.off_ns;
}

void call_wait_record(struct model *model, struct process *p, const struct ev_call_wait *r)
{
	uint64_t begin_ns = model_time(model, r->begin_ns),
		 end_ns = begin_ns + r->off_ns + r->cpu_ns + r->runq_ns;
	struct thread *t = thread_get(model, p, r->head.tid, end_ns);
	struct call c = {.begin_ns = begin_ns,
		.end_ns = end_ns,
		.off_ns = r->off_ns,
		.runq_ns = r->runq_ns,
		.cpu_ns = r->cpu_ns,
		.id = r->call,
		.syscall = r->call,
		.fd = r->fd};
	enum block_class class;

	/* a tape with wrong numbers */
	if (!t || r->begin_ns > r->head.time_ns || (r->off_ns | r->cpu_ns | r->runq_ns) >> 62)
		return;
	if (r->inside) {
		keep(model, p, &t->waits, r);
		return;
	}
	c.target = tail_text(model, &r->head, 0);
	c.stack = samples_stack(t, begin_ns, end_ns, &c.task);
	if (r->stack) {
		c.stack = stack_get(model, p, r->stack);
		c.task = r->task;
	}
	class = callsite_class(model, p, r->call, c.stack, r->fd, c.target);
	span_block(t, class, begin_ns, end_ns, r->off_ns, stack_site(place_of_call(p, &c)));
	span_wait(t, callsite_raw_class(r->call, r->fd), class, r->off_ns);
	put(model, p, t, &c, class);
}

void short_calls_record(struct model *model, struct process *p, const struct ev_short_calls *r)
{
	struct thread *t = thread_get(model, p, r->head.tid, model_time(model, r->head.time_ns));

	if (t)
		span_short(t, callsite_class(model, p, r->call, NULL, -1, ""), r->total_ns);
}

void short_wait_record(struct model *model, struct process *p, const struct ev_short_wait *r)
{
	struct thread *t = thread_get(model, p, r->head.tid, model_time(model, r->head.time_ns));
	struct stack *stack = stack_get(model, p, r->stack);

	if (!t || !stack || r->off_ns >> 62)
		return;
	span_wait(t, callsite_raw_class(r->call, r->fd),
		callsite_class(model, p, r->call, stack, r->fd, ""), r->off_ns);
}
