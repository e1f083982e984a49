/*
 * Objects/dictobject.c, setobject.c and typeobject.c from outside, 3.8 to 3.14. See object.h. Every
 * count that is read bounds an allocation, so it is bounded first.
 */
#include "probe/target/object.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/target/unicode.h"

#define BASES_MAX 16u /* of a type, looked at */
#define DICT_ENTRIES_MAX (1u << 20)
#define SET_SLOTS_MAX (1u << 23)
#define KEY_BYTES_MAX 64u
#define TYPE_INLINE_VALUES (1ull << 2) /* Py_TPFLAGS_INLINE_VALUES (3.13+) */
#define TYPE_MANAGED_DICT (1ull << 4)  /* Py_TPFLAGS_MANAGED_DICT (3.11+) */
#define MANAGED_DICT 24u               /* before the object: its dict, or tagged values */
#define MANAGED_VALUES 32u             /* before the object in 3.11: its values */
#define VALUES_VALID 3u /* of inline values: a byte that tells whether they count (3.13+) */

static int pointer(struct target *t, uint64_t address, uint64_t *ret)
{
	return memory_read_pointer(&t->memory, address, ret);
}

/* ---- types ------------------------------------------------------------------------------- */

int object_type(struct target *t, uint64_t object, uint64_t *ret)
{
	int rc = pointer(t, object + t->layout.object_type, ret);

	return !rc && !*ret ? -EPROTO : rc;
}

/* A text that may end right before a page that is not there. */
static int text_at(struct target *t, uint64_t at, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size - 1) {
		size_t part = 32 - at % 32; /* never over a page's end */
		int rc;

		part = part < size - 1 - n ? part : size - 1 - n;
		rc = memory_read(&t->memory, at, buf + n, part);
		if (rc)
			return rc;
		if (memchr(buf + n, '\0', part))
			return 0;
		n += part;
		at += part;
	}
	buf[n] = '\0';
	return 0;
}

static int type_name(struct target *t, uint64_t type, char buf[OBJECT_NAME_BYTES])
{
	uint64_t at;
	int rc = memory_read(&t->memory, type + t->layout.type_name, &at, sizeof(at));

	return rc ? rc : text_at(t, at, buf, OBJECT_NAME_BYTES);
}

int object_type_name(struct target *t, uint64_t object, char buf[OBJECT_NAME_BYTES])
{
	uint64_t type;
	int rc = object_type(t, object, &type);

	return rc ? rc : type_name(t, type, buf);
}

int object_native_name(struct target *t, uint64_t object, char buf[OBJECT_NAME_BYTES])
{
	char name[OBJECT_NAME_BYTES];
	uint64_t type;
	int rc = object_type(t, object, &type);

	if (!rc)
		rc = type_name(t, type, buf);
	for (unsigned int i = 0; !rc && i < BASES_MAX && type; i++) {
		rc = type_name(t, type, name);
		if (!rc && strchr(name, '.')) {
			memcpy(buf, name, sizeof(name));
			return 0;
		}
		if (!rc)
			rc = pointer(t, type + t->layout.type_base, &type);
	}
	return rc;
}

static enum object_kind kind_of_name(const char *name)
{
	static const struct {
		const char *name;
		enum object_kind kind;
	} names[] = {
		{"coroutine", OBJECT_GENERATOR},
		{"generator", OBJECT_GENERATOR},
		{"async_generator", OBJECT_GENERATOR},
		{"coroutine_wrapper", OBJECT_GENERATOR_USER},
		{"async_generator_asend", OBJECT_GENERATOR_USER},
		{"async_generator_athrow", OBJECT_GENERATOR_USER},
		{"dict", OBJECT_DICT},
		{"set", OBJECT_SET},
		{"weakref", OBJECT_WEAKREF},
		{"weakref.ReferenceType", OBJECT_WEAKREF},
		{"str", OBJECT_STR},
		{"int", OBJECT_INT},
		{"_RunningLoopHolder", OBJECT_LOOP_HOLDER},
		{"_asyncio.Task", OBJECT_TASK},
		{"Task", OBJECT_PYTHON_TASK}, /* a base of it only, see below */
		{"method", OBJECT_METHOD},
		{"function", OBJECT_FUNCTION},
		{"cell", OBJECT_CELL},
		{"NoneType", OBJECT_NONE},
		{"float", OBJECT_FLOAT},
		{"bool", OBJECT_BOOL},
		{"list", OBJECT_LIST},
		{"Lock", OBJECT_LOCK},
		{"Condition", OBJECT_CONDITION},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(name, names[i].name))
			return names[i].kind;
	return OBJECT_OTHER;
}

