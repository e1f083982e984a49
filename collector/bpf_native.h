/*
 * Native frames under the Python ones of a stack: the kernel copies registers and stack, and here
 * they become codes without lines. Of one process. Silent.
 */
#ifndef COLLECTOR_BPF_NATIVE_H
#define COLLECTOR_BPF_NATIVE_H

#include <stdbool.h>

#include "collector/outside.h"
#include "collector/record.h"

struct bpf_native {         /* zeroed before, but for hidden */
	const char *hidden; /* the caller's: path of a file whose frames are left out; NULL: none */
	struct native *native;
	bool refused;
	struct native_moment *moment; /* the last one; NULL: none yet */
};

void bpf_native_clear(struct bpf_native *n);
void bpf_native_take(struct bpf_native *n, uint32_t pid, const struct target_constants *constants,
	const struct ev_kernel_native *r);
/* What was seen at the moment of a record with that head; NULL: nothing. */
const struct native_moment *bpf_native_at(const struct bpf_native *n, const struct ev_head *head);
/*
 * Before the stack of that moment is translated: it begins with those frames, if there are any.
 * told_ns: the time of records that announce them.
 */
void bpf_native_begin(const struct bpf_native *n, struct outside *outside,
	const struct ev_head *head, uint64_t told_ns);
void bpf_native_end(struct outside *outside);

#endif
