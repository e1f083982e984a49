/* Why a process has no agent in it, as far as it can be seen from outside. Silent. */
#ifndef COLLECTOR_UNTRACED_H
#define COLLECTOR_UNTRACED_H

#include <sys/types.h>

/* A clause that follows "is not traced: ". */
const char *untraced_reason(pid_t pid, const char *language);

#endif
