/*
 * A process read from outside, as records of its own stream: codes, stacks, samples. Ids have the
 * top bit set, so they never meet the agent's. See sampled.h. Must not believe what it reads.
 */
#include "collector/sampled.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/bonds.h"
#include "probe/base/cleanup.h"
#include "probe/target/task.h"

#define NATIVE_AGE_NS 60000000u /* an older native stack says nothing of now */

struct sampled {
	uint32_t pid, hexversion;
	struct target *target; /* NULL: not opened yet, or refused */
	bool refused;
	uint64_t thread_id, thread; /* the last one found */
	struct outside outside;
	size_t sample; /* where in the queue the sample stands that is not kept yet */
	struct record_queue queue;
	struct target_stack stack;
};

struct sampled *sampled_new(uint32_t pid, uint32_t hexversion)
{
	struct sampled *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->pid = pid;
	s->hexversion = hexversion;
	s->outside = (struct outside){.queue = &s->queue, .id_base = EV_ID_OUTSIDE};
	return s;
}

void sampled_free(struct sampled *s)
{
	if (!s)
		return;
	target_free(s->target);
	outside_clear(&s->outside);
	record_queue_free(&s->queue);
	free(s);
}

uint32_t sampled_pid(const struct sampled *s)
{
	return s->pid;
}

/* ---- records ----------------------------------------------------------------------------- */

static void hook_put(struct sampled *s, const char *name, const char *reason, uint64_t now_ns)
{
	size_t name_len = strlen(name), reason_len = strlen(reason);
	struct ev_hook *ev = RECORD_NEW(&s->queue, hook, name_len + reason_len, s->pid, now_ns);

	if (!ev)
		return;
	ev->placed = !reason_len;
	ev->name_len = (uint32_t)name_len;
	ev->reason_len = (uint32_t)reason_len;
	record_tail_put(record_tail_put(ev + 1, name, name_len), reason, reason_len);
	record_queue_keep(&s->queue);
}

static void hooks_put(struct sampled *s, const char *reason, uint64_t now_ns)
{
	hook_put(s, "stacks of busy loops", reason, now_ns);
	hook_put(s, "locks that tasks hold", reason, now_ns);
}

void sampled_keep(struct sampled *s)
{
	record_queue_keep(&s->queue);
}

void sampled_drop(struct sampled *s)
{
	record_queue_drop(&s->queue, s->sample);
}

bool sampled_pending(const struct sampled *s)
{
	return record_queue_pending(&s->queue);
}

int sampled_hand_out(struct sampled *s, uint64_t until_ns, record_fn sink, void *ctx)
{
	return record_queue_hand_out(&s->queue, s->pid, until_ns, sink, ctx);
}

/* ---- samples ----------------------------------------------------------------------------- */

static int reader_open(struct sampled *s, uint64_t now_ns)
{
	const char *why = "";
	int rc;

	if (s->target || s->refused)
		return s->target ? 0 : -ENOTSUP;
	rc = target_open(s->pid, s->hexversion, &s->target, &why);
	if (!rc || rc == -ESRCH) {
		s->outside.target = s->target;
		if (!rc)
			hooks_put(s, "", now_ns);
		return rc;
	}
	s->refused = true;
	hooks_put(s, why, now_ns);
	return -ENOTSUP;
}

static int thread_find(struct sampled *s, uint64_t thread_id)
{
	int rc;

	if (s->thread && s->thread_id == thread_id &&
		target_thread_is(s->target, s->thread, thread_id))
		return 0;
	rc = target_thread_find(s->target, thread_id, &s->thread);
	s->thread_id = thread_id;
	if (rc)
		s->thread = 0;
	return rc;
}

/*
 * Where bytecode stood still, the thread is in a C function, or waits. Nothing tells from outside
 * whether it is on a CPU at this moment; a thread that has had no wait for one since its last
 * sample is believed to be.
 */
static uint32_t kind_of(const struct sampled *s, char state, const struct thread_clocks *now,
	const struct thread_clocks *before)
{
	if (s->stack.moved)
		return SAMPLE_PYTHON;
	if (state == 'R' && before->cpu_ns && now->runq_ns == before->runq_ns)
		return SAMPLE_NATIVE;
	return SAMPLE_UNKNOWN;
}

/* The thread has been in the same C function since then, as far as its Python stack tells. */
static bool still_there(
	const struct sampled *s, const struct native_moment *native, uint64_t now_ns)
{
	return native && native->count && native->code && s->stack.count &&
	       now_ns - native->time_ns < NATIVE_AGE_NS && !s->stack.moved &&
	       s->stack.frame[0].code == native->code &&
	       s->stack.frame[0].position == native->position;
}

