/* Texts of bounded length for columns that people read; input is valid UTF-8, and so is the result.
 */
#include "collector/shorten.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define ELLIPSIS "…"

char *shorten(char *buf, size_t size, const char *format, ...)
{
	size_t n = size - sizeof(ELLIPSIS);
	va_list args;
	int want;

	va_start(args, format);
	want = vsnprintf(buf, size, format, args);
	va_end(args);
	if (want < 0)
		buf[0] = '\0';
	if (want < 0 || (size_t)want < size)
		return buf;
	while (n && ((unsigned char)buf[n] & 0xc0) == 0x80)
		n--; /* to the first byte of the character that is cut */
	memcpy(buf + n, ELLIPSIS, sizeof(ELLIPSIS));
	return buf;
}
