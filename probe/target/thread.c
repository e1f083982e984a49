/* Thread states of a target: the lists of all its interpreters. See target.h. */
#include <errno.h>

#include "probe/target/state.h"

#define INTERPRETERS_MAX 256u
#define THREADS_MAX 4096u /* of one interpreter; those beyond are not found */

bool target_thread_is(struct target *t, uint64_t thread, uint64_t thread_id)
{
	uint64_t id;

	return !memory_read_pointer(&t->memory, thread + t->layout.thread_thread_id, &id) &&
	       id == thread_id;
}

/* -ENOENT: none of this interpreter. */
static int find_in(struct target *t, uint64_t interp, uint64_t thread_id, uint64_t *ret)
{
	const struct layout *lay = &t->layout;
	uint64_t thread, back;
	int rc = memory_read_pointer(&t->memory, interp + lay->interp_threads_head, &thread);

	for (unsigned int i = 0; !rc && thread && i < THREADS_MAX; i++) {
		if (target_thread_is(t, thread, thread_id)) {
			rc = memory_read_pointer(&t->memory, thread + lay->thread_interp, &back);
			if (rc || back != interp)
				return rc ? rc : -EPROTO;
			*ret = thread;
			return 0;
		}
		rc = memory_read_pointer(&t->memory, thread + lay->thread_next, &thread);
	}
	return rc ? rc : -ENOENT;
}

int target_thread_find(struct target *t, uint64_t thread_id, uint64_t *ret_thread)
{
	const struct layout *lay = &t->layout;
	uint64_t interp;
	int rc = memory_read_pointer(
		&t->memory, t->symbol[SYMBOL_RUNTIME] + lay->runtime_interpreters_head, &interp);

	for (unsigned int i = 0; !rc && interp && i < INTERPRETERS_MAX; i++) {
		rc = find_in(t, interp, thread_id, ret_thread);
		if (rc != -ENOENT)
			return rc;
		rc = memory_read_pointer(&t->memory, interp + lay->interp_next, &interp);
	}
	return rc ? rc : -ENOENT;
}
