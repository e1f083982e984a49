/* What /proc tells about another process: which of its mapped objects may be an interpreter, how a
 * thread of it fares. Silent. */
#ifndef PROBE_TARGET_PROCESS_H
#define PROBE_TARGET_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process_map { /* a mapping of a file */
	uint64_t begin, end, offset, inode;
	const char *path; /* as the target sees it; " (deleted)" behind it where the file is gone */
};

/*
 * Calls fn for each, in order of addresses, until it returns true. -ESRCH: no such process; -EPERM.
 */
int process_maps_each(
	uint32_t pid, bool (*fn)(void *ctx, const struct process_map *map), void *ctx);
/* Path of the executable as the target sees it. -ESRCH, -EPERM. */
int process_executable(uint32_t pid, char *buf, size_t size);

#define PROCESS_OBJECTS_MAX 8u

struct process_objects {
	uint64_t base[PROCESS_OBJECTS_MAX]; /* of each: where its first byte is mapped */
	size_t count;
	int minor; /* of Python 3.minor, as file names tell; 0: they do not */
};

/* The executable first, then every libpython. -ESRCH: no such process; -EPERM. */
int process_objects(uint32_t pid, struct process_objects *ret);
struct thread_clocks {
	uint64_t cpu_ns;  /* up to the scheduler's last tick */
	uint64_t runq_ns; /* it waited for a CPU, up to the last time it got one */
};
/* Also of a main thread that has ended, until its parent has asked. False: not known. */
bool process_thread_clocks(uint32_t pid, uint32_t tid, struct thread_clocks *ret);
/* The number that a thread has here, by that which its own pid namespace knows; 0: there is none.
 */
uint32_t process_thread_outer(uint32_t pid, uint32_t tid);
/* Whether a process has this thread, by the number that its own pid namespace knows. */
bool process_has_thread(uint32_t pid, uint32_t tid);
/* Whether that is its main thread's. */
bool process_is_main(uint32_t pid, uint32_t tid);
/* State letter of a thread (proc(5), field 3 of stat); 0: not known. */
char process_thread_state(uint32_t pid, uint32_t tid);
/*
 * Whether it is off CPU, but in no system call (proc(5), /proc/PID/syscall: -1): of a thread that
 * sleeps by its state, that is a page that has to come.
 */
bool process_thread_faults(uint32_t pid, uint32_t tid);

#endif
