/*
 * Objects of a target by their types: dicts, sets, attributes of instances. All of it may change
 * while it is read; what does not fit is -EPROTO, and nothing is believed without its type. Silent.
 */
#ifndef PROBE_TARGET_OBJECT_H
#define PROBE_TARGET_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/target/state.h"

enum object_kind {
	OBJECT_OTHER,
	OBJECT_GENERATOR,      /* coroutine, generator or async generator */
	OBJECT_GENERATOR_USER, /* what awaits one of those: its coroutine is the first member */
	OBJECT_DICT,
	OBJECT_SET,
	OBJECT_WEAKREF,
	OBJECT_STR,
	OBJECT_INT,
	OBJECT_LOOP_HOLDER, /* _RunningLoopHolder (to 3.11) */
	OBJECT_TASK,        /* _asyncio.Task or a type made from it */
	OBJECT_PYTHON_TASK, /* asyncio's Python task, or one made from it */
	OBJECT_METHOD,      /* a function bound to an object */
	OBJECT_FUNCTION,
	OBJECT_CELL, /* a variable that an inner function uses */
	OBJECT_NONE,
	OBJECT_FLOAT,
	OBJECT_BOOL,
	OBJECT_LIST,
	OBJECT_LOCK,      /* asyncio.Lock itself, no class made from it */
	OBJECT_CONDITION, /* the same of asyncio.Condition */
};

#define OBJECT_NAME_BYTES 128u /* of a type's name; longer ones are cut */
#define OBJECT_HEAD_BYTES 16u  /* of every object without a size */

/* tp_name. */
int object_type_name(struct target *t, uint64_t object, char buf[OBJECT_NAME_BYTES]);
/* The same, or of its first base in C, whose name has its module; a Python class's has none. */
int object_native_name(struct target *t, uint64_t object, char buf[OBJECT_NAME_BYTES]);
int object_type(struct target *t, uint64_t object, uint64_t *ret);
enum object_kind object_kind(struct target *t, uint64_t object);
void object_kinds_forget(struct target *t);

/* Whether an str has this text. */
bool object_is_text(struct target *t, uint64_t str, const char *text);
/* -ENOENT: no such key. Keys that are no str are passed over. */
int object_dict_get(struct target *t, uint64_t dict, const char *key, uint64_t *ret);
/* Calls fn for each entry of a dict that does not share its keys, until it returns not 0. */
int object_dict_each(struct target *t, uint64_t dict,
	int (*fn)(struct target *t, void *ctx, uint64_t key, uint64_t value), void *ctx);
/* An attribute that stands in the instance itself or in its __dict__. -ENOENT: none. */
int object_attribute(struct target *t, uint64_t object, const char *name, uint64_t *ret);
/* Calls fn for each member until it returns not 0, and returns that. */
int object_set_each(
	struct target *t, uint64_t set, int (*fn)(void *ctx, uint64_t member), void *ctx);

#endif
