/*
 * The sensor in the kernel: what the loop threads of one process do, from system calls, switches
 * and probes on its interpreter. Loaded by the recorder. Writes records (probe/event.def) and slots
 * (slot.h). Never changes anything in the target.
 */
#define PART_TELL(p, told, now_ns, argument, account) part_tell(p, told, now_ns, argument, account)
struct partition;
struct part_account;
static inline __attribute__((always_inline)) void part_tell(const struct partition *p,
	unsigned int told, unsigned long long now_ns, unsigned int argument,
	const struct part_account *account);

#include "probe/bpf/audit.bpf.h"
#define WAITERS_MAX SLOTS_MAX
#include "probe/bpf/wake.bpf.h"
#include "probe/sampling.h"

char LICENSE[] SEC("license") = "GPL"; /* most helpers are for GPL programs only */

/* ---- for tests: what partitions are told */

static __always_inline void part_tell(const struct partition *p, unsigned int told,
	unsigned long long now_ns, unsigned int argument, const struct part_account *account)
{
	const struct loop_slot *s = (const void *)p - __builtin_offsetof(struct loop_slot, part);
	struct ev_kernel_part *ev = config.streams ? RECORD_RESERVE(kernel_part) : NULL;

	if (!ev)
		return;
	*ev = (struct ev_kernel_part){.head = HEAD(kernel_part, now_ns),
		.ran_ns = account->ran_ns,
		.delayed_ns = account->delayed_ns,
		.arrived = account->arrived,
		.clock = account->clock,
		.stolen_ns = account->stolen_ns,
		.told = told,
		.argument = argument};
	ev->head.tid = s->tid;
	RECORD_SUBMIT(ev);
}

/* ---- of one process */

static __always_inline python_target *target_now(void)
{
	return &config.target;
}

static __always_inline __u32 process_now(void)
{
	return 0;
}

static __always_inline __u32 thread_now(void)
{
	return tid_now();
}

/* ---- system calls */

static __always_inline void futex_enter(struct loop_slot *s, __u32 index, __u32 class, __u64 now_ns)
{
	const struct futex_wait wait = {.address = s->argument[0],
		.begin_ns = now_ns,
		.turn_ns = s->begin_ns,
		.min_ns = class == PART_GIL ? config.min_step_ns : config.min_block_ns,
		.tid = s->tid,
		.tgid = config.tgid,
		.waiter = s->tid,
		.class = class};

	if (s->begin_ns)
		s->waits = wait_begin(index, &wait);
}

static __always_inline int call_enter(struct loop_slot *s, __u32 index, struct task_struct *task,
	struct pt_regs *regs, __u32 number)
{
	struct part_account account = account_of(task);
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 class;

