/* What the agent of each process says of it, for the program beside agents. */
#ifndef PROBE_BPF_AGENTS_H
#define PROBE_BPF_AGENTS_H

#include "probe/announce.h"
#include "probe/bpf/beside.h"
#include "probe/bpf/python.bpf.h"

struct { /* tgid -> what its agent says */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, BESIDE_PROCESSES_MAX);
	__type(key, __u32);
	__type(value, struct target_constants);
} targets SEC(".maps");

static const struct target_constants target_none;

static __always_inline __u32 process_now(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

static __always_inline python_target *target_now(void)
{
	__u32 tgid = process_now();

	return bpf_map_lookup_elem(&targets, &tgid);
}

/* Of a process in a pid namespace of its own records have another number, and readers none. */
static __always_inline bool process_is(const struct announcement *said)
{
	return said->pid == process_now();
}

/* In place, as another thread may read it: the same again, but for a process's first. */
static __always_inline void target_keep(const struct announcement *said)
{
	__u32 tgid = process_now();
	struct target_constants *target;

	if (!said->target || !process_is(said)) {
		bpf_map_delete_elem(&targets, &tgid);
		return;
	}
	bpf_map_update_elem(&targets, &tgid, &target_none, BPF_NOEXIST);
	target = bpf_map_lookup_elem(&targets, &tgid);
	if (target && bpf_probe_read_user(target, sizeof(*target), (void *)said->target))
		bpf_map_delete_elem(&targets, &tgid);
}

#endif
