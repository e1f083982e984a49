/*
 * Opens the files a process has mapped and turns functions and USDT sites into points. See
 * points.h. Called once per attach; the files are anybody's.
 */
#include "probe/target/points.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/target/elf_file.h"
#include "probe/target/layout.h"
#include "probe/target/machine.h"
#include "probe/target/mapped.h"
#include "probe/target/target.h"
#include "probe/target/task_functions.h"
#include "probe/target/usdt.h"

#define WRAPPER_TASK 16     /* TaskWakeupMethWrapper.ww_task (3.8, 3.9: Modules/_asynciomodule.c) */
#define ENTRY_BYTES_MAX 64u /* looked at for a place that is emulated */
#define END_BYTES_MAX 48u

static const char *const kind_names[POINT_KINDS] = {
	[POINT_STEP] = "step",
	[POINT_STEP_END] = "step end",
	[POINT_TASK_NEW] = "task creation",
	[POINT_WAKEUP] = "wakeup",
	[POINT_SET] = "future set",
	[POINT_PYTHON] = "Python task",
	[POINT_AUDIT] = "audit",
	[POINT_GC_START] = "gc start",
	[POINT_GC_DONE] = "gc done",
};

const char *point_kind_name(enum point_kind kind)
{
	return kind_names[kind];
}

const char *point_source_name(enum point_source source)
{
	static const char *const names[] = {
		[POINT_ANY] = "any",
		[POINT_SYMBOLS] = "symbols",
		[POINT_RECOVERED] = "relocations and unwind tables",
		[POINT_NOTES] = "USDT notes",
	};

	return names[source];
}

/* ---- adding points ----------------------------------------------------------------------- */

struct finder {
	struct points *points;
	struct elf_file *file[POINT_OBJECTS]; /* asyncio's may be the interpreter's own */
	uint64_t bias[POINT_OBJECTS];
	int minor;
	bool full;
};

/* Its code's bytes from an address to where the segment ends, at most max. */
static const unsigned char *code_at(
	const struct elf_file *file, uint64_t address, size_t max, size_t *ret_n)
{
	for (size_t n = max; n; n--) {
		const unsigned char *code = elf_file_bytes(file, address, n);

		*ret_n = n;
		if (code)
			return code;
	}
	return NULL;
}

/* NULL: there is no room, or the file has no such place. */
static struct point *point_add(
	struct finder *f, enum point_object_name object, enum point_kind kind, uint64_t address)
{
	struct points *points = f->points;
	const unsigned char *code;
	struct point *point;
	uint64_t offset;
	size_t n;

	code = code_at(f->file[object], address, ENTRY_BYTES_MAX, &n);
	if (!code || elf_file_offset(f->file[object], address, &offset))
		return NULL;
	if (points->count == POINTS_MAX) {
		f->full = true;
		return NULL;
	}
	point = &points->point[points->count++];
	*point = (struct point){
		.kind = kind,
		.object = object,
		.offset = offset,
		.address = address + f->bias[object],
		.cost = machine_is_emulated(code, n) ? POINT_EMULATED : POINT_STEPPED,
	};
	return point;
}

static struct point_argument in_register(unsigned int argument)
{
	return (struct point_argument){.kind = ARGUMENT_REGISTER,
		.reg = machine_register_offset(machine_argument(argument)),
		.size = 8};
}

static struct point_argument in_memory(unsigned int argument, int64_t displacement)
{
	struct point_argument a = in_register(argument);

	a.kind = ARGUMENT_MEMORY;
	a.value = displacement;
	return a;
}

/*
 * A function's first instruction that is emulated, as long as the arguments in this mask of
 * registers are untouched there and nothing before it branches; else its very first. None of the
 * functions in question begins with a loop (Modules/_asynciomodule.c, 3.8 to 3.14), so it is met
 * once a call.
 */
static uint64_t entry_place(const struct elf_file *file, uint64_t address, uint32_t arguments)
{
	size_t n, at = 0;
	const unsigned char *code = code_at(file, address, ENTRY_BYTES_MAX, &n);
	uint32_t written;

	while (code && at < n && !machine_is_emulated(code + at, n - at)) {
		size_t size = machine_plain(code + at, n - at, &written);

		if (!size || written & arguments)
			return address;
		at += size;
	}
	return code && at < n ? address + at : address;
}

