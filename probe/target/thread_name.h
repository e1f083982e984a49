/*
 * What threading calls the threads of a target: Thread objects by threading._active, read from
 * outside. Nothing is guessed: who is not in there has no name here. Silent.
 */
#ifndef PROBE_TARGET_THREAD_NAME_H
#define PROBE_TARGET_THREAD_NAME_H

#include "probe/target/target.h"

struct target_named {
	uint64_t thread_id; /* pthread_self() */
	uint32_t tid;       /* as the target's pid namespace sees it */
	const char *name;   /* UTF-8; lives until the function returns */
};

typedef void (*target_named_fn)(void *ctx, const struct target_named *thread);

/*
 * Each thread that the main interpreter's threading knows. active: where that stood, 0 at first; it
 * is kept for the next call. -ENOENT: threading is not imported.
 */
int target_named_each(struct target *t, uint64_t *active, target_named_fn fn, void *ctx);

#endif
