/* What is known of a process from outside when a recording of it begins. Silent. */
#ifndef COLLECTOR_BPF_PROCESS_H
#define COLLECTOR_BPF_PROCESS_H

#include "collector/record_queue.h"
#include "probe/target/points.h"

/* Its `process` record, the first of its stream; abi 0: no agent wrote it. Python 3.minor. */
void process_put(struct record_queue *queue, uint32_t pid, int minor, const struct points *points,
	uint64_t now_ns);

#endif
