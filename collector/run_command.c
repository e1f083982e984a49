/* `awaitscope run -- COMMAND`: the command runs as if started directly, only traced. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "collector/held.h"
#include "collector/log.h"
#include "collector/run.h"
#include "collector/signals.h"
#include "collector/trace_path.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

struct command {
	char **argv;
	pid_t pid;
	int pidfd;
	int go_fd;   /* a byte here lets it exec; closed without one it ends */
	int exec_fd; /* its errno comes here where exec fails; nothing where it worked */
};

/* The child's side: wait for the trace, then become the command. */
static void become(
	const struct recording *r, const struct signals *signals, char **argv, int go, int failed)
{
	const struct session_variable *var;
	size_t count;
	char byte;
	int rc;

	if (read(go, &byte, 1) != 1)
		_exit(STATUS_OURS);
	var = session_environment(r->session, &count);
	for (size_t i = 0; i < count; i++)
		setenv(var[i].name, var[i].value, 1);
	signals_restore(signals);
	execvp(argv[0], argv);
	rc = errno;
	if (write(failed, &rc, sizeof(rc)) != sizeof(rc))
		_exit(STATUS_OURS);
	_exit(STATUS_NOT_FOUND);
}

static int start_held(struct command *c, const struct recording *r, const struct signals *signals)
{
	int go[2], failed[2];

	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(failed, O_CLOEXEC)) {
		close(go[0]);
		close(go[1]);
		return -errno;
	}
	c->pid = fork();
	if (!c->pid) {
		close(go[1]); /* so that the recorder's death is seen as the end of the pipe */
		become(r, signals, c->argv, go[0], failed[1]);
	}
	close(go[0]);
	close(failed[1]);
	c->go_fd = go[1];
	c->exec_fd = failed[0];
	if (c->pid < 0)
		return -errno;
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	return c->pidfd < 0 ? -errno : 0;
}

/* Let it exec. 0, or the errno with which that failed. */
static int let_go(struct command *c)
{
	int failed = 0;

	if (write(c->go_fd, "g", 1) != 1)
		return EIO;
	close(c->go_fd);
	c->go_fd = -1;
	if (read(c->exec_fd, &failed, sizeof(failed)) != sizeof(failed))
		return 0;
	return failed;
}

static int not_started(const char *program, int error)
{
	cleanup(freep) char *shown = text_for_terminal(program, 200);
	bool missing = error == ENOENT || error == ENOTDIR;

	log_error("%s: %s", shown ? shown : "the command",
		missing ? "no such command" : strerror(error));
	return missing ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE;
}

/* A terminal's keys reach the command by themselves; what a process sent to us alone is for the
 * command. */
static void pass_signals(const struct command *c, const struct signals *signals)
{
	struct signalfd_siginfo info;

	while (signals_next(signals, &info))
		if (info.ssi_code <= 0)
			kill(c->pid, (int)info.ssi_signo);
}

static int wait_status_of(
	const struct command *c, struct recording *r, const struct signals *signals)
{
	struct pollfd fds[] = {
		{.fd = c->pidfd, .events = POLLIN}, {.fd = signals->fd, .events = POLLIN}};
	struct held_line held = {.stall_ns = r->options->stall_ns};
	int status;

	while (!fds[0].revents) {
		if (recorder_poll(r->recorder, fds, 2) < 0)
			break; /* no memory: wait without recording */
		pass_signals(c, signals);
		held_note(&held, r->recorder);
	}
	while (waitpid(c->pid, &status, 0) < 0)
		if (errno != EINTR)
			return STATUS_OURS << 8;
	return status;
}

/* The command line as a shell would take it, for the trace. */
static char *command_line(char *const *argv)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (size_t i = 0; argv[i]; i++) {
		bool plain = *argv[i] && !argv[i][strcspn(argv[i], " \t\n'\"\\$`&|;<>()*?[]#~!{}")];

		fputs(i ? " " : "", out);
		fputs(plain ? "" : "'", out);
		for (const char *p = argv[i]; *p; p++)
			fputs(*p == '\'' ? "'\\''" : (char[]){*p, '\0'}, out);
		fputs(plain ? "" : "'", out);
	}
	return fclose(out) ? NULL : text;
}

static int trace_command(struct command *c, struct recording *r, const struct signals *signals)
{
	cleanup(freep) char *name = trace_name_of_command(c->argv);
	cleanup(freep) char *line = command_line(c->argv);
	cleanup(freep) char *text = line ? text_to_utf8(line, strlen(line)) : NULL;
	int rc = name && text ? start_held(c, r, signals) : -ENOMEM;
	int status;

	if (rc) {
		log_error("cannot start a process: %s", strerror(-rc));
		return STATUS_OURS;
	}
	signals_settle();
	status = recording_begin(r, name, c->pid, "command", text);
	if (status)
		return status;
	rc = let_go(c);
	if (rc) {
		recording_drop(r);
		return not_started(c->argv[0], rc);
	}
	status = wait_status_of(c, r, signals);
	recorder_process_end(r->recorder, (uint32_t)c->pid, status);
	recording_end(r);
	return WIFSIGNALED(status) ? STATUS_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

int run_command(const struct run_options *options, char **argv)
{
	cleanup(recording_free) struct recording r = {0};
	struct signals signals = {.fd = -1};
	struct command command = {.argv = argv, .pidfd = -1, .go_fd = -1, .exec_fd = -1};
	int rc = signals_catch(&signals); /* first: the session folder must not outlive us */
	int status;

	if (rc) {
		log_error("cannot watch for signals: %s", strerror(-rc));
		return STATUS_OURS;
	}
	status = recording_prepare(&r, options);
	if (!status)
		status = trace_command(&command, &r, &signals);
	closep(&command.go_fd); /* a command that was never let go ends now */
	closep(&command.exec_fd);
	closep(&command.pidfd);
	closep(&signals.fd);
	return status;
}
