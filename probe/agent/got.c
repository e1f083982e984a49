/*
 * Puts the wrappers of call.c into the slots (GOT) of the loaded objects that import the wrapped
 * calls. Each slot is proven first: it holds the real function, or is its own unbound stub. Pages
 * keep the permissions they had. Under the GIL.
 */
#include "probe/agent/got.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "probe/agent/call.h"
#include "probe/agent/object_file.h"
#include "probe/agent/page.h"
#include "probe/agent/slot.h"
#include "probe/agent/symver.h"

#define OBJECTS_MAX 4096u /* loaded objects looked at; more are not seen, and that is said */
#define REPORTS_MAX 96u   /* kinds of outcome in one scan; more are not said */
#define NAMES_BYTES 400u  /* of the objects in one report; then "..." */

struct report {
	enum call_id call;
	const char *reason; /* NULL: placed */
	char objects[NAMES_BYTES];
	size_t len;
};

struct scan {
	struct object_file *files; /* all that are loaded now */
	size_t count;
	bool more;
	struct report reports[REPORTS_MAX];
	size_t reports_count;
	struct page_map *pages;
};

struct seen { /* an object whose slots have been looked at */
	uintptr_t base;
	const void *dynamic;
};

static struct seen seen[OBJECTS_MAX];
static size_t seen_count;
static unsigned long long adds_last, subs_last; /* ld.so's counts of objects that came and went */
static bool opened, said_more;
static bool uvloop_wrapped;
static const char *interpreter_symbol = "PyEval_SaveThread";

static const char *const call_names[CALLS_END] = {
#define CALL(name, id, class, doc) [id] = #name,
#include "probe/calls.def"
#undef CALL
};

bool got_selector_uvloop(void)
{
	return uvloop_wrapped;
}

/* ---- reports ----------------------------------------------------------------------------- */

static void report_add(struct scan *scan, enum call_id call, const char *reason, const char *object)
{
	struct report *r = scan->reports;
	size_t len = strlen(object);

	while (r < scan->reports + scan->reports_count && (r->call != call || r->reason != reason))
		r++;
	if (r == scan->reports + REPORTS_MAX)
		return;
	if (r == scan->reports + scan->reports_count) {
		scan->reports_count++;
		r->call = call;
		r->reason = reason;
		r->len = 0;
		r->objects[0] = '\0';
	}
	if (r->len + len + sizeof(",...") > sizeof(r->objects)) {
		if (r->len && r->objects[r->len - 1] != '.') {
			memcpy(r->objects + r->len, ",...", sizeof(",..."));
			r->len += 4;
		}
		return;
	}
	if (r->len)
		r->objects[r->len++] = ',';
	memcpy(r->objects + r->len, object, len + 1);
	r->len += len;
}

/* "epoll_wait@executable,libuv.so.1" */
static void reports_say(const struct scan *scan)
{
	char name[NAMES_BYTES + 64];

	for (size_t i = 0; i < scan->reports_count; i++) {
		const struct report *r = &scan->reports[i];
		size_t len = strlen(call_names[r->call]);

		memcpy(name, call_names[r->call], len);
		name[len] = '@';
		memcpy(name + len + 1, r->objects, r->len + 1);
		hook_report(name, r->reason);
	}
}

/* ---- which function is the real one ------------------------------------------------------ */

/* By first character, bits of call ids: most imports are none of ours. */
static uint64_t calls_by_letter(unsigned char letter)
{
	static uint64_t table[256];
	_Static_assert(CALLS_END <= 64, "call ids are bits here");

	if (!table['r'])
		for (unsigned int id = 1; id < CALLS_END; id++)
			if (call_names[id])
				table[(unsigned char)call_names[id][0]] |= 1ull << id;
	return table[letter];
}

static enum call_id call_named(const char *name)
{
	for (uint64_t left = calls_by_letter((unsigned char)name[0]); left; left &= left - 1) {
		unsigned int id = (unsigned int)__builtin_ctzll(left);

		if (!strcmp(name, call_names[id]))
			return (enum call_id)id;
	}
	return (enum call_id)0;
}

static const void *object_of(const void *address)
{
	Dl_info info;

	return dladdr(address, &info) ? info.dli_fbase : NULL;
}

