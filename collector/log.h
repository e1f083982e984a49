/*
 * What a command says to the person who started it: "awaitscope: ..." on stderr, one line a
 * message. Results never go through here. Only commands log; text of a target is escaped.
 */
#ifndef COLLECTOR_LOG_H
#define COLLECTOR_LOG_H

#include <stdbool.h>

enum log_level { LOG_QUIET, LOG_NORMAL, LOG_VERBOSE };

/* Colour is used only where stderr is a terminal, `color` allows it and NO_COLOR is not set. */
void log_setup(enum log_level level, bool color);
enum log_level log_level(void);
bool log_terminal(void); /* the progress line is rewritten in place */

void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));  /* always */
void log_note(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* not with -q */
void log_detail(const char *format, ...) __attribute__((format(printf, 1, 2))); /* with -v only */

/* Where the work is: one line that is rewritten on a terminal, a line of its own elsewhere, nothing
 * with -q. */
void log_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Takes the rewritten line away; every other message does so by itself. */
void log_progress_end(void);

/* Lines that a target wrote: control bytes are escaped, colours stay where colour is used. */
void log_target(const char *text);

#endif
