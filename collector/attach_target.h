/*
 * The process that an attach watches, or will watch as soon as it has imported asyncio. Silent.
 */
#ifndef COLLECTOR_ATTACH_TARGET_H
#define COLLECTOR_ATTACH_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/bpf_feed.h"
#include "collector/run.h"

struct attach_target {
	uint32_t pid;
	int pidfd;     /* -1: there is no process now */
	bool waits;    /* there is no asyncio in it yet */
	bool unserved; /* it has no interpreter that can be watched */
	/* for people, once it is watched: where its layout and the first of its points are from */
	const char *layout_from, *points_from;
	struct bpf_feed *feed; /* NULL: not watched yet; else whoever drains it has it */
};

/* -errno of pidfd_open(2). attach_target_leave() in any case. */
int attach_target_find(struct attach_target *t, uint32_t pid);
/*
 * Begins to watch it. -EAGAIN: nothing there to watch yet, call again; else *ret_why is a clause
 * that tells why it cannot be watched.
 */
int attach_target_watch(
	struct attach_target *t, const struct run_options *options, const char **ret_why);
/* It has ended, or is none of ours any more. */
void attach_target_leave(struct attach_target *t);

#endif
