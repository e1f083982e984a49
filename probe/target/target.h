/*
 * Another process that runs CPython, read from outside: its thread states, their stacks, the code
 * objects on them. Nothing runs in it and it is never stopped, so what is read may be torn: every
 * address is checked, every list is bounded, and a stack is compared with a second reading. Silent;
 * one thread at a time. No number of a failure tells more than: -ESRCH the process is gone, -EPERM
 * we may not, -EPROTO its bytes are not what the layout says, -EAGAIN it changed meanwhile.
 */
#ifndef PROBE_TARGET_TARGET_H
#define PROBE_TARGET_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/target/constants.h"
#include "probe/target/memory.h"

#define TARGET_FRAMES_MAX                                                                          \
	256u /* of one stack, from the innermost; further ones are only counted                    \
	      */

/* Python 3.7 was the first with a _PyRuntime to find it by. */
#define TARGET_NO_PYTHON "it runs no Python, or one older than 3.7"

struct target;

struct target_frame {
	uint64_t frame; /* address; the same frame while its function has not returned */
	uint64_t code;
	uint32_t position; /* in its code, as in stacks of event.def */
};

struct target_stack {
	uint32_t count, cut;
	bool moved;                                   /* bytecode went on while we looked */
	struct target_frame frame[TARGET_FRAMES_MAX]; /* innermost first */
};

struct target_code_key { /* what a code object is made of; equal: the same code, or made alike */
	uint64_t filename, name, linetable;
	uint32_t firstlineno;
};

struct target_code {
	char *file, *function; /* UTF-8 */
	uint32_t firstlineno;
	size_t table_size; /* 0: there is none, or it is too long to be true */
	unsigned char *table;
};

/*
 * Find the interpreter of a process and prove its layout on live objects. hexversion: of its
 * PY_VERSION_HEX where the caller knows it, else 0. Where it fails, *ret_why is a static clause
 * that names what was not so. The caller owns *ret: target_free().
 */
int target_open(uint32_t pid, uint32_t hexversion, struct target **ret, const char **ret_why);
/*
 * The same with a layout from one source only: enum layout_source. -ENODATA: this process has no
 * such source.
 */
int target_open_by(uint32_t pid, uint32_t hexversion, enum layout_source source,
	struct target **ret, const char **ret_why);
/* The same, of an image whose _PyRuntime, PyCode_Type, PyUnicode_Type, PyBytes_Type stand there. */
int target_open_at(const struct memory *memory, int minor, const uint64_t symbols[4],
	struct target **ret, const char **ret_why);
void target_free(struct target *target); /* accepts NULL */
int target_minor(const struct target *target);
/* What a program in the kernel has to know of it: addresses and the layout that was proven. */
void target_constants(struct target *target, struct target_constants *ret);

/* The thread state whose thread_id (pthread_self()) that is. -ENOENT: none. */
int target_thread_find(struct target *target, uint64_t thread_id, uint64_t *ret_thread);
/* Whether that is still the state of that thread. */
bool target_thread_is(struct target *target, uint64_t thread, uint64_t thread_id);

/*
 * The stack of a thread that may be running. Frames that came or went between two readings are left
 * out at the inner end, so what is told was on the stack all the time; -EAGAIN: nothing was.
 */
int target_stack_read(struct target *target, uint64_t thread, struct target_stack *ret);

/*
 * The thread that has the main interpreter's GIL at this moment, by its state and its kernel id (0:
 * not known). -ENOENT: nobody has it; -ENOTSUP: it was not found. It may let go of it before this
 * returns.
 */
int target_gil_holder(struct target *target, uint64_t *ret_thread, uint32_t *ret_tid);

struct target_method {
	const char *module, *type, *name;
};

/* The code object of a method as it is now. -ENOENT: it is not there (yet), or is no function. */
int target_method_code(struct target *target, const struct target_method *method, uint64_t *ret);

int target_code_key(struct target *target, uint64_t code, struct target_code_key *ret);
/* Fills ret; the caller frees it: target_code_clear(). */
int target_code_read(struct target *target, uint64_t code, struct target_code *ret);
void target_code_clear(struct target_code *code);

#endif
