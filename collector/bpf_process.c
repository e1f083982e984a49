/* The process record of a process seen from outside, from /proc and its interpreter. See
 * bpf_process.h. */
#include "collector/bpf_process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/target/version.h"

#define ARGV_BYTES 32768u
#define PATH_BYTES 64

static size_t file_read(uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[PATH_BYTES];
	cleanup(closep) int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, size);
	return n > 0 ? (size_t)n : 0;
}

static uint32_t parent_of(uint32_t pid)
{
	char text[512];
	size_t n = file_read(pid, "stat", text, sizeof(text) - 1);
	const char *end;
	uint32_t ppid;

	text[n] = '\0';
	end = strrchr(text, ')'); /* "pid (name) state ppid": the name may hold anything */
	return end && sscanf(end + 1, " %*c %" SCNu32, &ppid) == 1 ? ppid : 0;
}

/* In a changed root its files are seen from here below that; it calls them as within. */
static const char *inside_root(uint32_t pid, const char *file)
{
	char path[PATH_BYTES], root[PATH_MAX];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/root", pid);
	n = readlink(path, root, sizeof(root) - 1);
	if (n <= 1)
		return file;
	root[n] = '\0';
	return !strncmp(file, root, (size_t)n) && file[n] == '/' ? file + n : file;
}

static uint64_t realtime_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/*
 * The folder above lib-dynload where _asyncio lies in one, else the one that belongs to the
 * executable: malloc'd; NULL: not known.
 */
static char *stdlib_of(uint32_t pid, const struct points *points, const char *executable, int minor)
{
	const char *name = points->object[POINT_ASYNCIO].name, *at, *slash;
	char *folder;

	name = name ? inside_root(pid, name) : "";
	at = strstr(name, "/lib-dynload/");
	if (at)
		return strndup(name, (size_t)(at - name));
	executable = inside_root(pid, executable);
	slash = strrchr(executable, '/');
	if (!slash || slash - executable < 4 || strncmp(slash - 4, "/bin", 4))
		return NULL;
	if (asprintf(&folder, "%.*s/lib/python3.%d", (int)(slash - 4 - executable), executable,
		    minor) < 0)
		return NULL;
	return folder;
}

void process_put(struct record_queue *queue, uint32_t pid, int minor, const struct points *points,
	uint64_t now_ns)
{
	cleanup(freep) char *argv = malloc(ARGV_BYTES);
	cleanup(freep) char *stdlib = NULL;
	char path[PATH_BYTES], executable[PATH_MAX + 1];
	size_t argv_len = argv ? file_read(pid, "cmdline", argv, ARGV_BYTES) : 0, executable_len;
	struct ev_process *ev;
	ssize_t n;
	char *at;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", pid);
	n = readlink(path, executable, PATH_MAX);
	executable_len = n > 0 ? (size_t)n : 0;
	executable[executable_len] = '\0';
	stdlib = stdlib_of(pid, points, executable, minor);
	ev = RECORD_NEW(queue, process, argv_len + executable_len + (stdlib ? strlen(stdlib) : 0),
		pid, now_ns);
	if (!ev)
		return;
	ev->realtime_ns = realtime_ns();
	ev->pid = pid;
	ev->ppid = parent_of(pid);
	ev->hexversion = target_version(pid, minor);
	ev->argv_len = (uint32_t)argv_len;
	ev->executable_len = (uint32_t)executable_len;
	ev->stdlib_len = stdlib ? (uint32_t)strlen(stdlib) : 0;
	at = record_tail_put(ev + 1, argv, argv_len);
	at = record_tail_put(at, executable, executable_len);
	record_tail_put(at, stdlib, ev->stdlib_len);
}
