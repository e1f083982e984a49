/*
 * The arguments of the reading commands, by getopt_long(): the options that several have, and
 * where each puts its value. What is wrong with one is complained of in the same words everywhere.
 */
#ifndef VIEWER_ARGUMENTS_H
#define VIEWER_ARGUMENTS_H

#include <getopt.h>

#include "viewer/output.h"

enum arguments_offer {             /* a command has these, and --help */
	OFFER_THRESHOLDS = 1 << 0, /* --stall, --min-block */
	OFFER_AWAIT_TIMEOUT = 1 << 1,
	OFFER_ALL = 1 << 2,
	OFFER_OUTPUT = 1 << 3, /* -o */
	OFFER_TEXT = 1 << 4,   /* -q, -v, --no-color */
};

#define ARGUMENTS_OWN 512 /* ids of a command's own options begin here */

struct arguments { /* of what the command offers; zeroed before */
	struct report_options read;
	struct output_options write;
	const char *output; /* NULL: stdout */
	const char *const *traces;
};

struct arguments_spec {
	const char *command;
	unsigned int offers;         /* enum arguments_offer */
	const struct option *option; /* of the command's own; the last is without a name */
	/* an option of the command's own, with optarg: 0 or an exit status, and complained */
	int (*take)(void *own, int option);
	void (*help)(void); /* prints it */
	int traces;         /* 1, or 2: the old one first */
};

/*
 * 0: go on; else the exit status + 1: help was asked for, or something is wrong and is complained
 * of. own is for take().
 */
int arguments_parse(
	const struct arguments_spec *spec, int argc, char **argv, struct arguments *ret, void *own);

#endif
