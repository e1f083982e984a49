/*
 * Tapes: event streams as text, one record a line, for tests and for looking at a live trace.
 *
 *   # comment
 *   @4711                                     the lines that follow are of process 4711
 *   TIME_NS TID KIND field=value ...          in any order; a field left out is 0 or empty
 *
 * Numbers are decimal or 0x; TEXT is a JSON string, where \udc80 to \udcff stand for bytes that are
 * no UTF-8; BYTES are hex; PAIRS are a:b,a:b. Writing a record and parsing the line gives the same
 * record. Silent.
 */
#ifndef COLLECTOR_TAPE_H
#define COLLECTOR_TAPE_H

#include <stdio.h>

#include "collector/record.h"

/* A record_fn's work: writes one line, and an @PID line when the process changes. */
struct tape_writer {
	FILE *file;
	uint32_t pid; /* of the last line; 0 = none yet */
};
int tape_write(struct tape_writer *w, uint32_t pid, const struct ev_head *record);

/*
 * Feed every line to sink. -EINVAL where a line is no record: *ret_line is its number, *ret_why a
 * static sentence. Else 0, or what sink returned, and both are untouched.
 */
int tape_read(FILE *file, record_fn sink, void *ctx, unsigned long *ret_line, const char **ret_why);

#endif
