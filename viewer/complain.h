/* What the reading commands say when they cannot go on: one line on stderr. */
#ifndef VIEWER_COMPLAIN_H
#define VIEWER_COMPLAIN_H

#define EXIT_WRONG 2 /* wrong usage or input */

/* "awaitscope check: ..."; what a path or an argument holds does not reach the terminal raw.
 * Returns EXIT_WRONG. */
int complain(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
