/*
 * What one process lets us see: asked of it exactly as attach asks. See doctor.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/connection_file.h"
#include "collector/doctor.h"
#include "collector/procfs.h"
#include "probe/base/cleanup.h"
#include "probe/target/points.h"
#include "probe/target/process.h"
#include "probe/target/task.h"

#define THREADS_MAX 256u

/* ---- its interpreter --------------------------------------------------------------------- */

static void layout_ask(struct doctor *d, uint32_t pid, struct target *target)
{
	struct target_constants told;
	struct target *other;
	const char *why;

	target_constants(target, &told);
	doctor_add(d, DOCTOR_TARGET, "layout", DOCTOR_YES, true, NULL,
		"Python 3.%d by %s, proven on its objects", told.layout.minor,
		layout_source_name((enum layout_source)told.layout.source));
	if (!target_open_by(pid, 0, LAYOUT_DWARF, &other, &why)) {
		target_free(other);
		doctor_add(d, DOCTOR_TARGET, "debug information", DOCTOR_YES, false, NULL,
			"is there, and agrees");
	} else {
		doctor_add(d, DOCTOR_TARGET, "debug information", DOCTOR_PARTLY, false, NULL,
			"%s; nothing needs it here", why);
	}
}

static void loops_ask(struct doctor *d, struct target *target)
{
	cleanup(freep) struct target_thread *thread = calloc(THREADS_MAX, sizeof(*thread));
	size_t count = 0, loops = 0, uvloop = 0;
	int rc = thread ? target_threads_read(target, thread, THREADS_MAX, &count) : -ENOMEM;

	for (size_t i = 0; !rc && i < count && i < THREADS_MAX; i++) {
		loops += thread[i].loop != 0;
		uvloop += !strncmp(thread[i].loop_type, "uvloop.", 7);
	}
	if (rc)
		doctor_add(d, DOCTOR_TARGET, "event loops", DOCTOR_NO, false, NULL,
			"its threads cannot be read");
	else
		doctor_add(d, DOCTOR_TARGET, "event loops", loops ? DOCTOR_YES : DOCTOR_PARTLY,
			false, NULL, "%zu running in %zu thread%s%s", loops, count,
			count == 1 ? "" : "s", uvloop ? " (uvloop)" : "");
}

static int task_count(void *ctx, const struct target_task *task)
{
	*(size_t *)ctx += task->python;
	return 0;
}

static void tasks_ask(struct doctor *d, struct target *target)
{
	struct target_tasks told;
	size_t python = 0;
	const char *why;
	int rc = target_tasks_read(target, task_count, &python, &told, &why);

	if (rc)
		doctor_add(d, DOCTOR_TARGET, "pending tasks",
			rc == -ENOENT ? DOCTOR_PARTLY : DOCTOR_NO, false, NULL, "%s", why);
	else
		doctor_add(d, DOCTOR_TARGET, "pending tasks",
			told.unread || !told.whole ? DOCTOR_PARTLY : DOCTOR_YES, false, NULL,
			"%zu, of which %zu are asyncio's Python tasks; %zu changed while they were "
			"read",
			told.read, python, told.unread);
}

static int interpreter_ask(struct doctor *d, uint32_t pid, int *ret_minor)
{
	cleanup(freep) char *mend = NULL;
	struct target *target;
	const char *why = "";
	int rc = target_open(pid, 0, &target, &why);

	if (rc) {
		if (asprintf(&mend, "sudo -E %s doctor %" PRIu32, d->program, pid) < 0)
			mend = NULL;
		doctor_add(d, DOCTOR_TARGET, "interpreter", DOCTOR_NO, true,
			rc == -EPERM && geteuid() ? mend : NULL, "%s", why);
		return rc;
	}
	layout_ask(d, pid, target);
	loops_ask(d, target);
	tasks_ask(d, target);
	*ret_minor = target_minor(target);
	target_free(target);
	return 0;
}

/* ---- its probe points -------------------------------------------------------------------- */