/*
 * dlvsym() passes over the unversioned functions of interposers (LD_PRELOAD), which ld.so binds to:
 * dlsym() finds these.
 */
static void *lookup(void *handle, const char *name, const char *version)
{
	void *first = dlsym(handle, name);
	void *exact = version ? dlvsym(handle, name, version) : NULL;

	if (!exact || (first && object_of(first) != object_of(exact)))
		return first;
	return exact;
}

/*
 * As ld.so would bind it: the global scope, then the object's own. An executable that takes a
 * function's address names its own stub for it, which would come back to us: then the object that
 * really has it is asked.
 */
static void *real_find(const struct scan *scan, const struct object_file *file, const char *name,
	const char *version)
{
	const struct object_file *executable = &scan->files[0];
	void *real = lookup(RTLD_DEFAULT, name, version);

	if (!real)
		real = lookup(file->handle, name, version);
	for (size_t i = 1; real && object_file_holds(executable, real) && i < scan->count; i++) {
		void *handle = dlopen(scan->files[i].path, RTLD_LAZY | RTLD_NOLOAD);
		void *other = handle ? lookup(handle, name, version) : NULL;

		if (handle)
			dlclose(handle);
		if (other && !object_file_holds(executable, other))
			return other;
	}
	return real;
}

/* ---- one slot ---------------------------------------------------------------------------- */

