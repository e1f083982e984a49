/*
 * The Python processes of this machine with an event loop, for whoever calls attach without a pid.
 * Nothing in them is touched but read.
 */
#ifndef COLLECTOR_ATTACHABLE_H
#define COLLECTOR_ATTACHABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "collector/procfs.h"

struct attachable {
	uint32_t pid;
	char user[PROCFS_USER_BYTES];
	char *runs;      /* notebook, kernel, script or module */
	int minor;       /* of Python 3.minor; 0: not known */
	size_t loops;    /* threads that run one */
	char *loop_on;   /* "main, 4712 (uvloop)": those threads */
	const char *why; /* NULL, or a clause that tells why nothing could be read */
};

/* Silent. Sorted by pid; the caller owns *ret: attachable_free(). */
int attachable_find(struct attachable **ret, size_t *ret_count);
void attachable_free(struct attachable *list, size_t count);
/* A table for people, or a sentence where there is none; texts of targets are escaped. 0 or -errno.
 */
int attachable_print(FILE *out);

#endif
