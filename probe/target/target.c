/*
 * Which interpreter a process has, and whether our layout fits it: types, the list of threads and a
 * code object are looked at before anything is believed. See target.h.
 */
#include "probe/target/target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/target/image.h"
#include "probe/target/process.h"
#include "probe/target/state.h"
#include "probe/target/task_state.h"

#define KEEPER_TRIES 8u

static const char *const symbol_names[SYMBOLS] = {
	[SYMBOL_RUNTIME] = "_PyRuntime",
	[SYMBOL_CODE] = "PyCode_Type",
	[SYMBOL_STR] = "PyUnicode_Type",
	[SYMBOL_BYTES] = "PyBytes_Type",
};

static int refuse(const char **ret_why, int rc, const char *why)
{
	if (rc == -ESRCH)
		why = "the process has ended";
	else if (rc == -EPERM || rc == -EACCES)
		why = "reading its memory is not permitted (ptrace_scope, another user, a sandbox)";
	else if (rc == -ENOSYS)
		why = "this kernel or sandbox has no process_vm_readv";
	*ret_why = why;
	return rc;
}

/* ---- proofs ------------------------------------------------------------------------------ */

/* The type at this address has this name. */
static int prove_type(const struct target *t, enum target_symbol symbol, const char *name)
{
	char found[16];
	uint64_t at;
	size_t n = strlen(name) + 1;
	int rc = memory_read_pointer(&t->memory, t->symbol[symbol] + t->layout.type_name, &at);

	if (!rc)
		rc = memory_read(&t->memory, at, found, n);
	if (rc)
		return rc;
	return memcmp(found, name, n) ? -EPROTO : 0;
}

/* The first interpreter has a thread, and that thread says which interpreter it belongs to. */
static int prove_threads(const struct target *t)
{
	const struct layout *lay = &t->layout;
	uint64_t interp, thread, back;
	int rc = memory_read_pointer(
		&t->memory, t->symbol[SYMBOL_RUNTIME] + lay->runtime_interpreters_head, &interp);

	if (!rc)
		rc = memory_read_pointer(&t->memory, interp + lay->interp_threads_head, &thread);
	if (!rc)
		rc = memory_read_pointer(&t->memory, thread + lay->thread_interp, &back);
	if (rc)
		return rc;
	return interp && back == interp ? 0 : -EPROTO;
}

static int layout_choose(
	struct target *t, int minor, enum layout_source source, const char **ret_why)
{
	int rc = target_layout_choose(t, minor, source);

	return !rc ? 0
	       : rc == -ERANGE
		       ? refuse(ret_why, -ENOTSUP,
				 minor <= 0 ? "the version of its Python cannot be told"
				 : minor < LAYOUT_MINOR_MIN ? "its Python is older than 3.8"
							    : "its Python is newer than 3.14")
	       : rc == -ENOTSUP ? refuse(ret_why, rc, "it is a free-threaded build")
	       : rc == -ENODATA && source == LAYOUT_DWARF
		       ? refuse(ret_why, rc, "its files have no debug information")
	       : rc == -ENODATA ? refuse(ret_why, rc, "it publishes no debug offsets (3.13+)")
				: refuse(ret_why, rc, "its debug offsets do not fit its version");
}

static int prove(struct target *t, const char **ret_why)
{
	int rc = prove_type(t, SYMBOL_CODE, "code");

	if (!rc)
		rc = prove_type(t, SYMBOL_STR, "str");
	if (!rc)
		rc = prove_type(t, SYMBOL_BYTES, "bytes");
	if (rc)
		return refuse(ret_why, rc, "types are not where the layout says");
	rc = prove_threads(t);
	return rc ? refuse(ret_why, rc, "thread states are not where the layout says") : 0;
}

static int open_by(const struct memory *memory, int minor, const uint64_t symbols[SYMBOLS],
	enum layout_source source, struct target **ret, const char **ret_why)
{
	cleanup(freep) struct target *t = calloc(1, sizeof(*t));
	int rc;

	if (!t)
		return refuse(ret_why, -ENOMEM, "no memory");
	t->memory = *memory;
	memcpy(t->symbol, symbols, sizeof(t->symbol));
	rc = layout_choose(t, minor, source, ret_why);
	if (!rc)
		rc = prove(t, ret_why);
	if (rc)
		return rc;
	*ret = TAKE(t);
	return 0;
}

int target_open_at(const struct memory *memory, int minor, const uint64_t symbols[SYMBOLS],
	struct target **ret, const char **ret_why)
{
	return open_by(memory, minor, symbols, LAYOUT_ANY, ret, ret_why);
}

/* ---- finding it -------------------------------------------------------------------------- */

/* As ld.so binds names: the first object in order that defines it. */
static int symbol_find(const struct memory *memory, const struct image *images, size_t count,
	const char *name, uint64_t *ret, uint64_t *ret_size)
{
	int rc = -ENOENT;

	for (size_t i = 0; i < count && rc; i++)
		rc = image_symbol(memory, &images[i], name, ret, ret_size);
	return rc;
}

/* Py_Version is there since 3.11; the caller's word and file names serve before. */
static int version_find(const struct memory *memory, const struct image *images, size_t count,
	uint32_t hexversion, int named)
{
	uint64_t at, size, published;
	int told = (int)(hexversion >> 16 & 0xff);

	if (symbol_find(memory, images, count, "Py_Version", &at, &size) ||
		memory_read(memory, at, &published, sizeof(published)))
		return hexversion ? told : named;
	return (int)(published >> 16 & 0xff);
}

