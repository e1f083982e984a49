/*
 * What the kernel says of threads that an agent tells of too, kept until the agent's record comes
 * that it belongs to: matched on thread and time, each thing once. Called by a feed. Silent.
 */
#ifndef COLLECTOR_PAIRS_H
#define COLLECTOR_PAIRS_H

#include <stdbool.h>

#include "collector/record.h"

/*
 * Of one thread; of more the oldest are forgotten, and the agent's own account stays. An agent
 * whose ring is full writes no records that take them.
 */
#define PAIRS_TURNS_MAX 4096u
#define PAIRS_WAITS_MAX 4096u
#define PAIRS_TAKERS_MAX 8u /* of one iteration */

struct pairs;

/* The caller owns *ret: pairs_free(). -ENOMEM. */
int pairs_new(struct pairs **ret);
void pairs_free(struct pairs *p); /* accepts NULL */

/* The kernel's, in order of time per thread, copied: it watches that thread; */
int pairs_thread(struct pairs *p, uint32_t pid, uint32_t tid);
/* an iteration from begin_ns to the head's time; a wait, of which `inside` is not known yet. */
int pairs_turn(struct pairs *p, uint32_t pid, const struct ev_causes *turn);
/* Before an iteration: who had the CPU in it. */
int pairs_taken(struct pairs *p, uint32_t pid, const struct ev_cpu_taken *taken);
int pairs_wait(struct pairs *p, uint32_t pid, const struct ev_call_wait *wait);

/*
 * Before this record of the agent's, or of what it left unfinished: what of the kernel's belongs to
 * it, with its time. Before a block record the waits inside that call; before an iteration's record
 * the waits in it that were in no such call, then who had the CPU in it and its causes; before a
 * thread's first one, that it is watched. 0, or what sink returned.
 */
int pairs_hand_out(
	struct pairs *p, uint32_t pid, const struct ev_head *record, record_fn sink, void *ctx);
/*
 * An iteration of at least min_turn_ns whose causes the kernel has not told, but will: its thread
 * was switched out between the agent's last look at the clock and its system call.
 */
bool pairs_awaits(
	const struct pairs *p, uint32_t pid, const struct ev_head *record, uint64_t min_turn_ns);

#endif
