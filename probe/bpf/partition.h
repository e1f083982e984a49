/*
 * Where the time of one thread goes, as an exact sum: every ns since partition_begin() is in one
 * class. Driven by what the kernel tells of the thread (system calls, switches, wakeups,
 * collections); compiled into the program in the kernel and, for its test, outside. Integers only.
 */
#ifndef PROBE_BPF_PARTITION_H
#define PROBE_BPF_PARTITION_H

#include <linux/types.h>

enum part_class {
	PART_USER, /* on a CPU in user code; as the class of a system call: none is in flight */
	PART_KERNEL,
	PART_GC,   /* on a CPU in user code, in a collection */
	PART_GIL,  /* waiting for the GIL's futex, on a CPU or off */
	PART_RUNQ, /* could run, had no CPU */
	PART_SLEEP,
	PART_NETWORK,
	PART_FILE,
	PART_SUBPROCESS,
	PART_LOCK,
	PART_FAULT, /* off CPU in no system call: a page had to come */
	PART_OTHER,
	PART_UNKNOWN,
	PART_SELECT, /* in the loop's own selector: no part of busy time */
	PART_CLASSES
};
#define PART_ROOM 16u /* a power of two, so that a verifier sees an index to be in range */

/* What the scheduler itself has accounted to the thread: se.sum_exec_runtime, sched_info.run_delay.
 */
struct part_account {
	__u64 ran_ns, delayed_ns;
};

struct partition {
	__u64 sum_ns[PART_ROOM];
	__u64 last_ns; /* charged up to here */
	__u64 out_ns;  /* off CPU since then; 0: on a CPU */
	__u64 wake_ns; /* runnable again since then; 0: not yet */
	__u64 on_ns;   /* charged as on a CPU since `at_out` was taken */
	struct part_account at_out;
	__u64 healed;         /* lost switches that other evidence gave back */
	__u64 discrepancy_ns; /* largest difference from the scheduler's account */
	__u32 syscall;        /* class of waits in the system call in flight; PART_USER: none */
	__u32 collecting;
	__u32 stale; /* at_out was taken while it ran: up to a tick old */
	__u32 pad0;
};

/*
 * The scheduler's account of a thread that runs is up to a tick old, and leaves interrupts out
 * where the kernel accounts them apart. Only what is beyond that may be a switch nobody told of.
 */
#define PART_TOLERANCE_NS 200000u

static inline __u32 part_on_cpu(const struct partition *p)
{
	if (p->syscall == PART_GIL || p->syscall == PART_SELECT)
		return p->syscall;
	if (p->syscall != PART_USER)
		return PART_KERNEL;
	return p->collecting ? PART_GC : PART_USER;
}

static inline __u32 part_off_cpu(const struct partition *p)
{
	return p->syscall == PART_USER ? PART_FAULT : p->syscall;
}

static inline __u64 part_sum(const struct partition *p, __u32 class)
{
	return p->sum_ns[class & (PART_ROOM - 1)];
}

static inline void part_add(struct partition *p, __u32 class, __u64 ns)
{
	p->sum_ns[class & (PART_ROOM - 1)] += ns;
}

static inline void part_charge(struct partition *p, __u64 now_ns)
{
	__u64 ns = now_ns > p->last_ns ? now_ns - p->last_ns : 0;

	part_add(p, part_on_cpu(p), ns);
	p->on_ns += ns;
	p->last_ns += ns;
}

/*
 * It is on a CPU, but the switch that brought it there was never told (about 2 of 1,240 were not,
 * Linux 6.18 under load, 2026-11). The scheduler's account says how long it ran and waited for a
 * CPU; what is left is not known.
 */
static inline void part_heal(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	__u64 left = now_ns > p->last_ns ? now_ns - p->last_ns : 0, ns;

	ns = account->delayed_ns - p->at_out.delayed_ns;
	ns = ns < left ? ns : left;
	part_add(p, PART_RUNQ, ns);
	left -= ns;
	ns = account->ran_ns - p->at_out.ran_ns;
	ns = ns < left ? ns : left;
	part_add(p, part_on_cpu(p), ns);
	left -= ns;
	part_add(p, PART_UNKNOWN, left);
	if (now_ns > p->last_ns)
		p->last_ns = now_ns;
	p->out_ns = 0;
	p->wake_ns = 0;
	p->on_ns = 0;
	p->at_out = *account;
	p->stale = 1;
	p->healed++;
}

/* Called first by whatever shows that the thread is on a CPU. */
static inline void part_seen(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	if (p->out_ns)
		part_heal(p, now_ns, account);
	else
		part_charge(p, now_ns);
}

static inline void part_begin(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	p->last_ns = now_ns;
	p->at_out = *account;
	p->stale = 1;
}

static inline void part_enter(
	struct partition *p, __u64 now_ns, __u32 class, const struct part_account *account)
{
	part_seen(p, now_ns, account);
	p->syscall = class;
}

static inline void part_exit(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	part_seen(p, now_ns, account);
	p->syscall = PART_USER;
}

static inline void part_collect(
	struct partition *p, __u64 now_ns, __u32 collecting, const struct part_account *account)
{
	part_seen(p, now_ns, account);
	p->collecting = collecting;
}

/*
 * Charged as on a CPU, but the scheduler knows of less: both switches between were not told. The
 * last span gives the difference up, as far as it goes.
 */
static inline void part_compare(
	struct partition *p, __u64 span_ns, const struct part_account *account)
{
	__u64 ran_ns = account->ran_ns - p->at_out.ran_ns;
	__u64 off_ns = p->on_ns > ran_ns ? p->on_ns - ran_ns : ran_ns - p->on_ns;
	__u32 class = part_on_cpu(p);

	if (p->stale)
		return;
	if (p->on_ns > ran_ns + PART_TOLERANCE_NS) {
		__u64 ns = off_ns < span_ns ? off_ns : span_ns;

		part_add(p, class, -ns);
		part_add(p, PART_UNKNOWN, ns);
		p->healed++;
		off_ns -= ns;
	}
	if (off_ns > p->discrepancy_ns)
		p->discrepancy_ns = off_ns;
}

static inline void part_out(
	struct partition *p, __u64 now_ns, __u32 runnable, const struct part_account *account)
{
	__u64 span_ns = now_ns > p->last_ns ? now_ns - p->last_ns : 0;

	if (p->out_ns) {
		part_heal(p, now_ns, account);
	} else {
		part_charge(p, now_ns);
		part_compare(p, span_ns, account);
	}
	p->out_ns = p->last_ns;
	p->wake_ns = runnable ? p->last_ns : 0;
	p->at_out = *account;
	p->stale = 0;
	p->on_ns = 0;
}

/* On another CPU, or on its own before it has gone; the first one counts. */
static inline void part_wake(struct partition *p, __u64 now_ns)
{
	if (p->out_ns && !p->wake_ns)
		p->wake_ns = now_ns;
}

static inline void part_in(struct partition *p, __u64 now_ns)
{
	__u64 wake_ns = p->wake_ns;

	if (!p->out_ns)
		return; /* its switch out was not told: part_compare() will notice */
	if (now_ns < p->last_ns)
		now_ns = p->last_ns;
	if (!wake_ns || wake_ns > now_ns)
		wake_ns = now_ns;
	if (wake_ns < p->last_ns)
		wake_ns = p->last_ns;
	part_add(p, part_off_cpu(p), wake_ns - p->last_ns);
	part_add(p, PART_RUNQ, now_ns - wake_ns);
	p->last_ns = now_ns;
	p->out_ns = 0;
	p->wake_ns = 0;
}

#endif
