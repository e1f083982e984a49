/* One attach: what its command asked for, done. Logs. */
#ifndef COLLECTOR_ATTACH_H
#define COLLECTOR_ATTACH_H

#include "collector/run.h"

/* argv: the command line, for the line that says how to run it with privileges. An exit status. */
int attach(const struct run_options *options, uint32_t pid, char *const *argv);

#endif
