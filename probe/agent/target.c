/*
 * What a C call touched: the path behind a descriptor, the peer of a socket, the command line of a
 * child. Called by the wrappers of long calls only, in any thread and in signal handlers: no
 * allocation, no lock, no Python.
 */
#include "probe/agent/target.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe/agent/agent.h"

#define PROC_PATH_BYTES 64

static size_t put_text(char *buf, size_t size, size_t at, const char *text, size_t len)
{
	size_t room = size - at;

	if (len > room)
		len = room;
	memcpy(buf + at, text, len);
	return at + len;
}

static size_t put_number(char *buf, size_t size, size_t at, uint32_t number)
{
	char digits[10];
	size_t n = sizeof(digits);

	do {
		digits[--n] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	return put_text(buf, size, at, digits + n, sizeof(digits) - n);
}

/* "/proc/<middle><number><end>" */
static void proc_path(char *path, const char *middle, int number, const char *end)
{
	size_t at = put_text(path, PROC_PATH_BYTES, 0, "/proc/", 6);

	at = put_text(path, PROC_PATH_BYTES, at, middle, strlen(middle));
	at = put_number(path, PROC_PATH_BYTES, at, (uint32_t)number);
	at = put_text(path, PROC_PATH_BYTES - 1, at, end, strlen(end));
	path[at] = '\0';
}

size_t target_text(const char *text, char *buf, size_t size)
{
	return text ? put_text(buf, size, 0, text, strnlen(text, size)) : 0;
}

static size_t put_inet(char *buf, size_t size, const struct sockaddr_in *in)
{
	char host[INET_ADDRSTRLEN];
	size_t at;

	if (!inet_ntop(AF_INET, &in->sin_addr, host, sizeof(host)))
		return 0;
	at = put_text(buf, size, 0, host, strlen(host));
	at = put_text(buf, size, at, ":", 1);
	return put_number(buf, size, at, ntohs(in->sin_port));
}

static size_t put_inet6(char *buf, size_t size, const struct sockaddr_in6 *in6)
{
	char host[INET6_ADDRSTRLEN];
	size_t at;

	if (!inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof(host)))
		return 0;
	at = put_text(buf, size, 0, "[", 1);
	at = put_text(buf, size, at, host, strlen(host));
	at = put_text(buf, size, at, "]:", 2);
	return put_number(buf, size, at, ntohs(in6->sin6_port));
}

static size_t put_unix(char *buf, size_t size, const struct sockaddr_un *un, socklen_t len)
{
	size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t n = len > head ? len - head : 0;

	if (!n)
		return put_text(buf, size, 0, "unix", 4); /* unnamed: socketpair() */
	if (un->sun_path[0])                              /* NUL at the end is not certain */
		return put_text(buf, size, 0, un->sun_path, strnlen(un->sun_path, n));
	put_text(buf, size, 0, "@", 1); /* abstract */
	return put_text(buf, size, 1, un->sun_path + 1, n - 1);
}

size_t target_address(const struct sockaddr *address, socklen_t len, char *buf, size_t size)
{
	if (!address || len < sizeof(address->sa_family))
		return 0;
	if (address->sa_family == AF_INET && len >= sizeof(struct sockaddr_in))
		return put_inet(buf, size, (const struct sockaddr_in *)address);
	if (address->sa_family == AF_INET6 && len >= sizeof(struct sockaddr_in6))
		return put_inet6(buf, size, (const struct sockaddr_in6 *)address);
	if (address->sa_family == AF_UNIX)
		return put_unix(buf, size, (const struct sockaddr_un *)address, len);
	return 0;
}

size_t target_listener(int fd, char *buf, size_t size)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (agent.quiet)
		return 0;
	if (getsockname(fd, (struct sockaddr *)&address, &len))
		return 0;
	return target_address((struct sockaddr *)&address, len, buf, size);
}

size_t target_fd(int fd, char *buf, size_t size)
{
	static const char socket_link[] = "socket:[";
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	char path[PROC_PATH_BYTES];
	ssize_t n;

	if (fd < 0 || agent.quiet)
		return 0;
	if (!getpeername(fd, (struct sockaddr *)&address, &len))
		return target_address((struct sockaddr *)&address, len, buf, size);
	proc_path(path, "self/fd/", fd, "");
	n = readlink(path, buf, size);
	if (n <= 0)
		return 0;
	if ((size_t)n >= sizeof(socket_link) && !memcmp(buf, socket_link, sizeof(socket_link) - 1))
		return target_listener(fd, buf, size); /* not connected */
	return (size_t)n;
}

size_t target_child(pid_t pid, char *buf, size_t size)
{
	char path[PROC_PATH_BYTES];
	ssize_t n;
	int fd;

	if (pid <= 0 || agent.quiet)
		return 0;
	proc_path(path, "", pid, "/cmdline");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, buf, size);
	close(fd);
	if (n <= 0)
		return 0;
	if (!buf[n - 1])
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (!buf[i])
			buf[i] = ' ';
	return (size_t)n;
}
