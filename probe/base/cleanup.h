/* Life of user-side objects: cleanup attributes, and TAKE to hand one out. Never used in the target
 * or in the kernel. */
#ifndef PROBE_BASE_CLEANUP_H
#define PROBE_BASE_CLEANUP_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define cleanup(fn) __attribute__((cleanup(fn)))
#define TAKE(p)                                                                                    \
	({                                                                                         \
		__auto_type t_ = (p);                                                              \
		(p) = NULL;                                                                        \
		t_;                                                                                \
	})

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#endif
