/* See bonds.h. */
#include "probe/target/bonds.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "probe/target/exits.h"
#include "probe/target/object.h"
#include "probe/target/task_state.h"

#define NS_PER_S 1e9
#define SECONDS_MAX 9e9   /* beyond that it is no time of a clock that counts in ns */
#define GENERATORS_MAX 4u /* context managers made of generators, one inside the other */
#define LOCALS_LOOKED_MAX 32u
#define LIST_SIZE_OFF 16u

struct reading {
	struct target *t;
	const struct target_task *task;
	struct target_bonds *bonds;
	uint32_t frame, position; /* of the block that is looked at */
};

/* ---- frames ------------------------------------------------------------------------------ */

static bool frame_is(struct target *t, const struct target_frame *frame, const char *function)
{
	uint64_t name;

	return !memory_read_pointer(&t->memory, frame->code + t->layout.code_name, &name) &&
	       object_is_text(t, name, function);
}

/* The i-th argument, where no inner function uses it. 0: none. */
static uint64_t argument(struct target *t, const struct target_frame *frame, uint32_t i)
{
	uint64_t value;

	if (memory_read(&t->memory, frame->frame + t->layout.frame_locals + 8ull * i, &value,
		    sizeof(value)))
		return 0;
	return value & ~(uint64_t)LAYOUT_CODE_MASK;
}

/* ---- timeouts ---------------------------------------------------------------------------- */

static void due_add(struct target_bonds *bonds, uint64_t due_ns)
{
	if (due_ns > bonds->due_ns)
		bonds->due_ns = due_ns;
}

/* A time of the loop's clock, which is CLOCK_MONOTONIC in seconds; None and inf are no bound. */
static void due_read(struct reading *r, uint64_t object)
{
	double seconds;

	switch (object_kind(r->t, object)) {
	case OBJECT_NONE:
		return;
	case OBJECT_FLOAT:
		if (memory_read(&r->t->memory, object + r->t->layout.float_value, &seconds,
			    sizeof(seconds)))
			break;
		if (isinf(seconds))
			return;
		if (seconds > 0 && seconds < SECONDS_MAX) {
			due_add(r->bonds, (uint64_t)(seconds * NS_PER_S));
			return;
		}
		break;
	default:
		break;
	}
	due_add(r->bonds, BONDS_DUE_UNKNOWN);
}

/* asyncio.timeout(), anyio's scopes, async_timeout's; of what only looks like one not when. */
static void timeout_look(struct reading *r, uint64_t manager, const char *type)
{
	static const char *const names[] = {"_when", "_deadline"};
	uint64_t when;

	if (!strstr(type, "imeout") && !strstr(type, "CancelScope") && !strstr(type, "ExitStack"))
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!object_attribute(r->t, manager, names[i], &when)) {
			due_read(r, when);
			return;
		}
	due_add(r->bonds, BONDS_DUE_UNKNOWN);
}

/* wait_for(), and wait() of asyncio: their second argument, a number of seconds. */
static void bounded_call(struct reading *r, const struct target_frame *frame)
{
	uint64_t seconds;

	if (!frame_is(r->t, frame, "wait_for") && !frame_is(r->t, frame, "_wait"))
		return;
	seconds = argument(r->t, frame, 1);
	switch (seconds ? object_kind(r->t, seconds) : OBJECT_OTHER) {
	case OBJECT_NONE:     /* no bound */
	case OBJECT_FUNCTION: /* the predicate of Condition.wait_for() */
	case OBJECT_METHOD:
		return;
	default:
		due_add(r->bonds, BONDS_DUE_UNKNOWN);
	}
}

/* ---- locks ------------------------------------------------------------------------------- */

static bool is_locked(struct target *t, uint64_t lock)
{
	uint32_t digit = 0;
	uint64_t value;

	return !object_attribute(t, lock, "_locked", &value) &&
	       object_kind(t, value) == OBJECT_BOOL &&
	       !memory_read(&t->memory, value + t->layout.int_digits, &digit, sizeof(digit)) &&
	       digit == 1;
}

