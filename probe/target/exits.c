/* See exits.h. ceval.c keeps the method below what the block needs, from 3.8 on; 3.14 unbound. */
#include "probe/target/exits.h"

#include <errno.h>
#include <stdlib.h>

#include "probe/base/cleanup.h"
#include "probe/target/object.h"

#define VALUES_MAX 64u /* of a frame's stack; deeper ones are not looked at */
#define VALUE_BYTES 8u
#define OBJECT_SIZE_OFF 16u /* ob_size */
#define LOCALS_MAX 4096u
#define CODE_BYTES_MAX (1u << 16)
#define TABLE_BYTES_MAX (1u << 16)
#define LEVELS_MAX 32u /* of handlers around a place */

/* ---- a frame's values -------------------------------------------------------------------- */

static int locals_count(struct target *t, const struct target_frame *frame, uint64_t *ret)
{
	uint64_t names;
	int rc = memory_read_pointer(&t->memory, frame->code + t->layout.code_local_names, &names);

	if (!rc)
		rc = memory_read(&t->memory, names + OBJECT_SIZE_OFF, ret, sizeof(*ret));
	return !rc && *ret > LOCALS_MAX ? -EPROTO : rc;
}

static int top_read(
	struct target *t, const struct target_frame *frame, uint64_t base, uint64_t *ret)
{
	int32_t depth;
	int rc;

	if (t->layout.frame_stack_top != OFF_ABSENT)
		return memory_read_pointer(
			&t->memory, frame->frame + t->layout.frame_stack_top, ret);
	rc = memory_read(
		&t->memory, frame->frame + t->layout.frame_stack_depth, &depth, sizeof(depth));
	if (!rc)
		*ret = base + VALUE_BYTES * (depth > 0 ? (uint64_t)depth : 0);
	return rc;
}

int frame_values(struct target *t, const struct target_frame *frame, uint64_t *ret_locals,
	uint64_t *ret_stack, uint64_t *ret_top)
{
	uint64_t locals = frame->frame + t->layout.frame_locals, stack, top = 0, count;
	int rc;

	if (t->layout.frame_stack != OFF_ABSENT) {
		rc = memory_read_pointer(&t->memory, frame->frame + t->layout.frame_stack, &stack);
		if (!rc)
			rc = top_read(t, frame, stack, &top);
	} else {
		rc = locals_count(t, frame, &count);
		stack = locals + VALUE_BYTES * count;
		if (!rc)
			rc = top_read(t, frame, locals, &top);
	}
	if (rc)
		return rc;
	if (stack < locals || top < stack || (top - locals) / VALUE_BYTES > LOCALS_MAX + VALUES_MAX)
		return -EPROTO;
	*ret_locals = locals;
	*ret_stack = stack;
	*ret_top = top;
	return 0;
}

/* ---- where its block begins -------------------------------------------------------------- */

struct handler { /* of an entry of co_exceptiontable, Objects/exception_handling_notes.txt@3.11 */
	uint32_t start, end, target, depth;
	bool lasti;
};

static bool number_take(const unsigned char **at, const unsigned char *end, uint32_t *ret)
{
	uint32_t value = 0;
	unsigned char b;

	do {
		if (*at == end || value >> 24)
			return false;
		b = *(*at)++;
		value = value << 6 | (b & 0x3f);
	} while (b & 0x40);
	*ret = value;
	return true;
}

/* The entry for an instruction. */
static bool handler_find(
	const unsigned char *table, size_t size, uint32_t position, struct handler *ret)
{
	const unsigned char *at = table, *end = table + size;
	uint32_t start, length, target, depth;

	while (number_take(&at, end, &start) && number_take(&at, end, &length) &&
		number_take(&at, end, &target) && number_take(&at, end, &depth)) {
		*ret = (struct handler){start * LAYOUT_CODE_UNIT,
			(start + length) * LAYOUT_CODE_UNIT, target * LAYOUT_CODE_UNIT, depth >> 1,
			depth & 1};
		if (ret->start <= position && position < ret->end)
			return true;
	}
	return false;
}

/* A bytes object, malloc'd. */
static int bytes_read(
	struct target *t, uint64_t object, size_t max, unsigned char **ret, size_t *ret_size)
{
	cleanup(freep) unsigned char *bytes = NULL;
	uint64_t type, size = 0;
	int rc = object_type(t, object, &type);

	if (!rc && type != t->symbol[SYMBOL_BYTES])
		rc = -EPROTO;
	if (!rc)
		rc = memory_read(&t->memory, object + t->layout.bytes_size, &size, sizeof(size));
	if (!rc && (!size || size > max))
		rc = -EPROTO;
	if (rc)
		return rc;
	bytes = malloc(size);
	rc = bytes ? memory_read(&t->memory, object + t->layout.bytes_data, bytes, size) : -ENOMEM;
	if (rc)
		return rc;
	*ret = TAKE(bytes);
	*ret_size = size;
	return 0;
}

/* 3.11+: of the handlers around a place, one inside the other, the one with that many values. */
static uint32_t position_by_table(
	struct target *t, const struct target_frame *frame, uint32_t values)
{
	cleanup(freep) unsigned char *table = NULL;
	struct handler h = {.target = frame->position};
	uint64_t object;
	size_t size;

