/*
 * Feeds of processes that come one after the other, each of one process, as one feed of the
 * recorder. Made by `attach`. Silent.
 */
#ifndef COLLECTOR_FEED_SERIES_H
#define COLLECTOR_FEED_SERIES_H

#include "collector/feed.h"

struct feed_series;

/* An empty one; the caller owns *ret until a recorder takes it: ret->ops->free(). */
int feed_series_new(struct feed_series **ret);
struct feed *feed_series_base(struct feed_series *series);
/* feed: the series' from now on, also on failure; it has no release(). */
int feed_series_add(struct feed_series *series, uint32_t pid, struct feed *feed);
/* The process has ended: its feed is drained to the end at the next turn, and then freed. */
void feed_series_end(struct feed_series *series, uint32_t pid);

#endif
