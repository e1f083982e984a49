/*
 * What the target library finds in a live process, as JSON lines for tests:
 *   peek points PID MINOR any|symbols|recovered
 *   peek [--layout=shipped|published|dwarf] target|tasks|threads PID
 *   peek cells PID
 *   peek list 0
 *   peek dwarf MINOR LIBPYTHON ASYNCIO
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/attachable.h"
#include "collector/iopub.h"
#include "collector/linetable.h"
#include "probe/event.h"
#include "probe/target/dwarf.h"
#include "probe/target/points.h"
#include "probe/target/target.h"
#include "probe/target/bonds.h"
#include "probe/target/task.h"
#include "probe/target/thread_name.h"

#define STATUS_REFUSED 3
#define THREADS_SHOWN 64u

static enum layout_source source = LAYOUT_ANY; /* --layout */

static int print(json_t *object)
{
	int rc = json_dumpf(object, stdout, JSON_ENSURE_ASCII);

	json_decref(object);
	return rc || putchar('\n') == EOF;
}

static int refused(int rc, const char *why)
{
	fprintf(stderr, "%s: %s\n", strerror(-rc), why);
	return STATUS_REFUSED;
}

static json_t *argument_json(const struct point_argument *a)
{
	return json_pack("[i, i, i, i, I]", (int)a->kind, (int)a->reg, (int)a->size,
		(int)a->is_signed, (json_int_t)a->value);
}

static int peek_points(uint32_t pid, char **argv)
{
	enum point_source by = !strcmp(argv[1], "symbols")     ? POINT_SYMBOLS
			       : !strcmp(argv[1], "recovered") ? POINT_RECOVERED
							       : POINT_ANY;
	const char *why = "";
	struct points points;
	int rc = points_find(pid, atoi(argv[0]), by, &points, &why);

	if (rc && rc != -ENOENT)
		return refused(rc, why);
	for (uint32_t i = 0; i < points.count; i++) {
		const struct point *p = &points.point[i];

		print(json_pack("{s: s, s: s, s: b, s: s, s: s, s: I, s: I, s: I, s: [o, o, o]}",
			"kind", point_kind_name(p->kind), "source", point_source_name(p->source),
			"emulated", p->cost == POINT_EMULATED, "path",
			points.object[p->object].path, "name", points.object[p->object].name,
			"offset", (json_int_t)p->offset, "address", (json_int_t)p->address,
			"semaphore", (json_int_t)p->semaphore, "arguments",
			argument_json(&p->argument[0]), argument_json(&p->argument[1]),
			argument_json(&p->argument[2])));
	}
	for (unsigned int kind = 0; kind < POINT_KINDS; kind++)
		if (points.why[kind])
			print(json_pack("{s: s, s: s}", "missing",
				point_kind_name((enum point_kind)kind), "why", points.why[kind]));
	print(json_pack("{s: b}", "ends_whole", points.ends_whole));
	points_clear(&points);
	return 0;
}

