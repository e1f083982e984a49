/*
 * Code objects, stacks and names get an id once and are announced with it. No references are held:
 * a code object is known by its address and what it points to, so a new one at an old address gets
 * a new id. Codes and stacks are callable in GOT wrappers without the GIL.
 */
#include "probe/agent/intern.h"

#include "probe/agent/agent.h"

#define CODES 16384u /* powers of two; a table is emptied when three quarters are in use */
#define STACKS 65536u
#define NAMES 4096u
#define LOCK_SPINS 256u              /* some µs; then the id is 0 */
#define FILE_BYTES 1024u             /* of co_filename */
#define FUNCTION_BYTES 512u          /* of co_qualname */
#define LINETABLE_BYTES (128u << 10) /* more is cut: generated code of over ~20,000 lines */
/*
 * As early as the ring lets it be: what is announced must not push the record that uses it to a
 * later time.
 */
#define ANNOUNCE_NS 1

struct code_slot {
	const void *code; /* NULL: free */
	struct code_parts parts;
	uint32_t id;
	bool body_told;
};

struct hash_slot {     /* stacks and names are told apart by 64 bits alone */
	uint64_t hash; /* 0: free */
	uint32_t id;
};

static struct code_slot codes[CODES];
static struct hash_slot stacks[STACKS];
static struct hash_slot names[NAMES];
static uint32_t codes_used, stacks_used, names_used;
static uint32_t code_last, stack_last, name_last; /* ids given so far */
static uint32_t busy;
static struct { /* nearly always the one that is asked for next: "_asyncio.Future" */
	char text[32];
	uint32_t id; /* 0: none */
} name_recent;

static bool table_lock(void)
{
	for (unsigned int i = 0; i < LOCK_SPINS; i++) {
		if (!__atomic_load_n(&busy, __ATOMIC_RELAXED) &&
			!__atomic_exchange_n(&busy, 1, __ATOMIC_ACQUIRE))
			return true;
#if defined(__x86_64__)
		__builtin_ia32_pause();
#endif
	}
	return false;
}

static void table_unlock(void)
{
	__atomic_store_n(&busy, 0, __ATOMIC_RELEASE);
}

static uint64_t mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * 0x9e3779b97f4a7c15ull; /* 2^64 / golden ratio */
	return h ^ h >> 29;
}

static bool full(uint32_t used, uint32_t size)
{
	return used >= size / 4 * 3;
}

/* ---- code objects ------------------------------------------------------------------------ */

static enum line_format line_format(void)
{
	if (agent.minor < 10)
		return LINE_LNOTAB;
	return agent.minor == 10 ? LINE_TABLE310 : LINE_TABLE311;
}

static bool code_announce(uint32_t id, const struct code_parts *parts)
{
	char file[FILE_BYTES], function[FUNCTION_BYTES];
	size_t file_len = str_read(parts->filename, file, sizeof(file));
	size_t function_len = str_read(parts->name, function, sizeof(function));
	size_t table_len = 0;
	const void *table = bytes_read(parts->linetable, &table_len);
	struct ev_code *ev;
	char *tail;

	if (table_len > LINETABLE_BYTES)
		table_len = LINETABLE_BYTES;
	ev = ring_new(code, file_len + function_len + table_len, ANNOUNCE_NS);
	if (!ev)
		return false;
	ev->id = id;
	ev->firstlineno = (uint32_t)parts->firstlineno;
	ev->line_format = line_format();
	ev->flags = (uint32_t)parts->flags;
	ev->file_len = (uint32_t)file_len;
	ev->function_len = (uint32_t)function_len;
	ev->linetable_len = (uint32_t)table_len;
	tail = (char *)(ev + 1);
	memcpy(tail, file, file_len);
	memcpy(tail + file_len, function, function_len);
	if (table_len)
		memcpy(tail + file_len + function_len, table, table_len);
	ring_end(ev);
	return true;
}

static bool parts_equal(const struct code_parts *a, const struct code_parts *b)
{
	return a->filename == b->filename && a->name == b->name && a->linetable == b->linetable &&
	       a->firstlineno == b->firstlineno;
}

/* Locked. 0: could not be announced. *ret_told: its body was asked for. */
static uint32_t code_intern(const void *code, bool *ret_told)
{
	struct code_parts parts;
	struct code_slot *slot;
	uint32_t at = (uint32_t)(mix(0, (uintptr_t)code) >> 32) & (CODES - 1);

	*ret_told = false;
	code_read(code, &parts);
	for (slot = &codes[at]; slot->code && slot->code != code; slot = &codes[at])
		at = (at + 1) & (CODES - 1);
	if (slot->code && parts_equal(&slot->parts, &parts)) {
		*ret_told = slot->body_told;
		return slot->id;
	}
	if (!slot->code && full(codes_used, CODES)) {
		memset(codes, 0, sizeof(codes));
		codes_used = 0;
		slot = &codes[at];
	}
	if (!code_announce(code_last + 1, &parts))
		return 0;
	codes_used += !slot->code;
	slot->code = code;
	slot->parts = parts;
	slot->id = ++code_last;
	slot->body_told = false;
	return slot->id;
}

