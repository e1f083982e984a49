/* See bpf_uprobes.h. */
#include "collector/bpf_uprobes.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#define ENV_ONE_BY_ONE "AWAITSCOPE_UPROBES" /* a test sets it */
/*
 * Since 6.6; up to 6.9 such a link saw only the one thread whose id is the process's (kernel commit
 * 46ba0e49b642).
 */
#define MANY_SINCE_MAJOR 6
#define MANY_SINCE_MINOR 10

/* From include/uapi/linux/bpf.h@6.10: libbpf 1.1 and its headers are older. */
#define TRACE_UPROBE_MULTI 48u /* enum bpf_attach_type */

struct link_create { /* of union bpf_attr */
	uint32_t program, target, attach_type, flags;
	uint64_t path, offsets, semaphores, cookies;
	uint32_t count, uprobe_flags, pid, pad0;
};

static bool has_many(void)
{
	unsigned int major, minor;
	struct utsname kernel;

	if (getenv(ENV_ONE_BY_ONE) || uname(&kernel) ||
		sscanf(kernel.release, "%u.%u", &major, &minor) != 2)
		return false;
	return major > MANY_SINCE_MAJOR || (major == MANY_SINCE_MAJOR && minor >= MANY_SINCE_MINOR);
}

bool bpf_uprobes_prepare(struct bpf_object *object)
{
	struct bpf_program *program;

	if (!has_many())
		return false;
	bpf_object__for_each_program(
		program, object) if (bpf_program__type(program) == BPF_PROG_TYPE_KPROBE)
		bpf_program__set_expected_attach_type(
			program, (enum bpf_attach_type)TRACE_UPROBE_MULTI);
	return true;
}

static int place_one(struct bpf_links *links, struct bpf_program *program, uint32_t pid,
	const char *path, const struct point *p)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .ref_ctr_offset = p->semaphore);

	return bpf_links_add(links,
		bpf_program__attach_uprobe_opts(program, (pid_t)pid, path, p->offset, &options));
}

/* All points of the kind that are in that file. */
static int place_many(struct bpf_links *links, struct bpf_program *program, uint32_t pid,
	const struct points *points, enum point_kind kind, uint32_t object)
{
	uint64_t offset[POINTS_MAX], semaphore[POINTS_MAX];
	struct link_create ask = {.program = (uint32_t)bpf_program__fd(program),
		.attach_type = TRACE_UPROBE_MULTI,
		.path = (uintptr_t)points->object[object].path,
		.offsets = (uintptr_t)offset,
		.semaphores = (uintptr_t)semaphore,
		.pid = pid};
	int fd;

	for (uint32_t i = 0; i < points->count; i++) {
		const struct point *p = &points->point[i];

		if (p->kind != kind || p->object != object)
			continue;
		offset[ask.count] = p->offset;
		semaphore[ask.count++] = p->semaphore;
	}
	if (!ask.count)
		return 0;
	fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &ask, sizeof(ask));
	return fd < 0 ? -errno : bpf_links_add_fd(links, fd);
}

static int place_all(struct bpf_links *links, struct bpf_program *program, uint32_t pid,
	const struct points *points, enum point_kind kind, bool many)
{
	int rc = 0;

	for (uint32_t object = 0; many && !rc && object < POINT_OBJECTS; object++)
		rc = place_many(links, program, pid, points, kind, object);
	for (uint32_t i = 0; !many && !rc && i < points->count; i++) {
		const struct point *p = &points->point[i];

		if (p->kind == kind)
			rc = place_one(links, program, pid, points->object[p->object].path, p);
	}
	return rc;
}

int bpf_uprobes_place(struct bpf_links *links, struct bpf_program *program, uint32_t pid,
	const struct points *points, enum point_kind kind, bool many)
{
	size_t before = links->count;
	int rc;

	for (uint32_t i = 0; i < points->count; i++) {
		if (points->point[i].kind != kind)
			continue;
		rc = place_all(links, program, pid, points, kind, many);
		if (rc)
			bpf_links_drop(links, before);
		return rc;
	}
	return -ENOENT;
}
