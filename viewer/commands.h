/* The reading commands. Each parses its own arguments (argv[0] is the command's name), logs, and
 * returns an exit status. */
#ifndef VIEWER_COMMANDS_H
#define VIEWER_COMMANDS_H

#include <stdbool.h>

int report_main(int argc, char **argv);
int check_main(int argc, char **argv);
int diff_main(int argc, char **argv);
int export_main(int argc, char **argv);
int rules_main(int argc, char **argv);

/* After a recording: stores the findings in the trace and tells three lines on stderr, unless
 * quiet: the verdict, coverage and losses, where the trace is and what to do next. */
void trace_done(const char *path, bool quiet);

#endif
