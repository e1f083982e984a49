/*
 * The agent's clocks. CLOCK_MONOTONIC is told from the TSC where the kernel itself keeps time by
 * it: a call into the vDSO costs 45 ns in a virtual machine, reading the TSC 10 (measured
 * 2026-11-21). Every 10 ms of use the kernel's clock is asked again, so the two stay within a
 * fraction of a µs of each other. Never blocks: where another thread is at it, the kernel is asked.
 */
#include "probe/agent/clock.h"

#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define CLOCKSOURCE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static uint64_t kernel_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t clock_thread_cpu_ns(void)
{
	return kernel_ns(CLOCK_THREAD_CPUTIME_ID);
}

#ifdef __x86_64__

#define ANCHOR_NS 10000000u     /* an anchor serves so long */
#define BASELINE_NS 2000000000u /* the frequency is measured over at most so long */
#define READING_NS 2000u        /* a reading that took longer was interrupted */
#define READ_TRIES 64

struct clock_anchors clock_anchors;

static struct {
	bool usable;
	uint32_t moving;          /* 1: a thread is at the next anchor */
	struct clock_anchor base; /* where the frequency is measured from */
} clocks;

static inline uint64_t tsc_read(void)
{
	return __builtin_ia32_rdtsc();
}

static inline uint64_t ticks_ns(uint64_t ticks, uint64_t ns_per_tick)
{
	return (uint64_t)(((unsigned __int128)ticks * ns_per_tick) >> CLOCK_FRACTION);
}

/*
 * Beyond the anchor's time, where nobody could take the next one, at the rate that was measured:
 * what had to be made up for is so by then.
 */
static uint64_t anchor_time(const struct clock_anchor *a, uint64_t tsc)
{
	uint64_t ticks = tsc - a->tsc, rate;

	if (ticks <= a->ticks)
		return a->ns + ticks_ns(ticks, a->ns_per_tick);
	rate = (uint64_t)(((unsigned __int128)ANCHOR_NS << CLOCK_FRACTION) / a->ticks);
	return a->ns + ticks_ns(a->ticks, a->ns_per_tick) + ticks_ns(ticks - a->ticks, rate);
}

/*
 * The TSC, and the kernel's clock just after: told from there, time is never behind what the kernel
 * has told. False: interrupted in between.
 */
static bool reading_take(struct clock_anchor *ret)
{
	uint64_t before = kernel_ns(CLOCK_MONOTONIC);

	ret->tsc = tsc_read();
	ret->ns = kernel_ns(CLOCK_MONOTONIC);
	return ret->ns - before < READING_NS;
}

/* Time must not run backwards: what the last anchor was ahead is made up during the next one. */
static void anchor_move(const struct clock_anchor *last, struct clock_anchor next)
{
	uint64_t rate, told, ahead = 0;

	if (!clocks.base.tsc)
		clocks.base = next;
	if (next.ns - clocks.base.ns < ANCHOR_NS)
		return;
	rate = (uint64_t)(((unsigned __int128)(next.ns - clocks.base.ns) << CLOCK_FRACTION) /
			  (next.tsc - clocks.base.tsc));
	told = last ? anchor_time(last, next.tsc) : 0;
	if (told > next.ns)
		ahead = told - next.ns < ANCHOR_NS / 2 ? told - next.ns : ANCHOR_NS / 2;
	if (next.ns - clocks.base.ns > BASELINE_NS)
		clocks.base = next;
	next.ns += ahead;
	next.ticks = (uint64_t)(((unsigned __int128)ANCHOR_NS << CLOCK_FRACTION) / rate);
	next.ns_per_tick = rate - (uint64_t)((unsigned __int128)rate * ahead / ANCHOR_NS);
	clock_anchors.at[(clock_anchors.turn + 1) & 1] = next;
	__atomic_store_n(&clock_anchors.turn, clock_anchors.turn + 1, __ATOMIC_RELEASE);
}

/* The newest anchor; false: none, or it went away while it was read. */
static inline bool anchor_read(struct clock_anchor *ret)
{
	uint32_t turn = __atomic_load_n(&clock_anchors.turn, __ATOMIC_ACQUIRE);

	*ret = clock_anchors.at[turn & 1];
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return turn && turn == __atomic_load_n(&clock_anchors.turn, __ATOMIC_RELAXED);
}

static void anchor_renew(void)
{
	struct clock_anchor last, next;
	bool any = clock_anchors.turn != 0;
	uint32_t free = 0;

	if (!__atomic_compare_exchange_n(
		    &clocks.moving, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	last = clock_anchors.at[clock_anchors.turn & 1];
	if (reading_take(&next))
		anchor_move(any ? &last : NULL, next);
	__atomic_store_n(&clocks.moving, 0, __ATOMIC_RELEASE);
}

uint64_t clock_now_ns(void)
{
	struct clock_anchor a;
	uint64_t tsc;

	if (anchor_read(&a)) { /* never, where the TSC is not usable */
		tsc = tsc_read();
		if (tsc - a.tsc <= a.ticks)
			return anchor_time(&a, tsc);
	}
	if (!clocks.usable)
		return kernel_ns(CLOCK_MONOTONIC);
	anchor_renew();
	/* Where another thread is at it, or was interrupted, the last anchor serves on. */
	for (unsigned int i = 0; i < READ_TRIES; i++)
		if (anchor_read(&a))
			return anchor_time(&a, tsc_read());
	return kernel_ns(CLOCK_MONOTONIC);
}

/* The kernel trusts the TSC of this machine, and this process may read it (prctl(2), PR_GET_TSC).
 */
void clock_open(void)
{
	char name[8] = "";
	int may = PR_TSC_SIGSEGV;
	int fd = open(CLOCKSOURCE, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, name, sizeof(name) - 1) : 0;

	if (fd >= 0)
		close(fd);
	clocks.usable = n == 4 && !memcmp(name, "tsc\n", 4) && prctl(PR_GET_TSC, &may) == 0 &&
			may == PR_TSC_ENABLE;
	/* in a child of fork() the thread that was at the next anchor is gone */
	__atomic_store_n(&clocks.moving, 0, __ATOMIC_RELEASE);
}

#else

void clock_open(void)
{
}

uint64_t clock_now_ns(void)
{
	return kernel_ns(CLOCK_MONOTONIC);
}

#endif