/* A lock, or that of a condition; 0: neither. */
static uint64_t lock_of(struct target *t, uint64_t object)
{
	uint64_t lock;

	switch (object_kind(t, object)) {
	case OBJECT_LOCK:
		return object;
	case OBJECT_CONDITION:
		return !object_attribute(t, object, "_lock", &lock) &&
				       object_kind(t, lock) == OBJECT_LOCK
			       ? lock
			       : 0;
	default:
		return 0;
	}
}

static void held_add(struct reading *r, uint64_t lock)
{
	struct target_bonds *b = r->bonds;

	for (uint32_t i = 0; i < b->held_count; i++)
		if (b->held[i].lock == lock)
			return;
	if (b->held_count < BONDS_LOCKS_MAX && is_locked(r->t, lock))
		b->held[b->held_count++] = (struct target_lock){lock, r->frame, r->position};
}

/* Condition.wait() lets go of its lock while it waits. */
static void let_go(struct reading *r, const struct target_frame *frame)
{
	uint64_t self = argument(r->t, frame, 0), lock;
	struct target_bonds *b = r->bonds;

	if (!self || object_kind(r->t, self) != OBJECT_CONDITION || !frame_is(r->t, frame, "wait"))
		return;
	lock = lock_of(r->t, self);
	for (uint32_t i = 0; i < b->held_count; i++)
		if (b->held[i].lock == lock) {
			b->held[i] = b->held[--b->held_count];
			return;
		}
}

/* ---- blocks ------------------------------------------------------------------------------ */

/* Whether the frame is still, or already, in the manager's own method. */
static bool is_passing(
	struct target *t, const struct target_frame *callee, const struct target_exit *exit)
{
	return callee && argument(t, callee, 0) == exit->manager &&
	       (frame_is(t, callee, "__aenter__") || frame_is(t, callee, "__aexit__"));
}

static int blocks_read(struct reading *r, const struct target_frame *frame,
	const struct target_frame *callee, unsigned int depth);

/* One made of a generator: what that is inside of is around the block as well. */
static int generator_look(struct reading *r, uint64_t manager, unsigned int depth)
{
	struct target_frame inner;
	uint64_t generator;
	int rc;

	if (depth >= GENERATORS_MAX || object_attribute(r->t, manager, "gen", &generator))
		return 0;
	rc = target_generator_frame(r->t, generator, &inner);
	if (rc <= 0)
		return rc == -EBUSY ? 0 : rc;
	return blocks_read(r, &inner, NULL, depth + 1);
}

static int block_take(struct reading *r, const struct target_exit *exit, unsigned int depth)
{
	char type[OBJECT_NAME_BYTES];
	uint64_t lock = exit->is_async ? lock_of(r->t, exit->manager) : 0;
	int rc;

	if (!depth)
		r->position = exit->position;
	if (lock) {
		held_add(r, lock);
		return 0;
	}
	rc = object_type_name(r->t, exit->manager, type);
	if (rc)
		return rc;
	timeout_look(r, exit->manager, type);
	return strstr(type, "GeneratorContextManager") ? generator_look(r, exit->manager, depth)
						       : 0;
}

static int blocks_read(struct reading *r, const struct target_frame *frame,
	const struct target_frame *callee, unsigned int depth)
{
	struct target_exit exits[EXITS_MAX];
	uint32_t count = 0;
	int rc = exits_read(r->t, frame, exits, &count);

	/* the innermost alone can be passing; it may be of the lock that one around it has */
	for (uint32_t i = 0; !rc && i < count; i++)
		if (i + 1 < count || !is_passing(r->t, callee, &exits[i]))
			rc = block_take(r, &exits[i], depth);
	return rc;
}

/* ---- members ----------------------------------------------------------------------------- */

static int member_add(void *ctx, uint64_t member)
{
	struct target_bonds *b = ctx;

	if (b->member_count < BONDS_MEMBERS_MAX)
		b->member[b->member_count++] = member;
	return 0;
}

