/*
 * Where CPython keeps its members, by version. Read by the agent about its own process and by
 * readers from outside. Silent, no Python, no allocation.
 */
#ifndef PROBE_TARGET_LAYOUT_H
#define PROBE_TARGET_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define LAYOUT_MINOR_MIN 8
#define LAYOUT_MINOR_MAX 14
#define OFF_ABSENT 0xffffu /* not in this version; 0 is a real offset */

/*
 * Bytes at the start of _PyRuntime that layout_refine() reads (3.14's words up to gi_frame_state,
 * rounded up).
 */
#define LAYOUT_DEBUG_BYTES 704

/*
 * Low bits of a frame's code and locals that are no part of the address (3.14's stack references).
 */
#define LAYOUT_CODE_MASK 7u

#define LAYOUT_CODE_UNIT 2u /* bytes of an instruction */

/*
 * glibc 2.17 to 2.42, x86-64: struct pthread.tid (nptl/descr.h), for Pythons whose thread states do
 * not have it. Believed only if there is such a thread.
 */
#define LAYOUT_PTHREAD_TID 720u

enum { /* frames whose owner is at least this are no Python frames (entry trampolines; 3.12+) */
	LAYOUT_OWNER_C = 3,
};

enum layout_source {
	LAYOUT_SHIPPED,   /* layout.def alone */
	LAYOUT_PUBLISHED, /* the target's own _Py_DebugOffsets over it (3.13+) */
	LAYOUT_DWARF,     /* debug information of the target's files over it */
	LAYOUT_ANY,       /* asked for only: published, else shipped, else DWARF */
};

struct layout {
	int minor;  /* of Python 3.minor */
	int source; /* enum layout_source */
#define MEMBER(structure, member, v8, v9, v10, v11, v12, v13, v14, w13, w14, doc)                  \
	uint16_t structure##_##member;
#include "probe/target/layout.def"
#undef MEMBER
};

const char *layout_source_name(enum layout_source source); /* for people */
/* The shipped offsets of Python 3.minor. -ENOTSUP: a version that is not in the list. */
int layout_shipped(int minor, struct layout *ret);
/*
 * Replace what _Py_DebugOffsets covers by what the interpreter itself publishes. `runtime` is the
 * start of its _PyRuntime. 0 where there is none (before 3.13); -EPROTO: no cookie, another
 * version, or an offset out of range; -ENOTSUP: a free-threaded build. The layout is untouched on
 * failure.
 */
int layout_refine(struct layout *layout, const void *runtime, size_t n);
/*
 * The same by what asyncio's C code publishes (3.14's section .AsyncioDebug). 0 before 3.14.
 */
int layout_refine_asyncio(struct layout *layout, const void *section, size_t n);
/*
 * A frame's position in its code, in bytes, as CPython's own f_lasti has it: a line table gives it
 * the line of the call in progress. instr: the frame's member, an int lasti widened with its sign.
 * 0 where it has not begun. Not checked against the end of the code.
 */
uint32_t layout_position(const struct layout *layout, uint64_t code, uint64_t instr);

#endif
