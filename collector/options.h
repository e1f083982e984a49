/*
 * The options of the commands that record: one table, from which parsing and help come. Logs what
 * is wrong with an argument.
 */
#ifndef COLLECTOR_OPTIONS_H
#define COLLECTOR_OPTIONS_H

#include "collector/log.h"
#include "collector/run.h"

enum options_command { OPTIONS_RUN = 1, OPTIONS_ATTACH = 2, OPTIONS_LIVE = 4 };

struct options_said { /* what is no option of the recording */
	enum log_level level;
	bool color, help;
};

struct run_options options_defaults(trace_done_fn done);
/* argv[0] is the command's name; optind is left at the first argument that is no option. Sets the
 * log up. 0, or an exit status. */
int options_parse(enum options_command command, int argc, char **argv, struct run_options *ret,
	struct options_said *ret_said);
void options_list(enum options_command command); /* on stdout, for --help */

#endif
