/* printf into a fixed buffer that never ends in half a character: what does not fit ends in an
 * ellipsis. Silent. */
#ifndef COLLECTOR_SHORTEN_H
#define COLLECTOR_SHORTEN_H

#include <stddef.h>

/* size at least 8. Returns buf. */
char *shorten(char *buf, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