/* Other libraries have locks, too. */
static bool is_of_module(struct target *t, uint64_t type, const char *module)
{
	uint64_t dict, name;

	return !pointer(t, type + t->layout.type_dict, &dict) && dict &&
	       !object_dict_get(t, dict, "__module__", &name) && object_is_text(t, name, module);
}

/* A type is what its name says, or for tasks the name of one of its bases. */
static enum object_kind kind_of_type(struct target *t, uint64_t type)
{
	char name[OBJECT_NAME_BYTES];
	enum object_kind kind = OBJECT_OTHER;

	for (unsigned int i = 0; i < BASES_MAX && type; i++) {
		if (type_name(t, type, name))
			return OBJECT_OTHER;
		kind = kind_of_name(name);
		if ((kind == OBJECT_LOCK || kind == OBJECT_CONDITION) &&
			(i || !is_of_module(t, type, "asyncio.locks")))
			return OBJECT_OTHER;
		if (kind == OBJECT_TASK || kind == OBJECT_PYTHON_TASK || (!i && kind))
			return kind;
		if (pointer(t, type + t->layout.type_base, &type))
			return OBJECT_OTHER;
	}
	return OBJECT_OTHER;
}

enum object_kind object_kind(struct target *t, uint64_t object)
{
	unsigned int kept = t->types_met < TARGET_TYPES_KEPT ? t->types_met : TARGET_TYPES_KEPT;
	struct target_type *new = &t->types[t->types_met % TARGET_TYPES_KEPT];
	uint64_t type;

	if (object_type(t, object, &type))
		return OBJECT_OTHER;
	for (unsigned int i = 0; i < kept; i++)
		if (t->types[i].type == type)
			return (enum object_kind)t->types[i].kind;
	*new = (struct target_type){type, (int)kind_of_type(t, type)};
	t->types_met++;
	return (enum object_kind) new->kind;
}

void object_kinds_forget(struct target *t)
{
	t->types_met = 0;
}

/* ---- dicts ------------------------------------------------------------------------------- */

bool object_is_text(struct target *t, uint64_t str, const char *text)
{
	const struct layout *lay = &t->layout;
	char found[KEY_BYTES_MAX];
	uint64_t type, length;
	uint32_t state;
	size_t n = strlen(text);

	return n <= sizeof(found) && !object_type(t, str, &type) && type == t->symbol[SYMBOL_STR] &&
	       !memory_read(&t->memory, str + lay->str_length, &length, sizeof(length)) &&
	       length == n &&
	       !memory_read(&t->memory, str + lay->str_state, &state, sizeof(state)) &&
	       unicode_width(state) == 1 && (state & UNICODE_ASCII) &&
	       !memory_read(&t->memory, str + lay->str_ascii_data, found, n) &&
	       !memcmp(found, text, n);
}

struct entries { /* of a PyDictKeysObject */
	uint64_t at;
	uint64_t count;
	size_t size; /* of one: hash, key, value; or key, value */
};

static int entries_old(struct target *t, uint64_t keys, uint64_t *ret_index_bytes)
{
	uint64_t slots;
	int rc = memory_read(&t->memory, keys + t->layout.keys_size, &slots, sizeof(slots));

	if (rc)
		return rc;
	if (slots > UINT32_MAX)
		return -EPROTO;
	*ret_index_bytes = slots * (slots <= 0xff ? 1 : slots <= 0xffff ? 2 : 4);
	return 0;
}

