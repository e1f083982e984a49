/*
 * The Python processes of this machine with an event loop, for whoever calls attach without a pid.
 * Nothing in them is touched but read.
 */
#ifndef COLLECTOR_ATTACHABLE_H
#define COLLECTOR_ATTACHABLE_H

#include <stdio.h>

/* A table for people, or a sentence where there is none; texts of targets are escaped. 0 or -errno.
 */
int attachable_print(FILE *out);

#endif