static json_t *layout_json(const struct layout *lay)
{
	json_t *all = json_object();

#define MEMBER(structure, member, ...)                                                             \
	json_object_set_new(all, #structure "." #member, json_integer(lay->structure##_##member));
#include "probe/target/layout.def"
#undef MEMBER
	return all;
}

static int peek_target(uint32_t pid, char **argv)
{
	struct target_constants told;
	struct target *target;
	const char *why = "";
	int rc = target_open_by(pid, 0, source, &target, &why);

	if (rc)
		return refused(rc, why);
	target_constants(target, &told);
	print(json_pack("{s: i, s: i, s: I, s: I, s: I, s: I, s: I, s: o}", "minor",
		told.layout.minor, "source", told.layout.source, "runtime",
		(json_int_t)told.runtime, "runtime_size", (json_int_t)told.runtime_size,
		"gil_begin", (json_int_t)told.gil_begin, "gil_end", (json_int_t)told.gil_end,
		"gil_last_holder", (json_int_t)told.gil_last_holder, "layout",
		layout_json(&told.layout)));
	target_free(target);
	return 0;
}

/* What debug information alone tells: members it does not know are absent. */
static int peek_dwarf(uint32_t minor, char **argv)
{
	struct layout told;
	struct elf_file *files[2];
	size_t count = 0, members;

	memset(&told, 0xff, sizeof(told)); /* OFF_ABSENT each */
	told.minor = (int)minor;
	for (unsigned int i = 0; i < 2; i++)
		count += !elf_file_open(argv[i], &files[count]);
	if (dwarf_layout_read(files, count, &told, &members))
		return refused(-ENODATA, "no debug information");
	return print(layout_json(&told));
}

static json_t *frame_json(struct target *target, const struct target_frame *frame)
{
	static const uint32_t formats[] = {[8] = LINE_LNOTAB,
		[9] = LINE_LNOTAB,
		[10] = LINE_TABLE310,
		[11] = LINE_TABLE311,
		[12] = LINE_TABLE311,
		[13] = LINE_TABLE311,
		[14] = LINE_TABLE311};
	struct target_code code;
	struct position at;
	json_t *told;

	if (target_code_read(target, frame->code, &code))
		return json_null();
	at = linetable_find(formats[target_minor(target)], code.firstlineno, code.table,
		code.table_size, frame->position);
	told = json_pack("[s, i, s]", code.file, (int)at.line, code.function);
	target_code_clear(&code);
	return told;
}

static json_t *bonds_json(struct target *target, const struct target_task *task)
{
	struct target_bonds bonds;
	json_t *held = json_array(), *members = json_array();

	if (target_bonds_read(target, task, &bonds))
		return json_null();
	for (uint32_t i = 0; i < bonds.held_count; i++) {
		struct target_frame at = task->frame[bonds.held[i].frame];

		at.position = bonds.held[i].position;
		json_array_append_new(held, json_pack("[I, o]", (json_int_t)bonds.held[i].lock,
						    frame_json(target, &at)));
	}
	for (uint32_t i = 0; i < bonds.member_count; i++)
		json_array_append_new(members, json_integer((json_int_t)bonds.member[i]));
	return json_pack("{s: I, s: o, s: o, s: b, s: f}", "lock", (json_int_t)bonds.lock, "held",
		held, "members", members, "one", bonds.one, "due", (double)bonds.due_ns / 1e9);
}

static int task_print(void *ctx, const struct target_task *task)
{
	json_t *frames = json_array();

	for (uint32_t i = 0; i < task->frames; i++)
		json_array_append_new(frames, frame_json(ctx, &task->frame[i]));
	return print(json_pack("{s: I, s: s, s: s, s: s, s: b, s: b, s: o, s: o}", "task",
		(json_int_t)task->task, "name", task->name, "coro", task->coro_name, "waits_type",
		task->waits_type, "python", task->python, "running", task->running, "frames",
		frames, "bonds", bonds_json(ctx, task)));
}

static int peek_tasks(uint32_t pid, char **argv)
{
	struct target_tasks told;
	struct target *target;
	const char *why = "";
	int rc = target_open_by(pid, 0, source, &target, &why);

	if (!rc) {
		rc = target_tasks_read(target, task_print, target, &told, &why);
		target_free(target);
	}
	if (rc)
		return refused(rc, why);
	return print(json_pack("{s: i, s: i, s: i, s: b}", "read", (int)told.read, "done",
		(int)told.done, "unread", (int)told.unread, "whole", told.whole));
}

static json_t *stack_json(struct target *target, uint64_t thread)
{
	struct target_stack stack;
	json_t *frames = json_array();

	if (target_stack_read(target, thread, &stack))
		return frames;
	for (uint32_t i = 0; i < stack.count; i++)
		json_array_append_new(frames, frame_json(target, &stack.frame[i]));
	return frames;
}

struct wanted_name {
	const struct target_thread *thread;
	char name[64];
};

static void take_name(void *ctx, const struct target_named *named)
{
	struct wanted_name *w = ctx;

	if (named->tid == w->thread->tid && named->thread_id == w->thread->thread_id)
		snprintf(w->name, sizeof(w->name), "%s", named->name);
}

static json_t *name_json(struct target *target, const struct target_thread *thread)
{
	struct wanted_name w = {.thread = thread};
	uint64_t active = 0;

	target_named_each(target, &active, take_name, &w);
	return json_string(w.name);
}

static int peek_threads(uint32_t pid, char **argv)
{
	struct target_thread thread[THREADS_SHOWN];
	struct target *target;
	const char *why = "";
	size_t count = 0;
	int rc = target_open_by(pid, 0, source, &target, &why);

	if (rc)
		return refused(rc, why);
	rc = target_threads_read(target, thread, THREADS_SHOWN, &count);
	for (size_t i = 0; i < count && i < THREADS_SHOWN; i++)
		print(json_pack("{s: I, s: o, s: I, s: I, s: s, s: o}", "tid",
			(json_int_t)thread[i].tid, "name", name_json(target, &thread[i]),
			"thread_id", (json_int_t)thread[i].thread_id, "loop",
			(json_int_t)thread[i].loop, "loop_type", thread[i].loop_type, "stack",
			stack_json(target, thread[i].thread)));
	target_free(target);
	return rc ? refused(rc, "its threads cannot be read") : 0;
}

static int peek_list(uint32_t unused, char **argv)
{
	return attachable_print(stdout) ? 1 : 0;
}

static int cell_print(void *ctx, uint32_t pid, const struct ev_head *record)
{
	const struct ev_cell_begin *begin = (const void *)record;
	const struct ev_cell_end *end = (const void *)record;

	if (record_check(record, record->size_words * 8ull))
		return -EPROTO;
	if (record->kind == EV_cell_begin)
		print(json_pack("{s: I, s: i, s: s%}", "begin", (json_int_t)record->time_ns,
			"count", (int)begin->execution_count, "source", (const char *)(begin + 1),
			(size_t)begin->source_len));
	else
		print(json_pack("{s: I, s: i, s: b, s: s%}", "end", (json_int_t)record->time_ns,
			"count", (int)end->execution_count, "failed", (int)end->failed, "error",
			(const char *)(end + 1), (size_t)end->error_len));
	fflush(stdout);
	return 0;
}

/* Until standard input is closed. */
static int peek_cells(uint32_t pid, char **argv)
{
	struct pollfd fds[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
	struct kernel_cells_counts counts;
	struct target *target;
	struct iopub *iopub;
	const char *why = "";
	int rc = iopub_open(pid, pid, &iopub, &why);

	if (rc)
		return refused(rc, why);
	if (!target_open(pid, 0, &target, &why)) {
		rc = iopub_running(iopub, target, 0, cell_print, NULL);
		target_free(target);
	}
	print(json_pack("{s: b}", "looked", !rc));
	fflush(stdout);
	fds[1].fd = iopub_fd(iopub);
	while (!fds[0].revents && !rc) {
		rc = iopub_drain(iopub, cell_print, NULL);
		poll(fds, 2, 1000);
	}
	counts = iopub_counts(iopub);
	print(json_pack("{s: i, s: i, s: i, s: i}", "cells", (int)counts.cells, "forged",
		(int)counts.forged, "malformed", (int)counts.malformed, "missed",
		(int)counts.missed));
	iopub_close(iopub);
	return rc != 0;
}

static const struct {
	const char *name;
	int arguments; /* behind the pid */
	int (*peek)(uint32_t pid, char **argv);
} peeks[] = {
	{"points", 2, peek_points},
	{"target", 0, peek_target},
	{"dwarf", 2, peek_dwarf},
	{"cells", 0, peek_cells},
	{"list", 0, peek_list},
	{"tasks", 0, peek_tasks},
	{"threads", 0, peek_threads},
};

static enum layout_source source_of(const char *name)
{
	return !strcmp(name, "shipped")     ? LAYOUT_SHIPPED
	       : !strcmp(name, "published") ? LAYOUT_PUBLISHED
	       : !strcmp(name, "dwarf")     ? LAYOUT_DWARF
					    : LAYOUT_ANY;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strncmp(argv[1], "--layout=", 9)) {
		source = source_of(argv[1] + 9);
		argc--;
		argv++;
	}
	for (size_t i = 0; i < sizeof(peeks) / sizeof(*peeks); i++)
		if (argc == 3 + peeks[i].arguments && !strcmp(argv[1], peeks[i].name))
			return peeks[i].peek((uint32_t)atoi(argv[2]), argv + 3);
	fprintf(stderr, "usage: peek WHAT PID [ARGUMENT...]\n");
	return 2;
}
