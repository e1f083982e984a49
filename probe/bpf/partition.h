/*
 * Where the time of one thread goes, as an exact sum: every ns since partition_begin() is in one
 * class. Driven by what the kernel tells of the thread (system calls, switches, wakeups,
 * collections); compiled into the program in the kernel and, for its test, outside. Integers only.
 */
#ifndef PROBE_BPF_PARTITION_H
#define PROBE_BPF_PARTITION_H

#include <linux/types.h>

enum part_class { /* USER as the class of a system call: none is in flight */
#define PART(name, NAME, id, doc) PART_##NAME = id,
#include "probe/part.def"
	PART_SELECT = 13, /* in the loop's own selector: no part of busy time */
	PART_CLASSES = 16
};

/* What a partition is told, as it comes: for streams that its test replays (ev_kernel_part). */
enum part_told {
	PART_TOLD_ENTER,
	PART_TOLD_EXIT,
	PART_TOLD_COLLECT,
	PART_TOLD_OUT,
	PART_TOLD_IN,
	PART_TOLD_TURN,
	PART_TOLD_SETTLE
};
#ifndef PART_TELL
#define PART_TELL(p, told, now_ns, argument, account)
#endif

/* Of a function that is seldom needed: kept out of the way of what every system call runs. */
#ifdef __bpf__
#define PART_RARE static __attribute__((noinline))
#else
#define PART_RARE static inline
#endif

#define PART_ROOM 16u /* a power of two, so that a verifier sees an index to be in range */

/*
 * What the scheduler itself has accounted to the thread: se.sum_exec_runtime (exact as it is
 * switched out, else up to a tick old), sched_info.run_delay, and sched_info.last_arrival, on a
 * clock of the scheduler's own; 0: not known. And to its CPU, where that is looked at: the moment
 * of the last look at that clock, which at a switch is the switch's own; what a hypervisor has
 * taken from the CPU up to then, which is no part of ran_ns (update_rq_clock_task(),
 * kernel/sched/core.c@6.18).
 */
struct part_account {
	__u64 ran_ns, delayed_ns, arrived;
	__u64 clock, stolen_ns; /* 0: not known */
};

struct partition {
	__u64 sum_ns[PART_ROOM];
	__u64 last_ns;  /* charged up to here */
	__u64 out_ns;   /* off CPU since then; 0: on a CPU */
	__u64 in_ns;    /* on a CPU again since then: the scheduler's account of it is awaited; 0 */
	__u64 on_ns;    /* charged as on a CPU since `at_out` was taken */
	__u64 off_ns;   /* what the last absence gave to off_class, in this turn */
	__u64 doubt_ns; /* what the last switch out gave to PART_UNKNOWN, in this turn */
	__u64 arrived;  /* the last arrival that is known of, by the scheduler's clock */
	__u64 clock;    /* our clock less the scheduler's; 0: not known */
	__u64 clock_ns; /* when that was found by switches' own times; 0: by arrivals only */
	__u64 long_ns, long_end_ns; /* the longest span on this CPU in this turn */
	__u64 stolen_before_ns;     /* from this CPU up to the last look; 0: not known */
	__u64 stolen_ns;            /* in this turn, charged to PART_RUNQ */
	struct part_account at_out;
	__u64 healed;         /* lost switches that other evidence gave back */
	__u64 discrepancy_ns; /* largest difference from the scheduler's account, in this turn */
	__u32 syscall;        /* class of waits in the system call in flight; PART_USER: none */
	__u32 collecting;
	__u32 runnable;  /* it was, as it was switched out */
	__u32 off_class; /* of off_ns */
	__u32 stale;     /* at_out was taken while it ran: up to a tick old */
	__u32 long_class;
};

