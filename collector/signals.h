/*
 * The signals of a recording command: caught as readable events, so that no handler ever runs, and
 * given back to the programs it starts as it found them. Silent.
 */
#ifndef COLLECTOR_SIGNALS_H
#define COLLECTOR_SIGNALS_H

#include <signal.h>
#include <sys/signalfd.h>

struct signals {
	int fd;        /* readable when one came; -1: not caught */
	sigset_t mask; /* as it was before */
};

/* Catch HUP, INT, QUIT, TERM, USR1 and USR2 from now on. */
int signals_catch(struct signals *s);
/* 0: none there. */
int signals_next(const struct signals *s, struct signalfd_siginfo *ret);
/* In a child, before exec: nothing differs from being started directly. */
void signals_restore(const struct signals *s);
/* In the recorder, after its children are started: writing to a closed pipe is an error and no
 * death; children can be waited for. */
void signals_settle(void);

#endif
