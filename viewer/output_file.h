/* The file that a command writes its result to. Silent. */
#ifndef VIEWER_OUTPUT_FILE_H
#define VIEWER_OUTPUT_FILE_H

#include <stdio.h>

/* path NULL: stdout; else mode 0600, and what was there goes. -EBUSY: it is the trace itself. */
int output_file_open(const char *path, const char *trace, FILE **ret);
/* `rc` of what wrote it, else why it could not be written to the end: -errno. */
int output_file_close(FILE *out, int rc);

#endif
