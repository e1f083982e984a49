/*
 * The sensor in the kernel beside agents: where the time of their loop threads goes, and what each
 * waited for. Agents announce their threads (probe/announce.h), in whatever process of a run they
 * are, and tell the rest. Loaded by the recorder. Never changes anything in a target.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "probe/announce.h"
#include "probe/bpf/beside.h"
#include "probe/bpf/agents.bpf.h"
#include "probe/bpf/ender.bpf.h"
#include "probe/bpf/named.bpf.h"
#include "probe/bpf/native.bpf.h"
#include "probe/bpf/taken.bpf.h"
#define WAITERS_MAX BESIDE_THREADS_MAX
#include "probe/bpf/wake.bpf.h"
#include "probe/bpf/watched.bpf.h"
#include "probe/ring.h"
#include "probe/sampling.h"

char LICENSE[] SEC("license") = "GPL"; /* most helpers are for GPL programs only */

/* The current thread's state, proven anew at each use; 0: not known. */
static __always_inline __u64 state_of(struct watched *w)
{
	__u64 thread_id = ((struct task_struct *)bpf_get_current_task_btf())->thread.fsbase;
	python_target *target = process_is(&w->said) ? target_now() : NULL;
	__u64 now_ns;

	if (!target)
		return 0;
	if (w->thread && read_u64(w->thread + target->layout.thread_thread_id) == thread_id)
		return w->thread;
	now_ns = bpf_ktime_get_ns();
	if (now_ns < w->scan_after_ns)
		return 0;
	w->thread = thread_scan(thread_id);
	if (!w->thread)
		w->scan_after_ns = now_ns + SCAN_AGAIN_NS;
	return w->thread;
}

/* The task whose step is open; the agent says where that stands (probe/ring.h). */
static __always_inline __u64 task_of(const struct watched *w)
{
	__u64 at =
		read_u64(w->said.busy_at - __builtin_offsetof(struct ring_control, busy_since_ns) +
			 __builtin_offsetof(struct ring_control, task_at));

	return at ? read_u64(at) : 0;
}

/* ---- iterations */

/*
 * Its CPU's account is looked at first: where the agent reads a clock of the CPU's, or the thread
 * goes off its CPU, that says what a hypervisor took up to then.
 */
static __noinline int turn_put(struct watched *w)
{
	struct part_account account;
	struct ev_kernel_turn *ev;
	__u64 now_ns;

	if (!w)
		return 0;
	now_ns = w->ended_ns;
	w->ended_ns = 0;
	account = account_with_cpu(task_now());
	part_settle(&w->part, &account);
	stolen_tell(&w->part, w->said.tid, w->said.pid, now_ns);
	taken_tell(&w->taken, w->said.tid, w->said.pid, now_ns);
	ev = RECORD_RESERVE(kernel_turn);
	if (!ev)
		goto out;
	*ev = (struct ev_kernel_turn){.head = HEAD_OF(w->said.tid, kernel_turn, now_ns),
		.begin_ns = w->begin_ns,
#define PART(name, NAME, id, doc) .name##_ns = w->part.sum_ns[PART_##NAME],
#include "probe/part.def"
		.discrepancy_ns = w->part.discrepancy_ns,
		.pid = w->said.pid};
	RECORD_SUBMIT(ev);
out:
	w->begin_ns = 0;
	w->part.discrepancy_ns = 0; /* what is found between turns is of the next one */
	return 0;
}

/* To be told soon, if it is: by turn_put(). */
static __always_inline void turn_end(struct watched *w, __u64 now_ns)
{
	if (w->begin_ns && now_ns - w->begin_ns >= beside.min_turn_ns) {
		w->ended_ns = now_ns;
		return;
	}
	w->begin_ns = 0;
	w->part.discrepancy_ns = 0;
}

static __always_inline void turn_end_now(struct watched *w, __u64 now_ns)
{
	turn_end(w, now_ns);
	if (w->ended_ns)
		turn_put(w);
}

static __always_inline void turn_begin(struct watched *w, __u64 now_ns)
{
	part_turn(&w->part);
	__builtin_memset(w->part.sum_ns, 0, sizeof(w->part.sum_ns));
	taken_forget(&w->taken);
	w->begin_ns = now_ns;
}

/* ---- what agents announce */

