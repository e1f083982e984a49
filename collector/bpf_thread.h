/* The record of a thread that no agent tells of: its name. Silent. */
#ifndef COLLECTOR_BPF_THREAD_H
#define COLLECTOR_BPF_THREAD_H

#include "collector/record_queue.h"

void bpf_thread_put(struct record_queue *queue, uint32_t pid, uint32_t tid, uint64_t thread_id,
	uint64_t now_ns);

#endif
