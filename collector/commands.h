/* The recording commands. Each parses its own arguments (argv[0] is the command's name), logs, and
 * returns an exit status. */
#ifndef COLLECTOR_COMMANDS_H
#define COLLECTOR_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>

/* Called when a trace has been closed: its findings, and the verdict lines unless quiet, by whoever
 * sees the viewer too. */
typedef void (*trace_done_fn)(const char *path, bool quiet);

int doctor_main(int argc, char **argv);
int run_main(int argc, char **argv, trace_done_fn done);
int attach_main(int argc, char **argv, trace_done_fn done);
int inside_main(int argc, char **argv, trace_done_fn done);

/* Shows a trace; see live_view() of the viewer. */
typedef int (*trace_view_fn)(const char *path, bool color, int recorder, uint64_t watch_ns);
int live_main(int argc, char **argv, trace_done_fn done, trace_view_fn view);

#endif
