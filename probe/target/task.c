/*
 * One task of a target: its state, names, and the coroutines it is suspended in. See task.h. Called
 * for each of maybe a million, so everything is bounded and freed at once.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/event.h"
#include "probe/target/object.h"
#include "probe/target/task_state.h"

#define CHAIN_FOLLOWED_MAX 1024u /* coroutines; a torn chain may be a ring */
#define TASK_BYTES_MAX 512u
#define TRIES_MAX 4u
#define NAME_BYTES 32u /* "Task-" and a number */

/* ---- await chains ------------------------------------------------------------------------ */

/* 1: a suspended frame at *ret; 0: it has none any more; -EBUSY: it is executing, at *ret too. */
static int frame_of(struct target *t, uint64_t generator, uint64_t *ret)
{
	const struct layout *lay = &t->layout;
	signed char state = -1;
	uint64_t frame;
	int rc;

	if (lay->generator_frame_state != OFF_ABSENT) { /* < 0 suspended, 0 executing, > 0 ended */
		rc = memory_read(&t->memory, generator + lay->generator_frame_state, &state, 1);
		if (rc || state > 0)
			return rc;
		*ret = generator + lay->generator_frame;
		return state ? 1 : -EBUSY;
	}
	rc = memory_read_pointer(&t->memory, generator + lay->generator_frame, &frame);
	if (rc || !frame)
		return rc;
	if (lay->generator_running != OFF_ABSENT)
		rc = memory_read(&t->memory, generator + lay->generator_running, &state, 1);
	else
		rc = memory_read(&t->memory, frame + lay->frame_state, &state, 1);
	if (rc)
		return rc;
	*ret = frame;
	/* gi_running is 1 while it executes; f_state is 0 */
	if (lay->generator_running != OFF_ABSENT ? state == 1 : state == 0)
		return -EBUSY;
	return 1;
}

/* The innermost value of a suspended frame's stack: what it awaits. 0: nothing. */
static int stack_top(struct target *t, uint64_t frame, uint64_t *ret)
{
	const struct layout *lay = &t->layout;
	uint64_t stack = frame + lay->frame_locals, top = 0, value;
	int32_t depth;
	int rc = 0;

	if (lay->frame_stack != OFF_ABSENT)
		rc = target_pointer_read(t, frame + lay->frame_stack, &stack);
	if (!rc && lay->frame_stack_top != OFF_ABSENT) {
		rc = target_pointer_read(t, frame + lay->frame_stack_top, &top);
	} else if (!rc) {
		rc = snapshot_read(
			&t->snapshot, frame + lay->frame_stack_depth, &depth, sizeof(depth));
		if (!rc && depth > 0)
			top = stack + 8ull * (uint32_t)depth;
	}
	if (rc || top <= stack) {
		*ret = 0;
		return rc;
	}
	rc = target_pointer_read(t, top - 8, &value);
	if (!rc)
		*ret = value & ~(uint64_t)LAYOUT_CODE_MASK;
	return rc;
}

/* The coroutine that an awaited object stands for; 0: it is no coroutine's. */
static uint64_t coroutine_of(struct target *t, uint64_t awaited)
{
	enum object_kind kind = awaited ? object_kind(t, awaited) : OBJECT_OTHER;
	uint64_t inner;

	if (kind == OBJECT_GENERATOR)
		return awaited;
	if (kind == OBJECT_GENERATOR_USER &&
		!memory_read_pointer(&t->memory, awaited + OBJECT_HEAD_BYTES, &inner) &&
		object_kind(t, inner) == OBJECT_GENERATOR)
		return inner;
	return 0;
}

int target_generator_frame(struct target *t, uint64_t generator, struct target_frame *ret)
{
	uint64_t at;
	int rc = object_kind(t, generator) == OBJECT_GENERATOR ? frame_of(t, generator, &at) : 0;

	if (rc <= 0)
		return rc;
	snapshot_begin(&t->snapshot, &t->memory);
	return target_frame_read(t, at, ret);
}

/* Keeps the last ones, which are the innermost. */
struct chain {
	struct target_frame frame[TARGET_CHAIN_MAX];
	uint32_t met;
};

static void chain_add(struct chain *chain, const struct target_frame *frame)
{
	chain->frame[chain->met++ % TARGET_CHAIN_MAX] = *frame;
}

