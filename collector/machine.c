/* /proc/stat, whose first line sums all CPUs in ticks (fs/proc/stat.c@6.1). See machine.h. */
#include "collector/machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define NS_PER_S 1000000000ull
#define PERIOD_NS NS_PER_S
#define LEAST_NS (PERIOD_NS / 10) /* ticks are 10 ms long */

/* Since the machine started; guests are in user and nice already. */
static bool counters_read(struct machine *ret)
{
	uint64_t user, nice, system, irq, softirq, steal, tick_ns;
	FILE *file = fopen("/proc/stat", "re");
	long hz = sysconf(_SC_CLK_TCK);
	int n;

	if (!file)
		return false;
	n = fscanf(file,
		"cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %*u %*u %" SCNu64 " %" SCNu64 " %" SCNu64,
		&user, &nice, &system, &irq, &softirq, &steal);
	fclose(file);
	if (n != 6 || hz <= 0)
		return false;
	tick_ns = NS_PER_S / (uint64_t)hz;
	ret->busy_ns = (user + nice + system + irq + softirq) * tick_ns;
	ret->stolen_ns = steal * tick_ns;
	return true;
}

bool machine_look(struct machine *m, uint64_t now_ns, bool end, struct ev_machine *ret)
{
	struct machine now = {.last_ns = now_ns}, last = *m;
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (last.last_ns && now_ns - last.last_ns < (end ? LEAST_NS : PERIOD_NS))
		return false;
	if (cpus <= 0 || !counters_read(&now))
		return false;
	*m = now;
	if (!last.last_ns || now.busy_ns < last.busy_ns || now.stolen_ns < last.stolen_ns)
		return false;
	*ret = (struct ev_machine){
		.head = {.time_ns = now_ns, .kind = EV_machine, .size_words = sizeof(*ret) / 8},
		.begin_ns = last.last_ns,
		.busy_ns = now.busy_ns - last.busy_ns,
		.stolen_ns = now.stolen_ns - last.stolen_ns,
		.cpus = (uint32_t)cpus};
	return true;
}
