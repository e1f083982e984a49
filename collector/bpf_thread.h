/*
 * Threads that no agent tells of: their records, with the names that threading has for them in the
 * process's memory, else the kernel's. Silent.
 */
#ifndef COLLECTOR_BPF_THREAD_H
#define COLLECTOR_BPF_THREAD_H

#include "collector/map.h"
#include "collector/record_queue.h"
#include "probe/target/target.h"

struct bpf_threads {
	struct target *target; /* the caller's; NULL: its memory cannot be read */
	uint64_t active;       /* where threading keeps them; 0: not found yet */
	struct map names;      /* tid -> struct known_name: also of threads that have ended */
	uint64_t next_ns;      /* not looked again before */
	uint32_t outer_pid;    /* of a process whose records have the numbers of its own pid
				  namespace: as it is known here; else 0 */
};

void bpf_threads_clear(struct bpf_threads *t);
/* See which there are, before some have ended: now and then while a loop is held. */
void bpf_threads_look(struct bpf_threads *t, uint64_t held_since_ns, uint64_t now_ns);
/*
 * False: threading does not know it, or not yet: a thread that starts wakes the one that started it
 * before it is in the list. Then its name is the kernel's, and it is to be put again.
 */
bool bpf_thread_put(struct bpf_threads *t, struct record_queue *queue, uint32_t pid, uint32_t tid,
	uint64_t thread_id, uint64_t now_ns);
/* Whether to put it again: its name has been seen since, or it is time to look. */
bool bpf_thread_again(
	const struct bpf_threads *t, uint32_t tid, uint64_t thread_id, uint64_t now_ns);

#endif
