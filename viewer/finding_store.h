/* The findings in the trace itself: with default thresholds, stored when it is closed. Silent. */
#ifndef VIEWER_FINDING_STORE_H
#define VIEWER_FINDING_STORE_H

#include "viewer/report.h"

/* Replaces what the table `finding` held. -EIO, -ENOMEM, -EBUSY: the table is as it was. */
int findings_store(const char *path, const struct report *report);

#endif
