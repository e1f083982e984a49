/*
 * Tells the person at the terminal that a loop is held, and where, while it lasts. Called by `run`
 * at each turn.
 */
#ifndef COLLECTOR_HELD_H
#define COLLECTOR_HELD_H

#include <stdbool.h>

#include "collector/recorder.h"

#define HELD_PLACE_BYTES 256

/* "in score() at In [1]:7", for a terminal. Returns buf. */
char *held_place(const struct model_held *at, char buf[HELD_PLACE_BYTES]);
/* A file as seen from the current folder, where it lies below. */
const char *held_path(const char *file);

struct held_line {
	uint64_t stall_ns;      /* --stall */
	uint64_t told_ns;       /* when it was last told */
	uint64_t told_since_ns; /* of that iteration */
	bool shown;             /* the rewritten line tells it now */
};

/*
 * On the progress line that begins with `prefix` ("cell 3 of 12"): on a terminal it is rewritten,
 * and taken back when the loop goes on; elsewhere one line a stall, once it lasts a second (ten
 * where it is the cell's own code that runs: that is what a cell is for).
 */
void held_progress(struct held_line *line, struct recorder *recorder, const char *prefix);
/* Beside a command whose output is its own: one line a stall of five seconds, or of one with -v. */
void held_note(struct held_line *line, struct recorder *recorder);

#endif