static __always_inline int watch(__u32 tid, const struct announcement *said)
{
	struct part_account account = account_now();
	struct ev_kernel_thread *ev;
	struct watched *w;

	w = watched_make(tid);
	if (!w) {
		lose(LOSS_SLOTS);
		return 0;
	}
	bpf_probe_read_kernel(w, sizeof(*w), &thread_new);
	w->index = place_of(tid, tid);
	w->syscall = NO_SYSCALL;
	w->epfd = NO_EPFD;
	part_begin(&w->part, bpf_ktime_get_ns(), &account);
	w->said = *said;
	target_keep(said);
	ev = RECORD_RESERVE(kernel_thread);
	if (!ev)
		return 0;
	*ev = (struct ev_kernel_thread){
		.head = HEAD_OF(w->said.tid, kernel_thread, bpf_ktime_get_ns()),
		.pid = said->pid,
		.outer_pid = tgid_now(),
		.outer_tid = tid};
	RECORD_SUBMIT(ev);
	return 0;
}

static __always_inline int runs(const struct announcement *at, bool begins)
{
	struct part_account account = account_now();
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 tid = tid_now();
	struct announcement said;
	struct watched *w;

	if (bpf_probe_read_user(&said, sizeof(said), at) || said.session != beside.session)
		return 0;
	w = watched_get(tid);
	if (!w)
		return begins ? watch(tid, &said) : 0;
	w->said = said;
	w->epfd = NO_EPFD; /* of another loop, or of one around it that goes on */
	if (begins)
		return 0;
	part_seen(&w->part, now_ns, &account);
	turn_end_now(w, now_ns);
	return 0;
}

static __always_inline int collects(bool begins)
{
	struct part_account account = account_now();
	struct watched *w = watched_get(tid_now());

	if (w)
		part_collect(&w->part, bpf_ktime_get_ns(), begins, &account);
	return 0;
}

SEC("uprobe")
int on_announced(struct pt_regs *regs)
{
	__u32 what = (__u32)regs->di;

	if (what == ANNOUNCE_COLLECTS || what == ANNOUNCE_COLLECTED)
		return collects(what == ANNOUNCE_COLLECTS);
	return runs((const struct announcement *)regs->si, what == ANNOUNCE_RUNS);
}

/* ---- system calls */

/* The agent says so before it lets the loop poll. */
static __always_inline bool turn_is_over(const struct watched *w)
{
	__u64 busy_since_ns;

	return !bpf_probe_read_user(
		       &busy_since_ns, sizeof(busy_since_ns), (void *)w->said.busy_at) &&
	       !busy_since_ns;
}

/* Any other poll blocks. */
static __always_inline bool is_selector(struct watched *w, __u32 epfd)
{
	if (w->epfd == epfd)
		return true;
	if (!turn_is_over(w))
		return false;
	w->epfd = epfd;
	return true;
}

/*
 * After an iteration that was long the agent reads its clocks, this one first: that is not the
 * program's time any more, 10 us where caches are cold (2026-11).
 */
#define CLOCK_OF_AGENT 3 /* CLOCK_THREAD_CPUTIME_ID, include/uapi/linux/time.h */

static __always_inline void agent_reads(
	struct watched *w, __u64 now_ns, const struct part_account *account)
{
	if (!turn_is_over(w))
		return;
	part_seen(&w->part, now_ns, account);
	turn_end(w, now_ns);
}

