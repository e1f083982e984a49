/*
 * What the loops of a process were in the middle of as it ended, or as the recording did: no record
 * of a target's tells. Called by the recorder, when all that the target wrote was handed out.
 * Silent.
 */
#ifndef COLLECTOR_UNFINISHED_H
#define COLLECTOR_UNFINISHED_H

#include "collector/feed.h"
#include "collector/sampler.h"

/* Hands out a record of each. 0, or what sink returned. */
int unfinished_tell(struct feed *feed, const struct sampler *sampler, uint32_t pid, uint64_t end_ns,
	record_fn sink, void *ctx);

#endif
