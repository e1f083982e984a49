/* What loops would lose without a finding: its time taken out of every turn it was part of. */
#ifndef VIEWER_SAVED_H
#define VIEWER_SAVED_H

#include "viewer/report.h"

/* Fills saved_p99_ns and saved_stall_ns of all findings that name turns. -ENOMEM. */
int saved_weigh(struct report *report);

#endif
