/*
 * How the probes on an interpreter are placed: all of one kind and file at a time where the kernel
 * can (a trap is some 5 % cheaper, Linux 6.18), else one by one. Called by bpf_sensor. Silent.
 */
#ifndef COLLECTOR_BPF_UPROBES_H
#define COLLECTOR_BPF_UPROBES_H

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "collector/bpf_links.h"
#include "probe/target/points.h"

/* Before a program is loaded: what this kernel takes its probes to be. Returns whether many at a
 * time. */
bool bpf_uprobes_prepare(struct bpf_object *object);
/*
 * Runs the program in that process at each point of a kind. -ENOENT: there are none; else what the
 * first refused one said, and none is in place.
 */
int bpf_uprobes_place(struct bpf_links *links, struct bpf_program *program, uint32_t pid,
	const struct points *points, enum point_kind kind, bool many);

#endif