/*
 * Where the moment of a switch is not looked at, the scheduler takes it some us before it tells of
 * it: up to 16 us were measured (Linux 6.18 in a virtual machine, 2026-11). Up to here it is
 * believed; what is beyond is a switch nobody told of, or time that somebody else took from the
 * CPU: interrupts, a hypervisor whose clock the scheduler does not see.
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
	__u32 class = part_on_cpu(p);

	part_add(p, class, ns);
	p->on_ns += ns;
	p->last_ns += ns;
	if (__builtin_expect(ns > p->long_ns, 0)) {
		p->long_ns = ns;
		p->long_end_ns = p->last_ns;
		p->long_class = class;
	}
}

/*
 * The scheduler looks at its clock as a switch begins, and tells of it later: a few us, or up to
 * 0.9 ms where a virtual machine's CPU was interrupted in between (2026-11). By our clock that look
 * was the soonest that any switch was told, but for what the two clocks drift apart since:
 * adjtimex(2) lets them by 500 ppm. Later by this than that, it is a clock that has jumped.
 */
#define PART_DRIFT_SHIFT 10
#define PART_JUMP_NS 20000000

static inline __u64 part_when(struct partition *p, __u64 now_ns, __u64 clock)
{
	__u64 ahead = now_ns - clock, most;
	__s64 late;

	if (!clock)
		return now_ns;
	most = p->clock + ((now_ns - p->clock_ns) >> PART_DRIFT_SHIFT);
	late = (__s64)(ahead - most);
	p->clock = p->clock_ns && late > 0 && late < PART_JUMP_NS ? most : ahead;
	p->clock_ns = now_ns;
	return clock + p->clock;
}

/*
 * What a hypervisor took from its CPU while it had it: then it ran nothing, and waited for a CPU.
 * So much time in one piece lies in the longest span. In several pieces it may not: what is beyond
 * that span is told as a difference.
 */
static inline void part_steal(struct partition *p, const struct part_account *account)
{
	__u64 ns = p->stolen_before_ns ? account->stolen_ns - p->stolen_before_ns : 0;
	__u64 most_ns = p->long_ns < p->on_ns ? p->long_ns : p->on_ns;

	p->stolen_before_ns = account->stolen_ns;
	if (__builtin_expect((__s64)ns <= 0, 1))
		return;
	if (ns > most_ns && ns - most_ns > p->discrepancy_ns)
		p->discrepancy_ns = ns - most_ns;
	p->on_ns -= ns < p->on_ns ? ns : p->on_ns;
	ns = ns < most_ns ? ns : most_ns;
	part_add(p, p->long_class, -ns);
	part_add(p, PART_RUNQ, ns);
	p->stolen_ns += ns;
	p->long_ns -= ns;
}

/*
 * It was away, and is on a CPU again since in_ns. The scheduler says how much of that it waited for
 * a CPU; of a thread that could run when it went that is all of it. It says too what it ran: where
 * that is more than since in_ns, it came and went meanwhile, and nobody told. The rest it waited
 * for what its system call waits for.
 */
static inline void part_absent(
	struct partition *p, __u64 in_ns, __u64 now_ns, const struct part_account *account)
{
	__u64 left = in_ns > p->last_ns ? in_ns - p->last_ns : 0;
	__u64 delayed_ns = account->delayed_ns - p->at_out.delayed_ns;
	__u64 seen_ns = p->on_ns + (now_ns > in_ns ? now_ns - in_ns : 0);
	__u64 ran_ns = account->ran_ns - p->at_out.ran_ns, more_ns, runq_ns;

	ran_ns = ran_ns > seen_ns + PART_TOLERANCE_NS || (ran_ns > seen_ns && !p->out_ns)
			 ? ran_ns - seen_ns
			 : 0;
	ran_ns = ran_ns < left ? ran_ns : left;
	part_add(p, part_on_cpu(p), ran_ns);
	p->on_ns += ran_ns;
	p->last_ns += left;
	left -= ran_ns;
	/* it was preempted earlier than we were told */
	more_ns = p->runnable && delayed_ns > left ? delayed_ns - left : 0;
	more_ns = more_ns < p->doubt_ns ? more_ns : p->doubt_ns;
	part_add(p, PART_UNKNOWN, -more_ns);
	part_add(p, PART_RUNQ, more_ns);
	runq_ns = (p->runnable && !ran_ns) || delayed_ns > left ? left : delayed_ns;
	part_add(p, PART_RUNQ, runq_ns);
	p->off_class = part_off_cpu(p);
	p->off_ns = left - runq_ns;
	part_add(p, p->off_class, p->off_ns);
	p->arrived = account->arrived;
}

