/*
 * Python of one process as the kernel saw it: code addresses and frames become codes and stacks,
 * read from the process's memory at once. Called by feeds with a program in the kernel. Silent.
 */
#ifndef COLLECTOR_BPF_PYTHON_H
#define COLLECTOR_BPF_PYTHON_H

#include "collector/map.h"
#include "collector/outside.h"
#include "collector/record.h"

struct bpf_python {
	struct outside outside; /* its target (NULL: cannot be read) and queue are the caller's */
	struct layout layout;   /* that target's */
	struct map known;       /* a code, the hash of a stack's addresses -> id, since when */
	uint32_t codes_given;   /* by the kernel, so far */
};

void bpf_python_clear(struct bpf_python *p);

/* A second: texts of codes and types are believed for so long. */
uint64_t bpf_python_era(const struct ev_head *head);
/*
 * The id that was found for a key in this era, when no code was given since: it is the same again,
 * and nothing of it is read anew. 0: not known.
 */
uint32_t bpf_python_known(const struct bpf_python *p, uint64_t key, const struct ev_head *head);
void bpf_python_know(struct bpf_python *p, uint64_t key, uint32_t id, const struct ev_head *head);

/* Ids in the target's stream; 0: none, or not to be had. */
uint32_t bpf_python_stack(struct bpf_python *p, const struct kernel_frame *frame, uint32_t count,
	uint32_t cut, const struct ev_head *head);
/* The stack in a record's tail. */
uint32_t bpf_python_tail(
	struct bpf_python *p, const struct ev_head *head, unsigned int tail, uint32_t cut);
uint32_t bpf_python_code(struct bpf_python *p, uint64_t code, const struct ev_head *head);
/* A code as it was when it was in use. True: it is no cell's, and can be looked up later. */
bool bpf_python_given(struct bpf_python *p, const struct ev_kernel_code *r);
/* Who ended a wait, as a record in the queue. */
void bpf_python_wake(struct bpf_python *p, const struct ev_kernel_wake *r);
/* Who kept the GIL, the same; by that tid (0: not known). */
void bpf_python_ended(struct bpf_python *p, const struct ev_kernel_ended *r);
void bpf_python_keeps(struct bpf_python *p, const struct ev_kernel_keeps *r, uint32_t tid);
/* Characters as they lie in memory, as UTF-8. */
size_t bpf_python_text(uint32_t state, const void *data, size_t size, char *buf, size_t buf_size);

#endif