static void task_points_ask(struct doctor *d, const struct points *points)
{
	bool stepped = false;
	const char *source = "";

	for (unsigned int kind = POINT_STEP; kind <= POINT_SET; kind++)
		if (points->why[kind]) {
			doctor_add(d, DOCTOR_TARGET, "task probes", DOCTOR_PARTLY, false,
				"awaitscope run records the tasks of a program it starts",
				"no place for %s: %s", point_kind_name((enum point_kind)kind),
				points->why[kind]);
			return;
		}
	for (uint32_t i = 0; i < points->count; i++) {
		stepped |= points->point[i].cost == POINT_STEPPED;
		if (points->point[i].kind == POINT_STEP)
			source = point_source_name((enum point_source)points->point[i].source);
	}
	doctor_add(d, DOCTOR_TARGET, "task probes",
		stepped || !points->ends_whole ? DOCTOR_PARTLY : DOCTOR_YES, false, NULL,
		"creation, steps and wakeups, by %s%s%s", source,
		stepped ? "; some would cost ten times as much and are left out" : "",
		points->ends_whole ? "" : "; some steps' ends are not seen");
}

static void usdt_ask(struct doctor *d, const struct points *points)
{
	bool audit = !points->why[POINT_AUDIT], gc = !points->why[POINT_GC_START];

	doctor_add(d, DOCTOR_TARGET, "USDT", audit && gc ? DOCTOR_YES : DOCTOR_PARTLY, false,
		audit ? NULL : "a Python built with --with-dtrace (Debian's and Fedora's are)",
		"%s", audit ? "audit events and collections" : points->why[POINT_AUDIT]);
}

static void points_ask(struct doctor *d, uint32_t pid, int minor)
{
	cleanup(points_clear) struct points points = {0};
	const char *why = "";
	int rc = points_find(pid, minor, POINT_ANY, &points, &why);

	if (rc && rc != -ENOENT) {
		doctor_add(d, DOCTOR_TARGET, "task probes", DOCTOR_NO, false, NULL, "%s", why);
		return;
	}
	task_points_ask(d, &points);
	usdt_ask(d, &points);
}

/* ---- around it --------------------------------------------------------------------------- */

static void cells_ask(struct doctor *d, uint32_t pid, char *const *argv)
{
	cleanup(connection_file_clear) struct connection_file file = {0};
	const char *why = "";
	int rc;

	if (!procfs_connection_file(argv))
		return; /* no kernel, no cells */
	rc = connection_file_read(pid, &file, &why);
	doctor_add(d, DOCTOR_TARGET, "cells", rc ? DOCTOR_PARTLY : DOCTOR_YES, false, NULL, "%s%s",
		rc ? "by their code's file names only: " : "by its iopub channel, ",
		rc ? why : file.iopub);
}

static bool agent_is(void *ctx, const struct process_map *map)
{
	bool *found = ctx;

	*found =
		!strcmp(strrchr(map->path, '/') + 1, "agent.so") && strstr(map->path, "awaitscope");
	return *found;
}

int doctor_target(struct doctor *d, uint32_t pid)
{
	cleanup(freep) char **argv = NULL;
	cleanup(freep) char *runs = NULL;
	char user[PROCFS_USER_BYTES];
	bool agent = false;
	int minor, rc = procfs_user(pid, user);

	if (!rc)
		rc = procfs_argv(pid, &argv);
	if (rc == -ENODATA) {
		doctor_add(d, DOCTOR_TARGET, "process", DOCTOR_NO, true, NULL,
			"has no command line: a part of the kernel, or already dead");
		return 0;
	}
	if (rc)
		return rc;
	runs = procfs_runs(pid, argv);
	doctor_add(d, DOCTOR_TARGET, "process", DOCTOR_YES, true, NULL, "%s, of user %s",
		runs ? runs : "?", user);
	process_maps_each(pid, agent_is, &agent);
	if (agent)
		doctor_add(d, DOCTOR_TARGET, "agent", DOCTOR_PARTLY, false, NULL,
			"awaitscope run is recording it already");
	if (interpreter_ask(d, pid, &minor))
		return 0;
	points_ask(d, pid, minor);
	cells_ask(d, pid, argv);
	return 0;
}
