/*
 * Tasks that are pending while nothing happens to them: listed from the target's memory, when the
 * recording begins and again when it ends. See bpf_feed.h; bpf_waits.h for those in between.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/bpf_feed.h"
#include "collector/procfs.h"
#include "probe/target/task.h"

struct listing {
	struct bpf_feed *f;
	struct ev_head head;
	bool listens; /* steps are watched from now on, not until now */
};

static uint32_t code_of(struct listing *l, const struct target_task *task)
{
	uint32_t code = 0;

	if (!task->code || outside_code(&l->f->python.outside, task->code, l->head.tid,
				   l->head.time_ns, l->head.time_ns, &code))
		return 0;
	return code;
}

static void announce(struct listing *l, const struct target_task *task)
{
	size_t name = strlen(task->name), coro = strlen(task->coro_name);
	uint32_t code = code_of(l, task);
	struct ev_task_new *ev =
		RECORD_NEW(&l->f->queue, task_new, name + coro, l->head.tid, l->head.time_ns);

	if (!ev)
		return;
	ev->task = task->task;
	ev->loop_object = task->loop;
	ev->code = code;
	ev->flags = TASK_LATE | (task->python ? TASK_PYTHON : 0);
	ev->name_len = (uint32_t)name;
	ev->coro_len = (uint32_t)coro;
	record_tail_put(record_tail_put(ev + 1, task->name, name), task->coro_name, coro);
}

int tasks_chain(struct bpf_feed *f, const struct target_task *task, const struct ev_head *head,
	struct record_queue *to)
{
	uint32_t type = *task->waits_type ? translate_name(f, task->waits_type, head) : 0;
	uint32_t stack = 0;
	struct ev_await_chain *ev;

	if (task->frames && outside_stack(&f->python.outside, task->frame, task->frames, task->cut,
				    head->tid, head->time_ns, bpf_python_era(head), &stack))
		stack = 0;
	ev = RECORD_NEW(to, await_chain, 0, head->tid, head->time_ns);
	if (!ev)
		return -ENOBUFS;
	ev->task = task->task;
	ev->future = task->waits_on;
	ev->stack = stack;
	ev->type = type;
	return 0;
}

static int list_one(void *ctx, const struct target_task *task)
{
	struct listing *l = ctx;

	announce(l, task);
	if (l->listens && task->waits_on && !task->python && l->f->waits.on)
		waits_listed(&l->f->waits, task->task, task->waits_on, l->head.time_ns);
	if (task->waits_on && !waits_told(&l->f->waits, task->task))
		tasks_chain(l->f, task, &l->head, &l->f->queue);
	return bpf_feed_hand_out(l->f);
}

/* A zombie has no arguments any more. */
static bool has_ended(uint32_t pid)
{
	char **argv = NULL;
	int rc = procfs_argv(pid, &argv);

	free(argv);
	return rc == -ESRCH || rc == -ENODATA;
}

int tasks_list(struct bpf_feed *f, uint64_t now_ns, bool end)
{
	struct listing l = {
		.f = f, .head = {.tid = f->options.pid, .time_ns = now_ns}, .listens = !end};
	struct target_tasks tasks = {0};
	const char *why = "";
	char name[96], missed[64];
	int rc = target_tasks_read(f->options.target, list_one, &l, &tasks, &why);

	if (rc == -ENOENT) /* asyncio is not imported: there are none */
		return 0;
	if (rc && has_ended(f->options.pid)) /* and its tasks with it */
		return 0;
	snprintf(name, sizeof(name), "tasks pending at the %s", end ? "end" : "attach");
	snprintf(missed, sizeof(missed), "%zu changed while they were read%s", tasks.unread,
		tasks.whole ? "" : ", and the list itself");
	if (rc)
		bpf_feed_hook(f, name, why, now_ns);
	else
		bpf_feed_hook(f, name, tasks.unread || !tasks.whole ? missed : "", now_ns);
	return 0;
}
