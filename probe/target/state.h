/* What the files behind target.h share. */
#ifndef PROBE_TARGET_STATE_H
#define PROBE_TARGET_STATE_H

#include "probe/target/layout.h"
#include "probe/target/target.h"

enum target_symbol { SYMBOL_RUNTIME, SYMBOL_CODE, SYMBOL_STR, SYMBOL_BYTES, SYMBOLS };

#define TARGET_TYPES_KEPT 32u

struct target_type { /* what a type's name has told */
	uint64_t type;
	int kind; /* enum object_kind */
};

struct target {
	struct memory memory;
	struct layout layout;
	uint64_t symbol[SYMBOLS];
	uint64_t runtime_size; /* of its _PyRuntime; 0: not known */
	struct snapshot snapshot;
	struct target_type types[TARGET_TYPES_KEPT]; /* the oldest gives way */
	unsigned int types_met;
};

/*
 * Sets the layout of a target from one source. -ERANGE: a version that is not in the list;
 * -ENOTSUP: a free-threaded build; -EPROTO: its debug offsets do not fit; -ENODATA: it has no such
 * source.
 */
int target_layout_choose(struct target *t, int minor, enum layout_source source);
/* Over it what asyncio's C code publishes, where its file can be had. */
void target_layout_asyncio(uint32_t pid, struct layout *layout);

/* 1: a frame of Python code; 0: an entry trampoline. Reads through the snapshot. */
int target_frame_read(struct target *t, uint64_t frame, struct target_frame *ret);
/* The pointer at an address, through the snapshot. */
int target_pointer_read(struct target *t, uint64_t address, uint64_t *ret);
/* A str as UTF-8; the caller frees it. */
int target_text_read(struct target *t, uint64_t str, char **ret);
/* The same of one that may be long. */
int target_long_text_read(struct target *t, uint64_t str, size_t max_chars, char **ret);

/* Kernel id of a thread, as the target's pid namespace sees it; 0: not known. */
uint32_t target_thread_tid(struct target *t, uint64_t thread, uint64_t thread_id);

#endif
