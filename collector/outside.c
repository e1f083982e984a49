/* Codes and stacks of a process read from outside. See outside.h. */
#include "collector/outside.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "probe/base/cleanup.h"

#define CODES_MAX 8192u /* remembered; then all are forgotten and announced anew */
#define STACKS_MAX 65536u
/* A code's texts and table, a stack's frames: what a record holds with room to spare. */
#define TAIL_MAX_BYTES (EV_SIZE_MAX / 2)

struct known_code { /* by its address, which another code may have later */
	uint32_t id;
	bool cell;
	bool given; /* see outside_given() */
	struct target_code_key key;
	uint64_t content;
	uint64_t era; /* in which its content was last compared */
};

static void free_code(void *code, void *ctx)
{
	free(code);
}

static void codes_forget(struct outside *o)
{
	map_each(&o->codes, free_code, NULL);
	map_free(&o->codes);
	o->codes = (struct map){0};
}

void outside_clear(struct outside *o)
{
	codes_forget(o);
	map_free(&o->stacks);
	o->stacks = (struct map){0};
	map_free(&o->native_codes);
	o->native_codes = (struct map){0};
}

/* A file that a kernel made up: codes of cells come and go. */
static bool is_cell(const char *file)
{
	return file[0] == '<' || strstr(file, "ipykernel_") != NULL;
}

/* FNV-1a, 64 bits. */
static uint64_t hash_add(uint64_t h, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3ull;
	return h;
}
#define HASH_BEGIN 0xcbf29ce484222325ull

static uint64_t content_of(const struct target_code *code)
{
	uint64_t h = hash_add(HASH_BEGIN, code->file, strlen(code->file) + 1);

	h = hash_add(h, code->function, strlen(code->function) + 1);
	h = hash_add(h, &code->firstlineno, sizeof(code->firstlineno));
	return hash_add(h, code->table, code->table_size);
}

static uint32_t line_format(const struct outside *o)
{
	int minor = target_minor(o->target);

	if (minor < 10)
		return LINE_LNOTAB;
	return minor == 10 ? LINE_TABLE310 : LINE_TABLE311;
}

/* 0: no room. */
static uint32_t code_announce(struct outside *o, const struct target_code *code, uint32_t format,
	uint32_t tid, uint64_t now_ns)
{
	size_t file = strlen(code->file), function = strlen(code->function);
	size_t table = code->table_size;
	struct ev_code *ev;
	char *at;

	if (file + function + table > TAIL_MAX_BYTES)
		table = 0; /* no line is better than none of the record */
	ev = RECORD_NEW(o->queue, code, file + function + table, tid, now_ns);
	if (!ev)
		return 0;
	ev->id = o->id_base | ++o->code_ids;
	ev->firstlineno = code->firstlineno;
	ev->line_format = format;
	ev->file_len = (uint32_t)file;
	ev->function_len = (uint32_t)function;
	ev->linetable_len = (uint32_t)table;
	at = record_tail_put(ev + 1, code->file, file);
	at = record_tail_put(at, code->function, function);
	record_tail_put(at, code->table, table);
	return ev->id;
}

/* The script of Python 3.8 and earlier has the name that was given. */
static void make_absolute(const struct outside *o, struct target_code *code)
{
	char *path;

	if (!o->folder || code->file[0] == '/' || code->file[0] == '<' || !code->file[0])
		return;
	if (asprintf(&path, "%s/%s", o->folder, code->file) < 0)
		return;
	if (access(path, F_OK)) { /* it has changed its folder since */
		free(path);
		return;
	}
	free(code->file);
	code->file = path;
}

static int code_take(struct outside *o, struct known_code *known, uint64_t address, uint32_t tid,
	uint64_t now_ns, uint64_t era)
{
	cleanup(target_code_clear) struct target_code code = {0};
	int rc = target_code_read(o->target, address, &code);
	uint64_t content;

	if (rc)
		return rc;
	make_absolute(o, &code);
	content = content_of(&code);
	known->era = era;
	known->cell = is_cell(code.file);
	if (known->id && known->content == content)
		return 0;
	known->content = content;
	known->id = code_announce(o, &code, line_format(o), tid, now_ns);
	return known->id ? 0 : -ENOBUFS;
}

