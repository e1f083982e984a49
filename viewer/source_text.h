/* Files that a trace names, as they are now: only ordinary ones, and not large ones. Silent. */
#ifndef VIEWER_SOURCE_TEXT_H
#define VIEWER_SOURCE_TEXT_H

#include <stdbool.h>

/* The caller frees it; NULL: it can't be read. */
char *source_read(const char *path);
/*
 * Is this line an await in the body of a loop of its function, or in a comprehension? False also
 * where the line holds no await: the text is another one by now.
 */
bool source_awaits_in_loop(const char *source, int line);
/*
 * Is this line in a plain function of this name, which can't await? False also where the text
 * around it is of another one by now.
 */
bool source_in_plain_function(const char *source, int line, const char *name);

#endif
