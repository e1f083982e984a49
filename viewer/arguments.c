/* See arguments.h. */
#include "viewer/arguments.h"

#include <stdio.h>

#include "probe/base/units.h"
#include "viewer/complain.h"

#define LETTERS_BYTES 32

int arguments_next(const char *command, int argc, char **argv, const char *letters,
	const struct option *options)
{
	char shorts[LETTERS_BYTES], letter[3] = "-";
	const char *what;
	int id;

	/* ':' tells a missing value from an unknown option */
	snprintf(shorts, sizeof(shorts), ":%s", letters);
	opterr = 0;
	id = getopt_long(argc, argv, shorts, options, NULL);
	if (id != ':' && id != '?')
		return id;
	letter[1] = (char)optopt;
	if (id == ':')
		what = "a value is missing after";
	else if (optopt >= ARGUMENTS_LONG)
		what = "no value belongs to";
	else
		what = "unknown or ambiguous option";
	complain(command, "%s %s; see awaitscope %s --help", what,
		id == '?' && optopt && optopt < ARGUMENTS_LONG ? letter : argv[optind - 1],
		command);
	return ARGUMENTS_WRONG;
}

int threshold_take(const char *command, const char *option, const char *text, uint64_t *ret_ns)
{
	uint64_t ns;

	if (duration_parse(text, 0, &ns) || !ns)
		return complain(command,
			"%s %s is no duration: write a number and a unit, as 250ms; see awaitscope "
			"%s --help",
			option, text, command);
	*ret_ns = ns;
	return 0;
}
