/* Every text of a report, kept once: equal texts have equal pointers. Silent. */
#ifndef VIEWER_STRINGS_H
#define VIEWER_STRINGS_H

#include <stddef.h>

struct strings {
	char **slot; /* open addressing */
	size_t n, room;
};

/* Lives as long as the set; NULL only when out of memory. */
const char *string_keep(struct strings *set, const char *text);
void strings_free(struct strings *set);

#endif
