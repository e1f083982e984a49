/* One line a complaint, escaped. */
#include "viewer/complain.h"

#include <stdarg.h>
#include <stdio.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

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
