/*
 * The agent's clocks. CLOCK_MONOTONIC is told from the TSC where the kernel itself keeps time by
 * it: a call into the vDSO costs 45 ns in a virtual machine, reading the TSC 10 (measured
 * 2026-11-21). Every 10 ms of use the kernel's clock is asked again, so the two stay within a
 * fraction of a µs of each other. Never blocks: where another thread is at it, the kernel is asked.
 */
#include "probe/agent/agent.h"

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
#define FRACTION 32             /* bits of ns per tick behind the point */

static struct {
	bool usable;
	uint32_t sequence;    /* odd: being written */
	uint64_t tsc, ns;     /* the anchor */
	uint64_t ticks;       /* it serves for */
	uint64_t ns_per_tick; /* << FRACTION; 0: not known yet */
	uint64_t base_tsc, base_ns;
} anchor;

static inline uint64_t tsc_read(void)
{
	return __builtin_ia32_rdtsc();
}

/* The kernel's clock and the TSC at one moment; false: interrupted in between. */
static bool reading_take(uint64_t *ret_tsc, uint64_t *ret_ns)
{
	uint64_t before = tsc_read(), ns = kernel_ns(CLOCK_MONOTONIC), after = tsc_read();

	*ret_tsc = before + (after - before) / 2;
	*ret_ns = ns;
	return !anchor.ns_per_tick ||
	       ((after - before) * anchor.ns_per_tick) >> FRACTION < READING_NS;
}

/* Sequence is odd and ours. Time must not run backwards: what the old anchor was ahead is made up
 * during the new one. */
static void anchor_move(uint64_t tsc, uint64_t ns)
{
	uint64_t rate, told = 0, ahead = 0;

	if (!anchor.base_tsc || ns - anchor.base_ns < ANCHOR_NS) {
		if (!anchor.base_tsc) {
			anchor.base_tsc = tsc;
			anchor.base_ns = ns;
		}
		return;
	}
	rate = (uint64_t)(((unsigned __int128)(ns - anchor.base_ns) << FRACTION) /
			  (tsc - anchor.base_tsc));
	if (anchor.ns_per_tick && tsc - anchor.tsc <= anchor.ticks * 2)
		told = anchor.ns + (((tsc - anchor.tsc) * anchor.ns_per_tick) >> FRACTION);
	if (told > ns)
		ahead = told - ns < ANCHOR_NS / 2 ? told - ns : ANCHOR_NS / 2;
	anchor.tsc = tsc;
	anchor.ns = ns + ahead;
	anchor.ticks = (uint64_t)(((unsigned __int128)ANCHOR_NS << FRACTION) / rate);
	anchor.ns_per_tick = rate - (uint64_t)((unsigned __int128)rate * ahead / ANCHOR_NS);
	if (ns - anchor.base_ns > BASELINE_NS) {
		anchor.base_tsc = tsc;
		anchor.base_ns = ns;
	}
}

static uint64_t anchor_renew(void)
{
	uint32_t sequence = __atomic_load_n(&anchor.sequence, __ATOMIC_RELAXED);
	uint64_t tsc, ns;

	if (sequence & 1 || !__atomic_compare_exchange_n(&anchor.sequence, &sequence, sequence + 1,
				    false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return kernel_ns(CLOCK_MONOTONIC);
	if (reading_take(&tsc, &ns)) {
		anchor_move(tsc, ns);
		if (anchor.tsc == tsc)
			ns = anchor.ns;
	}
	__atomic_store_n(&anchor.sequence, sequence + 2, __ATOMIC_RELEASE);
	return ns;
}

uint64_t clock_now_ns(void)
{
	uint32_t sequence;
	uint64_t tsc, since, ns, rate, ticks;

	if (!anchor.usable)
		return kernel_ns(CLOCK_MONOTONIC);
	sequence = __atomic_load_n(&anchor.sequence, __ATOMIC_ACQUIRE);
	since = __atomic_load_n(&anchor.tsc, __ATOMIC_RELAXED);
	ns = __atomic_load_n(&anchor.ns, __ATOMIC_RELAXED);
	rate = __atomic_load_n(&anchor.ns_per_tick, __ATOMIC_RELAXED);
	ticks = __atomic_load_n(&anchor.ticks, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (sequence & 1 || sequence != __atomic_load_n(&anchor.sequence, __ATOMIC_RELAXED))
		return kernel_ns(CLOCK_MONOTONIC);
	tsc = tsc_read();
	if (!rate || tsc - since > ticks)
		return anchor_renew();
	return ns + (((tsc - since) * rate) >> FRACTION);
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
	anchor.usable = n == 4 && !memcmp(name, "tsc\n", 4) && prctl(PR_GET_TSC, &may) == 0 &&
			may == PR_TSC_ENABLE;
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
