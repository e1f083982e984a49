/* Starting driver.py and talking with it. See driver.h. */
#include "collector/driver.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "probe/base/cleanup.h"

#define LINE_MAX_BYTES                                                                             \
	(8u << 20) /* a longer line is none of driver.py's: its texts are cut at 256 Ki characters \
		    */
#define READ_BYTES 65536
#define STOP_MS 2000 /* it ends by itself right after its last event */

/* The child's side; exec or end. */
static void become(const char *python, const char *script, const char *log, const int inherited[3])
{
	char fds[3][16];
	int null = open("/dev/null", O_RDONLY);
	int err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0600);

	if (null < 0 || err < 0)
		_exit(125);
	dup2(null, STDIN_FILENO);
	dup2(err, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < 3; i++) {
		fcntl(inherited[i], F_SETFD, 0);
		snprintf(fds[i], sizeof(fds[i]), "%d", inherited[i]);
	}
	execl(python, python, script, fds[0], fds[1], fds[2], NULL);
	_exit(127);
}

int driver_start(struct driver *d, const char *python, const char *library, const char *log,
	int kernel_output)
{
	cleanup(freep) char *script = NULL;
	int commands[2], events[2];

	*d = (struct driver){.commands = -1, .events = -1};
	if (asprintf(&script, "%s/driver.py", library) < 0 || !(d->log = strdup(log)))
		return -ENOMEM;
	if (pipe2(commands, O_CLOEXEC))
		return -errno;
	if (pipe2(events, O_CLOEXEC)) {
		close(commands[0]);
		close(commands[1]);
		return -errno;
	}
	d->pid = fork();
	if (!d->pid)
		become(python, script, log, (int[]){commands[0], events[1], kernel_output});
	close(commands[0]);
	close(events[1]);
	d->commands = commands[1];
	d->events = events[0];
	if (d->pid < 0) {
		d->pid = 0;
		return -errno;
	}
	fcntl(d->events, F_SETFL, O_NONBLOCK);
	return 0;
}

void driver_send(const struct driver *d, const json_t *message)
{
	cleanup(freep) char *text = json_dumps(message, JSON_COMPACT | JSON_ENSURE_ASCII);
	size_t length = text ? strlen(text) : 0, sent = 0;
	ssize_t n;

	if (!text)
		return;
	text[length++] = '\n'; /* instead of the NUL */
	while (sent < length &&
		((n = write(d->commands, text + sent, length - sent)) > 0 || errno == EINTR))
		sent += n > 0 ? (size_t)n : 0;
}

void driver_command(const struct driver *d, const char *what)
{
	json_t *message = json_pack("{s:s}", "do", what);

	driver_send(d, message);
	json_decref(message);
}

/* The line that the buffer begins with, parsed and removed. */
static int take_line(struct driver *d, json_t **ret)
{
	char *end = d->used ? memchr(d->buffer, '\n', d->used) : NULL;
	size_t length = end ? (size_t)(end - d->buffer) : 0;
	json_t *event;

	if (!end)
		return -EAGAIN;
	event = json_loadb(d->buffer, length, JSON_ALLOW_NUL, NULL);
	d->used -= length + 1;
	memmove(d->buffer, end + 1, d->used);
	if (!event)
		return -EPIPE;
	*ret = event;
	return 0;
}

int driver_event(struct driver *d, json_t **ret)
{
	int rc;

	while ((rc = take_line(d, ret)) == -EAGAIN) {
		char *more =
			d->used < LINE_MAX_BYTES ? realloc(d->buffer, d->used + READ_BYTES) : NULL;
		ssize_t n;

		if (!more)
			return -EPIPE;
		d->buffer = more;
		n = read(d->events, d->buffer + d->used, READ_BYTES);
		if (n <= 0)
			return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -EPIPE;
		d->used += (size_t)n;
	}
	return rc;
}

static void wait_for_end(const struct driver *d)
{
	struct pollfd fd = {.fd = d->events, .events = 0};

	poll(&fd, 1, STOP_MS); /* POLLHUP when its end of the pipe is gone */
}

int driver_stop(struct driver *d)
{
	int status = 0;

	closep(&d->commands);
	if (d->pid) {
		wait_for_end(d);
		kill(d->pid, SIGKILL); /* no harm to one that has ended: it is not reaped yet */
		while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	closep(&d->events);
	free(d->buffer);
	free(d->log);
	*d = (struct driver){.commands = -1, .events = -1};
	return status;
}

char *driver_complaint(const struct driver *d)
{
	cleanup(fclosep) FILE *file = d->log ? fopen(d->log, "re") : NULL;
	char *line = NULL, *last = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!*line)
			continue;
		free(last);
		last = strdup(line);
	}
	free(line);
	return last;
}