/*
 * Since when it is on a CPU is not known, or the scheduler's account does not fit either: it splits
 * what it can. The rest is not known, but where it was told that it went and the scheduler knows of
 * its return: then it waited, but for what it ran since the last tick.
 */
static inline void part_give_up(
	struct partition *p, __u64 now_ns, const struct part_account *account)
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
	if (p->out_ns && account->arrived != p->arrived) {
		part_add(p, part_off_cpu(p), left);
	} else {
		part_add(p, PART_UNKNOWN, left);
		if (left > p->discrepancy_ns)
			p->discrepancy_ns = left;
	}
	if (now_ns > p->last_ns)
		p->last_ns = now_ns;
	p->at_out = *account;
	p->arrived = account->arrived;
	p->stale = 1;
	p->off_ns = 0;
}

/*
 * It is on a CPU, but the switch that brought it there was never told: on Linux 6.18 in a virtual
 * machine those from certain threads of its agent never are, not to ftrace either (2026-11). The
 * scheduler knows when it came.
 */
static inline void part_heal(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	__u64 in_ns = account->arrived + p->clock;

	p->healed++;
	p->stale = 1; /* what it has run since is not known to the ns: not compared up to its next
			 switch */
	in_ns = in_ns < p->last_ns ? p->last_ns : in_ns > now_ns ? now_ns : in_ns;
	p->stolen_before_ns = 0; /* it may be another CPU */
	if (p->clock && account->arrived != p->arrived)
		part_absent(p, in_ns, now_ns, account);
	else
		part_give_up(p, now_ns, account);
}

/* It is on a CPU, and was not all the time since it was seen last. */
PART_RARE void part_back(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	if (p->out_ns && p->in_ns) {
		if (!p->clock_ns)
			p->clock = account->arrived ? p->in_ns - account->arrived : 0;
		part_absent(p, p->in_ns, now_ns, account);
	} else if (p->out_ns) {
		part_heal(p, now_ns, account);
	} else {
		p->runnable = 0; /* nor was it told that it went */
		part_heal(p, now_ns, account);
	}
	p->out_ns = 0;
	p->long_ns = 0;
}

/* It was not on a CPU all the time since it was seen last. */
static inline __u32 part_was_away(const struct partition *p, __u64 arrived)
{
	return p->out_ns || (p->clock && arrived != p->arrived);
}

/*
 * Called first by whatever shows that the thread is on a CPU. Where it was all the time, only when
 * it arrived there is looked at of its account.
 */
static inline void part_seen(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	if (__builtin_expect(part_was_away(p, account->arrived), 0))
		part_back(p, now_ns, account);
	p->in_ns = 0;
	part_charge(p, now_ns);
}

static inline void part_begin(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	p->last_ns = now_ns;
	p->at_out = *account;
	p->arrived = account->arrived;
	p->stale = 1;
}

/* From here on sums are of another turn; only what comes now is set right in it. */
static inline void part_turn(struct partition *p)
{
	PART_TELL(p, PART_TOLD_TURN, p->last_ns, 0, &p->at_out);
	p->collecting = 0; /* no collection goes on across a selector */
	p->off_ns = 0;
	p->doubt_ns = 0;
	p->long_ns = 0;
	p->stolen_ns = 0;
}

/* The turn's sums are about to be told, with the CPU's account as it is by now. */
static inline void part_settle(struct partition *p, const struct part_account *account)
{
	PART_TELL(p, PART_TOLD_SETTLE, p->last_ns, 0, account);
	part_steal(p, account);
}

/* PART_RUNQ without what a hypervisor took, of which it is not known to the ns when that was. */
static inline __u64 part_queued(const struct partition *p)
{
	return p->sum_ns[PART_RUNQ] - p->stolen_ns;
}

