/*
 * What a process that records itself and its recorder say to each other. The recorder tells on its
 * stdout that it is ready; then it answers on a socket in the session folder, a connection for each
 * request, closed after the answer.
 */
#ifndef PROBE_CONTROL_H
#define PROBE_CONTROL_H

/* "ready", its pid, the session folder, the trace's absolute path: each ends with a NUL. Anything
 * else on its output says why it is not. */
#define CONTROL_READY "ready"
#define CONTROL_SOCKET "awaitscope-control" /* in the session folder */

/* A request is one byte; what was written before it is in the answer. */
#define CONTROL_TEXT 't'    /* the report, as awaitscope report writes it */
#define CONTROL_HTML 'h'    /* the same as a page, as of the last text */
#define CONTROL_VERDICT 'v' /* its first sentence */
#define CONTROL_END 'q'     /* close the trace; answered when it is closed */
#define CONTROL_DROP 'd'    /* nothing came of it: take the trace away */

#endif