static __always_inline void futex_enter(struct watched *w, __u32 class, __u64 now_ns)
{
	struct futex_wait wait = {.address = w->argument[0],
		.begin_ns = now_ns,
		.min_ns = class == PART_GIL ? beside.min_turn_ns : beside.min_block_ns,
		.tid = tid_now(),
		.tgid = tgid_now(),
		.waiter = w->said.tid,
		.class = class};

	/* the iteration as the agent knows it */
	if (!process_is(&w->said) ||
		bpf_probe_read_user(&wait.turn_ns, sizeof(wait.turn_ns), (void *)w->said.busy_at) ||
		!wait.turn_ns)
		return;
	w->waits = wait_begin(w->index, &wait);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long number)
{
	struct part_account account;
	struct watched *w;
	__u64 now_ns;
	__u32 class;

	if (rarely(futex_wakes((__u32)number, regs->si)))
		waiters_tell(regs->di);
	w = watched_here(regs);
	if (!w)
		return 0;
	account = account_here(w);
	now_ns = bpf_ktime_get_ns();
	w->syscall = (__u32)number;
	if (rarely(number == __NR_clock_gettime && regs->di == CLOCK_OF_AGENT && w->begin_ns))
		agent_reads(w, now_ns, &account);
	w->polls = call_is_poll((__u32)number) && is_selector(w, (__u32)regs->di);
	if (w->polls) {
		part_enter(&w->part, now_ns, PART_SELECT, &account);
		turn_end(w, now_ns);
		return 0;
	}
	w->argument[0] = regs->di;
	w->argument[1] = regs->si;
	w->argument[2] = regs->dx;
	class = call_class((__u32)number, w->argument, w->said.gil_begin, w->said.gil_end);
	part_enter(&w->part, now_ns, class, &account);
	w->named = 0;
	if (number == __NR_futex && !futex_wakes((__u32)number, regs->si))
		futex_enter(w, class, now_ns);
	w->enter_ns = now_ns;
	w->enter_off_ns = part_sum(&w->part, class);
	w->enter_runq_ns = part_queued(&w->part);
	return 0;
}