static inline void part_enter(
	struct partition *p, __u64 now_ns, __u32 class, const struct part_account *account)
{
	PART_TELL(p, PART_TOLD_ENTER, now_ns, class, account);
	part_seen(p, now_ns, account);
	p->syscall = class;
}

/* It is about to wait, and it is known better for what than its system call tells. */
static inline void part_waits_for(struct partition *p, __u32 class)
{
	p->syscall = class;
}

static inline void part_exit(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	PART_TELL(p, PART_TOLD_EXIT, now_ns, 0, account);
	part_seen(p, now_ns, account);
	p->syscall = PART_USER;
}

static inline void part_collect(
	struct partition *p, __u64 now_ns, __u32 collecting, const struct part_account *account)
{
	PART_TELL(p, PART_TOLD_COLLECT, now_ns, collecting, account);
	part_seen(p, now_ns, account);
	p->collecting = collecting;
}

/* Charged as on a CPU, but the scheduler knows of less: `span_ns` was charged last, and gives it
 * up. */
static inline void part_less(struct partition *p, __u64 span_ns, __u64 over_ns)
{
	__u64 ns = over_ns < span_ns ? over_ns : span_ns;

	part_add(p, part_on_cpu(p), -ns);
	if (over_ns <= PART_TOLERANCE_NS) {
		p->last_ns -= ns; /* it had gone before we were told */
		return;
	}
	part_add(p, PART_UNKNOWN, ns);
	p->doubt_ns = ns;
	p->healed++;
}

/* As it is switched out the scheduler's account is exact, and settles what was taken for on CPU. */
static inline void part_compare(
	struct partition *p, __u64 span_ns, const struct part_account *account)
{
	__u64 ran_ns = account->ran_ns - p->at_out.ran_ns;
	__u64 ns = p->on_ns > ran_ns ? p->on_ns - ran_ns : ran_ns - p->on_ns;

	if (p->stale)
		return;
	if (ns > p->discrepancy_ns)
		p->discrepancy_ns = ns;
	if (p->on_ns > ran_ns) {
		part_less(p, span_ns, ns);
		return;
	}
	/* It was back before we were told: up to 0.57 ms on a busy virtual machine (2026-11). Or it
	 * came and went meanwhile. */
	ns = ns < p->off_ns ? ns : p->off_ns;
	part_add(p, p->off_class, -ns);
	part_add(p, part_on_cpu(p), ns);
}

static inline void part_out(
	struct partition *p, __u64 now_ns, __u32 runnable, const struct part_account *account)
{
	__u64 before_ns = p->last_ns, span_ns;

	PART_TELL(p, PART_TOLD_OUT, now_ns, runnable, account);
	part_seen(p, part_when(p, now_ns, account->clock), account);
	span_ns = p->last_ns - before_ns;
	part_steal(p, account);
	span_ns = span_ns < p->on_ns ? span_ns : p->on_ns;
	if (p->long_end_ns == p->last_ns) /* which may have lost some of it just now */
		span_ns = span_ns < p->long_ns ? span_ns : p->long_ns;
	p->doubt_ns = 0;
	part_compare(p, span_ns, account);
	p->out_ns = p->last_ns;
	p->runnable = runnable;
	p->at_out = *account;
	p->stale = 0;
	p->on_ns = 0;
	p->off_ns = 0;
}

/* As if it ended now: what the scheduler accounts to an absence that lasts is not known yet. */
static inline void part_close(struct partition *p, __u64 now_ns)
{
	if (p->out_ns)
		part_absent(p, p->in_ns ? p->in_ns : now_ns, now_ns, &p->at_out);
	p->out_ns = 0;
	p->in_ns = 0;
	part_charge(p, now_ns);
}

static inline void part_in(struct partition *p, __u64 now_ns, const struct part_account *account)
{
	PART_TELL(p, PART_TOLD_IN, now_ns, 0, account);
	/* if its switch out was not told, part_compare() will notice */
	if (!p->out_ns || p->in_ns)
		return;
	p->in_ns = part_when(p, now_ns, account->clock);
	p->stolen_before_ns = account->stolen_ns;
}

#endif
