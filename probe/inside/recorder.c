/* See recorder.h. */
#include "probe/inside/recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "probe/control.h"
#include "probe/inside/spawn.h"

#define READY_BYTES (2 * PATH_MAX + 64)
/* Loading a program into the kernel takes a second, on a busy machine ten. */
#define START_MS 60000
/* A report of a large trace takes seconds, closing one too. */
#define ANSWER_MS 120000
#define GROW_BYTES 65536u

static long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* read() that gives up at end_ms. */
static ssize_t read_until(int fd, char *buf, size_t size, long end_ms)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	long left = end_ms - now_ms();
	int n = poll(&ready, 1, left > 0 ? (int)left : 0);

	if (n <= 0)
		return n ? -errno : -ETIMEDOUT;
	n = (int)read(fd, buf, size);
	return n < 0 ? -errno : n;
}

/* All that comes until it is closed. */
static ssize_t read_all(int fd, char *buf, size_t size, long end_ms)
{
	size_t used = 0;
	ssize_t n = 1;

	while (n > 0 && used < size) {
		do
			n = read_until(fd, buf + used, size - used, end_ms);
		while (n == -EINTR);
		used += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? n : (ssize_t)used;
}

static const char *text_next(const char **at, const char *end)
{
	const char *text = *at;
	size_t left = (size_t)(end - text), n = strnlen(text, left);

	if (n == left)
		return "";
	*at = text + n + 1;
	return text;
}

static int ready_parse(const char *said, size_t size, struct recorder *ret)
{
	const char *at = said, *end = said + size;

	if (strcmp(text_next(&at, end), CONTROL_READY))
		return -EPROTO;
	ret->pid = (pid_t)atol(text_next(&at, end));
	snprintf(ret->folder, sizeof(ret->folder), "%s", text_next(&at, end));
	snprintf(ret->trace, sizeof(ret->trace), "%s", text_next(&at, end));
	return *ret->trace ? 0 : -EPROTO;
}

/* What it said instead, its last line without "awaitscope: ". */
static void why_take(char *said, ssize_t size, char why[RECORDER_WHY_BYTES])
{
	static const char prefix[] = "awaitscope: ";
	char *line;

	while (size > 0 && said[size - 1] == '\n')
		size--;
	said[size > 0 ? size : 0] = '\0';
	line = strrchr(said, '\n');
	line = line ? line + 1 : said;
	if (!strncmp(line, prefix, sizeof(prefix) - 1))
		line += sizeof(prefix) - 1;
	snprintf(why, RECORDER_WHY_BYTES, "%s",
		*line ? line : "the recorder ended before it was ready");
}

static int ready_await(int fd, struct recorder *ret, char why[RECORDER_WHY_BYTES])
{
	char *said = calloc(1, READY_BYTES + 1);
	ssize_t size = said ? read_all(fd, said, READY_BYTES, now_ms() + START_MS) : -ENOMEM;
	int rc = size < 0 ? (int)size : ready_parse(said, (size_t)size, ret);

	if (rc && size >= 0)
		why_take(said, size, why);
	else if (rc)
		snprintf(
			why, RECORDER_WHY_BYTES, "the recorder does not answer: %s", strerror(-rc));
	free(said);
	return rc;
}

int recorder_start(const char *program, struct recorder *ret, char why[RECORDER_WHY_BYTES])
{
	char pid[16];
	char *const argv[] = {(char *)program, "inside", "--record", pid, NULL};
	int ends[2], rc;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (pipe2(ends, O_CLOEXEC)) {
		rc = -errno;
		snprintf(why, RECORDER_WHY_BYTES, "no pipe: %s", strerror(errno));
		return rc;
	}
	rc = spawn_apart(argv, ends[1]);
	close(ends[1]);
	if (rc)
		snprintf(why, RECORDER_WHY_BYTES, "%s cannot be started: %s", program,
			strerror(-rc));
	else
		rc = ready_await(ends[0], ret, why);
	close(ends[0]);
	return rc;
}

/* Through /proc, since the path of a socket may not be long. */
static int recorder_connect(const struct recorder *recorder)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int folder = open(recorder->folder, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int fd = folder < 0 ? -1 : socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET,
		folder);
	rc = fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : fd;
	if (rc < 0 && fd >= 0)
		close(fd);
	if (folder >= 0)
		close(folder);
	return rc;
}

static int answer_read(int fd, char **ret)
{
	long end_ms = now_ms() + ANSWER_MS;
	char *text = NULL, *more;
	size_t used = 0;
	ssize_t n;

	do {
		more = realloc(text, used + GROW_BYTES);
		n = more ? read_until(fd, more + used, GROW_BYTES - 1, end_ms) : -ENOMEM;
		text = more ? more : text;
		used += n > 0 ? (size_t)n : 0;
	} while (n > 0);
	if (n < 0) {
		free(text);
		return (int)n;
	}
	text[used] = '\0';
	*ret = text;
	return 0;
}

int recorder_ask(const struct recorder *recorder, char request, char **ret_answer)
{
	int fd = recorder_connect(recorder), rc;

	if (fd < 0)
		return fd;
	rc = send(fd, &request, 1, MSG_NOSIGNAL) == 1 ? answer_read(fd, ret_answer) : -errno;
	close(fd);
	return rc;
}
