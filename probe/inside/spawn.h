/* A program that outlives us, started without a trace in this process. */
#ifndef PROBE_INSIDE_SPAWN_H
#define PROBE_INSIDE_SPAWN_H

/*
 * Runs argv[0] in a session of its own, as nobody's child here: no SIGCHLD, nothing for wait(). Its
 * stdin is empty, its stdout and stderr are `output`. 0, or -errno of what failed, exec too. any
 */
int spawn_apart(char *const *argv, int output);

#endif
