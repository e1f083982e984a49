/* What to do instead of a call, from advice.def. Silent. */
#ifndef VIEWER_ADVICE_H
#define VIEWER_ADVICE_H

#include <stdio.h>

#include "viewer/report.h"

#define ADVICE_IMPORT                                                                              \
	"Import it before the loop runs: at the top of the module, or in a cell of its own."

#define ADVICE_STOLEN                                                                              \
	"The host gave this virtual machine's CPUs to others: try again when it has less to do, "  \
	"or "                                                                                      \
	"move to a machine with CPUs of its own (no change of the code helps)."
#define ADVICE_FINALIZER                                                                           \
	"What Python calls when an object goes away can't await: give the object an async "        \
	"close() "                                                                                 \
	"and await that before it goes, or hand the work to a thread."

/* One sentence with a blank before it; call is as reports name it, with its arguments where they
 * are known, NULL where the cause is no call. */
void advice_print(FILE *out, enum cause cause, const char *call);
/* The same of a call at a place of user code, met in `cell`, with what to do where that can't
 * await. */
void advice_at_print(FILE *out, const struct report *report, int cell, const struct place *place,
	enum cause cause, const char *call);

#endif
