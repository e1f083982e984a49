/* What to do instead of a call, from advice.def. Silent. */
#ifndef VIEWER_ADVICE_H
#define VIEWER_ADVICE_H

#include <stdio.h>

#include "viewer/causes.h"

/* One sentence with a blank before it; call is as reports name it, with its arguments where they
 * are known, NULL where the cause is no call. */
void advice_print(FILE *out, enum cause cause, const char *call);

#endif
