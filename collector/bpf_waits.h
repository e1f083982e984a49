/*
 * What tasks wait for, read from the target's memory while they wait: of each that has waited for a
 * while since its last step, once. Kept by a feed of one process. Silent.
 */
#ifndef COLLECTOR_BPF_WAITS_H
#define COLLECTOR_BPF_WAITS_H

#include "collector/map.h"
#include "collector/record_queue.h"

struct bpf_feed;
struct wait;

struct bpf_waits {
	struct map tasks;          /* address of a pending task -> struct wait */
	struct wait *first, *last; /* to be looked at, in the order of their last steps */
	struct record_queue found; /* of those that were: told once it is sure to hold */
	bool on;                   /* every step is seen; else nothing is looked at */
	uint64_t look_after_ns;
	uint64_t losses; /* of the kernel's ring, before that look */
};

void waits_clear(struct bpf_waits *w);
/* A record of the kernel, before it is translated: steps begin and end waits. */
void waits_record(struct bpf_waits *w, const struct ev_head *record);
/* A task that was pending before its steps were watched. */
void waits_listed(struct bpf_waits *w, uint64_t task, uint64_t future, uint64_t now_ns);

enum waits_when {
	WAITS_GO_ON,
	WAITS_END,  /* look at all of them, as steps are watched no longer after this */
	WAITS_OVER, /* look at none */
};
/*
 * Each time after the kernel's ring was read. What the look before has found is told where no step
 * has ended the wait since; then, if it is time, comes the next look. 0, or what the sink returned.
 */
int waits_turn(struct bpf_feed *f, uint64_t now_ns, enum waits_when when);
/* Whether what this task waits for was told. */
bool waits_told(const struct bpf_waits *w, uint64_t task);
/* How many tasks wait of which it was not. */
size_t waits_untold(const struct bpf_waits *w);

#endif
