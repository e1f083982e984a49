/*
 * Native stacks of another process: unwound from a copy of its registers and stack by the unwind
 * tables of the files it has mapped (libdw). Nothing runs in the target; no byte of it or of its
 * files is believed. Silent.
 */
#ifndef PROBE_TARGET_NATIVE_H
#define PROBE_TARGET_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NATIVE_FRAMES_MAX 32u
#define NATIVE_REGISTERS 17u /* by their DWARF numbers; the last is the instruction pointer */
#define NATIVE_NAME_BYTES 128u

struct native;

struct native_state {
	uint64_t reg[NATIVE_REGISTERS];
	const void *stack; /* what lies from the stack pointer on */
	size_t stack_bytes;
};

struct native_frame {
	const char *object;               /* path of its file; good until native_free() */
	char function[NATIVE_NAME_BYTES]; /* its symbol; else the file's name and an offset */
};

struct native_moment { /* of one thread */
	uint64_t time_ns;
	uint64_t code;     /* of its innermost Python frame then; 0: not known */
	uint32_t position; /* in that code, as layout_position() has it */
	uint32_t opcode;   /* there; OPCODE_UNKNOWN: not known */
	uint32_t tid, count;
	bool elsewhere;                               /* not in the interpreter's own code */
	struct native_frame frame[NATIVE_FRAMES_MAX]; /* innermost first */
};

/*
 * interpreter: an address in the data of the file that holds CPython. hidden: path of a file whose
 * frames are none, NULL: of no file. The caller owns *ret: native_free(). -ENOENT: no file is
 * mapped at the address.
 */
int native_new(uint32_t pid, uint64_t interpreter, const char *hidden, struct native **ret);
void native_free(struct native *n); /* accepts NULL */
/*
 * The frames inside the interpreter's innermost one, innermost first: what a C extension does.
 * Those of the C library alone are none, but for a look-up of a name. Returns how many.
 * *ret_elsewhere: it was not in the interpreter's own code, the C library's counted.
 */
uint32_t native_unwind(struct native *n, const struct native_state *state,
	struct native_frame ret[NATIVE_FRAMES_MAX], bool *ret_elsewhere);

#endif