/* The arguments of such a function that a point hands on: how many, from which one on. */
struct arguments {
	unsigned int first, count;
};

static struct point *entry_add(struct finder *f, enum point_kind kind, enum point_source source,
	const struct task_function *found, struct arguments arguments)
{
	struct point *point;
	uint32_t mask = 0;

	f->points->why[kind] = found->why;
	if (!found->address)
		return NULL;
	for (unsigned int i = 0; i < arguments.count; i++)
		mask |= 1u << machine_argument(arguments.first + i);
	point = point_add(
		f, POINT_ASYNCIO, kind, entry_place(f->file[POINT_ASYNCIO], found->address, mask));
	if (!point) {
		f->points->why[kind] = "its code is not in the file";
		return NULL;
	}
	point->source = source;
	for (unsigned int i = 0; i < arguments.count; i++)
		point->argument[i] = in_register(arguments.first + i);
	return point;
}

/* ---- ends of steps ----------------------------------------------------------------------- */

/*
 * From where the step function returns, the first instruction that is emulated; what lies between
 * goes straight on. ret_written: registers changed on the way. The return address itself where
 * there is none.
 */
static uint64_t end_place(const struct elf_file *file, uint64_t address, uint32_t *ret_written)
{
	size_t n, at = 0;
	const unsigned char *code = code_at(file, address, END_BYTES_MAX, &n);
	uint32_t written;

	*ret_written = 0;
	while (code && at < n && !machine_is_emulated(code + at, n - at)) {
		size_t size = machine_plain(code + at, n - at, &written);

		if (!size)
			break;
		*ret_written |= written;
		at += size;
	}
	if (code && at < n && machine_is_emulated(code + at, n - at))
		return address + at;
	*ret_written = 0;
	return address;
}

static void end_add(struct finder *f, enum point_source source, const struct elf_segment *segment,
	uint64_t call, size_t size)
{
	enum machine_register task = machine_argument(f->minor < 12 ? 0 : 1), from;
	const unsigned char *end = segment->bytes + (call - segment->begin);
	struct elf_range range;
	uint32_t written;
	uint64_t place = end_place(f->file[POINT_ASYNCIO], call + size, &written);
	struct point *point = point_add(f, POINT_ASYNCIO, POINT_STEP_END, place);

	if (!point)
		return;
	point->source = source;
	if (!elf_file_function(f->file[POINT_ASYNCIO], call, &range) ||
		range.begin < segment->begin ||
		machine_moved_from(
			segment->bytes + (range.begin - segment->begin), end, task, &from))
		return;
	if (machine_is_preserved(from) && !(written & 1u << from))
		point->argument[0] = (struct point_argument){
			.kind = ARGUMENT_REGISTER, .reg = machine_register_offset(from), .size = 8};
}

static void ends_add(struct finder *f, enum point_source source, uint64_t step)
{
	const struct elf_segment *segment;
	size_t segments = elf_file_segments(f->file[POINT_ASYNCIO], &segment);
	bool jumps = false, jump;
	uint32_t before = f->points->count;
	uint64_t to;

	for (size_t i = 0; i < segments; i++) {
		if (!segment[i].executable || !segment[i].bytes)
			continue;
		for (uint64_t at = segment[i].begin; at < segment[i].end; at++) {
			size_t size = machine_call(segment[i].bytes + (at - segment[i].begin),
				segment[i].end - at, at, &to, &jump);

			if (!size || to != step)
				continue;
			jumps |= jump; /* it returns to whoever called that function */
			if (!jump)
				end_add(f, source, &segment[i], at, size);
		}
	}
	f->points->why[POINT_STEP_END] =
		f->points->count == before ? "no call of the step function was found" : NULL;
	f->points->ends_whole = f->points->count > before && !jumps && !f->full;
}

/* ---- tasks ------------------------------------------------------------------------------- */

/* Both ways to set a future, or neither. */
static void setters_add(
	struct finder *f, enum point_source source, const struct task_functions *found)
{
	for (unsigned int i = 0; i < 2; i++) {
		f->points->why[POINT_SET] = found->set[i].why;
		if (!found->set[i].address)
			return;
	}
	for (unsigned int i = 0; i < 2; i++)
		if (!entry_add(f, POINT_SET, source, &found->set[i], (struct arguments){0, 1}))
			return;
}

