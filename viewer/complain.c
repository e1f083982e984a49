/* One line a complaint, escaped. */
#include "viewer/complain.h"

#include <stdarg.h>
#include <stdio.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

int complain(const char *command, const char *format, ...)
{
	cleanup(freep) char *safe = NULL;
	va_list args;

	va_start(args, format);
	safe = text_vformat(format, args);
	va_end(args);
	fprintf(stderr, "awaitscope %s: %s\n", command, safe ? safe : "out of memory");
	return EXIT_WRONG;
}