static bool slot_write(struct scan *scan, void **slot, void *seen_value, void *value)
{
	uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
	void *page = (void *)((uintptr_t)slot & ~(page_bytes - 1));
	int protection = page_protection(scan->pages, slot);
	bool done;

	if (protection < 0)
		return false;
	if (!(protection & PROT_WRITE) && mprotect(page, page_bytes, protection | PROT_WRITE))
		return false;
	done = __atomic_compare_exchange_n(
		slot, &seen_value, value, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
	if (!(protection & PROT_WRITE))
		mprotect(page, page_bytes, protection);
	return done;
}

static enum call_variant variant_of(const struct object_file *file)
{
	const char *name = object_file_name(file);

	if (object_file_holds(file, dlsym(RTLD_DEFAULT, interpreter_symbol)))
		return CALL_INTERPRETER;
	return !strncmp(name, "libuv.so", 8) || strstr(file->path, "/uvloop/") ? CALL_UVLOOP
									       : CALL_PLAIN;
}

static bool is_wrapper(enum call_id call, const void *value)
{
	return value == call_wrapper(call, CALL_PLAIN) ||
	       value == call_wrapper(call, CALL_INTERPRETER) ||
	       value == call_wrapper(call, CALL_UVLOOP);
}

/* NULL: placed. Otherwise why not, with nothing changed. */
static const char *slot_patch(struct scan *scan, const struct object_file *file,
	const struct import *import, enum call_id call, void *wrapper)
{
	void *value = __atomic_load_n(import->slot, __ATOMIC_ACQUIRE);
	void *real = real_find(scan, file, import->name, object_file_version(file, import));

	if (!real)
		return "the real function was not found";
	if (object_file_holds(&scan->files[0], real) && file == &scan->files[0])
		return "the executable has it itself";
	if (call_real[call] && call_real[call] != real)
		return "it binds to another function than elsewhere";
	if (value != real && !object_file_unbound(file, import, value))
		return "the slot holds neither the real function nor its stub";
	__atomic_store_n(&call_real[call], real, __ATOMIC_RELEASE);
	/* ld.so may bind an unbound slot under us: then it holds the real function now */
	if (!slot_write(scan, import->slot, value, wrapper) &&
		!slot_write(scan, import->slot, real, wrapper))
		return "the slot is not writable";
	return NULL;
}

/* Out of the same library. */
static void sqlite_find(const struct object_file *file)
{
	if (call_sqlite.db_handle)
		return;
	call_sqlite.db_filename =
		(const char *(*)(void *, const char *))dlsym(file->handle, "sqlite3_db_filename");
	call_sqlite.db_handle = (void *(*)(void *))dlsym(file->handle, "sqlite3_db_handle");
}

static void file_patch(struct scan *scan, const struct object_file *file)
{
	enum call_variant variant = variant_of(file);
	struct import import;

	for (unsigned int table = 0; table < 2; table++) {
		for (size_t i = 0; i < file->counts[table]; i++) {
			const char *reason;
			enum call_id call;

			if (!object_file_import(file, table, i, &import))
				continue;
			call = call_named(import.name);
			if (!call || is_wrapper(call, *import.slot))
				continue;
			if (call == CALL_sqlite3_step)
				sqlite_find(file);
			reason = slot_patch(scan, file, &import, call, call_wrapper(call, variant));
			report_add(scan, call, reason, object_file_name(file));
			if (!reason && variant == CALL_UVLOOP &&
				(call == CALL_epoll_wait || call == CALL_epoll_pwait))
				uvloop_wrapped = true;
		}
	}
}

/* ---- all objects ------------------------------------------------------------------------- */

/*
 * Never touched: what the wrappers themselves stand on, what brought them here, ld.so, and the
 * sanitizers, which wrap the same calls.
 */
static bool file_spared(const struct object_file *file)
{
	static const char *const names[] = {"libc.so", "libc-", "libpthread", "ld-", "librt",
		"libdl", "preload-libasan.so", "libasan", "libtsan", "libubsan", "liblsan",
		"linux-vdso"};
	const char *name = object_file_name(file);

	if (object_file_holds(file, (const void *)&got_open) || file->base == getauxval(AT_BASE))
		return true;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

static bool seen_before(const struct object_file *file)
{
	for (size_t i = 0; i < seen_count; i++)
		if (seen[i].base == file->base && seen[i].dynamic == file->dynamic)
			return true;
	return false;
}

static void seen_add(const struct object_file *file)
{
	if (seen_count < OBJECTS_MAX)
		seen[seen_count++] = (struct seen){file->base, file->dynamic};
}

static int collect(struct dl_phdr_info *info, size_t size, void *data)
{
	struct scan *scan = data;

	if (scan->count == OBJECTS_MAX)
		scan->more = true;
	else if (object_file_init(&scan->files[scan->count], info))
		scan->count++;
	return 0;
}

static int count(struct dl_phdr_info *info, size_t size, void *data)
{
	unsigned long long *counts = data;

	counts[0] = info->dlpi_adds;
	counts[1] = info->dlpi_subs;
	return 1;
}

static void scan_run(struct scan *scan)
{
	/*
	 * only collected here: opening an object inside would take ld.so's locks in the wrong order
	 */
	dl_iterate_phdr(collect, scan);
	scan->pages = page_map_read();
	for (size_t i = 0; i < scan->count; i++) {
		struct object_file *file = &scan->files[i];

		if (seen_before(file) || file_spared(file))
			continue;
		if (object_file_open(file)) {
			file_patch(scan, file);
			seen_add(file);
		}
		object_file_close(file);
	}
	page_map_free(scan->pages);
	reports_say(scan);
	if (scan->more && !said_more)
		hook_report("calls in loaded objects", "more than 4096 are loaded");
	said_more = scan->more;
}

void got_rescan(void)
{
	unsigned long long counts[2] = {0, 0};
	struct scan *scan;

	if (!opened || agent.quiet)
		return;
	dl_iterate_phdr(count, counts);
	if (counts[0] == adds_last && counts[1] == subs_last)
		return;
	if (counts[1] != subs_last)
		seen_count = 0; /* another object may lie where one was */
	adds_last = counts[0];
	subs_last = counts[1];
	scan = pages_get(sizeof(*scan));
	if (scan)
		scan->files = pages_get(OBJECTS_MAX * sizeof(*scan->files));
	if (scan && scan->files)
		scan_run(scan);
	if (scan)
		pages_put(scan->files, OBJECTS_MAX * sizeof(*scan->files));
	pages_put(scan, sizeof(*scan));
}

/* vfork() returns twice, so it cannot be wrapped; the function around it can. */
static void fork_exec_place(void)
{
	static const char name[] = "_posixsubprocess.fork_exec";
	struct method_def *def = function_find("_posixsubprocess", "fork_exec");

	if (!def || (def->flags != METH_VARARGS && def->flags != CALL_FASTCALL)) {
		hook_report(name, def ? "it is called in another way" : "not found");
		return;
	}
	call_real[CALL_fork_exec] = def->function;
	method_place(def, call_wrapper(CALL_fork_exec, CALL_PLAIN), name);
}

int got_open(void)
{
	if (!opened)
		fork_exec_place();
	opened = true;
	got_rescan();
	return 0;
}
