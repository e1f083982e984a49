/*
 * All ring files of one session folder: found as they appear, mapped, drained, merged into one stream per process in time
 * order. Trusts nothing in them. Silent.
 */
#ifndef COLLECTOR_RINGS_H
#define COLLECTOR_RINGS_H

#include "collector/record.h"

struct rings;

/* dir: the session folder. The caller owns *ret: rings_free(). */
int rings_open(const char *dir, struct rings **ret);
void rings_free(struct rings *rings);
/*
 * Look for new files, take what the targets wrote and hand it out in time order per process. Records younger than a
 * few ms are held back for their turn; `final` hands out all. Losses (full rings, no ring, signal handlers, bytes that are no
 * record, records that came too late to be in order) come as `lost` records of the stream. A ring with bad bytes is given up from
 * there on, the others go on. Returns the number of records handed out, or what sink returned.
 */
int rings_drain(struct rings *rings, int final, record_fn sink, void *ctx);
/* Whether this process ever opened a ring file; and whether any did. */
int rings_has(const struct rings *rings, uint32_t pid);
unsigned int rings_processes(const struct rings *rings);

#endif
