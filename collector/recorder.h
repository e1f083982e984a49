/*
 * The recorder: takes what the traced processes write and keeps it in a trace, while the caller
 * waits for something of its own. Notices traced processes and their ends. Whatever happens to the
 * trace, the processes are not disturbed. Logs one line when the disk stops taking the trace.
 */
#ifndef COLLECTOR_RECORDER_H
#define COLLECTOR_RECORDER_H

#include <poll.h>
#include <stdio.h>

#include "collector/feed.h"
#include "collector/model.h"

struct recorder;

/*
 * feed: where records come from; the recorder's from now on, also on failure. tape: also write the
 * stream there as a tape; NULL: do not. The caller owns *ret: recorder_free().
 */
int recorder_open(struct feed *feed, FILE *tape, struct recorder **ret);
void recorder_free(struct recorder *recorder); /* accepts NULL; ends no recording in good order */

/* Creates the trace; before that nothing is taken from the feed. -EEXIST and what the disk says.
 */
int recorder_begin(
	struct recorder *recorder, const char *path, const struct model_options *options);
/* For facts about the recording; NULL before recorder_begin(). */
struct model *recorder_model(struct recorder *recorder);

/*
 * Called with each record before it is kept; what it hands to sink is kept first. For sources that
 * a record alone does not tell.
 */
typedef void (*recorder_look_fn)(
	void *ctx, uint32_t pid, const struct ev_head *record, record_fn sink, void *sink_ctx);
void recorder_look(struct recorder *recorder, recorder_look_fn fn, void *ctx);

/* Take what the targets have written by now. recorder_poll() does so at every turn. */
void recorder_take(struct recorder *recorder);
/*
 * Wait until one of the caller's descriptors is ready, at most one turn (about 20 ms); take what
 * the targets wrote. Returns what poll() would for the caller's descriptors, -errno only where it
 * is not EINTR.
 */
int recorder_poll(struct recorder *recorder, struct pollfd *fds, size_t count);

struct recorder_held { /* a loop that has not been in its selector for some time */
	uint32_t pid;
	uint64_t since_ns;    /* CLOCK_MONOTONIC */
	struct model_held at; /* where it was a moment ago */
};
/* The one held the longest as of the last turn, if it is known where; 0: there is none. */
int recorder_held(struct recorder *recorder, struct recorder_held *ret);

/* The caller knows how this process ended. */
void recorder_process_end(struct recorder *recorder, uint32_t pid, int wait_status);
/* How many processes were seen to be traced; how many of them still run. */
unsigned int recorder_processes(const struct recorder *recorder);
unsigned int recorder_running(const struct recorder *recorder);

/* Take the rest, close the trace. The first error of the whole recording, if any; the trace has
 * what came before it. */
int recorder_finish(struct recorder *recorder);

#endif
