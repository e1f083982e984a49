/* The process that runs driver.py, and the conversation with it (described at the top of
 * driver.py). Silent. */
#ifndef COLLECTOR_DRIVER_H
#define COLLECTOR_DRIVER_H

#include <jansson.h>
#include <signal.h>
#include <sys/types.h>

struct driver {
	pid_t pid;    /* 0: not started */
	int commands; /* to it */
	int events;   /* from it; readable where driver_event() may have something */
	char *buffer; /* bytes of events that are no whole line yet */
	size_t used;
	char *log; /* what it wrote to stderr: only if something is wrong with it */
};

/*
 * Starts PYTHON LIBRARY/driver.py. log: the file for its own stderr; kernel_output: what the kernel
 * gets as stdout and stderr. It begins with every signal blocked that we block.
 */
int driver_start(struct driver *d, const char *python, const char *library, const char *log,
	int kernel_output);
/* One command or the job; steals nothing. Errors show as the end of its events. */
void driver_send(const struct driver *d, const json_t *message);
void driver_command(const struct driver *d, const char *what);
/* The next event, the caller's to decref. -EAGAIN: none yet; -EPIPE: there will be no more. */
int driver_event(struct driver *d, json_t **ret);
/* Ends it if it has not ended, and waits. Returns its wait status. */
int driver_stop(struct driver *d);
/* The last line it wrote to stderr, malloc'd; NULL: none. */
char *driver_complaint(const struct driver *d);

#endif
