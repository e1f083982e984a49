/*
 * Processes whose agents have a program in the kernel beside them: what it says of their Python
 * code, translated by reading their memory. One feed's. Silent.
 */
#ifndef COLLECTOR_BPF_PROCESSES_H
#define COLLECTOR_BPF_PROCESSES_H

#include <stdbool.h>

#include "collector/record.h"

struct bpf_processes;

/* agent: path of agent.so. NULL: no memory. */
struct bpf_processes *bpf_processes_new(const char *agent);
void bpf_processes_free(struct bpf_processes *p); /* accepts NULL */

/* The kernel's: it watches a thread from now on; */
void bpf_processes_thread(struct bpf_processes *p, const struct ev_kernel_thread *r);
/* a code, true: it is no cell's, and can be looked up later; */
bool bpf_processes_code(struct bpf_processes *p, const struct ev_kernel_code *r);
/* who ended a wait; who keeps the GIL; */
void bpf_processes_wake(struct bpf_processes *p, const struct ev_kernel_wake *r);
void bpf_processes_ended(struct bpf_processes *processes, const struct ev_kernel_ended *record);
void bpf_processes_keeps(struct bpf_processes *p, const struct ev_kernel_keeps *r);
/* registers and stack, for what comes next of that moment; where a thread was. */
void bpf_processes_native(struct bpf_processes *p, const struct ev_kernel_native *r);
void bpf_processes_sample(struct bpf_processes *p, const struct ev_kernel_sample *r);
/*
 * The id of the stack of a wait, 0: not known. *ret_native: it begins with C functions of an
 * extension.
 */
uint32_t bpf_processes_stack(
	struct bpf_processes *p, const struct ev_kernel_wait *r, bool *ret_native);
/* When a thread was last sampled; 0: not yet. */
uint64_t bpf_processes_sampled_ns(struct bpf_processes *p, uint32_t pid, uint32_t tid);
/* At each turn while a loop is busy: who is there, before he has ended. */
void bpf_processes_held(struct bpf_processes *p, uint32_t pid, uint64_t since_ns, uint64_t now_ns);
/* Before each of the agent's: its version of Python, and the names of its threads. */
void bpf_processes_agent(struct bpf_processes *p, uint32_t pid, const struct ev_head *record);
/* Hand out what is not later than that. 0, or what sink returned. */
int bpf_processes_hand_out(
	struct bpf_processes *p, uint32_t pid, uint64_t until_ns, record_fn sink, void *ctx);
/* Whether a process's records must wait for others of it. */
typedef bool (*bpf_processes_waits_fn)(const void *ctx, uint32_t pid);
/* The same of all whose records need not wait. */
int bpf_processes_hand_out_all(struct bpf_processes *p, uint64_t until_ns,
	bpf_processes_waits_fn waits, const void *waits_ctx, record_fn sink, void *ctx);

#endif