/* The fixed part in the room, frames and what is touched behind it. */
static __noinline int wait_put(struct watched *w, __u64 now_ns, __u64 blocked_ns, __s64 result)
{
	__u32 what = TOUCHES_NOTHING, len;
	struct scratch *room = room_get(ROOM_TRACEPOINT);
	struct call_kind kind = call_kind_of(w->syscall);
	struct ev_kernel_wait *ev;
	struct stack stack;
	__u64 thread;

	if (!room)
		return 0;
	thread = state_of(w);
	native_put(&w->native, thread, now_ns, true);
	stack = stack_of(thread, room, sizeof(*ev));
	ev = (struct ev_kernel_wait *)room->record;
	*ev = (struct ev_kernel_wait){.head = HEAD_OF(w->said.tid, kernel_wait, now_ns),
		.begin_ns = w->enter_ns,
		.runq_ns = part_queued(&w->part) - w->enter_runq_ns,
		.result = result,
		.task = thread ? task_of(w) : 0,
		.pid = w->said.pid,
		.number = w->syscall,
		.fd = call_fd(&kind, w->argument),
		.named = w->named,
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	ev->cpu_ns = now_ns - w->enter_ns - blocked_ns - ev->runq_ns;
	len = call_touches(&kind, ev->fd, w->argument, room, &what);
	ev->touches = what;
	ev->touched_len = len;
	if (w->ender.enter_ns == w->enter_ns &&
		ends_by_call(&w->ender, w->syscall, result, what, room, len))
		ender_tell(&w->ender, w->said.tid, w->said.pid, now_ns);
	return record_put(room, sizeof(*ev), stack.count, len, room->told != 0);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct watched *w = watched_here(regs);
	struct part_account account;
	__u64 now_ns, blocked_ns;
	__u32 class;

	if (!w || w->syscall == NO_SYSCALL)
		return 0;
	if (rarely(w->ended_ns))
		turn_put(w);
	account = account_here(w);
	now_ns = bpf_ktime_get_ns();
	class = w->part.syscall;
	part_exit(&w->part, now_ns, &account);
	if (rarely(w->waits)) {
		wait_end(w->index, w->waits, now_ns);
		w->waits = 0;
		if (class == PART_GIL && result < 0)
			keeper_tell(w->index, result);
	}
	if (w->polls) {
		turn_begin(w, now_ns);
	} else if (class != PART_GIL && class != PART_USER) {
		blocked_ns = part_sum(&w->part, class) - w->enter_off_ns;
		/* what was charged before can have been set right meanwhile */
		if (rarely((__s64)blocked_ns >= (__s64)beside.min_block_ns))
			wait_put(w, now_ns, blocked_ns, result);
	}
	w->polls = 0;
	w->syscall = NO_SYSCALL;
	return 0;
}

/* ---- scheduling */

/* It goes off its CPU to wait, in a call of its agent's. */
static __always_inline void wait_name(struct watched *w)
{
	__u32 call, class;

	if (w->syscall == NO_SYSCALL || w->polls || w->named || w->part.syscall == PART_GIL)
		return;
	if (bpf_probe_read_user(&call, sizeof(call), (void *)w->said.call_at))
		return;
	class = call_named(call);
	if (!class)
		return;
	w->named = 1;
	w->enter_off_ns = part_sum(&w->part, class);
	part_waits_for(&w->part, class);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempted, struct task_struct *from, struct task_struct *to,
	unsigned int state)
{
	__u32 out = watched_place(from->pid), in = watched_place(to->pid);
	struct wanted *cpu = wanted_get();
	struct part_account account;
	struct watched *w;
	__u64 now_ns;

	if (out == NOWHERE && in == NOWHERE && !cpu->tid)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (cpu->tid) {
		w = watched_get(cpu->tid);
		if (w)
			taken_switch(&w->taken, cpu, from, to, now_ns);
		else
			cpu->tid = 0;
	}
	w = watched_at(out);
	if (w) {
		if (w->ended_ns)
			turn_put(w);
		account = account_with_cpu(from);
		if (preempted || !state)
			taken_begin(&w->taken, cpu, from, to, now_ns);
		else
			wait_name(w);
		part_out(&w->part, now_ns, preempted || !state, &account);
	}
	w = watched_at(in);
	if (w) {
		account = account_with_cpu(to);
		part_in(&w->part, now_ns, &account);
		w->taken.wants = 0;
	}
	return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *woken)
{
	struct watched *w = watched_get(woken->pid);

	if (w && w->syscall != NO_SYSCALL && !w->polls)
		ender_note(&w->ender, w->enter_ns, woken->tgid);
	return 0;
}

/* ---- while a loop's thread computes */

static __always_inline __u32 mode_of(const struct watched *w)
{
	if (w->syscall != NO_SYSCALL)
		return SAMPLED_KERNEL;
	return w->part.collecting ? SAMPLED_COLLECTION : SAMPLED_USER;
}

static __noinline int sample_put(struct watched *w, __u64 now_ns, __u64 since_ns)
{
	struct scratch *room = room_get(ROOM_INTERRUPT);
	struct ev_kernel_sample *ev;
	struct stack stack;
	__u64 thread;

	if (!w || !room)
		return 0;
	thread = state_of(w);
	if (!thread)
		return 0;
	native_put(&w->native, thread, now_ns, false);
	stack = stack_of(thread, room, sizeof(*ev));
	ev = (struct ev_kernel_sample *)room->record;
	*ev = (struct ev_kernel_sample){.head = HEAD_OF(w->said.tid, kernel_sample, now_ns),
		.busy_since_ns = since_ns,
		.task = task_of(w),
		.pid = w->said.pid,
		.mode = mode_of(w),
		.cut = stack.cut,
		.frames_len = stack.count * sizeof(struct kernel_frame)};
	return record_put(room, sizeof(*ev), stack.count, 0, room->told != 0);
}

SEC("perf_event")
int on_cpu_clock(void *ctx)
{
	struct watched *w = watched_get(tid_now());
	__u64 now_ns = bpf_ktime_get_ns(), since_ns, pause_ns;

	if (!w || !process_is(&w->said) || now_ns < w->sample_after_ns)
		return 0;
	since_ns = read_u64(w->said.busy_at);
	if (!since_ns || now_ns < since_ns + SAMPLING_HELD_NS)
		return 0;
	pause_ns = (now_ns - since_ns) / SAMPLING_PERIODS_PER_AGE;
	if (pause_ns > SAMPLING_PERIOD_MAX_NS)
		pause_ns = SAMPLING_PERIOD_MAX_NS;
	/* until the tick at which it is about over */
	w->sample_after_ns = now_ns + pause_ns - pause_ns / 4;
	return sample_put(w, now_ns, since_ns);
}

/* ---- ends */

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_thread_exit, struct task_struct *task)
{
	struct watched *w = watched_get(task->pid);
	struct part_account account;
	__u64 now_ns;

	/* Killed in an iteration; the call it was in has returned to it, in the kernel. What was in
	 * the process's memory may be gone. */
	if (w) {
		account = account_of(task);
		now_ns = bpf_ktime_get_ns();
		part_seen(&w->part, now_ns, &account);
		turn_end_now(w, now_ns);
	}
	watched_drop(task->pid);
	return 0;
}

/* Another program: nothing in its memory is what was announced. Any of the process's threads may
 * have asked for it, and has the first one's tid since. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int tid_before)
{
	watched_drop(task->pid);
	watched_drop((__u32)tid_before);
	return 0;
}
