/* One line a complaint, escaped. */
#include "viewer/complain.h"

#include <stdarg.h>
#include <stdio.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/base/units.h"

int complain(const char *command, const char *format, ...)
{
	cleanup(freep) char *raw = NULL, *safe = NULL;
	va_list args;
	int n;

	va_start(args, format);
	n = vasprintf(&raw, format, args);
	va_end(args);
	if (n < 0)
		raw = NULL;
	safe = raw ? text_for_terminal(raw, 0) : NULL;
	fprintf(stderr, "awaitscope %s: %s\n", command, safe ? safe : "out of memory");
	return EXIT_WRONG;
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
