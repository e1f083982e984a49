/* A trace in the forms of other tools. Each writes to the end or fails: -ENOMEM; -EIO: trace_why()
 * tells, or the stream's error. */
#ifndef VIEWER_EXPORT_H
#define VIEWER_EXPORT_H

#include <stdio.h>

#include "viewer/report.h"

/* The trace event format, which ui.perfetto.dev and chrome://tracing read. */
int export_perfetto(struct report *report, FILE *out);
/* speedscope.app: what each loop's thread was doing while the loop was held. */
int export_speedscope(struct report *report, FILE *out);
/* The same as one line a stack, weighed in µs: flamegraph.pl, inferno. */
int export_folded(struct report *report, FILE *out);
/* Prometheus' text format, for a textfile collector or a push gateway. */
int export_prometheus(struct report *report, FILE *out);

#endif
