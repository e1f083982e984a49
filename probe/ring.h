/*
 * Layout of a ring file: how records get from the target to the recorder. One file per process,
 * named ring-PID (where an exec kept the pid: ring-PID.1 and on), in the session folder (0700, made
 * by the recorder). The target writes, the recorder reads; neither ever waits for the other, and
 * neither trusts what the other wrote beyond what it checks.
 *
 *   page 0: struct ring_file
 *   then RING_SLOTS times { page: struct ring_control; ring_bytes of data }
 *
 * The file grows ring by ring with posix_fallocate (never a hole: a hole on a full tmpfs is a
 * SIGBUS in the target). Ring 0 belongs to the GIL: whoever holds it may write there, for threads
 * that have no ring of their own. Each other ring belongs to one thread that runs a loop, until it
 * ends; then another may take it.
 *
 * What a thread is in the middle of stands in its ring's control, since no record tells it: a
 * process that is killed leaves it there.
 */
#ifndef PROBE_RING_H
#define PROBE_RING_H

#include <linux/types.h>

#define RING_MAGIC 0x30474e4952435741ull /* "AWCRING0", little endian */
#define RING_ABI 9u                      /* agent and program must agree */
#define RING_SLOTS 64u                   /* threads beyond that are counted in no_ring */
#define RING_PAGE 4096u
/* of one ring, a power of two; 4 MiB hold ~70,000 steps, 100 ms at 700,000 a second */
#define RING_BYTES (4u << 20)

/* Environment of a traced process; set by `run`, read by preload and agent. */
#define ENV_SESSION "AWAITSCOPE_SESSION"     /* absolute path of the session folder */
#define ENV_AGENT "AWAITSCOPE_AGENT"         /* absolute path of agent.so */
#define ENV_MIN_BLOCK "AWAITSCOPE_MIN_BLOCK" /* ns, decimal */
#define ENV_MIN_STEP "AWAITSCOPE_MIN_STEP"   /* ns, decimal */

/*
 * A Python that is not served says so in this file of the session folder: a line "PID VERSION"
 * each, the version as Py_GetVersion() has it, cut. Lines beyond the limit are not written.
 */
#define UNTRACED_FILE "untraced"
#define UNTRACED_BYTES 65536
#define UNTRACED_VERSION_BYTES 64

/*
 * What ev_lost says of the agent's own bounds: no record is missing then, but what these things
 * would have told. All other losses are of records.
 */
#define LOST_WAITS "waits beyond the table"
#define LOST_QUEUES "queues beyond 256"
#define LOST_LOOPS "loops on more than 63 threads at once"

struct ring_file {   /* page 0; written by the target once, but for rings and the counts */
	__u64 magic; /* written last */
	__u32 abi;
	__u32 pid;
	__u64 ring_bytes;
	__u32 slots;
	__u32 rings;     /* slots in use, 1 to slots; grows, release order */
	__u64 no_ring;   /* records dropped for want of a ring */
	__u64 in_signal; /* records dropped: their thread was already writing one (a signal handler)
			  */
	__u64 closed;    /* 1: the agent ended in good order and writes no more */
};

struct ring_control {        /* first page of a ring */
	__u64 head;          /* bytes ever written by the target; release order */
	__u64 dropped;       /* records dropped because the ring was full */
	__u32 tid;           /* its thread; 0 = free or ring 0 */
	__u32 call;          /* the call of calls.def its thread is in; 0 = none; release order */
	__u64 thread_id;     /* pthread_self() of its thread */
	__u64 task_at;       /* address in the target of a u64: the task whose step is open on that
				thread; 0 = none */
	__u64 busy_since_ns; /* its loop turns since then: the selector's return; 0 = in its
				selector, or no loop */
	__u64 gil_since_ns;  /* it waits for the GIL since then; 0 = it does not */
	__u64 call_since_ns; /* it is in that call since then */
	__u64 tail;          /* bytes ever consumed by the recorder; release order */
	/* seldom written, by the target: */
	__u64 gil_ns;      /* it has waited so long for the GIL, up to gil_since_ns, in the turn */
	__u64 gil_turn_ns; /* that began then */
	__u64 gc_since_ns; /* it collects since then; 0 = it does not */
	__u64 pad0[4];
};
_Static_assert(sizeof(struct ring_control) == 128, "producer and consumer on lines of their own");

/*
 * A record never wraps: where it does not fit before the end of the ring, an ev_pad fills the rest;
 * where even an ev_head does not fit (8 bytes are left), they are skipped as they are. A record's
 * time may be earlier than its forerunner's in the same ring (a task_new after its stack): the
 * order within a ring holds. No time is later than the moment of publishing.
 */
#define RING_OFFSET(slot, ring_bytes) (RING_PAGE + (__u64)(slot) * (RING_PAGE + (ring_bytes)))

#endif
