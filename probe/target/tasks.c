/*
 * Where asyncio lists its tasks: a WeakSet in asyncio.tasks (to 3.13; later for tasks that are not
 * its own), a set of eager ones (3.12+), linked lists of threads and interpreters (3.14). Addresses
 * are collected first, at once if the target lets us, and read one by one after. See task.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/target/object.h"
#include "probe/target/task_state.h"

#define READINGS_MAX 4u /* of a list that changes meanwhile */

struct addresses {
	uint64_t *at;
	size_t count, size;
	size_t dead;   /* weak references to what is gone */
	bool overfull; /* TARGET_TASKS_MAX was met */
};

struct collector {
	struct target *target;
	struct addresses addresses;
	bool found; /* asyncio */
	bool whole;
};

static int address_add(struct addresses *a, uint64_t address)
{
	if (a->count == TARGET_TASKS_MAX) {
		a->overfull = true;
		return 0;
	}
	if (a->count == a->size) {
		size_t size = a->size ? 2 * a->size : 1024;
		uint64_t *more = reallocarray(a->at, size, sizeof(*more));

		if (!more)
			return -ENOMEM;
		a->at = more;
		a->size = size;
	}
	a->at[a->count++] = address;
	return 0;
}

/* ---- sets -------------------------------------------------------------------------------- */

static int member_take(void *ctx, uint64_t member)
{
	struct collector *c = ctx;

	return address_add(&c->addresses, member);
}

static int reference_take(void *ctx, uint64_t reference)
{
	struct collector *c = ctx;
	struct target *t = c->target;
	uint64_t task;

	if (object_kind(t, reference) != OBJECT_WEAKREF ||
		memory_read_pointer(&t->memory, reference + t->layout.weakref_object, &task))
		return -EPROTO;
	switch (object_kind(t, task)) {
	case OBJECT_TASK:
	case OBJECT_PYTHON_TASK:
		return address_add(&c->addresses, task);
	default:
		c->addresses.dead++; /* None */
		return 0;
	}
}

/* A set until it stands still for one reading. -ENOENT: the module has none of that name. */
static int set_collect(struct collector *c, uint64_t names, const char *name, bool weak)
{
	size_t before = c->addresses.count;
	uint64_t set;
	int rc = object_dict_get(c->target, names, name, &set);

	if (!rc && weak)
		rc = object_attribute(c->target, set, "data", &set);
	if (rc)
		return rc;
	for (unsigned int i = 0; i < READINGS_MAX; i++) {
		c->addresses.count = before;
		rc = object_set_each(c->target, set, weak ? reference_take : member_take, c);
		if (rc != -EPROTO && rc != -EFAULT)
			return rc;
	}
	c->whole = false;
	return 0;
}

static int sets_collect(struct collector *c, uint64_t interp)
{
	static const struct {
		const char *name;
		bool weak;
	} sets[] = {{"_all_tasks", true}, {"_scheduled_tasks", true}, {"_eager_tasks", false}};
	struct target *t = c->target;
	uint64_t modules, module, names;
	int rc = memory_read_pointer(&t->memory, interp + t->layout.interp_modules, &modules);

	if (!rc)
		rc = modules ? object_dict_get(t, modules, "asyncio.tasks", &module) : -ENOENT;
	if (!rc)
		rc = memory_read_pointer(&t->memory, module + t->layout.module_dict, &names);
	if (rc)
		return rc == -ENOENT ? 0 : rc;
	c->found = true;
	for (size_t i = 0; !rc && i < sizeof(sets) / sizeof(*sets); i++) {
		rc = set_collect(c, names, sets[i].name, sets[i].weak);
		rc = rc == -ENOENT ? 0 : rc;
	}
	return rc;
}

/* ---- linked lists ------------------------------------------------------------------------ */

/* struct llist_node {next, prev} in a ring; a node taken out meanwhile leads nowhere. */
static int ring_follow(struct collector *c, uint64_t head)
{
	struct target *t = c->target;
	uint64_t node;
	int rc = memory_read_pointer(&t->memory, head, &node);

	while (!rc && node != head) {
		if (!node || c->addresses.overfull ||
			object_kind(t, node - t->layout.task_node) != OBJECT_TASK)
			return -EPROTO;
		rc = address_add(&c->addresses, node - t->layout.task_node);
		if (!rc)
			rc = memory_read_pointer(&t->memory, node, &node);
	}
	return rc;
}

static int ring_collect(struct collector *c, uint64_t head)
{
	size_t before = c->addresses.count;
	uint64_t first;
	int rc = memory_read_pointer(&c->target->memory, head, &first);

	if (rc || !first)
		return rc; /* a thread that never had a task */
	for (unsigned int i = 0; i < READINGS_MAX; i++) {
		c->addresses.count = before;
		rc = ring_follow(c, head);
		if (rc != -EPROTO && rc != -EFAULT)
			return rc;
	}
	c->whole = false;
	return 0;
}

static int thread_collect(struct target *t, void *ctx, uint64_t thread)
{
	return ring_collect(ctx, thread + t->layout.thread_tasks_head);
}

static int interpreter_collect(struct target *t, void *ctx, uint64_t interp)
{
	struct collector *c = ctx;
	int rc = sets_collect(c, interp);

	if (rc || t->layout.task_node == OFF_ABSENT || !c->found)
		return rc;
	rc = ring_collect(c, interp + t->layout.interp_tasks_head);
	return rc ? rc : target_interpreter_threads_each(t, interp, thread_collect, c);
}

/* ---- all of them ------------------------------------------------------------------------- */

static void collector_clear(struct collector *c)
{
	free(c->addresses.at);
}

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* A task may have moved from one list to another between two readings. */
static void addresses_unique(struct addresses *a)
{
	size_t kept = 0;

	if (a->count)
		qsort(a->at, a->count, sizeof(*a->at), compare_addresses);
	for (size_t i = 0; i < a->count; i++)
		if (!i || a->at[i] != a->at[i - 1])
			a->at[kept++] = a->at[i];
	a->count = kept;
}

int target_tasks_read(struct target *t, target_task_fn fn, void *ctx, struct target_tasks *ret,
	const char **ret_why)
{
	cleanup(collector_clear) struct collector c = {.target = t, .whole = true};
	struct target_tasks told = {0};
	int answer = 0;
	int rc;

	object_kinds_forget(t);
	rc = target_interpreters_each(t, interpreter_collect, &c);
	if (rc) {
		*ret_why = "its lists of tasks are not where the layout says";
		return rc;
	}
	if (!c.found) {
		*ret_why = "asyncio is not imported";
		return -ENOENT;
	}
	addresses_unique(&c.addresses);
	for (size_t i = 0; i < c.addresses.count && !answer; i++) {
		bool pending;

		rc = task_read(t, c.addresses.at[i], fn, ctx, &pending, &answer);
		if (rc == -ESRCH || rc == -EPERM || rc == -ENOMEM) {
			*ret_why = "it ended while its tasks were read";
			return rc;
		}
		told.unread += rc != 0;
		told.done += !rc && !pending;
		told.read += !rc && pending;
	}
	told.whole = c.whole && !c.addresses.overfull;
	*ret = told;
	return answer;
}
