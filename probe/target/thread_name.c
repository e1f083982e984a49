/* Lib/threading.py, 3.8 to 3.14: _active maps get_ident() to Thread, whose name is _name. */
#include "probe/target/thread_name.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "probe/target/object.h"
#include "probe/target/task_state.h"

#define DIGIT_BITS 30

/* Of the main interpreter: the others have a module each. */
static int active_find(struct target *t, uint64_t *ret)
{
	const struct layout *lay = &t->layout;
	uint64_t at;
	int rc = memory_read_pointer(
		&t->memory, t->symbol[SYMBOL_RUNTIME] + lay->runtime_interpreters_main, &at);

	if (!rc)
		rc = memory_read_pointer(&t->memory, at + lay->interp_modules, &at);
	if (!rc)
		rc = at ? object_dict_get(t, at, "threading", &at) : -ENOENT;
	if (!rc)
		rc = memory_read_pointer(&t->memory, at + lay->module_dict, &at);
	if (!rc)
		rc = at ? object_dict_get(t, at, "_active", &at) : -ENOENT;
	if (!rc)
		*ret = at;
	return rc;
}

/* One of two digits; any other number is no thread's, and finds none. */
static bool number_read(struct target *t, uint64_t number, uint64_t *ret)
{
	uint32_t digit[2];

	if (object_kind(t, number) != OBJECT_INT ||
		memory_read(&t->memory, number + t->layout.int_digits, digit, sizeof(digit)))
		return false;
	*ret = digit[0] | (uint64_t)digit[1] << DIGIT_BITS;
	return true;
}

struct listing {
	target_named_fn fn;
	void *ctx;
};

/* A thread's kernel id has one digit. Who changes meanwhile is left out. */
static int entry_take(struct target *t, void *ctx, uint64_t key, uint64_t object)
{
	const struct listing *listing = ctx;
	cleanup(freep) char *name = NULL;
	struct target_named thread = {0};
	uint64_t attribute, tid;

	if (!number_read(t, key, &thread.thread_id) ||
		object_attribute(t, object, "_native_id", &attribute) ||
		!number_read(t, attribute, &tid) ||
		object_attribute(t, object, "_name", &attribute) ||
		target_text_read(t, attribute, &name))
		return 0;
	thread.tid = (uint32_t)tid & ((1u << DIGIT_BITS) - 1);
	thread.name = name;
	listing->fn(listing->ctx, &thread);
	return 0;
}

int target_named_each(struct target *t, uint64_t *active, target_named_fn fn, void *ctx)
{
	struct listing listing = {fn, ctx};
	int rc = *active ? 0 : active_find(t, active);

	object_kinds_forget(t);
	return rc ? rc : object_dict_each(t, *active, entry_take, &listing);
}
