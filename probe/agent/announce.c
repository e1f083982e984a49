/*
 * Tells a program in the kernel, if one watches, which threads run loops, and when collections
 * begin and end (probe/announce.h). Nothing here is called for its effect; no system call is made.
 */
#include "probe/announce.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "probe/agent/agent.h"
#include "probe/agent/symver.h"

/* Weak: so that no compiler knows better what it does, and leaves the call out. */
#define DOOR __attribute__((noinline, weak, visibility("default")))

DOOR void ANNOUNCE(uint32_t what, const struct announcement *announcement);

/* The kernel looks here: it emulates this instruction (arch/x86/kernel/uprobes.c@6.1). */
void ANNOUNCE(uint32_t what, const struct announcement *announcement)
{
	__asm__ volatile("nop" : : "r"(what), "r"(announcement) : "memory");
}

void announce_collection(bool begins)
{
	ANNOUNCE(begins ? ANNOUNCE_COLLECTS : ANNOUNCE_COLLECTED, NULL);
}

/*
 * All futexes of the main interpreter's GIL lie in _PyRuntime (3.8 to 3.14); a symbol without a
 * size does not tell where that ends.
 */
static bool runtime_find(uint64_t *ret_begin, uint64_t *ret_end)
{
	const void *runtime = dlsym(RTLD_DEFAULT, "_PyRuntime");
	const ElfW(Sym) *symbol = NULL;
	Dl_info info;

	if (!runtime || !dladdr1(runtime, &info, (void **)&symbol, RTLD_DL_SYMENT) || !symbol ||
		info.dli_saddr != runtime || !symbol->st_size)
		return false;
	*ret_begin = (uint64_t)(uintptr_t)runtime;
	*ret_end = *ret_begin + symbol->st_size;
	return true;
}

void announce_thread(bool runs)
{
	static uint64_t gil_begin, gil_end;
	const uint64_t *busy_at = ring_busy_at();
	struct announcement a;

	if (!busy_at || (!gil_end && !runtime_find(&gil_begin, &gil_end)))
		return;
	a = (struct announcement){.session = agent.session,
		.busy_at = (uint64_t)(uintptr_t)busy_at,
		.call_at = (uint64_t)(uintptr_t)&agent_thread.call,
		.gil_begin = gil_begin,
		.gil_end = gil_end,
		.pid = agent.pid,
		.tid = thread_tid()};
	ANNOUNCE(runs ? ANNOUNCE_RUNS : ANNOUNCE_STOPS, &a);
}
