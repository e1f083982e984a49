/*
 * Wire structs of the events in event.def, and what both sides say about their values.
 * Included by sensors and collector; no Python, no libc beyond <stdint.h>.
 */
#ifndef PROBE_EVENT_H
#define PROBE_EVENT_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

typedef __u64 ev_u64;
typedef __s64 ev_s64;
typedef __u32 ev_u32;
typedef __s32 ev_s32;

/* Every record: 8-byte aligned, size_words * 8 bytes long with this head and the padding. */
struct ev_head {
	__u64 time_ns;    /* CLOCK_MONOTONIC */
	__u32 tid;        /* kernel thread id as the target's pid namespace sees it */
	__u16 kind;       /* enum ev_kind */
	__u16 size_words; /* of 8 bytes */
};
_Static_assert(sizeof(struct ev_head) == 16, "ev_head has padding");

#define EV_SIZE_MAX (0xffffu * 8) /* bytes of one record; longer texts are cut and say so */

enum ev_kind {
#define EVENT(name, id, doc) EV_##name = id,
#include "probe/event.def"
};

union ev_ids { /* a member as long as its id and one, so the union is as long as the last */
#define EVENT(name, id, doc) char name[id + 1];
#include "probe/event.def"
};
#define EV_KINDS sizeof(union ev_ids)

#define EVENT(name, id, doc)                                                                       \
	struct ev_##name {                                                                         \
		struct ev_head head;
#define FIELD(type, name, doc) ev_##type name;
#define TEXT(name, doc) ev_u32 name##_len;
#define END(name)                                                                                  \
	}                                                                                          \
	;
#include "probe/event.def"

/* Packed by their order alone; the struct may end in 4 bytes of padding, which writers zero. */
#define EVENT(name, id, doc) _Static_assert(sizeof(struct ev_##name) == ((sizeof(struct ev_head)
#define FIELD(type, name, doc) +sizeof(ev_##type)
#define TEXT(name, doc) +sizeof(ev_u32)
#define END(name) + 7) & ~(size_t)7), "ev_" #name " has padding inside");
#include "probe/event.def"

/*
 * Tails begin right after sizeof(struct ev_<kind>), one after the other, unpadded; the record is
 * padded to 8.
 */

enum task_state { /* ev_step.state; 0 to 2 are CPython's fut_state */
	TASK_PENDING = 0,
	TASK_CANCELLED = 1,
	TASK_FINISHED = 2,
	TASK_FAILED = 3,
};

enum {                         /* ev_task_new.flags */
	TASK_EAGER = 1u << 0,  /* first step ran inside __init__ (3.12+) */
	TASK_PYTHON = 1u << 1, /* asyncio's pure-Python Task */
	TASK_LATE = 1u << 2,   /* existed before the agent; creation unknown */
};

enum { /* ev_task_gone.flags */
	GONE_PENDING = 1u << 0,
	GONE_UNRETRIEVED = 1u << 1,
	GONE_AT_EXIT = 1u << 2, /* the interpreter was finalizing */
	GONE_QUIET = 1u << 3,   /* beside GONE_PENDING: asyncio was told not to mention it */
};

enum { /* ev_loop_start.flags */
	LOOP_UVLOOP = 1u << 0,
	LOOP_COARSE = 1u << 1, /* its selector cannot be timed: no iterations */
};

enum wake_how {             /* ev_wakeup.how */
	WAKE_UNSEEN = 0,    /* the setter was not seen: C code, or before the agent */
	WAKE_RESULT = 1,    /* set_result() */
	WAKE_EXCEPTION = 2, /* set_exception() */
	WAKE_CANCEL = 3,    /* cancel() */
	WAKE_TIMER = 4,     /* a timer of the loop */
	WAKE_TASK_DONE = 5, /* the future is a task and it ended; `by` is that task */
	WAKE_THREAD = 6,    /* another thread's call_soon_threadsafe(): by_tid and stack are its */
};

/* ev_block.result: the thread was in the call still as the recording ended, or its process */
#define BLOCK_UNFINISHED (-0x7fffffff - 1)

/* In what says which task did something: it was a callback, and the rest its handle's address. */
#define WORK_CALLBACK 1u

enum refused_why {           /* ev_refused.why */
	REFUSED_RUNNING = 1, /* asyncio.run(), run_until_complete() under a running loop */
	REFUSED_CLOSED = 2,  /* call_soon() and the like on a closed loop */
};

enum { /* ev_code.flags: co_flags, Include/cpython/code.h */
	CODE_GENERATOR = 0x20,
	CODE_COROUTINE = 0x80,
};

/*
 * Ids of codes and stacks that a recorder read from outside, an agent's are below; and of those
 * that a program in the kernel saw beside an agent.
 */
#define EV_ID_OUTSIDE 0x80000000u
#define EV_ID_BESIDE 0xc0000000u

enum sample_kind {          /* ev_sample.kind */
	SAMPLE_UNKNOWN = 0, /* off CPU, or it may have been */
	SAMPLE_PYTHON = 1,  /* bytecode went on while we looked */
	SAMPLE_NATIVE = 2,  /* it stood still on a CPU: inside a C function */
	SAMPLE_KERNEL = 3,  /* on a CPU in a system call */
	SAMPLE_GC = 4,      /* on a CPU in a collection */
};

struct kernel_frame { /* in frames of kernel_ kinds */
	__u64 code;   /* address of the code object */
	__u64 instr;  /* the frame's member, for layout_position() */
};

enum kernel_wakes { /* ev_kernel_wake.what: what the thread lets go of */
	WAKES_GIL = 0,
	WAKES_LOCK = 1,
};

enum gil_seen { /* ev_gil_holder.exact: what it rests on, and what its stack is of */
	GIL_SAMPLED = 0,
	GIL_LET_GO = 1, /* the kernel saw it let go at this moment */
	GIL_KEPT = 2,   /* the kernel saw that it kept it at this moment */
};

#define OPCODE_UNKNOWN 0xffffffffu

enum sampled_mode { /* ev_kernel_sample.mode: what the thread ran */
	SAMPLED_USER = 0,
	SAMPLED_KERNEL = 1,
	SAMPLED_COLLECTION = 2,
};

enum kernel_touches { /* ev_kernel_block.touches: what `touched` holds */
	TOUCHES_NOTHING = 0,
	TOUCHES_PATH = 1,  /* names on the way up to the root, innermost first, each with its NUL */
	TOUCHES_PEER = 2,  /* struct kernel_peer */
	TOUCHES_NAME = 3,  /* a path as the program gave it */
	TOUCHES_CHILD = 4, /* __u32 pid, in the target's pid namespace */
};

struct kernel_peer {
	__u16 family; /* AF_INET, AF_INET6, AF_UNIX */
	__u16 port;   /* network order */
	__u32 pad0;
	unsigned char address[108]; /* 4 or 16 bytes, or sun_path */
	__u32 pad1;
};

enum line_format {         /* ev_code.line_format: what a frame's position is */
	LINE_DIRECT = 0,   /* the line itself */
	LINE_LNOTAB = 1,   /* 3.8, 3.9: byte offset into co_code, co_lnotab */
	LINE_TABLE310 = 2, /* 3.10: byte offset into co_code, PEP 626 co_linetable */
	LINE_TABLE311 =
		3,       /* 3.11+: byte offset into co_code_adaptive, location table with columns */
	LINE_NATIVE = 4, /* a C function, file is its object: no line */
};

#endif
