/*
 * See bpf_waits.h. The kernel tells when a wait begins and on what future; through which coroutines
 * costs too much there. A task that rests can be read any time until its next step.
 */
#include "collector/bpf_waits.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "collector/bonds.h"
#include "collector/bpf_feed.h"
#include "probe/target/task.h"

#define WAITED_NS 300000000u /* before that a wait is not looked at: most are over by then */
#define LOOK_INTERVAL_NS 100000000u
#define LOOK_NS 3000000u        /* a look's length at most: 3 % of a CPU */
#define LAST_LOOK_NS 300000000u /* the same at the end */
#define LOOK_TASKS 32u          /* between two looks at the clock */
#define TASKS_MAX (1u << 20)    /* pending at once; of further ones it is not known */

struct wait {
	uint64_t task, future, since_ns;
	struct wait *next, *previous;
	bool listed; /* to be looked at */
	bool looked; /* and nothing was heard of the task since */
};

/* ---- the list ---------------------------------------------------------------------------- */

static void unlist(struct bpf_waits *w, struct wait *wait)
{
	if (!wait->listed)
		return;
	*(wait->previous ? &wait->previous->next : &w->first) = wait->next;
	*(wait->next ? &wait->next->previous : &w->last) = wait->previous;
	wait->listed = false;
}

static void list(struct bpf_waits *w, struct wait *wait)
{
	wait->previous = w->last;
	wait->next = NULL;
	*(w->last ? &w->last->next : &w->first) = wait;
	w->last = wait;
	wait->listed = true;
}

static void forget(struct bpf_waits *w, uint64_t task)
{
	struct wait *wait = map_get(&w->tasks, task);

	if (!wait)
		return;
	unlist(w, wait);
	map_remove(&w->tasks, task);
	free(wait);
}

void waits_listed(struct bpf_waits *w, uint64_t task, uint64_t future, uint64_t now_ns)
{
	struct wait *wait = map_get(&w->tasks, task);

	if (!wait) {
		if (w->tasks.count >= TASKS_MAX)
			return;
		wait = calloc(1, sizeof(*wait));
		if (!wait || map_put(&w->tasks, task, wait)) {
			free(wait);
			return;
		}
	}
	unlist(w, wait);
	wait->task = task;
	wait->future = future;
	wait->since_ns = now_ns;
	wait->looked = false;
	list(w, wait);
}

void waits_record(struct bpf_waits *w, const struct ev_head *record)
{
	const struct ev_kernel_step *step = (const struct ev_kernel_step *)record;

	if (!w->on)
		return;
	if (record->kind == EV_kernel_task_new)
		forget(w, ((const struct ev_kernel_task_new *)record)->task);
	if (record->kind != EV_kernel_step)
		return;
	if (step->waits_on)
		waits_listed(w, step->task, step->waits_on, step->head.time_ns);
	else
		forget(w, step->task);
}

static void free_wait(void *wait, void *ctx)
{
	free(wait);
}

void waits_clear(struct bpf_waits *w)
{
	map_each(&w->tasks, free_wait, NULL);
	map_free(&w->tasks);
	record_queue_free(&w->found);
	*w = (struct bpf_waits){0};
}

/* ---- looking ----------------------------------------------------------------------------- */

struct look {
	struct bpf_feed *f;
	struct wait *wait;
	struct ev_head head;
};

static int look_take(void *ctx, const struct target_task *task)
{
	struct look *l = ctx;

	if (task->waits_on != l->wait->future || task->running || !task->frames)
		return 0;
	l->wait->looked = !tasks_chain(l->f, task, &l->head, &l->f->waits.found);
	if (l->wait->looked)
		bonds_tell(&l->f->python.outside, task, &l->head, bpf_python_era(&l->head),
			&l->f->waits.found);
	return 0;
}

/* Of a task that is not there or not at rest its next step tells. */
static int look_at(struct bpf_feed *f, struct wait *wait)
{
	struct look l = {
		.f = f, .wait = wait, .head = {.tid = f->options.pid, .time_ns = f->last_ns}};
	int rc = target_task_read(f->options.target, wait->task, look_take, &l);

	return rc == -ESRCH || rc == -EPERM || rc == -ENOMEM ? rc : bpf_feed_hand_out(f);
}

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t losses(const struct bpf_feed *f)
{
	return bpf_sensor_loss(f->sensor, LOSS_RING) + bpf_sensor_loss(f->sensor, LOSS_STEPS);
}

static int look(struct bpf_feed *f, uint64_t now_ns, bool last)
{
	uint64_t waited_ns = last ? 0 : WAITED_NS,
		 until_ns = now_ns + (last ? LAST_LOOK_NS : LOOK_NS);
	struct bpf_waits *w = &f->waits;
	struct wait *wait;
	int rc = 0;

	w->losses = losses(f);
	target_tasks_begin(f->options.target);
	for (unsigned int i = 0; !rc && (wait = w->first); i++) {
		if (wait->since_ns + waited_ns > now_ns ||
			(i % LOOK_TASKS == 0 && clock_ns() > until_ns))
			break;
		unlist(w, wait);
		rc = look_at(f, wait);
	}
	record_queue_keep(&w->found);
	return rc == -ESRCH || rc == -EPERM ? 0 : rc; /* it has ended: nothing to be seen */
}

/* ---- telling ----------------------------------------------------------------------------- */

/* A record_fn; each of these kinds begins with its task. */
static int tell(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct bpf_feed *f = ctx;
	const struct ev_await_chain *chain = (const struct ev_await_chain *)record;
	struct wait *wait = map_get(&f->waits.tasks, chain->task);

	if (!wait || !wait->looked)
		return 0;
	if (losses(f) == f->waits.losses)
		return f->sink(f->ctx, pid, record);
	wait->looked = false; /* a step may be among what was lost */
	list(&f->waits, wait);
	return 0;
}

int waits_turn(struct bpf_feed *f, uint64_t now_ns, enum waits_when when)
{
	struct bpf_waits *w = &f->waits;
	int rc = record_queue_hand_out(&w->found, f->options.pid, UINT64_MAX, tell, f);

	if (rc || when == WAITS_OVER || (when == WAITS_GO_ON && now_ns < w->look_after_ns))
		return rc;
	w->look_after_ns = now_ns + LOOK_INTERVAL_NS;
	return look(f, now_ns, when == WAITS_END);
}

bool waits_told(const struct bpf_waits *w, uint64_t task)
{
	const struct wait *wait = map_get(&w->tasks, task);

	return wait && wait->looked;
}

static void count_untold(void *wait, void *ctx)
{
	*(size_t *)ctx += !((const struct wait *)wait)->looked;
}

size_t waits_untold(const struct bpf_waits *w)
{
	size_t n = 0;

	map_each(&w->tasks, count_untold, &n);
	return n;
}