uint32_t code_id(PyObject *code)
{
	uint32_t id;
	bool told;

	if (!code_is(code) || !table_lock())
		return 0;
	id = code_intern(code, &told);
	table_unlock();
	return id;
}

bool code_body_due(const void *code)
{
	uint32_t at = (uint32_t)(mix(0, (uintptr_t)code) >> 32) & (CODES - 1);
	bool due = false;

	if (!table_lock())
		return false;
	while (codes[at].code && codes[at].code != code)
		at = (at + 1) & (CODES - 1);
	if (codes[at].code && !codes[at].body_told)
		due = codes[at].body_told = true;
	table_unlock();
	return due;
}

/* ---- hashed things ----------------------------------------------------------------------- */

/* The slot of that hash, or the free one where it belongs. Empties a full table. */
static struct hash_slot *hash_find(
	struct hash_slot *table, uint32_t size, uint32_t *used, uint64_t hash)
{
	uint32_t at = (uint32_t)(hash >> 32) & (size - 1);

	while (table[at].hash && table[at].hash != hash)
		at = (at + 1) & (size - 1);
	if (!table[at].hash && full(*used, size)) {
		memset(table, 0, size * sizeof(*table));
		*used = 0;
	}
	return &table[at];
}

static uint32_t hash_take(struct hash_slot *slot, uint32_t *used, uint64_t hash, uint32_t *last)
{
	slot->hash = hash;
	slot->id = ++*last;
	++*used;
	return slot->id;
}

static bool stack_announce(uint32_t id, const uint32_t *pairs, size_t n, uint32_t cut)
{
	size_t bytes = n * 2 * sizeof(*pairs);
	struct ev_stack *ev = ring_new(stack, bytes, ANNOUNCE_NS);

	if (!ev)
		return false;
	ev->id = id;
	ev->cut = cut;
	ev->frames_len = (uint32_t)bytes;
	memcpy(ev + 1, pairs, bytes);
	ring_end(ev);
	return true;
}

static uint32_t stack_intern_locked(
	const struct frame_ref *frames, size_t n, uint32_t cut, bool *ret_told)
{
	uint32_t pairs[FRAMES_MAX * 2];
	uint64_t hash = mix(1, cut);
	struct hash_slot *slot;
	bool told;

	*ret_told = true;
	for (size_t i = 0; i < n; i++) {
		uint32_t id = code_intern(frames[i].code, &told);

		if (!id)
			return 0;
		*ret_told &= told;
		pairs[2 * i] = id;
		pairs[2 * i + 1] = frames[i].position;
		hash = mix(hash, (uint64_t)id << 32 | frames[i].position);
	}
	hash |= 1; /* 0 is free */
	slot = hash_find(stacks, STACKS, &stacks_used, hash);
	if (slot->hash)
		return slot->id;
	if (!stack_announce(stack_last + 1, pairs, n, cut))
		return 0;
	return hash_take(slot, &stacks_used, hash, &stack_last);
}

uint32_t stack_intern(const struct frame_ref *frames, size_t n, uint32_t cut, bool *ret_told)
{
	uint32_t id;

	*ret_told = false;
	if (!n || n > FRAMES_MAX || !table_lock())
		return 0;
	id = stack_intern_locked(frames, n, cut, ret_told);
	table_unlock();
	return id;
}

uint32_t stack_here(void)
{
	struct frame_ref frames[FRAMES_MAX];
	uint32_t cut = 0;
	size_t n = frames_here(frames, FRAMES_MAX, &cut);
	bool told;

	return stack_intern(frames, n, cut, &told);
}

static uint32_t name_intern(const char *text, size_t len, uint64_t hash)
{
	struct hash_slot *slot = hash_find(names, NAMES, &names_used, hash);
	struct ev_name *ev;

	if (slot->hash)
		return slot->id;
	ev = ring_new(name, len, ANNOUNCE_NS);
	if (!ev)
		return 0;
	ev->id = name_last + 1;
	ev->text_len = (uint32_t)len;
	memcpy(ev + 1, text, len);
	ring_end(ev);
	return hash_take(slot, &names_used, hash, &name_last);
}

static uint64_t name_hash(const char *text, size_t len)
{
	uint64_t hash = mix(2, len);

	for (size_t i = 0; i < len; i += 8) {
		uint64_t word = 0;

		memcpy(&word, text + i, len - i < 8 ? len - i : 8);
		hash = mix(hash, word);
	}
	return hash | 1;
}

uint32_t name_id(const char *text)
{
	size_t len;
	uint32_t id;

	if (name_recent.id && strcmp(text, name_recent.text) == 0)
		return name_recent.id;
	len = strnlen(text, FILE_BYTES);
	id = name_intern(text, len, name_hash(text, len));
	if (id && len < sizeof(name_recent.text)) {
		memcpy(name_recent.text, text, len + 1);
		name_recent.id = id;
	}
	return id;
}

void intern_forked(void)
{
	memset(codes, 0, sizeof(codes));
	memset(stacks, 0, sizeof(stacks));
	memset(names, 0, sizeof(names));
	codes_used = stacks_used = names_used = 0;
	code_last = stack_last = name_last = 0;
	name_recent.id = 0;
	table_unlock(); /* its holder is a thread of the parent */
}
