/*
 * See spawn.h. Two clones that share our memory, as posix_spawn() does it: nothing is copied
 * however large the program is, and no handler of fork() runs. The one between ends at once, so
 * that init inherits the program.
 */
#include "probe/inside/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define STACK_BYTES 65536u
/* No exit signal: such a child is seen by no wait() without __WCLONE. */
#define SHARE (CLONE_VM | CLONE_VFORK)

struct start {
	char *const *argv;
	int output;
	int failed; /* errno; 0: it runs */
	sigset_t mask;
	char *stack; /* of two, one after the other; they grow down */
};

/* All signals are blocked until here: a handler of ours would run in our memory. */
static void handlers_reset(void)
{
	struct sigaction action;

	for (int i = 1; i < NSIG; i++)
		if (!sigaction(i, NULL, &action) && action.sa_handler != SIG_IGN &&
			action.sa_handler != SIG_DFL)
			signal(i, SIG_DFL);
}

static int become(void *p)
{
	struct start *s = p;
	int null = open("/dev/null", O_RDWR);

	setsid();
	handlers_reset();
	if (null < 0 || dup2(null, 0) < 0 || dup2(s->output, 1) < 0 || dup2(s->output, 2) < 0 ||
		sigprocmask(SIG_SETMASK, &s->mask, NULL)) {
		s->failed = errno;
		_exit(1);
	}
	execv(s->argv[0], s->argv);
	s->failed = errno;
	_exit(1);
}

static int between(void *p)
{
	struct start *s = p;

	if (clone(become, s->stack + STACK_BYTES, SHARE, s) < 0)
		s->failed = errno;
	_exit(0);
}

int spawn_apart(char *const *argv, int output)
{
	struct start s = {.argv = argv, .output = output};
	sigset_t all;
	pid_t child;
	void *stacks = mmap(NULL, (size_t)2 * STACK_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (stacks == MAP_FAILED)
		return -errno;
	s.stack = stacks;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &s.mask);
	child = clone(between, s.stack + 2 * STACK_BYTES, SHARE, &s);
	if (child < 0)
		s.failed = errno;
	else
		while (waitpid(child, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	sigprocmask(SIG_SETMASK, &s.mask, NULL);
	munmap(stacks, (size_t)2 * STACK_BYTES);
	return -s.failed;
}
