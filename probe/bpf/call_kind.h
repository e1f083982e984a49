/*
 * What a system call waits for and touches, by its number on this architecture
 * (probe/syscalls.def). Compiled for the kernel and for the recorder.
 */
#ifndef PROBE_BPF_CALL_KIND_H
#define PROBE_BPF_CALL_KIND_H

#include <asm/unistd.h>
#include <stdbool.h>

#include "probe/bpf/partition.h"

enum touch_how {
	HOW_NONE,
	HOW_FD,
	HOW_POLL,
	HOW_SELECT,
	HOW_PATH,
	HOW_PATH_AT,
	HOW_ADDRESS,
	HOW_CHILD
};

struct call_kind {
	__u8 class; /* enum part_class; 0: not in the list */
	__u8 how;   /* enum touch_how */
	__s8 fd_at; /* argument; < 0: none */
	__u8 pad0;
};

#define CALL_NUMBERS 512u /* a power of two above every system call's number */

/* Expansions of a list: clang-format would take them apart. */
/* clang-format off */
#define PART_of_sleep PART_SLEEP
#define PART_of_network PART_NETWORK
#define PART_of_file PART_FILE
#define PART_of_subprocess PART_SUBPROCESS
#define PART_of_lock PART_LOCK
#define PART_of_other PART_OTHER
#define FD_AT_NONE (-1)
#define FD_AT_0 0
#define FD_AT_1 1

static const struct call_kind call_kinds[CALL_NUMBERS] = {
#define SYSCALL(name, id, class_, fd, touches)                                                     \
	[__NR_##name] = {.class = PART_of_##class_, .how = HOW_##touches, .fd_at = FD_AT_##fd},
#include "probe/syscalls.def"
#undef SYSCALL
};
/* clang-format on */

static inline struct call_kind call_kind_of(__u32 number)
{
	struct call_kind kind = {.class = PART_OTHER, .how = HOW_NONE, .fd_at = -1};

	if (number < CALL_NUMBERS && call_kinds[number & (CALL_NUMBERS - 1)].class)
		kind = call_kinds[number & (CALL_NUMBERS - 1)];
	return kind;
}

static inline bool call_is_poll(__u32 number)
{
#ifdef __NR_epoll_pwait2
	if (number == __NR_epoll_pwait2)
		return true;
#endif
	return number == __NR_epoll_wait || number == __NR_epoll_pwait;
}

/* enum part_class. A call that can wait for descriptors sleeps where it is given none. */
static inline __u32 call_class(
	__u32 number, const __u64 argument[3], __u64 gil_begin, __u64 gil_end)
{
	struct call_kind kind = call_kind_of(number);

	if (number == __NR_futex && argument[0] >= gil_begin && argument[0] < gil_end)
		return PART_GIL;
	if (kind.how == HOW_SELECT && !argument[0])
		return PART_SLEEP;
	if (kind.how == HOW_POLL && !argument[1])
		return PART_SLEEP;
	return kind.class;
}

#endif
