/* The arguments of the reading commands, by getopt_long(); what is wrong with one is complained of
 * in the same words everywhere. */
#ifndef VIEWER_ARGUMENTS_H
#define VIEWER_ARGUMENTS_H

#include <getopt.h>
#include <stdint.h>

#define ARGUMENTS_END (-1)
#define ARGUMENTS_WRONG '?'
#define ARGUMENTS_LONG 256 /* ids of options without a letter begin here */

/* From the first argument on, the next option's id with optarg; ARGUMENTS_END, with optind at what
 * follows; ARGUMENTS_WRONG, and complained. optind must be 0 at first. */
int arguments_next(const char *command, int argc, char **argv, const char *letters,
	const struct option *options);
/* A duration that is not zero; EXIT_WRONG, and complained. */
int threshold_take(const char *command, const char *option, const char *text, uint64_t *ret_ns);

#endif
