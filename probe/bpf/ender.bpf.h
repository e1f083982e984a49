/*
 * Who ends a loop thread's wait in a system call, where that is no thread of its own process at a
 * futex (wake.bpf.h): who puts into a pipe, closes it, posts a semaphore of several processes, or
 * is the child that ends. Seen as the thread is woken, and told with the call's record.
 */
#ifndef PROBE_BPF_ENDER_H
#define PROBE_BPF_ENDER_H

#include <asm/unistd.h>

#include "probe/bpf/touch.bpf.h"

#define FAMILY_UNIX 1u

/* The current thread wakes one that is in a call since then. Process 0 stands for an interrupt. */
static __always_inline void ender_note(struct ender *e, __u64 enter_ns, __u32 tgid)
{
	struct task_struct *by = task_now();

	e->enter_ns = by->tgid ? enter_ns : 0;
	e->pid = by->tgid == tgid ? 0 : by->tgid;
	e->tid = thread_now();
	e->thread_id = by->thread.fsbase;
	bpf_probe_read_kernel(e->name, sizeof(e->name), &by->group_leader->comm);
}

/*
 * Whether whoever woke it ended that call, by a call of its own. At a socket of a network, or a
 * file of a disk, it is an interrupt that does, in whichever thread it comes; and what returns
 * nothing of a poll is a timeout.
 */
static __always_inline bool ends_by_call(const struct ender *e, __u32 number, __s64 result,
	__u32 touches, const struct scratch *touched, __u32 len)
{
	struct call_kind kind = call_kind_of(number);

	if (result < (kind.how == HOW_POLL || kind.how == HOW_SELECT))
		return false;
	if (number == __NR_futex)
		return e->pid;
	if (touches == TOUCHES_PEER)
		return ((const struct kernel_peer *)touched->text)->family == FAMILY_UNIX;
	return number == __NR_wait4 || number == __NR_waitid ||
	       (touches == TOUCHES_PATH && len == 1); /* a pipe has an empty name */
}

/* Before the record of the call. */
static __always_inline void ender_tell(const struct ender *e, __u32 tid, __u32 pid, __u64 now_ns)
{
	struct ev_kernel_ended *ev = RECORD_RESERVE(kernel_ended);

	if (!ev)
		return;
	*ev = (struct ev_kernel_ended){.head = HEAD_OF(tid, kernel_ended, now_ns),
		.thread_id = e->thread_id,
		.name_0 = e->name[0],
		.name_1 = e->name[1],
		.pid = pid,
		.by_pid = e->pid,
		.by_tid = e->tid};
	RECORD_SUBMIT(ev);
}

#endif
