/* What a system call touched, as the kernel's side tells it, for people. See bpf_touched.h. */
#include "collector/bpf_touched.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/event.h"

/*
 * "/a/b/c" of "c\0b\0a\0"; of what is in no file system, its name: "socket:", "memfd:x". A pipe has
 * none (fs/pipe.c@6.1, create_pipe_files()).
 */
static void path_text(const char *names, size_t size, char *buf)
{
	size_t begin = size, at = 0;

	if (size == 1) {
		snprintf(buf, TOUCHED_TEXT_BYTES, "pipe:");
		return;
	}
	if (size && !memchr(names, '/', size) && strchr(names, ':')) {
		snprintf(buf, TOUCHED_TEXT_BYTES, "%.*s", (int)size, names);
		return;
	}
	while (begin) {
		size_t end = begin - 1; /* of this name: its NUL */

		for (begin = end; begin && names[begin - 1]; begin--)
			;
		if (at + (end - begin) + 2 > TOUCHED_TEXT_BYTES)
			break;
		buf[at++] = '/';
		memcpy(buf + at, names + begin, end - begin);
		at += end - begin;
	}
	buf[at] = '\0';
}

static void peer_text(const struct kernel_peer *peer, char *buf)
{
	char host[INET6_ADDRSTRLEN];

	if ((peer->family == AF_INET || peer->family == AF_INET6) && !peer->port)
		snprintf(buf, TOUCHED_TEXT_BYTES, "socket:"); /* not connected */
	else if (peer->family == AF_INET && inet_ntop(AF_INET, peer->address, host, sizeof(host)))
		snprintf(buf, TOUCHED_TEXT_BYTES, "%s:%u", host, ntohs(peer->port));
	else if (peer->family == AF_INET6 && inet_ntop(AF_INET6, peer->address, host, sizeof(host)))
		snprintf(buf, TOUCHED_TEXT_BYTES, "[%s]:%u", host, ntohs(peer->port));
	else if (peer->family == AF_UNIX)
		snprintf(buf, TOUCHED_TEXT_BYTES, "%.*s", (int)sizeof(peer->address) - 1,
			peer->address[0] ? (const char *)peer->address : "unix");
	else
		snprintf(buf, TOUCHED_TEXT_BYTES, "socket:");
}

/* A child's command line, while it is there. */
static void child_text(uint32_t pid, char *buf)
{
	char path[64];
	cleanup(closep) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, TOUCHED_TEXT_BYTES - 1);
	if (n <= 0) {
		snprintf(buf, TOUCHED_TEXT_BYTES, "pid %" PRIu32, pid);
		return;
	}
	buf[n] = '\0';
	for (ssize_t i = 0; i < n - 1; i++)
		if (!buf[i])
			buf[i] = ' ';
}

void touched_text(uint32_t touches, const void *touched, size_t size, char buf[TOUCHED_TEXT_BYTES])
{
	const char *bytes = touched;
	struct kernel_peer peer;
	uint32_t pid;

	buf[0] = '\0';
	if (touches == TOUCHES_PATH && size && !bytes[size - 1]) {
		path_text(bytes, size, buf);
	} else if (touches == TOUCHES_NAME) {
		snprintf(buf, TOUCHED_TEXT_BYTES, "%.*s", (int)size, bytes);
	} else if (touches == TOUCHES_PEER && size == sizeof(peer)) {
		memcpy(&peer, bytes, sizeof(peer));
		peer_text(&peer, buf);
	} else if (touches == TOUCHES_CHILD && size == sizeof(pid)) {
		memcpy(&pid, bytes, sizeof(pid));
		child_text(pid, buf);
	}
}