static void chain_give(const struct chain *chain, struct target_task *ret)
{
	ret->frames = chain->met < TARGET_CHAIN_MAX ? chain->met : TARGET_CHAIN_MAX;
	ret->cut = chain->met - ret->frames;
	for (uint32_t i = 0; i < ret->frames; i++)
		ret->frame[i] = chain->frame[(chain->met - 1 - i) % TARGET_CHAIN_MAX];
}

static int chain_read(struct target *t, uint64_t coroutine, struct target_task *ret)
{
	struct chain chain = {.met = 0};
	struct target_frame frame;
	uint64_t at = 0, awaited = 0;
	int rc = 1;

	snapshot_begin(&t->snapshot, &t->memory);
	for (unsigned int i = 0; coroutine && i < CHAIN_FOLLOWED_MAX; i++) {
		rc = frame_of(t, coroutine, &at);
		/* a frame's code is the same from its beginning to its end */
		if (rc == -EBUSY && !i && target_frame_read(t, at, &frame) == 1)
			ret->code = frame.code;
		if (rc <= 0)
			break;
		rc = target_frame_read(t, at, &frame);
		if (rc == 1 && !i)
			ret->code = frame.code;
		if (rc == 1)
			chain_add(&chain, &frame);
		if (rc >= 0)
			rc = stack_top(t, at, &awaited);
		if (rc < 0)
			return rc;
		coroutine = coroutine_of(t, awaited);
	}
	ret->running = rc == -EBUSY;
	if (rc < 0 && rc != -EBUSY)
		return rc;
	if (!ret->running) /* else the thread's own stack tells where it is */
		chain_give(&chain, ret);
	return 0;
}

/* ---- texts ------------------------------------------------------------------------------- */

struct texts {
	char *name, *coro_name;
	char waits_type[OBJECT_NAME_BYTES];
};

static void texts_clear(struct texts *texts)
{
	free(texts->name);
	free(texts->coro_name);
}

/* Task.__init__ leaves the number of an unnamed task until someone asks for its name (3.12+). */
static int name_read(struct target *t, uint64_t name, char **ret)
{
	uint32_t digits[2] = {0};
	int rc;

	if (object_kind(t, name) != OBJECT_INT)
		return target_text_read(t, name, ret);
	rc = memory_read(&t->memory, name + t->layout.int_digits, digits, sizeof(digits[0]));
	if (rc)
		return rc;
	*ret = malloc(NAME_BYTES);
	if (!*ret)
		return -ENOMEM;
	snprintf(*ret, NAME_BYTES, "Task-%" PRIu32, digits[0]);
	return 0;
}

static int coro_name_read(struct target *t, uint64_t coro, char **ret)
{
	char type[OBJECT_NAME_BYTES];
	uint64_t name;
	int rc;

	if (object_kind(t, coro) == OBJECT_GENERATOR) {
		rc = memory_read_pointer(&t->memory, coro + t->layout.generator_qualname, &name);
		return rc ? rc : target_text_read(t, name, ret);
	}
	rc = object_type_name(t, coro, type);
	if (rc)
		return rc;
	*ret = strdup(type);
	return *ret ? 0 : -ENOMEM;
}

/* ---- one task ---------------------------------------------------------------------------- */

struct parts { /* addresses */
	uint64_t name, coro, waits_on, loop;
	uint32_t state;
};

static int parts_read(struct target *t, uint64_t task, struct parts *ret)
{
	const struct layout *lay = &t->layout;
	const struct {
		uint16_t place;
		void *to;
		size_t size;
	} part[] = {
		{lay->future_state, &ret->state, sizeof(ret->state)},
		{lay->task_name, &ret->name, sizeof(ret->name)},
		{lay->task_coro, &ret->coro, sizeof(ret->coro)},
		{lay->task_fut_waiter, &ret->waits_on, sizeof(ret->waits_on)},
		{lay->future_loop, &ret->loop, sizeof(ret->loop)},
	};
	unsigned char bytes[TASK_BYTES_MAX];
	size_t n = 0;
	int rc;

	for (size_t i = 0; i < sizeof(part) / sizeof(*part); i++)
		n = part[i].place + part[i].size > n ? part[i].place + part[i].size : n;
	rc = n <= sizeof(bytes) ? memory_read(&t->memory, task, bytes, n) : -EPROTO;
	for (size_t i = 0; !rc && i < sizeof(part) / sizeof(*part); i++)
		memcpy(part[i].to, bytes + part[i].place, part[i].size);
	return rc;
}