int sampled_take(struct sampled *s, const struct ring_loop *loop,
	const struct native_moment *native, uint64_t now_ns, uint64_t stands_for_ns,
	struct thread_clocks *clocks)
{
	struct memory memory = memory_of_process(s->pid);
	const struct thread_clocks before = *clocks;
	uint64_t task = 0;
	struct ev_sample *ev;
	uint32_t stack = 0;
	bool in_native;
	char state;
	int rc = reader_open(s, now_ns);

	s->sample = s->queue.end;
	if (!stands_for_ns && process_thread_state(s->pid, loop->tid) == 'R')
		return -EALREADY;
	if (!rc)
		rc = thread_find(s, loop->thread_id);
	if (!rc)
		rc = target_stack_read(s->target, s->thread, &s->stack);
	if (rc)
		return rc == -EFAULT || rc == -EPROTO ? -EAGAIN : rc;
	state = process_thread_state(s->pid, loop->tid);
	if (!process_thread_clocks(s->pid, loop->tid, clocks))
		*clocks = (struct thread_clocks){0};
	if (!loop->task_at)
		task = loop->task;
	else if (memory_read_pointer(&memory, loop->task_at, &task))
		task = 0; /* it does without */
	s->outside.natives = 0;
	if (state == 'R' && still_there(s, native, now_ns))
		for (uint32_t i = 0; i < native->count; i++)
			outside_native(&s->outside, native->frame[i].object,
				native->frame[i].function, loop->tid, now_ns);
	in_native = s->outside.natives != 0;
	rc = outside_stack(&s->outside, s->stack.frame, s->stack.count, s->stack.cut, loop->tid,
		now_ns, loop->busy_since_ns, &stack);
	s->outside.natives = 0;
	s->sample = s->queue.end;
	if (rc)
		return rc == -EFAULT || rc == -EPROTO ? -EAGAIN : rc;
	ev = RECORD_NEW(&s->queue, sample, 0, loop->tid, now_ns);
	if (!ev)
		return -ENOBUFS;
	ev->task = task;
	ev->busy_since_ns = loop->busy_since_ns;
	ev->stands_for_ns = stands_for_ns;
	ev->stack = stack;
	ev->kind = in_native ? SAMPLE_NATIVE : kind_of(s, state, clocks, &before);
	ev->state = (uint32_t)state;
	ev->faults = (state == 'S' || state == 'D') && process_thread_faults(s->pid, loop->tid);
	return 0;
}

int sampled_take_holder(
	struct sampled *s, const struct ring_loop *loop, uint64_t now_ns, uint64_t stands_for_ns)
{
	uint64_t holder, still;
	struct ev_gil_holder *ev;
	uint32_t tid, stack = 0;
	int rc = s->target ? target_gil_holder(s->target, &holder, &tid) : -ENOTSUP;

	s->sample = s->queue.end;
	if (!rc && holder == s->thread)
		return -ENOENT;
	if (!rc)
		rc = target_stack_read(s->target, holder, &s->stack);
	if (!rc)
		rc = target_gil_holder(s->target, &still, &tid);
	if (!rc && still != holder)
		return -ENOENT;
	if (!rc)
		rc = outside_stack(&s->outside, s->stack.frame, s->stack.count, s->stack.cut,
			loop->tid, now_ns, loop->busy_since_ns, &stack);
	s->sample = s->queue.end;
	if (rc)
		return rc;
	ev = RECORD_NEW(&s->queue, gil_holder, 0, loop->tid, now_ns);
	if (!ev)
		return -ENOBUFS;
	ev->busy_since_ns = loop->busy_since_ns;
	ev->stands_for_ns = stands_for_ns;
	ev->holder = process_thread_outer(s->pid, tid);
	ev->stack = stack;
	return 0;
}

/* ---- tasks ------------------------------------------------------------------------------- */

struct wait {
	struct sampled *sampled;
	uint64_t future, now_ns;
};

static int wait_take(void *ctx, const struct target_task *task)
{
	struct wait *w = ctx;
	struct sampled *s = w->sampled;
	const struct ev_head head = {.time_ns = w->now_ns, .tid = s->pid};

	if (task->waits_on != w->future || task->running)
		return -EAGAIN;
	bonds_tell(&s->outside, task, &head, w->now_ns, &s->queue);
	record_queue_keep(&s->queue);
	return 0;
}

int sampled_task(struct sampled *s, uint64_t task, uint64_t future, uint64_t now_ns)
{
	struct wait w = {s, future, now_ns};
	int rc = reader_open(s, now_ns);

	if (rc)
		return rc;
	target_tasks_begin(s->target);
	return target_task_read(s->target, task, wait_take, &w);
}