static void task_points_add(
	struct finder *f, enum point_source source, const struct task_functions *found)
{
	struct layout layout;
	struct point *point;
	/* 3.12: the module's state comes before the task */
	struct arguments of_step = {f->minor < 12 ? 0 : 1, 2};

	if (entry_add(f, POINT_STEP, source, &found->step, of_step))
		ends_add(f, source, found->step.address);
	else
		f->points->why[POINT_STEP_END] = f->points->why[POINT_STEP];
	entry_add(f, POINT_TASK_NEW, source, &found->task_new, (struct arguments){0, 3});
	point = entry_add(f, POINT_WAKEUP, source, &found->wakeup, (struct arguments){0, 2});
	if (point && f->minor < 10 && !layout_shipped(f->minor, &layout)) {
		/* tp_call(wrapper, args, kwds) */
		point->argument[0] = in_memory(0, WRAPPER_TASK);
		point->argument[1] = in_memory(1, layout.tuple_item);
	}
	setters_add(f, source, found);
	entry_add(f, POINT_PYTHON, source, &found->python, (struct arguments){0, 0});
}

static void refuse_tasks(struct points *points, const char *why)
{
	for (unsigned int kind = POINT_STEP; kind <= POINT_PYTHON; kind++)
		points->why[kind] = why;
}

/* Symbols of the file, else of its debug file: in our system's tree, or in the target's. */
static bool functions_by_symbols(const struct finder *f, uint32_t pid, struct task_functions *ret)
{
	const struct elf_file *file = f->file[POINT_ASYNCIO];
	char root[PATH_MAX];
	struct elf_file *debug;

	if (elf_file_has_symbols(file)) {
		task_functions_by_symbols(file, f->minor, ret);
		return true;
	}
	snprintf(root, sizeof(root), "/proc/%" PRIu32 "/root", pid);
	if (elf_file_open_debug(file, "", &debug) && elf_file_open_debug(file, root, &debug))
		return false;
	task_functions_by_symbols(debug, f->minor, ret);
	elf_file_free(debug);
	return true;
}

static void tasks_find(struct finder *f, uint32_t pid, enum point_source source)
{
	struct task_functions found;

	if (source != POINT_RECOVERED && functions_by_symbols(f, pid, &found) &&
		(found.step.address || source == POINT_SYMBOLS)) {
		task_points_add(f, POINT_SYMBOLS, &found);
		return;
	}
	if (source == POINT_SYMBOLS) {
		refuse_tasks(f->points, "neither its file nor a debug file has symbols");
		return;
	}
	task_functions_recover(f->file[POINT_ASYNCIO], f->minor, &found);
	task_points_add(f, POINT_RECOVERED, &found);
}

/* ---- the interpreter's own --------------------------------------------------------------- */

static void site_take(void *ctx, const struct usdt_site *site)
{
	static const struct {
		const char *name;
		enum point_kind kind;
	} names[] = {
		{"audit", POINT_AUDIT}, {"gc__start", POINT_GC_START}, {"gc__done", POINT_GC_DONE}};
	struct finder *f = ctx;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		struct point *point;
		uint64_t semaphore = 0;

		if (strcmp(site->name, names[i].name))
			continue;
		if (site->semaphore &&
			elf_file_offset(f->file[POINT_INTERPRETER], site->semaphore, &semaphore))
			continue;
		point = point_add(f, POINT_INTERPRETER, names[i].kind, site->address);
		if (!point)
			continue;
		point->source = POINT_NOTES;
		point->semaphore = semaphore;
		memcpy(point->argument, site->argument, sizeof(point->argument));
		f->points->why[names[i].kind] = NULL;
	}
}

static void interpreter_find(struct finder *f)
{
	static const char none[] = "this build of Python has no USDT probes";

	f->points->why[POINT_AUDIT] = f->points->why[POINT_GC_START] =
		f->points->why[POINT_GC_DONE] = none;
	usdt_each(f->file[POINT_INTERPRETER], "python", site_take, f);
}

/* ---- all of it --------------------------------------------------------------------------- */

static uint64_t bias_of(const struct elf_file *file, uint64_t base)
{
	return elf_file_fixed(file) ? 0 : base - elf_file_base(file);
}

