/*
 * How a process is known again when it has been started anew: a kernel by its connection file, any
 * other program by its user, command line, folder, and its parent or control group. Silent.
 */
#ifndef COLLECTOR_FOLLOW_H
#define COLLECTOR_FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

struct follow;

/* Looks at the process while it is there; the caller owns *ret: follow_free(). -ESRCH. */
int follow_new(uint32_t pid, struct follow **ret);
void follow_free(struct follow *follow); /* accepts NULL */
/* What it is looked for by, for people: "ipykernel in /home/ada", "app.py". Text of the target's.
 */
const char *follow_name(const struct follow *follow);
/* What begins from now on may be it. same: so may the process itself, which has executed something.
 */
void follow_ended(struct follow *follow, bool same);
/* The process that it is now, the first to begin where several fit. -ENOENT: none yet. */
int follow_find(struct follow *follow, uint32_t *ret_pid);

#endif
