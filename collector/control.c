/* See control.h. Believes nothing that comes: a request is one byte, and waited for only briefly.
 */
#include "collector/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/control.h"

#define BACKLOG 8
#define REQUEST_MS 100 /* it is sent right after the connection was made */

int control_open(struct control *c, const char *folder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	cleanup(closep) int dir = open(folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup(closep) int fd = dir < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	/* the path of a socket may not be long; that of a folder may */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET,
		dir);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG))
		return -errno;
	c->fd = fd;
	c->asker = -1;
	fd = -1;
	return 0;
}

static void asker_leave(struct control *c)
{
	closep(&c->asker);
	c->asker = -1;
}

void control_close(struct control *c)
{
	asker_leave(c);
	closep(&c->fd);
	c->fd = -1;
}

char control_next(struct control *c)
{
	struct pollfd asks = {.fd = c->fd, .events = POLLIN};
	char request = 0;

	while (waitpid(-1, NULL, WNOHANG) > 0) /* reports that are written */
		;
	if (poll(&asks, 1, 0) <= 0)
		return 0;
	c->asker = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
	asks.fd = c->asker;
	if (c->asker >= 0 && poll(&asks, 1, REQUEST_MS) > 0 && read(c->asker, &request, 1) == 1)
		return request;
	asker_leave(c);
	return 0;
}

/* The child's side. stderr is nobody's: an empty answer says that there is none. */
static void report(const struct control *c, char request, const char *trace)
{
	const char *form = request == CONTROL_HTML ? "html" : "text";

	if (dup2(c->asker, STDOUT_FILENO) < 0)
		_exit(1);
	signals_restore(c->signals);
	execl("/proc/self/exe", "awaitscope", "report", "--no-color", "--format", form,
		request == CONTROL_VERDICT ? "-q" : "--no-color", trace, NULL);
	_exit(1);
}

void control_answer(struct control *c, char request, const char *trace)
{
	if (request && trace && fork() == 0)
		report(c, request, trace);
	asker_leave(c);
}