static int object_set(struct finder *f, enum point_object_name object, struct elf_file *file,
	char *path, const struct mapped *mapped)
{
	f->file[object] = file;
	f->bias[object] = bias_of(file, mapped->begin);
	f->points->object[object].path = path;
	f->points->object[object].base = mapped->begin;
	f->points->object[object].name = strdup(mapped->path);
	return f->points->object[object].name ? 0 : -ENOMEM;
}

/* The first candidate that defines _PyRuntime. */
static int interpreter_open(struct finder *f, uint32_t pid, const struct mapped_files *m)
{
	int rc = -ENOENT;

	for (size_t i = 0; i < m->candidates; i++) {
		struct elf_file *file;
		uint64_t address, size;
		char *path;
		int opened = mapped_open(pid, &m->candidate[i], &file, &path);

		if (opened) {
			rc = opened;
			continue;
		}
		if (!elf_file_symbol(file, "_PyRuntime", &address, &size))
			return object_set(f, POINT_INTERPRETER, file, path, &m->candidate[i]);
		elf_file_free(file);
		free(path);
	}
	return rc;
}

/* Its own object, or the interpreter's where it is built in. -ENOENT: it is not loaded. */
static int asyncio_open(struct finder *f, uint32_t pid, const struct mapped_files *m)
{
	struct elf_file *file;
	uint64_t address, size;
	char *path;
	int rc;

	if (m->asyncio.path) {
		rc = mapped_open(pid, &m->asyncio, &file, &path);
		return rc ? rc : object_set(f, POINT_ASYNCIO, file, path, &m->asyncio);
	}
	file = f->file[POINT_INTERPRETER];
	if (elf_file_symbol(file, "PyInit__asyncio", &address, &size))
		return -ENOENT;
	path = strdup(f->points->object[POINT_INTERPRETER].path);
	if (!path)
		return -ENOMEM;
	return object_set(f, POINT_ASYNCIO, file, path,
		&(struct mapped){.begin = f->points->object[POINT_INTERPRETER].base,
			.path = f->points->object[POINT_INTERPRETER].name});
}

static int compare_points(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

static const char *why_of(int rc)
{
	return rc == -ESTALE   ? "its file has been replaced since it was started"
	       : rc == -EPROTO ? "its file is no ELF object of this machine"
	       : rc == -EPERM  ? "its file may not be read"
	       : rc == -ENOENT ? "asyncio's C code is not loaded"
			       : "its file cannot be read";
}

static int find(struct finder *f, uint32_t pid, const struct mapped_files *m,
	enum point_source source, const char **ret_why)
{
	int rc = interpreter_open(f, pid, m);

	if (rc) {
		*ret_why = rc == -ENOENT ? TARGET_NO_PYTHON : why_of(rc);
		return rc == -ENOENT ? -EPROTO : rc;
	}
	interpreter_find(f);
	rc = asyncio_open(f, pid, m);
	if (rc) {
		*ret_why = why_of(rc);
		refuse_tasks(f->points, *ret_why);
		return rc;
	}
	tasks_find(f, pid, source);
	return 0;
}

int points_find(
	uint32_t pid, int minor, enum point_source source, struct points *ret, const char **ret_why)
{
	cleanup(mapped_clear) struct mapped_files mapped = {0};
	cleanup(points_clear) struct points points = {0};
	struct finder f = {.points = &points, .minor = minor};
	int rc = mapped_find(pid, &mapped);

	*ret_why = "its maps cannot be read";
	if (rc)
		return rc;
	rc = find(&f, pid, &mapped, source, ret_why);
	if (f.file[POINT_ASYNCIO] != f.file[POINT_INTERPRETER])
		elf_file_free(f.file[POINT_ASYNCIO]);
	elf_file_free(f.file[POINT_INTERPRETER]);
	if (rc && rc != -ENOENT)
		return rc;
	qsort(points.point, points.count, sizeof(*points.point), compare_points);
	*ret = points;
	points = (struct points){0};
	return rc;
}

void points_clear(struct points *points)
{
	for (unsigned int i = 0; i < POINT_OBJECTS; i++) {
		free(points->object[i].path);
		free(points->object[i].name);
	}
	*points = (struct points){0};
}
