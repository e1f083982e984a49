/*
 * Tells a program in the kernel, if one watches, which threads run loops, and when collections
 * begin and end (probe/announce.h). Nothing here is called for its effect; no system call is made.
 */
#include "probe/announce.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include "probe/agent/agent.h"
#include "probe/agent/frame.h"
#include "probe/agent/symver.h"
#include "probe/target/constants.h"

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

static uint64_t pointer_at(uint64_t address)
{
	return *(const uint64_t *)(uintptr_t)address;
}

/* The main interpreter's, a part of _PyRuntime in every version; 0: not found there. */
static uint64_t gil_find(const struct target_constants *target)
{
	const struct layout *lay = &target->layout;
	uint64_t gil = 0, interp;

	if (lay->runtime_gil != OFF_ABSENT)
		return target->runtime + lay->runtime_gil;
	interp = pointer_at(target->runtime + lay->runtime_interpreters_main);
	if (interp)
		gil = pointer_at(interp + lay->interp_gil);
	return gil > target->runtime && gil < target->runtime + target->runtime_size - lay->gil_end
		       ? gil
		       : 0;
}

/* The caller has it, and must be what stands there. */
static void keeper_find(struct target_constants *target)
{
	uint64_t gil = gil_find(target), me = (uintptr_t)PyThreadState_Get();
	const struct layout *lay = &target->layout;
	bool proven = gil && *(const int32_t *)(uintptr_t)(gil + lay->gil_locked) == 1 &&
		      pointer_at(gil + lay->gil_last_holder) == me &&
		      pointer_at(me + lay->thread_interp) ==
			      pointer_at(target->runtime + lay->runtime_interpreters_main);

	if (proven)
		target->gil_last_holder = gil + lay->gil_last_holder;
	hook_report("who keeps the GIL",
		proven ? NULL : "the thread that has it is not where the layout says");
}

/* What is not proven here the kernel does not need: it takes no thread state with another's id. */
static bool target_find(struct target_constants *ret)
{
	const struct layout *layout = frame_layout();

	if (!runtime_find(&ret->gil_begin, &ret->gil_end))
		return false;
	ret->runtime = ret->gil_begin;
	ret->runtime_size = ret->gil_end - ret->gil_begin;
	ret->code_type = (uintptr_t)dlsym(RTLD_DEFAULT, "PyCode_Type");
	ret->str_type = (uintptr_t)dlsym(RTLD_DEFAULT, "PyUnicode_Type");
	ret->bytes_type = (uintptr_t)dlsym(RTLD_DEFAULT, "PyBytes_Type");
	if (!layout)
		return true;
	ret->layout = *layout;
	keeper_find(ret);
	return true;
}

void announce_thread(bool runs)
{
	static struct target_constants target; /* the kernel reads it */
	const uint64_t *busy_at = ring_busy_at();
	struct announcement a;

	if (!busy_at || (!target.gil_end && !target_find(&target)))
		return;
	a = (struct announcement){.session = agent.session,
		.busy_at = (uint64_t)(uintptr_t)busy_at,
		.call_at = (uint64_t)(uintptr_t)&agent_thread.call,
		.gil_begin = target.gil_begin,
		.gil_end = target.gil_end,
		.target = target.layout.minor ? (uintptr_t)&target : 0,
		.pid = agent.pid,
		.tid = thread_tid()};
	ANNOUNCE(runs ? ANNOUNCE_RUNS : ANNOUNCE_STOPS, &a);
}
