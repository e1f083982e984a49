/* The reading commands. Each parses its own arguments (argv[0] is the command's name), logs, and
 * returns an exit status. */
#ifndef VIEWER_COMMANDS_H
#define VIEWER_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

int report_main(int argc, char **argv);
int check_main(int argc, char **argv);
int diff_main(int argc, char **argv);
int export_main(int argc, char **argv);
int rules_main(int argc, char **argv);

#define LIVE_NO_TRACE (-1)
/*
 * Shows a trace, perhaps while it is written, until the person has seen enough; without a terminal
 * once, on stdout. recorder: readable when the recorder that is about to make the trace has ended,
 * -1: the trace is there. watch_ns: without a terminal, so long that recorder is waited for. An
 * exit status; LIVE_NO_TRACE: the recorder ended, or a signal came, before there was one.
 */
int live_view(const char *path, bool color, int recorder, uint64_t watch_ns);

/* After a recording: stores the findings in the trace and tells three lines on stderr, unless
 * quiet: the verdict, coverage and losses, where the trace is and what to do next. */
void trace_done(const char *path, bool quiet);

#endif
