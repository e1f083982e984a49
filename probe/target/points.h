/*
 * Where an interpreter can be probed from outside: instructions of its files, with the place of
 * each argument. Found by symbols, or without any by relocations and unwind tables. Only the files
 * that the process has mapped are read, and nothing in them is believed. Silent.
 *
 * A probe is placed as (points->object[point.object].path, point.offset), with point.semaphore as
 * the reference counter's offset. The ends of steps come before their beginnings, or the first
 * steps have no end.
 */
#ifndef PROBE_TARGET_POINTS_H
#define PROBE_TARGET_POINTS_H

#include <stdbool.h>
#include <stdint.h>

#define POINTS_MAX 64u /* further ones of a process are left out, and POINT_STEP_END refused */
#define POINT_ARGUMENTS_MAX 3u

enum point_kind {
	POINT_STEP,     /* a task's step begins: task, exception thrown in (0: none) */
	POINT_STEP_END, /* it has returned: task, where a register still holds it (else
			   ARGUMENT_NONE) */
	POINT_TASK_NEW, /* Task.__init__ begins: task, tuple of arguments, dict of keywords (0:
			   none) */
	POINT_WAKEUP,   /* what a task waited for is done: task, that future */
	POINT_SET,      /* Future.set_result() or set_exception() begins: future */
	POINT_PYTHON,   /* asyncio._register_task() begins: a task of Python code is made known */
	POINT_AUDIT,    /* USDT python:audit: name (char *), tuple of arguments (0: none) */
	POINT_GC_START, /* USDT python:gc__start: generation */
	POINT_GC_DONE,  /* USDT python:gc__done: objects collected */
	POINT_KINDS
};

enum point_source {
	POINT_ANY,       /* symbols where there are some, else POINT_RECOVERED */
	POINT_SYMBOLS,   /* of the file itself, or of its debug file by build id */
	POINT_RECOVERED, /* relocations, unwind tables and instructions; of a separate _asyncio only
			  */
	POINT_NOTES,     /* .note.stapsdt; USDT has no other */
};

enum point_cost { /* of a uprobe there, decided by its instruction (x86-64, Linux 6.18, 2026-11) */
	POINT_EMULATED, /* ~175 ns */
	POINT_STEPPED,  /* ~2,320 ns: single-stepped out of line */
};

enum point_argument_kind {
	ARGUMENT_NONE,     /* not to be had at this point */
	ARGUMENT_REGISTER, /* the register */
	ARGUMENT_MEMORY,   /* what stands at register + value */
	ARGUMENT_CONSTANT, /* value */
};

/* Of fixed size and without padding: it may be handed to a program in the kernel as it is. */
struct point_argument {
	int64_t value;
	uint32_t kind;     /* enum point_argument_kind */
	uint16_t reg;      /* offset of the register in struct pt_regs */
	uint8_t size;      /* bytes that count: 1, 2, 4 or 8; the rest of a register is noise */
	uint8_t is_signed; /* 1: to be widened with its sign */
};

struct point {
	uint32_t kind;      /* enum point_kind */
	uint32_t source;    /* enum point_source, never POINT_ANY */
	uint32_t cost;      /* enum point_cost */
	uint32_t object;    /* index in points->object */
	uint64_t offset;    /* of the instruction in the file */
	uint64_t address;   /* of the instruction in the target's memory */
	uint64_t semaphore; /* of a USDT point, its offset in the file; 0: none */
	struct point_argument argument[POINT_ARGUMENTS_MAX];
};

enum point_object_name { POINT_ASYNCIO, POINT_INTERPRETER, POINT_OBJECTS };

struct points {
	struct {
		/*
		 * What to open: /proc/PID/map_files/..., or /proc/PID/root/...; good while the
		 * process lives. NULL: the process has none. POINT_ASYNCIO may be the interpreter's
		 * file too, where it is built in.
		 */
		char *path;
		char *name;    /* as the target calls it, for people */
		uint64_t base; /* where its first byte is mapped */
	} object[POINT_OBJECTS];
	uint32_t count;
	struct point point[POINTS_MAX]; /* in order of enum point_kind */
	/* NULL: there is at least one of this kind; else a clause that tells why not. */
	const char *why[POINT_KINDS];
	bool ends_whole; /* every way back from a step passes a POINT_STEP_END */
};

/*
 * Fills ret, which the caller frees: points_clear(). minor: of Python 3.minor (target_minor()).
 * source: which one to take for task points; where it gives none of a kind, why[] says so and that
 * is no failure. -ESRCH, -EPERM as in target.h; -ENOENT: asyncio's C code is not mapped (yet): only
 * the interpreter's own points are filled in; *ret_why is a clause for people.
 */
int points_find(uint32_t pid, int minor, enum point_source source, struct points *ret,
	const char **ret_why);
void points_clear(struct points *points);

const char *point_kind_name(enum point_kind kind);
const char *point_source_name(enum point_source source);

#endif
