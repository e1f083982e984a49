/* See wait.h. A set-associative table, so that a wait costs one cache line where few are open. */
#include "probe/agent/wait.h"

#include <string.h>

#include "probe/agent/callback.h"

#define SETS 8192u /* a power of two */
#define WAYS 8u    /* used ones come first; the oldest gives way, and its wakeup is not told */

static struct wait table[SETS][WAYS];
static uint64_t beyond; /* that gave way, not yet told */

static struct wait *set_of(const void *future)
{
	uint64_t h = ((uint64_t)(uintptr_t)future >> 4) * 0x9e3779b97f4a7c15ull; /* 2^64 / phi */

	return table[h >> 51 & (SETS - 1)];
}

struct wait *wait_find(const void *future)
{
	struct wait *w = set_of(future);

	for (unsigned int i = 0; i < WAYS && w[i].future; i++)
		if (w[i].future == future)
			return &w[i];
	return NULL;
}

static struct wait *oldest(struct wait *set)
{
	struct wait *found = set;

	for (unsigned int i = 1; i < WAYS; i++)
		if (set[i].since_ns < found->since_ns)
			found = &set[i];
	return found;
}

static void evicted(void)
{
	beyond++;
	if (agent.look_ns == UINT64_MAX)
		agent.look_ns = 0;
}

void waits_look(void)
{
	if (beyond && lost_report(beyond, LOST_WAITS))
		beyond = 0;
}

/* Where a wait for the future goes: its own place, a free one, or the oldest one's. */
static struct wait *place_of(const void *future)
{
	struct wait *set = set_of(future);

	for (unsigned int i = 0; i < WAYS; i++)
		if (!set[i].future || set[i].future == future)
			return &set[i];
	evicted();
	return oldest(set);
}

void wait_begin(PyObject *future, uint64_t now_ns)
{
	struct wait *w = place_of(future);

	if (w->future == future && !w->set_ns) {
		w->waiters++;
		return;
	}
	*w = (struct wait){.future = future, .since_ns = now_ns, .waiters = 1};
}

void wait_end(struct wait *w)
{
	struct wait *last = set_of(w->future);
	const struct wait *end = last + WAYS;

	if (--w->waiters)
		return;
	while (last + 1 < end && last[1].future)
		last++;
	*w = *last;
	last->future = NULL;
}

/*
 * A callback of the loop sets it, and not the step that is open (with nest_asyncio, steps are open
 * while the loop runs its callbacks).
 */
static void callback_take(struct wait *w, const struct callback *callback)
{
	w->by = 0;
	if (callback->kind == CALLBACK_THREAD) {
		w->by = callback->by;
		w->by_tid = callback->tid;
		w->stack = callback->stack;
		if (w->how != WAKE_CANCEL)
			w->how = WAKE_THREAD;
	} else if (callback->kind == CALLBACK_TIMER && w->how == WAKE_RESULT) {
		w->how = WAKE_TIMER;
	}
}

void wait_set(PyObject *future, uint32_t how)
{
	struct wait *w = wait_find(future);
	struct callback callback;
	bool brief;

	if (!w)
		return;
	w->set_ns = clock_now_ns();
	w->by = task_here();
	w->by_tid = thread_tid();
	w->how = how;
	w->stack = 0;
	brief = how != WAKE_EXCEPTION && w->set_ns - w->since_ns < agent.min_step_ns;
	if (brief && w->by)
		return; /* its wakeup is told only if the loop is late */
	callback_here(&callback);
	w = wait_find(future); /* looking at a handle may begin and end waits */
	if (!w)
		return;
	if (!w->by || callback.bare || callback.kind == CALLBACK_THREAD)
		callback_take(w, &callback);
	if (!brief && !callback.bare && !w->stack)
		w->stack = stack_here();
	if (!w->by && loop_started_by(w->stack)) /* C code of another loop's */
		w->stack = 0;
}

void wait_task_done(PyObject *task, uint64_t now_ns)
{
	struct wait *w = wait_find(task);

	if (!w)
		return;
	w->set_ns = now_ns;
	w->by = (uint64_t)(uintptr_t)task;
	w->by_tid = thread_tid();
	w->how = WAKE_TASK_DONE;
	w->stack = 0;
}

void wait_forked(void)
{
	memset(table, 0, sizeof(table));
}
