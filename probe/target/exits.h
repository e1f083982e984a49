/*
 * The `with` blocks that a suspended frame is inside, by the bound __exit__ and __aexit__ methods
 * that its value stack keeps for them. Silent.
 */
#ifndef PROBE_TARGET_EXITS_H
#define PROBE_TARGET_EXITS_H

#include "probe/target/state.h"

#define EXITS_MAX 16u

struct target_exit {
	uint64_t manager;  /* whose method it is */
	uint32_t position; /* in the frame's code, of the `with`; 0: not known */
	bool is_async;
};

/*
 * Outermost first, at most EXITS_MAX, *ret_count of them. In the last one's method before the block
 * or behind it the frame may be suspended as well: its innermost callee tells.
 */
int exits_read(struct target *t, const struct target_frame *frame,
	struct target_exit ret[EXITS_MAX], uint32_t *ret_count);
/* Where a suspended frame's locals and, behind them, its values stand in memory. */
int frame_values(struct target *t, const struct target_frame *frame, uint64_t *ret_locals,
	uint64_t *ret_stack, uint64_t *ret_top);

#endif
