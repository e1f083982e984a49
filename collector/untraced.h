/* Why a process has no agent in it, as far as it can be seen from outside. Silent. */
#ifndef COLLECTOR_UNTRACED_H
#define COLLECTOR_UNTRACED_H

#include <stddef.h>
#include <sys/types.h>

#define UNTRACED_REASON_BYTES 160 /* the longest clause fits */

/*
 * A clause that follows "is not traced: ". dir: the session folder, where an interpreter that is
 * not served says so; its text is the target's, so it is escaped. buf: room for a clause.
 */
const char *untraced_reason(
	const char *dir, pid_t pid, const char *language, char *buf, size_t size);
/*
 * Interpreters of this session that are not served: how many, the pid of the first and a clause
 * about it. 0: none; the outputs are untouched.
 */
unsigned int untraced_noted(const char *dir, pid_t *ret_pid, char *buf, size_t size);

#endif
