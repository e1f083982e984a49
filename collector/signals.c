/* Signals as readable events. See signals.h. */
#include "collector/signals.h"

#include <errno.h>
#include <unistd.h>

int signals_catch(struct signals *s)
{
	static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(caught) / sizeof(*caught); i++)
		sigaddset(&set, caught[i]);
	if (sigprocmask(SIG_BLOCK, &set, &s->mask))
		return -errno;
	s->fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->fd < 0 ? -errno : 0;
}

int signals_next(const struct signals *s, struct signalfd_siginfo *ret)
{
	return read(s->fd, ret, sizeof(*ret)) == sizeof(*ret);
}

void signals_restore(const struct signals *s)
{
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
}

void signals_settle(void)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* if it was ignored, ended children would leave no status */
}