int target_open_by(uint32_t pid, uint32_t hexversion, enum layout_source source,
	struct target **ret, const char **ret_why)
{
	struct image images[PROCESS_OBJECTS_MAX];
	struct memory memory = memory_of_process(pid);
	struct process_objects objects;
	uint64_t symbols[SYMBOLS], sizes[SYMBOLS];
	const char *unused;
	size_t count = 0;
	int minor;
	int rc = process_objects(pid, &objects);

	if (rc)
		return refuse(ret_why, rc, "its maps cannot be read");
	for (size_t i = 0; i < objects.count; i++) {
		rc = image_open(&memory, objects.base[i], &images[count]);
		if (rc == -ESRCH || rc == -EPERM || rc == -ENOSYS)
			return refuse(ret_why, rc, "");
		count += !rc;
	}
	for (unsigned int i = 0; i < SYMBOLS; i++) {
		rc = symbol_find(&memory, images, count, symbol_names[i], &symbols[i], &sizes[i]);
		if (rc)
			return refuse(ret_why, rc, TARGET_NO_PYTHON);
	}
	minor = version_find(&memory, images, count, hexversion, objects.minor);
	rc = open_by(&memory, minor, symbols, source, ret, ret_why);
	if (rc == -EPROTO && source == LAYOUT_ANY && /* a build with changed structures */
		!open_by(&memory, minor, symbols, LAYOUT_DWARF, ret, &unused))
		rc = 0;
	if (rc)
		return rc;
	(*ret)->runtime_size = sizes[SYMBOL_RUNTIME];
	if (source == LAYOUT_ANY || source == LAYOUT_PUBLISHED)
		target_layout_asyncio(pid, &(*ret)->layout);
	return 0;
}

int target_open(uint32_t pid, uint32_t hexversion, struct target **ret, const char **ret_why)
{
	return target_open_by(pid, hexversion, LAYOUT_ANY, ret, ret_why);
}

/* ---- telling it -------------------------------------------------------------------------- */

static void gil_find(const struct target *t, struct target_constants *ret)
{
	const struct layout *lay = &t->layout;
	uint64_t interp, gil = 0;

	if (lay->runtime_gil != OFF_ABSENT)
		gil = t->symbol[SYMBOL_RUNTIME] + lay->runtime_gil;
	else if (!memory_read_pointer(&t->memory,
			 t->symbol[SYMBOL_RUNTIME] + lay->runtime_interpreters_main, &interp))
		memory_read_pointer(&t->memory, interp + lay->interp_gil, &gil);
	/* the main interpreter and its GIL are part of _PyRuntime in every version */
	if (gil < ret->runtime || gil - ret->runtime + lay->gil_end > ret->runtime_size) {
		ret->gil_begin = ret->runtime;
		ret->gil_end = ret->runtime + ret->runtime_size;
		return;
	}
	ret->gil_begin = gil;
	ret->gil_end = gil + lay->gil_end;
	ret->gil_last_holder = gil + lay->gil_last_holder;
}

int target_gil_holder(struct target *t, uint64_t *ret_thread, uint32_t *ret_tid)
{
	struct target_constants found = {
		.runtime = t->symbol[SYMBOL_RUNTIME], .runtime_size = t->runtime_size};
	uint64_t thread, thread_id = 0;
	int32_t locked;
	int rc;

	gil_find(t, &found);
	if (!found.gil_last_holder)
		return -ENOTSUP;
	rc = memory_read(
		&t->memory, found.gil_begin + t->layout.gil_locked, &locked, sizeof(locked));
	if (!rc && locked != 1)
		return -ENOENT;
	if (!rc)
		rc = memory_read_pointer(&t->memory, found.gil_last_holder, &thread);
	if (!rc)
		rc = memory_read_pointer(
			&t->memory, thread + t->layout.thread_thread_id, &thread_id);
	if (rc)
		return rc;
	*ret_thread = thread;
	*ret_tid = target_thread_tid(t, thread, thread_id);
	return 0;
}

struct keeper {
	uint64_t thread;
	bool listed;
};

static int keeper_is(struct target *t, void *ctx, uint64_t thread)
{
	struct keeper *keeper = ctx;

	keeper->listed = thread == keeper->thread;
	return keeper->listed;
}

static int keeper_in(struct target *t, void *ctx, uint64_t interp)
{
	return target_interpreter_threads_each(t, interp, keeper_is, ctx);
}

/*
 * While a thread has it that is a thread there is. What is left there when nobody has it may be one
 * that has ended: whoever reads it while somebody does looks again.
 */
static bool prove_keeper(struct target *t, const struct target_constants *found)
{
	for (unsigned int i = 0; i < KEEPER_TRIES; i++) {
		struct keeper keeper = {0};
		int32_t locked;

		if (memory_read(&t->memory, found->gil_begin + t->layout.gil_locked, &locked,
			    sizeof(locked)) ||
			memory_read_pointer(&t->memory, found->gil_last_holder, &keeper.thread) ||
			(locked != 0 && locked != 1))
			return false;
		if (!locked)
			return true;
		target_interpreters_each(t, keeper_in, &keeper);
		if (keeper.listed)
			return true; /* else it has changed hands meanwhile */
	}
	return false;
}

void target_constants(struct target *t, struct target_constants *ret)
{
	*ret = (struct target_constants){
		.runtime = t->symbol[SYMBOL_RUNTIME],
		.runtime_size = t->runtime_size,
		.code_type = t->symbol[SYMBOL_CODE],
		.str_type = t->symbol[SYMBOL_STR],
		.bytes_type = t->symbol[SYMBOL_BYTES],
		.layout = t->layout,
	};
	gil_find(t, ret);
	if (ret->gil_last_holder && !prove_keeper(t, ret))
		ret->gil_last_holder = 0;
}

void target_free(struct target *t)
{
	free(t);
}

int target_minor(const struct target *t)
{
	return t->layout.minor;
}
