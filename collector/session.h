/*
 * A session: the private folder in which the traced processes put their rings, and the environment
 * that tells them. Removed with all it holds when the recording ends. Silent.
 */
#ifndef COLLECTOR_SESSION_H
#define COLLECTOR_SESSION_H

#include <stddef.h>
#include <stdint.h>

struct session;

struct session_variable { /* one variable of a traced process's environment */
	const char *name;
	char *value;
};

/*
 * The folder that holds agent.so, preload.so and driver.py: $AWAITSCOPE_LIB, else ../lib/awaitscope
 * beside the program, else awaitscope/lib beside it. -ENOENT: *ret_looked says where it is not. The
 * caller frees both.
 */
int library_find(char **ret_dir, char **ret_looked);

/* library: the folder found above. The caller owns *ret: session_free(). */
int session_open(
	const char *library, uint64_t min_block_ns, uint64_t min_step_ns, struct session **ret);
void session_free(struct session *session); /* removes the folder; accepts NULL */
const char *session_dir(const struct session *session);
/* The variables to add for a traced process; LD_PRELOAD keeps what the user had in it. */
const struct session_variable *session_environment(
	const struct session *session, size_t *ret_count);

#endif
