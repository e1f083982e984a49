/*
 * What the program in the kernel and the recorder share beside records: what it is told before it
 * is loaded, and a slot for each thread that runs a loop, which the recorder reads as it is.
 * Compiled for both.
 */
#ifndef PROBE_BPF_SLOT_H
#define PROBE_BPF_SLOT_H

#include "probe/bpf/partition.h"
#include "probe/bpf/taken.h"
#include "probe/target/constants.h"
#include "probe/target/points.h"

#define SLOTS_MAX 256u /* threads with loops or steps at one time; further ones are counted */
#define SLOT_LOOPS 4u  /* loops that one thread takes turns with */
#define SLOT_STEPS                                                                                 \
	8u /* a power of two; steps within steps (nest_asyncio); the outermost gives way */
#define RUN_ONCE_MAX                                                                               \
	4u /* code objects that are a loop's turn; loops of further ones are not known */
#define NO_SYSCALL (~0u)
#define EPFD_UNKNOWN (-1) /* of a loop that was busy when the recorder came */

#define AUDIT_NAME_BYTES 24u
#define AUDIT_NAME_WORDS (AUDIT_NAME_BYTES / 8)

union audit_name { /* ended and filled up by zeros */
	char text[AUDIT_NAME_BYTES];
	__u64 word[AUDIT_NAME_WORDS];
};

enum {
#define AUDIT(event, first, count) +1
	AUDIT_KINDS = 0
#include "probe/audit.def"
#undef AUDIT
};

struct audit_kind {
	union audit_name name, mask; /* mask: the bits that count */
	__u32 first;                 /* of its arguments: the one to show */
	__u32 pad0;
};

struct kernel_config {
	struct target_constants target;
	struct point_argument step[POINT_ARGUMENTS_MAX];
	struct point_argument task_new[POINT_ARGUMENTS_MAX];
	struct point_argument set[POINT_ARGUMENTS_MAX];
	struct point_argument gc_start[POINT_ARGUMENTS_MAX];
	struct point_argument gc_done[POINT_ARGUMENTS_MAX];
	struct point_argument audit[POINT_ARGUMENTS_MAX];
	struct audit_kind audit_kind[AUDIT_KINDS];
	__u64 min_block_ns, min_step_ns;
	__u32 tgid;
	__u32 streams; /* 1: tell what partitions are told, for their test */
};

struct open_step {
	__u64 task, begin_ns;
	__u64 stack_pointer; /* at its beginning: what is below it has returned */
};

struct slot_loop {
	__u64 loop; /* id; 0: free */
	__s32 epfd;
	__u32 by_stack; /* 1: asyncio's own, whose turns have _run_once on the stack */
};

struct native_taken {  /* when a thread's native stack was taken last */
	__u64 wait_ns; /* as a wait ended */
	__u64 last_ns; /* then, or by a tick of its CPU clock */
};

struct ender {           /* who woke a thread in its call */
	__u64 enter_ns;  /* of the call; 0: nobody */
	__u32 pid, tid;  /* pid 0: of the same process */
	__u64 thread_id; /* pthread_self() of that thread */
	__u64 name[2];   /* of that process */
};

struct loop_slot {
	__u32 tid; /* 0: free */
	__u32 steps;
	__u64 thread_id;     /* pthread_self() */
	__u64 thread;        /* address of its thread state; 0: not known */
	__u64 scan_after_ns; /* there was none: not looked for again before */
	__u64 busy_since_ns; /* its loop turns since then; 0: in its selector, or no loop */
	__u64 loop;          /* id of the loop it runs or ran last; 0: none */
	__u32 by_stack;      /* of that loop */
	__u32 waits;         /* on a futex: what wait_begin() returned; 0: it does not */
	__u16 short_records; /* that might have been left out; and whether they had to be, when that
				was looked at last */
	__u16 ring_fills;
	__u32 pad0;
	struct slot_loop known[SLOT_LOOPS];
	/* the open iteration, whose the partition's sums are; begin_ns 0: none */
	__u64 begin_ns, select_ns;
	__u64 ended_ns;   /* it has ended then, and is told at the next look at the CPU's account; 0
			   */
	__u64 turning_ns; /* written by the recorder: the one that began then, as its stack showed
			   */
	__s64 ready;
	__u64 poll_ns;                            /* entry of the selector; 0: not in it */
	struct native_taken native, short_native; /* the second: as a short wait ended */
	/* short iterations that were not told one by one: as in the record `turns` */
	__u64 turns, turns_begin_ns, turns_busy_ns, turns_longest_ns, turns_select_ns;
	/* the system call in flight */
	__u64 enter_ns, enter_off_ns, enter_runq_ns;
	__u64 argument[3];
	__u32 syscall; /* number; NO_SYSCALL */
	__u32 gc_generation;
	__u64 gc_ns, gc_sum_ns; /* a collection's beginning; 0: none */
	struct open_step step[SLOT_STEPS];
	struct taken taken;
	struct ender ender;
	struct partition part;
};

struct futex_wait { /* of a loop's thread, in an iteration */
	__u64 address;
	__u64 begin_ns;
	__u64 turn_ns;  /* when the iteration began */
	__u64 min_ns;   /* shorter ones are not told of */
	__u64 gil_ns;   /* who has the GIL since then was not told of; before, it was */
	__u64 taken_ns; /* who has the GIL has it since then */
	__u64 end_ns;
	__u32 tid, tgid; /* as the kernel has them */
	__u32 waiter;    /* as records have the tid */
	__u32 class;
};

struct known_code {
	__u64 file; /* its co_filename: another one there is another code */
	__u64 told_ns;
	__u64 stays; /* the recorder: it is no cell's, and can be looked up later */
};

enum kernel_loss {   /* counters of what could not be recorded */
	LOSS_RING,   /* the ring was full */
	LOSS_STEPS,  /* short steps left out while the ring was more than half full */
	LOSS_SLOTS,  /* threads beyond SLOTS_MAX */
	LOSS_TASKS,  /* tasks beyond the table of tasks: without name and chain */
	LOSS_PYTHON, /* tasks of asyncio's Python code, whose steps have no probes */
	LOSS_FRAMES, /* stacks that could not be read */
	LOSSES
};

/* A code object's place in a table of several processes' (0: of one). An address has 47 bits. */
static inline __u64 code_key(__u32 process, __u64 code)
{
	return code ^ (__u64)process << 42;
}

#endif