static int entries_find(struct target *t, uint64_t keys, struct entries *ret)
{
	const struct layout *lay = &t->layout;
	struct entries e = {.size = 24};
	uint64_t index_bytes;
	uint8_t log2, kind;
	int rc = memory_read(&t->memory, keys + lay->keys_count, &e.count, sizeof(e.count));

	if (!rc && lay->keys_index_log2 == OFF_ABSENT) {
		rc = entries_old(t, keys, &index_bytes);
	} else if (!rc) {
		rc = memory_read(&t->memory, keys + lay->keys_index_log2, &log2, 1);
		if (!rc)
			rc = memory_read(&t->memory, keys + lay->keys_kind, &kind, 1);
		if (!rc && log2 > 32)
			return -EPROTO;
		index_bytes = rc ? 0 : 1ull << log2;
		e.size = !rc && kind ? 16 : 24;
	}
	if (rc)
		return rc;
	if (e.count > DICT_ENTRIES_MAX)
		return -EPROTO;
	e.at = keys + lay->keys_index + index_bytes;
	*ret = e;
	return 0;
}

/* All of them, the caller frees it; -ENOENT: there are none. */
static int entries_read(struct target *t, uint64_t keys, struct entries *ret, unsigned char **bytes)
{
	int rc = entries_find(t, keys, ret);

	if (rc || !ret->count)
		return rc ? rc : -ENOENT;
	*bytes = malloc(ret->count * ret->size);
	if (!*bytes)
		return -ENOMEM;
	return memory_read(&t->memory, ret->at, *bytes, ret->count * ret->size);
}

/* The key and value that end the i-th. */
static void entry_of(const struct entries *e, const unsigned char *bytes, size_t i,
	uint64_t *ret_key, uint64_t *ret_value)
{
	memcpy(ret_key, bytes + (i + 1) * e->size - 16, sizeof(*ret_key));
	memcpy(ret_value, bytes + (i + 1) * e->size - 8, sizeof(*ret_value));
}

/* The key among these; its value stands with it, or as often-th of `values` if not 0. */
static int keys_get(
	struct target *t, uint64_t keys, uint64_t values, const char *key, uint64_t *ret)
{
	cleanup(freep) unsigned char *bytes = NULL;
	struct entries e;
	uint64_t found, value;
	int rc = entries_read(t, keys, &e, &bytes);

	for (size_t i = 0; !rc && i < e.count; i++) {
		entry_of(&e, bytes, i, &found, &value);
		if (!found || !object_is_text(t, found, key))
			continue;
		if (values)
			rc = pointer(t, values + 8 * i, &value);
		if (!rc && !value)
			return -ENOENT;
		if (!rc)
			*ret = value;
		return rc;
	}
	return rc ? rc : -ENOENT;
}

int object_dict_get(struct target *t, uint64_t dict, const char *key, uint64_t *ret)
{
	const struct layout *lay = &t->layout;
	uint64_t keys, values;
	int rc = pointer(t, dict + lay->dict_keys, &keys);

	if (!rc)
		rc = pointer(t, dict + lay->dict_values, &values);
	if (rc)
		return rc;
	return keys_get(t, keys, values ? values + lay->values_first : 0, key, ret);
}

int object_dict_each(struct target *t, uint64_t dict,
	int (*fn)(struct target *t, void *ctx, uint64_t key, uint64_t value), void *ctx)
{
	cleanup(freep) unsigned char *bytes = NULL;
	uint64_t keys, shared, key, value;
	struct entries e;
	int rc = object_kind(t, dict) == OBJECT_DICT ? 0 : -EPROTO;

	if (!rc)
		rc = pointer(t, dict + t->layout.dict_values, &shared);
	if (!rc)
		rc = pointer(t, dict + t->layout.dict_keys, &keys);
	if (!rc && shared)
		rc = -EPROTO;
	if (!rc)
		rc = entries_read(t, keys, &e, &bytes);
	for (size_t i = 0; !rc && i < e.count; i++) {
		entry_of(&e, bytes, i, &key, &value);
		rc = key && value ? fn(t, ctx, key, value) : 0;
	}
	return rc == -ENOENT ? 0 : rc;
}