	s->argument[0] = regs->di;
	s->argument[1] = regs->si;
	s->argument[2] = regs->dx;
	s->syscall = number;
	s->enter_ns = now_ns;
	if (call_is_poll(number) && poll_enter(s, index, (__s32)regs->di, now_ns, regs->sp)) {
		part_enter(&s->part, now_ns, PART_SELECT, &account);
		turn_end(s, now_ns);
		s->poll_ns = now_ns;
		return 0;
	}
	if (rarely(number == __NR_close))
		loop_drop(s, (__s32)regs->di, now_ns);
	class = call_class(number, s->argument, config.target.gil_begin, config.target.gil_end);
	part_enter(&s->part, now_ns, class, &account);
	if (rarely(number == __NR_futex && !futex_wakes(number, regs->si)))
		futex_enter(s, index, class, now_ns);
	s->enter_off_ns = part_sum(&s->part, class);
	s->enter_runq_ns = part_queued(&s->part);
	return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(on_sys_enter, struct pt_regs *regs, long number)
{
	struct task_struct *task = task_now();
	struct loop_slot *s;
	__u32 index, tid;

	if (task->tgid != config.tgid)
		return 0;
	if (rarely(futex_wakes((__u32)number, regs->si)))
		waiters_tell(regs->di);
	tid = task->pid;
	s = slot_get(tid, &index);
	if (rarely(!s)) {
		/* a thread gets its slot when it polls for the first time */
		if (!call_is_poll((__u32)number) || !slot_make(tid))
			return 0;
		s = slot_get(tid, &index);
		if (!s)
			return 0;
	}
	return call_enter(s, index, task, regs, (__u32)number);
}

/* It returns from its call to be killed. */
static __always_inline bool is_dying(const struct task_struct *task)
{
	return task->signal->flags & SIGNAL_GROUP_EXIT;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(on_sys_exit, struct pt_regs *regs, long result)
{
	struct task_struct *task = task_now();
	struct part_account account;
	struct loop_slot *s;
	__u64 now_ns, blocked_ns;
	__u32 index, class;

	if (task->tgid != config.tgid)
		return 0;
	s = slot_get(task->pid, &index);
	if (!s || s->syscall == NO_SYSCALL)
		return 0;
	if (rarely(s->ended_ns))
		turn_put(s);
	account = account_of(task);
	now_ns = bpf_ktime_get_ns();
	class = s->part.syscall;
	part_exit(&s->part, now_ns, &account);
	if (rarely(s->waits)) {
		wait_end(index, s->waits, now_ns);
		s->waits = 0;
		if (class == PART_GIL && result < 0)
			keeper_tell(index, result);
	}
	if (s->poll_ns) {
		turn_begin(s, now_ns, result);
	} else if (s->loop && class != PART_GIL && class != PART_USER) {
		blocked_ns = part_sum(&s->part, class) - s->enter_off_ns;
		/* what was charged before can have been set right meanwhile */
		if (rarely((__s64)blocked_ns >= (__s64)config.min_block_ns))
			block_put(s, index, now_ns, blocked_ns,
				is_dying(task) ? BLOCK_UNFINISHED : result);
		else if (rarely((__s64)blocked_ns >= (__s64)SHORT_WAIT_NS && s->begin_ns))
			short_put(s, index, now_ns, blocked_ns);
	}
	s->syscall = NO_SYSCALL;
	return 0;
}

/* ---- scheduling */

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempted, struct task_struct *from, struct task_struct *to,
	unsigned int state)
{
	struct wanted *cpu = wanted_get();
	struct part_account account;
	struct loop_slot *s;
	__u64 now_ns;
	__u32 index;

	if (from->tgid != config.tgid && to->tgid != config.tgid && !cpu->tid)
		return 0;
	now_ns = bpf_ktime_get_ns();
	if (cpu->tid) {
		s = slot_get(cpu->tid, &index);
		if (s)
			taken_switch(&s->taken, cpu, from, to, now_ns);
		else
			cpu->tid = 0;
	}
	if (from->tgid == config.tgid) {
		s = slot_get(from->pid, &index);
		account = account_with_cpu(from);
		if (s && s->ended_ns)
			turn_put(s);
		if (s)
			part_out(&s->part, now_ns, preempted || !state, &account);
		if (s && (preempted || !state))
			taken_begin(&s->taken, cpu, from, to, now_ns);
	}
	if (to->tgid == config.tgid) {
		s = slot_get(to->pid, &index);
		account = account_with_cpu(to);
		if (s)
			part_in(&s->part, now_ns, &account);
		if (s)
			s->taken.wants = 0;
	}
	return 0;
}

SEC("tp_btf/sched_waking")
int BPF_PROG(on_waking, struct task_struct *woken)
{
	struct loop_slot *s;
	__u32 index;

	if (woken->tgid != config.tgid)
		return 0;
	s = slot_get(woken->pid, &index);
	if (s && s->syscall != NO_SYSCALL && !s->poll_ns)
		ender_note(&s->ender, s->enter_ns, woken->tgid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_thread_exit, struct task_struct *task)
{
	struct part_account account;
	struct loop_slot *s;
	__u64 now_ns;
	__u32 index;

	if (task->tgid != config.tgid)
		return 0;
	s = slot_get(task->pid, &index);
	/* Killed in an iteration, if it was seen to be in one: a loop that was left unclosed has
	 * one open too. */
	if (s && s->begin_ns && s->turning_ns == s->begin_ns) {
		account = account_of(task);
		now_ns = bpf_ktime_get_ns();
		part_seen(&s->part, now_ns, &account);
		turn_end(s, now_ns);
		if (s->ended_ns)
			turn_put(s);
	}
	slot_drop(task->pid);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	if (task->tgid != config.tgid)
		return 0;
	slot_drop(task->pid);
	exec_ns = bpf_ktime_get_ns();
	return 0;
}

/* ---- while a loop's thread computes */

SEC("perf_event")
int on_cpu_clock(void *ctx)
{
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 index;
	struct loop_slot *s = slot_get(tid_now(), &index);

	if (s && s->busy_since_ns && now_ns - s->busy_since_ns >= SAMPLING_HELD_NS)
		native_put(&s->native, thread_of(s), now_ns, false);
	return 0;
}

/* ---- tasks */

SEC("uprobe")
int on_step(struct pt_regs *regs)
{
	__u64 task = argument_get(regs, &config.step[0]), sp = regs->sp,
	      now_ns = bpf_ktime_get_ns();
	__u32 index, tid = tid_now();
	struct loop_slot *s = slot_get(tid, &index);

	if (rarely(!s)) {
		slot_make(tid);
		s = slot_get(tid, &index);
	}
	return s && task ? step_begin(s, index, task, sp, now_ns) : 0;
}

SEC("uprobe")
int on_step_end(struct pt_regs *regs)
{
	__u32 index;
	struct loop_slot *s = slot_get(tid_now(), &index);

	return s ? step_end(s, bpf_ktime_get_ns()) : 0;
}

SEC("uprobe")
int on_task_new(struct pt_regs *regs)
{
	__u64 task = argument_get(regs, &config.task_new[0]), now_ns = bpf_ktime_get_ns();
	__u64 arguments = argument_get(regs, &config.task_new[1]);
	__u32 index, tid = tid_now();
	struct loop_slot *s = slot_get(tid, &index);

	if (!s) {
		slot_make(tid);
		s = slot_get(tid, &index);
	}
	return s ? task_born(s, index, task, arguments, now_ns) : 0;
}

SEC("uprobe")
int on_future_set(struct pt_regs *regs)
{
	__u64 future = argument_get(regs, &config.set[0]);
	__u32 index;
	struct loop_slot *s = slot_get(tid_now(), &index);

	return s ? future_set(s, future, bpf_ktime_get_ns()) : 0;
}

/* Every task that Python code makes known to asyncio; those of C code do it without this method. */
SEC("uprobe")
int on_python_task(struct pt_regs *regs)
{
	lose(LOSS_PYTHON);
	return 0;
}

SEC("uprobe")
int on_audit(struct pt_regs *regs)
{
	__u64 name = argument_get(regs, &config.audit[0]);
	__u64 arguments = argument_get(regs, &config.audit[1]);
	__u32 index;
	struct loop_slot *s = slot_get(tid_now(), &index);

	return s && s->loop ? audit_put(s, index, name, arguments, bpf_ktime_get_ns()) : 0;
}

/* ---- collections */

SEC("uprobe")
int on_gc_start(struct pt_regs *regs)
{
	struct part_account account = account_now();
	__u64 now_ns = bpf_ktime_get_ns();
	__u32 index;
	struct loop_slot *s = slot_get(tid_now(), &index);

	if (!s)
		return 0;
	part_collect(&s->part, now_ns, 1, &account);
	s->gc_ns = now_ns;
	s->gc_sum_ns = s->part.sum_ns[PART_GC];
	s->gc_generation = (__u32)argument_get(regs, &config.gc_start[0]);
	return 0;
}

SEC("uprobe")
int on_gc_done(struct pt_regs *regs)
{
	struct part_account account = account_now();
	__u64 now_ns = bpf_ktime_get_ns(), begin_ns;
	struct ev_gc *ev;
	__u32 index;
	struct loop_slot *s = slot_get(tid_now(), &index);

	if (!s || !s->gc_ns)
		return 0;
	part_collect(&s->part, now_ns, 0, &account);
	begin_ns = s->gc_ns;
	s->gc_ns = 0;
	if (!s->loop)
		return 0;
	ev = RECORD_RESERVE(gc);
	if (!ev)
		return 0;
	*ev = (struct ev_gc){.head = HEAD(gc, now_ns),
		.begin_ns = begin_ns,
		.cpu_ns = s->part.sum_ns[PART_GC] - s->gc_sum_ns,
		.generation = s->gc_generation,
		.collected = (__u32)argument_get(regs, &config.gc_done[0])};
	RECORD_SUBMIT(ev);
	return 0;
}

/* ---- the threads there are */

/* One { tid, pthread_self() } of each thread of the process, as the recorder reads it once. */
SEC("iter/task")
int each_thread(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	__u64 pair[2];

	if (!task || task->tgid != config.tgid)
		return 0;
	pair[0] = task->pid;
	pair[1] = task->thread.fsbase;
	bpf_seq_write(ctx->meta->seq, pair, sizeof(pair));
	return 0;
}
