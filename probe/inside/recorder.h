/*
 * The recorder of this process: started apart from it, asked through its socket. Blocks for as long
 * as the recorder takes to answer, so call it without the GIL. No Python here.
 */
#ifndef PROBE_INSIDE_RECORDER_H
#define PROBE_INSIDE_RECORDER_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

struct recorder {
	pid_t pid;
	char folder[PATH_MAX]; /* of the session */
	char trace[PATH_MAX];
};

#define RECORDER_WHY_BYTES 1024

/* 0, or -errno and a sentence in `why`. */
int recorder_start(const char *program, struct recorder *ret, char why[RECORDER_WHY_BYTES]);
/*
 * Asks for one thing of probe/control.h. *ret_answer is NUL-terminated; the caller frees it.
 * -errno: it does not answer, mostly since it has ended; -EINTR: a signal came.
 */
int recorder_ask(const struct recorder *recorder, char request, char **ret_answer);

#endif