/* gather(): _GatheringFuture._children */
static int gathered_read(struct reading *r)
{
	struct target *t = r->t;
	uint64_t list, items, n;
	int rc = object_attribute(t, r->task->waits_on, "_children", &list);

	if (!rc && object_kind(t, list) != OBJECT_LIST)
		rc = -EPROTO;
	if (!rc)
		rc = memory_read(&t->memory, list + LIST_SIZE_OFF, &n, sizeof(n));
	if (!rc)
		rc = memory_read_pointer(&t->memory, list + t->layout.list_items, &items);
	if (rc)
		return rc;
	n = n < BONDS_MEMBERS_MAX ? n : BONDS_MEMBERS_MAX;
	rc = n ? memory_read(&t->memory, items, r->bonds->member, n * sizeof(uint64_t)) : 0;
	if (!rc)
		r->bonds->member_count = (uint32_t)n;
	return rc;
}

/* Whether one of a frame's variables is this text; inner functions may use it. */
static bool has_text(struct target *t, const struct target_frame *frame, const char *text)
{
	uint64_t locals, stack, top, value;

	if (frame_values(t, frame, &locals, &stack, &top))
		return false;
	for (uint32_t i = 0; i < LOCALS_LOOKED_MAX && locals + 8ull * i < stack; i++) {
		value = argument(t, frame, i);
		if (value && object_kind(t, value) == OBJECT_CELL &&
			memory_read_pointer(&t->memory, value + t->layout.cell_value, &value))
			continue;
		if (value && object_is_text(t, value, text))
			return true;
	}
	return false;
}

/* wait(): _wait(fs, timeout, return_when, loop). */
static int waited_read(struct reading *r)
{
	const struct target_frame *frame = &r->task->frame[0];
	uint64_t futures = argument(r->t, frame, 0);
	int rc;

	if (!futures || object_kind(r->t, futures) != OBJECT_SET)
		return 0;
	r->bonds->one = !has_text(r->t, frame, "ALL_COMPLETED") &&
			!has_text(r->t, frame, "FIRST_EXCEPTION");
	rc = object_set_each(r->t, futures, member_add, r->bonds);
	if (r->bonds->one && r->bonds->member_count == BONDS_MEMBERS_MAX)
		r->bonds->member_count = 0; /* the one may be beyond them */
	return rc;
}

/* TaskGroup: its __aexit__(), or what that calls (3.13+), waits for all in self._tasks. */
static int grouped_read(struct reading *r, uint64_t self)
{
	char type[OBJECT_NAME_BYTES];
	uint64_t tasks;

	if (object_type_name(r->t, self, type) || strcmp(type, "TaskGroup") ||
		object_attribute(r->t, self, "_tasks", &tasks) ||
		object_kind(r->t, tasks) != OBJECT_SET)
		return 0;
	return object_set_each(r->t, tasks, member_add, r->bonds);
}

int target_bonds_read(struct target *t, const struct target_task *task, struct target_bonds *ret)
{
	struct reading r = {.t = t, .task = task, .bonds = ret};
	const struct target_frame *innermost = &task->frame[0];
	uint64_t self;
	int rc = 0;

	ret->lock = ret->due_ns = 0;
	ret->held_count = ret->member_count = 0;
	ret->one = false;
	for (uint32_t i = task->frames; !rc && i-- > 0;) {
		r.frame = i;
		bounded_call(&r, &task->frame[i]);
		rc = blocks_read(&r, &task->frame[i], i ? &task->frame[i - 1] : NULL, 0);
		let_go(&r, &task->frame[i]);
	}
	if (rc || !task->frames)
		return rc;
	self = argument(t, innermost, 0);
	if (self && object_kind(t, self) == OBJECT_LOCK && frame_is(t, innermost, "acquire"))
		ret->lock = self;
	if (!strcmp(task->waits_type, "_GatheringFuture"))
		return gathered_read(&r);
	if (self && (frame_is(t, innermost, "__aexit__") || frame_is(t, innermost, "_aexit")))
		return grouped_read(&r, self);
	return frame_is(t, innermost, "_wait") ? waited_read(&r) : 0;
}