	if (memory_read_pointer(&t->memory, frame->code + t->layout.code_exceptions, &object) ||
		bytes_read(t, object, TABLE_BYTES_MAX, &table, &size))
		return 0;
	for (unsigned int i = 0; i < LEVELS_MAX; i++) {
		if (!handler_find(table, size, h.target, &h) || h.depth < values)
			return 0;
		if (h.depth == values && h.lasti)
			return h.target;
	}
	return 0;
}

/* Include/opcode.h@3.8 to 3.10 */
#define SETUP_WITH 143
#define EXTENDED_ARG 144
#define SETUP_ASYNC_WITH 154
#define JUMPS_IN_UNITS_MINOR 10

struct block { /* PyTryBlock */
	int32_t type, handler, level;
};
#define BLOCKS_MAX 20 /* CO_MAXBLOCKS */

/* The instruction that made the block with this handler. */
static uint32_t setup_find(
	const struct target *t, const unsigned char *code, size_t size, uint32_t handler)
{
	uint32_t unit = t->layout.minor < JUMPS_IN_UNITS_MINOR ? 1 : LAYOUT_CODE_UNIT, arg = 0;

	for (uint32_t i = 0; i + 1 < size; i += LAYOUT_CODE_UNIT) {
		arg = arg << 8 | code[i + 1];
		if (code[i] == EXTENDED_ARG)
			continue;
		if ((code[i] == SETUP_WITH || code[i] == SETUP_ASYNC_WITH) &&
			i + LAYOUT_CODE_UNIT + arg * unit == handler * unit)
			return i;
		arg = 0;
	}
	return 0;
}

/* To 3.10: the outermost block with that many values. */
static uint32_t position_by_block(
	struct target *t, const struct target_frame *frame, uint32_t values)
{
	cleanup(freep) unsigned char *code = NULL;
	struct block block[BLOCKS_MAX];
	uint64_t object;
	int32_t n, i = 0;
	size_t size;

	if (memory_read(&t->memory, frame->frame + t->layout.frame_blocks, &n, sizeof(n)) ||
		n <= 0 || n > BLOCKS_MAX ||
		memory_read(&t->memory, frame->frame + t->layout.frame_block, block,
			(size_t)n * sizeof(*block)))
		return 0;
	while (i < n && block[i].level != (int32_t)values)
		i++;
	if (i == n ||
		memory_read_pointer(&t->memory, frame->code + t->layout.code_bytes, &object) ||
		bytes_read(t, object, CODE_BYTES_MAX, &code, &size))
		return 0;
	return setup_find(t, code, size, (uint32_t)block[i].handler);
}

/* ---- the methods ------------------------------------------------------------------------- */

static bool function_is_exit(struct target *t, uint64_t function, bool *ret_async)
{
	uint64_t code, name;

	if (object_kind(t, function) != OBJECT_FUNCTION ||
		memory_read_pointer(&t->memory, function + t->layout.function_code, &code) ||
		memory_read_pointer(&t->memory, code + t->layout.code_name, &name))
		return false;
	*ret_async = object_is_text(t, name, "__aexit__");
	return *ret_async || object_is_text(t, name, "__exit__");
}

/* At the i-th value; *ret_values: how many lie on the stack while its block runs. */
static bool exit_at(struct target *t, const uint64_t *value, uint32_t count, uint32_t i,
	struct target_exit *ret, uint32_t *ret_values)
{
	uint64_t function;

	switch (object_kind(t, value[i])) {
	case OBJECT_METHOD:
		*ret_values = i + 1;
		return !memory_read_pointer(
			       &t->memory, value[i] + t->layout.method_self, &ret->manager) &&
		       !memory_read_pointer(
			       &t->memory, value[i] + t->layout.method_function, &function) &&
		       function_is_exit(t, function, &ret->is_async);
	case OBJECT_FUNCTION: /* 3.14: its object follows */
		if (i + 1 == count || t->layout.minor < 14)
			return false;
		ret->manager = value[i + 1];
		*ret_values = i + 2;
		return ret->manager && function_is_exit(t, value[i], &ret->is_async);
	default:
		return false;
	}
}

int exits_read(struct target *t, const struct target_frame *frame,
	struct target_exit ret[EXITS_MAX], uint32_t *ret_count)
{
	uint64_t value[VALUES_MAX], locals, stack, top;
	uint32_t count, found = 0, values;
	int rc = frame_values(t, frame, &locals, &stack, &top);

	if (rc)
		return rc;
	count = (uint32_t)((top - stack) / VALUE_BYTES);
	if (count > VALUES_MAX)
		return -EPROTO;
	rc = count ? memory_read(&t->memory, stack, value, count * VALUE_BYTES) : 0;
	if (rc)
		return rc;
	for (uint32_t i = 0; i < count; i++)
		value[i] &= ~(uint64_t)LAYOUT_CODE_MASK;
	for (uint32_t i = 0; i < count && found < EXITS_MAX; i++) {
		if (!value[i] || !exit_at(t, value, count, i, &ret[found], &values))
			continue;
		ret[found++].position = t->layout.code_exceptions != OFF_ABSENT
						? position_by_table(t, frame, values)
						: position_by_block(t, frame, values);
	}
	*ret_count = found;
	return 0;
}
