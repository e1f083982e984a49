/* See attach_target.h. */
#include "collector/attach_target.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/forced.h"
#include "probe/base/cleanup.h"
#include "probe/target/process.h"
#include "probe/target/task.h"

int attach_target_find(struct attach_target *t, uint32_t pid)
{
	*t = (struct attach_target){.pid = pid};
	/* by number: glibc has a wrapper only from 2.36 */
	t->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	return t->pidfd < 0 ? -errno : 0;
}

void attach_target_leave(struct attach_target *t)
{
	closep(&t->pidfd);
	*t = (struct attach_target){.pid = t->pid, .pidfd = -1};
}

static bool asyncio_is(void *ctx, const struct process_map *map)
{
	bool *found = ctx;

	*found = !strncmp(strrchr(map->path, '/') + 1, "_asyncio.", 9);
	return *found;
}

/* Its C code comes before anything that could run a loop. */
static bool asyncio_mapped(uint32_t pid)
{
	bool found = false;

	process_maps_each(pid, asyncio_is, &found);
	return found;
}

static int no_task(void *ctx, const struct target_task *task)
{
	return 0;
}

/* Without its C code. */
static bool asyncio_imported(struct target *target)
{
	struct target_tasks told;
	const char *why;

	return target_tasks_read(target, no_task, NULL, &told, &why) != -ENOENT;
}

static void points_free(struct points *points)
{
	if (points)
		points_clear(points);
	free(points);
}

/* 0: where it can be probed, as far as it can; -EAGAIN: it has no asyncio yet. */
static int points_look(struct attach_target *t, struct target *target, const struct forced *forced,
	struct points **ret, const char **ret_why)
{
	struct points *points = calloc(1, sizeof(*points));
	int rc = points ? points_find(t->pid, target_minor(target), forced->points, points, ret_why)
			: -ENOMEM;
	const char *missing = NULL;

	if (rc == -ENOENT)
		rc = asyncio_imported(target) ? 0 : -EAGAIN;
	else if (!rc && (missing = forced_missing(forced, points))) {
		*ret_why = missing;
		rc = -ENODATA;
	}
	if (rc) {
		points_free(points);
		return rc;
	}
	*ret = points;
	return 0;
}

static void sources_note(struct attach_target *t, const struct bpf_feed_options *options)
{
	struct target_constants told;

	target_constants(options->target, &told);
	t->layout_from = layout_source_name((enum layout_source)told.layout.source);
	t->points_from =
		options->points->count
			? point_source_name((enum point_source)options->points->point[0].source)
			: "nothing";
}

int attach_target_watch(struct attach_target *t, const struct run_options *o, const char **ret_why)
{
	struct bpf_feed_options options = {.pid = t->pid,
		.min_block_ns = o->min_block_ns,
		.min_step_ns = o->min_step_ns,
		.jupyter = !o->no_jupyter};
	struct forced forced;
	int rc;

	if (t->waits && !asyncio_mapped(t->pid))
		return -EAGAIN;
	rc = forced_read(&forced, ret_why);
	if (rc)
		return rc;
	rc = target_open_by(t->pid, 0, forced.layout, &options.target, ret_why);
	t->unserved = rc && rc != -EPERM && forced.layout == LAYOUT_ANY;
	if (rc)
		return rc;
	rc = points_look(t, options.target, &forced, &options.points, ret_why);
	t->waits = rc == -EAGAIN;
	if (rc) {
		target_free(options.target);
		return rc;
	}
	sources_note(t, &options);
	return bpf_feed_open(&options, &t->feed, ret_why);
}