/* ---- attributes -------------------------------------------------------------------------- */

/* Values without a dict: their names are the type's. */
static int values_get(
	struct target *t, uint64_t type, uint64_t values, const char *name, uint64_t *ret)
{
	uint64_t keys;
	int rc = pointer(t, type + t->layout.type_cached_keys, &keys);

	if (rc || !keys)
		return rc ? rc : -ENOENT;
	return keys_get(t, keys, values + t->layout.values_first, name, ret);
}

/* 3.13+: values behind the object, unless a dict has taken them over. */
static int inline_get(struct target *t, uint64_t object, uint64_t type, uint64_t flags,
	const char *name, uint64_t *ret)
{
	uint64_t size;
	uint8_t valid = 0;
	int rc;

	if (!(flags & TYPE_INLINE_VALUES))
		return -ENOENT;
	rc = memory_read(&t->memory, type + t->layout.type_basicsize, &size, sizeof(size));
	if (!rc && size > UINT32_MAX)
		rc = -EPROTO;
	if (!rc)
		rc = memory_read(&t->memory, object + size + VALUES_VALID, &valid, 1);
	if (rc || !valid)
		return rc ? rc : -ENOENT;
	return values_get(t, type, object + size, name, ret);
}

static int managed_get(struct target *t, uint64_t object, uint64_t type, uint64_t flags,
	const char *name, uint64_t *ret)
{
	uint64_t values = 0, dict;
	int rc;

	if (t->layout.minor == 11) {
		rc = pointer(t, object - MANAGED_VALUES, &values);
		if (rc || values)
			return rc ? rc : values_get(t, type, values, name, ret);
	}
	rc = pointer(t, object - MANAGED_DICT, &dict);
	if (rc)
		return rc;
	if (t->layout.minor == 12 && dict & 1)
		return values_get(t, type, dict + 1, name, ret);
	return dict ? object_dict_get(t, dict, name, ret)
		    : inline_get(t, object, type, flags, name, ret);
}

int object_attribute(struct target *t, uint64_t object, const char *name, uint64_t *ret)
{
	uint64_t type, flags, dict;
	int64_t place;
	int rc = object_type(t, object, &type);

	if (!rc)
		rc = memory_read(&t->memory, type + t->layout.type_flags, &flags, sizeof(flags));
	if (rc)
		return rc;
	if (t->layout.minor >= 11 && flags & TYPE_MANAGED_DICT)
		return managed_get(t, object, type, flags, name, ret);
	rc = memory_read(&t->memory, type + t->layout.type_dictoffset, &place, sizeof(place));
	if (rc || place <= 0 || place > INT32_MAX)
		return rc ? rc : -ENOENT;
	rc = pointer(t, object + (uint64_t)place, &dict);
	if (rc || !dict)
		return rc ? rc : -ENOENT;
	return object_dict_get(t, dict, name, ret);
}

/* ---- sets -------------------------------------------------------------------------------- */

struct slot { /* setentry */
	uint64_t key;
	int64_t hash; /* -1 with a key: a deleted member's place */
};

int object_set_each(
	struct target *t, uint64_t set, int (*fn)(void *ctx, uint64_t member), void *ctx)
{
	const struct layout *lay = &t->layout;
	cleanup(freep) struct slot *slots = NULL;
	uint64_t mask, table;
	int rc = memory_read(&t->memory, set + lay->set_mask, &mask, sizeof(mask));

	if (object_kind(t, set) != OBJECT_SET)
		return -EPROTO;
	if (!rc)
		rc = pointer(t, set + lay->set_table, &table);
	if (rc)
		return rc;
	if (mask >= SET_SLOTS_MAX || mask & (mask + 1))
		return -EPROTO;
	slots = calloc(mask + 1, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	rc = memory_read(&t->memory, table, slots, (mask + 1) * sizeof(*slots));
	for (size_t i = 0; !rc && i <= mask; i++)
		if (slots[i].key && slots[i].hash != -1)
			rc = fn(ctx, slots[i].key);
	return rc;
}