int outside_given(struct outside *o, uint64_t address, const struct target_code *code, uint32_t tid,
	uint64_t now_ns)
{
	struct known_code *known = map_get(&o->codes, address);
	uint64_t content;

	if (!is_cell(code->file)) {
		if (known)
			known->given = false;
		return 0;
	}
	if (!known) {
		known = calloc(1, sizeof(*known));
		if (!known || map_put(&o->codes, address, known)) {
			free(known);
			return 1;
		}
	}
	content = content_of(code);
	if (!known->id || known->content != content)
		known->id = code_announce(o, code, line_format(o), tid, now_ns);
	known->content = content;
	known->cell = true;
	known->given = known->id != 0;
	return 1;
}

int outside_code(struct outside *o, uint64_t address, uint32_t tid, uint64_t now_ns, uint64_t era,
	uint32_t *ret_id)
{
	struct known_code *known = map_get(&o->codes, address);
	struct target_code_key key;
	int rc;

	if (known && known->given) {
		*ret_id = known->id;
		return 0;
	}
	rc = target_code_key(o->target, address, &key);
	if (rc)
		return rc;
	if (!known) {
		if (o->codes.count >= CODES_MAX)
			codes_forget(o);
		known = calloc(1, sizeof(*known));
		if (!known || map_put(&o->codes, address, known)) {
			free(known);
			return -ENOMEM;
		}
	}
	if (!known->id || known->cell || known->era != era ||
		memcmp(&known->key, &key, sizeof(key)) != 0) {
		rc = code_take(o, known, address, tid, now_ns, era);
		known->key = key;
	}
	if (rc)
		known->id = 0; /* announced anew, should it come again */
	else
		*ret_id = known->id;
	return rc;
}

void outside_native(
	struct outside *o, const char *object, const char *function, uint32_t tid, uint64_t now_ns)
{
	struct target_code code = {.file = (char *)object, .function = (char *)function};
	uint64_t key = content_of(&code);
	uint32_t id = (uint32_t)(uintptr_t)map_get(&o->native_codes, key);

	if (o->natives == NATIVE_FRAMES_MAX)
		return;
	if (!id) {
		id = code_announce(o, &code, LINE_NATIVE, tid, now_ns);
		if (!id || map_put(&o->native_codes, key, (void *)(uintptr_t)id))
			return;
	}
	o->native[o->natives++] = id;
}

static int stack_announce(struct outside *o, const void *pairs, size_t size, uint32_t cut,
	uint32_t tid, uint64_t now_ns, uint32_t *ret_id)
{
	uint64_t hash = hash_add(HASH_BEGIN, pairs, size);
	void *known = map_get(&o->stacks, hash);
	struct ev_stack *ev;

	if (known) {
		*ret_id = (uint32_t)(uintptr_t)known;
		return 0;
	}
	if (o->stacks.count >= STACKS_MAX) {
		map_free(&o->stacks);
		o->stacks = (struct map){0};
	}
	ev = RECORD_NEW(o->queue, stack, size, tid, now_ns);
	if (!ev)
		return -ENOBUFS;
	ev->id = o->id_base | ++o->stack_ids;
	ev->cut = cut;
	ev->frames_len = (uint32_t)size;
	record_tail_put(ev + 1, pairs, size);
	*ret_id = ev->id;
	return map_put(&o->stacks, hash, (void *)(uintptr_t)*ret_id);
}

int outside_stack(struct outside *o, const struct target_frame *frame, uint32_t count, uint32_t cut,
	uint32_t tid, uint64_t now_ns, uint64_t era, uint32_t *ret_id)
{
	uint32_t pairs[NATIVE_FRAMES_MAX + TARGET_FRAMES_MAX][2], n = 0;

	for (; n < o->natives; n++) {
		pairs[n][0] = o->native[n];
		pairs[n][1] = 0;
	}
	for (uint32_t i = 0; i < count && i < TARGET_FRAMES_MAX; i++) {
		int rc = outside_code(o, frame[i].code, tid, now_ns, era, &pairs[n][0]);

		if (rc && (!o->lenient || (rc != -EFAULT && rc != -EPROTO)))
			return rc;
		if (rc) {
			o->gone++;
			continue;
		}
		pairs[n++][1] = frame[i].position;
	}
	return stack_announce(o, pairs, n * sizeof(pairs[0]), cut, tid, now_ns, ret_id);
}
