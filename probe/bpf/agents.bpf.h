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

static __always_inline __u32 tgid_now(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/* The number that its own pid namespace knows: an agent has no other. */
static __always_inline __u32 number_of(struct task_struct *task)
{
	struct pid *pid = task->thread_pid;
	__u32 level = pid->level, number = task->pid;

	if (rarely(level))
		bpf_probe_read_kernel(&number, sizeof(number),
			(void *)pid + bpf_core_field_offset(struct pid, numbers) +
				(__u64)level * bpf_core_type_size(struct upid));
	return number;
}

static __always_inline __u32 process_now(void)
{
	return number_of(task_now()->group_leader);
}

static __always_inline __u32 thread_now(void)
{
	return number_of(task_now());
}

static __always_inline python_target *target_now(void)
{
	__u32 tgid = tgid_now();

	return bpf_map_lookup_elem(&targets, &tgid);
}

/* Else it is a number of somewhere else, or of a process that has forked since. */
static __always_inline bool process_is(const struct announcement *said)
{
	return said->pid == process_now();
}

/* In place, as another thread may read it: the same again, but for a process's first. */
static __always_inline void target_keep(const struct announcement *said)
{
	__u32 tgid = tgid_now();
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
