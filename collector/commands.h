/* The recording commands. Each parses its own arguments (argv[0] is the command's name), logs, and
 * returns an exit status. */
#ifndef COLLECTOR_COMMANDS_H
#define COLLECTOR_COMMANDS_H

#include <stdbool.h>

/* Called when a trace has been closed: its findings, and the verdict lines unless quiet, by whoever
 * sees the viewer too. */
typedef void (*trace_done_fn)(const char *path, bool quiet);

int doctor_main(int argc, char **argv);
int run_main(int argc, char **argv, trace_done_fn done);
int attach_main(int argc, char **argv, trace_done_fn done);

#endif
