/*
 * What a program in the kernel must know of one target before it is loaded. Also included there
 * (clang -target bpf -ffreestanding), so integers only.
 */
#ifndef PROBE_TARGET_CONSTANTS_H
#define PROBE_TARGET_CONSTANTS_H

#include <stdint.h>

#include "probe/target/layout.h"

/* Every address is one in the target; 0: not known. */
struct target_constants {
	uint64_t runtime;      /* _PyRuntime */
	uint64_t runtime_size; /* 0: its symbol does not tell */
	/*
	 * The main interpreter's GIL: a futex(2) on an address in [gil_begin, gil_end) waits for
	 * it, or releases it. The GIL structure itself where the layout knows it, else all of
	 * _PyRuntime.
	 */
	uint64_t gil_begin, gil_end;
	uint64_t gil_last_holder; /* address of the pointer to the thread state that took it last */
	uint64_t code_type, str_type, bytes_type;
	struct layout layout; /* proven on the target */
};

#endif
