/*
 * The socket on which a process that records itself asks its recorder: probe/control.h says for
 * what. Reports are made by the program itself, in a process of its own, so the recorder goes on.
 */
#ifndef COLLECTOR_CONTROL_H
#define COLLECTOR_CONTROL_H

#include "collector/signals.h"

struct control {
	int fd;                        /* readable when somebody asks; -1: not open */
	const struct signals *signals; /* given back to the reports' processes */
	int asker;                     /* who asked last and waits; -1: nobody */
};

/* folder: the session's. -errno. */
int control_open(struct control *c, const char *folder);
void control_close(struct control *c); /* the last asker is answered by that */
/* Who asks now, and for what; 0: nobody. The asker waits until control_answer() or _close(). */
char control_next(struct control *c);
/* The report of that trace goes to the asker, in the form of the request. */
void control_answer(struct control *c, char request, const char *trace);

#endif
