/*
 * What `attach` prints while it watches, on stdout: each stall as soon as it is one, with the
 * Python stack of that moment, and how long it lasted.
 */
#ifndef COLLECTOR_ATTACH_LIVE_H
#define COLLECTOR_ATTACH_LIVE_H

#include "collector/recorder.h"

struct attach_live {
	uint64_t stall_ns;
	uint64_t told_since_ns; /* the stall told of that has not ended; 0: none */
};

/* At each turn. */
void attach_live(struct attach_live *live, struct recorder *recorder);
/* A line of its own, with the time before it. */
void attach_live_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The process has ended; a loop that was held goes on no more. */
void attach_live_end(struct attach_live *live);

#endif
