/*
 * Processes whose agents have a program in the kernel beside them: what it says of their Python
 * code, translated by reading their memory. One feed's. Silent.
 */
#ifndef COLLECTOR_BPF_PROCESSES_H
#define COLLECTOR_BPF_PROCESSES_H

#include <stdbool.h>

#include "collector/record.h"

struct bpf_processes;

struct bpf_processes *bpf_processes_new(void);    /* NULL: no memory */
void bpf_processes_free(struct bpf_processes *p); /* accepts NULL */

/* The kernel's: it watches a thread from now on; */
void bpf_processes_thread(struct bpf_processes *p, uint32_t pid, uint32_t tid);
/* a code, true: it is no cell's, and can be looked up later; */
bool bpf_processes_code(struct bpf_processes *p, const struct ev_kernel_code *r);
/* who ended a wait. */
void bpf_processes_wake(struct bpf_processes *p, const struct ev_kernel_wake *r);
/* At each turn while a loop is busy: who is there, before he has ended. */
void bpf_processes_held(struct bpf_processes *p, uint32_t pid, uint64_t since_ns, uint64_t now_ns);
/* Before each of the agent's: its version of Python, and the names of its threads. */
void bpf_processes_agent(struct bpf_processes *p, uint32_t pid, const struct ev_head *record);
/* Hand out what is not later than that. 0, or what sink returned. */
int bpf_processes_hand_out(
	struct bpf_processes *p, uint32_t pid, uint64_t until_ns, record_fn sink, void *ctx);
int bpf_processes_hand_out_all(struct bpf_processes *p, record_fn sink, void *ctx);

#endif
