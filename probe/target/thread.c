/* Thread states of a target: the lists of all its interpreters. See target.h and task.h. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "probe/target/object.h"
#include "probe/target/process.h"
#include "probe/target/task_state.h"

#define INTERPRETERS_MAX 256u
#define THREADS_MAX 4096u /* of one interpreter; those beyond are not found */

bool target_thread_is(struct target *t, uint64_t thread, uint64_t thread_id)
{
	uint64_t id;

	return !memory_read_pointer(&t->memory, thread + t->layout.thread_thread_id, &id) &&
	       id == thread_id;
}

/* ---- lists ------------------------------------------------------------------------------- */

int target_interpreters_each(
	struct target *t, int (*fn)(struct target *t, void *ctx, uint64_t interp), void *ctx)
{
	const struct layout *lay = &t->layout;
	uint64_t interp;
	int rc = memory_read_pointer(
		&t->memory, t->symbol[SYMBOL_RUNTIME] + lay->runtime_interpreters_head, &interp);

	for (unsigned int i = 0; !rc && interp && i < INTERPRETERS_MAX; i++) {
		rc = fn(t, ctx, interp);
		if (!rc)
			rc = memory_read_pointer(&t->memory, interp + lay->interp_next, &interp);
	}
	return rc;
}

int target_interpreter_threads_each(struct target *t, uint64_t interp,
	int (*fn)(struct target *t, void *ctx, uint64_t thread), void *ctx)
{
	const struct layout *lay = &t->layout;
	uint64_t thread;
	int rc = memory_read_pointer(&t->memory, interp + lay->interp_threads_head, &thread);

	for (unsigned int i = 0; !rc && thread && i < THREADS_MAX; i++) {
		rc = fn(t, ctx, thread);
		if (!rc)
			rc = memory_read_pointer(&t->memory, thread + lay->thread_next, &thread);
	}
	return rc;
}

/* ---- one thread -------------------------------------------------------------------------- */

struct wanted {
	uint64_t thread_id, interp, thread;
};

static int wanted_is(struct target *t, void *ctx, uint64_t thread)
{
	struct wanted *wanted = ctx;
	uint64_t back;
	int rc;

	if (!target_thread_is(t, thread, wanted->thread_id))
		return 0;
	rc = memory_read_pointer(&t->memory, thread + t->layout.thread_interp, &back);
	if (rc || back != wanted->interp)
		return rc ? rc : -EPROTO;
	wanted->thread = thread;
	return 1;
}

static int wanted_in(struct target *t, void *ctx, uint64_t interp)
{
	((struct wanted *)ctx)->interp = interp;
	return target_interpreter_threads_each(t, interp, wanted_is, ctx);
}

int target_thread_find(struct target *t, uint64_t thread_id, uint64_t *ret_thread)
{
	struct wanted wanted = {.thread_id = thread_id};
	int rc = target_interpreters_each(t, wanted_in, &wanted);

	if (rc == 1)
		*ret_thread = wanted.thread;
	return rc == 1 ? 0 : rc ? rc : -ENOENT;
}

/* ---- all threads ------------------------------------------------------------------------- */

/* The loop that runs on it; 0: none. To 3.12 it stands in the thread's dict, to 3.11 in a holder
 * there.
 */
static uint64_t running_loop(struct target *t, uint64_t thread)
{
	const struct layout *lay = &t->layout;
	uint64_t dict, loop = 0;

	if (lay->thread_dict == OFF_ABSENT) {
		memory_read_pointer(&t->memory, thread + lay->thread_running_loop, &loop);
		return loop;
	}
	if (memory_read_pointer(&t->memory, thread + lay->thread_dict, &dict) || !dict ||
		object_dict_get(t, dict, "__asyncio_running_event_loop__", &loop))
		return 0;
	if (object_kind(t, loop) == OBJECT_LOOP_HOLDER &&
		memory_read_pointer(&t->memory, loop + OBJECT_HEAD_BYTES, &loop))
		return 0;
	return loop;
}

uint32_t target_thread_tid(struct target *t, uint64_t thread, uint64_t thread_id)
{
	const struct layout *lay = &t->layout;
	uint64_t native = 0;
	uint32_t tid = 0;

	if (lay->thread_native_thread_id != OFF_ABSENT)
		memory_read(
			&t->memory, thread + lay->thread_native_thread_id, &native, sizeof(native));
	else if (!memory_read(&t->memory, thread_id + LAYOUT_PTHREAD_TID, &tid, sizeof(tid)))
		native = process_has_thread(t->memory.pid, tid) ? tid : 0;
	return native <= INT32_MAX ? (uint32_t)native : 0;
}

struct listing {
	struct target_thread *thread;
	size_t max, count;
};

static int listing_take(struct target *t, void *ctx, uint64_t thread)
{
	struct listing *listing = ctx;
	struct target_thread told = {.thread = thread};
	char type[OBJECT_NAME_BYTES];
	int rc = memory_read(&t->memory, thread + t->layout.thread_thread_id, &told.thread_id,
		sizeof(told.thread_id));

	if (rc || !told.thread_id)
		return rc; /* not started yet */
	told.tid = target_thread_tid(t, thread, told.thread_id);
	told.loop = running_loop(t, thread);
	if (told.loop && (object_native_name(t, told.loop, type) || !strcmp(type, "NoneType")))
		told.loop = 0;
	if (told.loop)
		snprintf(told.loop_type, sizeof(told.loop_type), "%.*s",
			(int)sizeof(told.loop_type) - 1, type);
	if (listing->count < listing->max)
		listing->thread[listing->count] = told;
	listing->count++;
	return 0;
}

static int listing_in(struct target *t, void *ctx, uint64_t interp)
{
	return target_interpreter_threads_each(t, interp, listing_take, ctx);
}

int target_threads_read(struct target *t, struct target_thread *ret, size_t max, size_t *ret_count)
{
	struct listing listing = {ret, max, 0};
	int rc;

	object_kinds_forget(t);
	rc = target_interpreters_each(t, listing_in, &listing);
	if (!rc)
		*ret_count = listing.count;
	return rc;
}
