/* What the files of `awaitscope run` share: its options, its exit statuses, and one recording from
 * beginning to verdict. */
#ifndef COLLECTOR_RUN_H
#define COLLECTOR_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "collector/commands.h"
#include "collector/recorder.h"
#include "collector/session.h"

enum {
	STATUS_CELL_FAILED = 1,
	STATUS_USAGE = 2, /* wrong usage or input */
	STATUS_UNTRACEABLE = 3,
	STATUS_TIMEOUT = 124,
	STATUS_OURS = 125, /* our own failure; the kernel died or did not start */
	STATUS_NOT_EXECUTABLE = 126,
	STATUS_NOT_FOUND = 127,
	STATUS_SIGNAL = 128, /* plus its number */
	STATUS_INTERRUPTED = 130,
};

struct run_options {
	const char *trace;    /* NULL: the default name */
	const char *kernel;   /* NULL: the notebook's */
	const char *output;   /* the executed notebook; NULL: not saved */
	const char *tape;     /* NULL: none */
	const char *notebook; /* of an attach: where cells are looked up; NULL: none */
	const char *sensor;
	uint64_t timeout_ns;  /* of each cell; 0: none */
	uint64_t duration_ns; /* of an attach; 0: until something ends it */
	uint64_t stall_ns, min_block_ns, min_step_ns, max_bytes;
	uint64_t keep_ns; /* 0: all */
	bool allow_errors, cells, force, no_jupyter, follow;
	trace_done_fn done;
};

/* Both log and return an exit status. */
int run_command(const struct run_options *options, char **argv);
int run_notebook(const struct run_options *options, const char *path);

struct recording {
	const struct run_options *options;
	char *library;
	struct session *session;
	struct recorder *recorder;
	FILE *tape;
	char *path;                    /* of the trace, as asked for; NULL: not begun */
	char *real_path;               /* the same from the root */
	bool beside;                   /* the kernel tells of the agents' threads too */
	bool inside;                   /* the agent came from inside the process, while it ran */
	bool untraced_said;            /* that the program is not traced has been told already */
	uint64_t t0_ns;                /* the trace's zero, CLOCK_MONOTONIC; 0: when it is made */
	uint32_t owner_uid, owner_gid; /* whom the trace is for, without sudo; -1: us */
};

/*
 * Logs what is wrong and returns an exit status, 0 to go on: the trace and the executed notebook
 * may be made, the agent is there, the session folder is made. Zeroed before; recording_free() in
 * any case.
 */
int recording_prepare(struct recording *r, const struct run_options *options);
/*
 * The same for a recording without agents; feed: its source, the recording's from now on, also on
 * failure.
 */
int recording_check(struct recording *r, const struct run_options *options);
int recording_feed(struct recording *r, struct feed *feed);
/* Creates the trace. The same results. */
int recording_begin(
	struct recording *r, const char *name, pid_t pid, const char *what, const char *value);
/* Nothing ran: take the trace away again. */
void recording_drop(struct recording *r);
/* Closes the trace and says what was not recorded, and the verdict. */
void recording_end(struct recording *r);
void recording_free(struct recording *r);

#endif