/* asyncio.tasks._PyTask keeps the same things as attributes. */
static int python_parts_read(struct target *t, uint64_t task, struct parts *ret)
{
	uint64_t state = 0;
	int rc = object_attribute(t, task, "_state", &state); /* the class's until it is done */

	if (!rc || rc == -ENOENT)
		rc = object_attribute(t, task, "_name", &ret->name);
	if (!rc)
		rc = object_attribute(t, task, "_coro", &ret->coro);
	if (!rc)
		rc = object_attribute(t, task, "_fut_waiter", &ret->waits_on);
	if (!rc)
		rc = object_attribute(t, task, "_loop", &ret->loop);
	if (rc)
		return rc == -ENOENT ? -EPROTO : rc;
	ret->state = !state || object_is_text(t, state, "PENDING") ? TASK_PENDING
		     : object_is_text(t, state, "CANCELLED")       ? TASK_CANCELLED
								   : TASK_FINISHED;
	return 0;
}

static int pending_read(
	struct target *t, const struct parts *parts, struct texts *texts, struct target_task *ret)
{
	int rc = name_read(t, parts->name, &texts->name);

	if (!rc && !parts->coro)
		rc = -EPROTO; /* a pending task always has one */
	if (!rc)
		rc = coro_name_read(t, parts->coro, &texts->coro_name);
	if (!rc && parts->waits_on)
		rc = object_type_name(t, parts->waits_on, texts->waits_type);
	if (!rc && !strcmp(texts->waits_type, "NoneType")) { /* of a Python task */
		ret->waits_on = 0;
		texts->waits_type[0] = '\0';
	}
	if (rc)
		return rc;
	ret->coro = object_kind(t, parts->coro) == OBJECT_GENERATOR ? parts->coro : 0;
	ret->name = texts->name;
	ret->coro_name = texts->coro_name;
	ret->waits_type = texts->waits_type;
	return ret->coro ? chain_read(t, ret->coro, ret) : 0;
}

static int task_parts_read(struct target *t, uint64_t task, bool python, struct parts *ret)
{
	int rc = python ? python_parts_read(t, task, ret) : parts_read(t, task, ret);

	return !rc && ret->state > TASK_FINISHED ? -EPROTO : rc;
}

/* A task that runs changes what it waits for; what was read of one wait belongs together. */
static bool same_wait(const struct parts *a, const struct parts *b)
{
	return a->state == b->state && a->coro == b->coro && a->waits_on == b->waits_on;
}

/* -EAGAIN: the task went on meanwhile. */
static int task_try(
	struct target *t, uint64_t task, bool python, struct texts *texts, struct target_task *ret)
{
	struct parts parts, after;
	int rc = task_parts_read(t, task, python, &parts);

	if (rc)
		return rc;
	*ret = (struct target_task){
		.task = task,
		.python = python,
		.state = parts.state,
		.loop = parts.loop,
		.waits_on = parts.waits_on,
	};
	if (parts.state != TASK_PENDING)
		return 0;
	rc = pending_read(t, &parts, texts, ret);
	if (task_parts_read(t, task, python, &after) || !same_wait(&parts, &after))
		return -EAGAIN;
	return rc;
}

int task_read(struct target *t, uint64_t task, target_task_fn fn, void *ctx, bool *ret_pending,
	int *ret_answer)
{
	enum object_kind kind = object_kind(t, task);
	struct target_task told;
	int rc = -EAGAIN;

	if (kind != OBJECT_TASK && kind != OBJECT_PYTHON_TASK)
		return -EPROTO;
	for (unsigned int i = 0; i < TRIES_MAX && rc == -EAGAIN; i++) {
		cleanup(texts_clear) struct texts texts = {0};

		rc = task_try(t, task, kind == OBJECT_PYTHON_TASK, &texts, &told);
		if (rc)
			continue;
		*ret_pending = told.state == TASK_PENDING;
		if (*ret_pending)
			*ret_answer = fn(ctx, &told);
	}
	return rc;
}

void target_tasks_begin(struct target *t)
{
	object_kinds_forget(t);
}

int target_task_read(struct target *t, uint64_t task, target_task_fn fn, void *ctx)
{
	bool pending;
	int answer = 0, rc = task_read(t, task, fn, ctx, &pending, &answer);

	return rc ? rc : answer;
}
