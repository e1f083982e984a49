/* Reads /proc/PID. See process.h. Must not believe the names that a target chose for its files. */
#include "probe/target/process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"

#define PROC_PATH_BYTES 64
#define STAT_BYTES 512
#define STATUS_BYTES 4096

/* "python3.11", "libpython3.11.so.1.0" -> 11 */
static int minor_of(const char *path)
{
	const char *at = strstr(path, "python3.");

	if (!at || !isdigit((unsigned char)at[8]))
		return 0;
	return (int)strtol(at + 8, NULL, 10);
}

static void object_add(struct process_objects *objects, uint64_t base, bool first)
{
	if (first && objects->count) {
		if (objects->count == PROCESS_OBJECTS_MAX)
			objects->count--;
		memmove(objects->base + 1, objects->base,
			objects->count * sizeof(objects->base[0]));
		objects->base[0] = base;
		objects->count++;
	} else if (objects->count < PROCESS_OBJECTS_MAX) {
		objects->base[objects->count++] = base;
	}
}

static int proc_errno(void)
{
	return errno == ENOENT ? -ESRCH : errno == EACCES ? -EPERM : -errno;
}

int process_executable(uint32_t pid, char *buf, size_t size)
{
	char path[PROC_PATH_BYTES];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", pid);
	n = readlink(path, buf, size - 1);
	if (n < 0)
		return proc_errno();
	buf[n] = '\0';
	return 0;
}

/* "begin-end perms offset dev inode   path" (proc(5)) */
static bool line_parse(char *line, struct process_map *ret)
{
	int path = 0;

	line[strcspn(line, "\n")] = '\0';
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %" SCNx64 " %*s %" SCNu64 " %n", &ret->begin,
		    &ret->end, &ret->offset, &ret->inode, &path) < 4 ||
		!path || line[path] != '/')
		return false;
	ret->path = line + path;
	return true;
}

int process_maps_each(uint32_t pid, bool (*fn)(void *ctx, const struct process_map *map), void *ctx)
{
	cleanup(fclosep) FILE *maps = NULL;
	cleanup(freep) char *line = NULL;
	char path[PROC_PATH_BYTES];
	struct process_map map;
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return proc_errno();
	while (getline(&line, &size, maps) > 0)
		if (line_parse(line, &map) && fn(ctx, &map))
			break;
	return 0;
}

struct search {
	struct process_objects objects;
	char executable[PATH_MAX];
};

static bool object_take(void *ctx, const struct process_map *map)
{
	struct search *search = ctx;
	const char *slash = strrchr(map->path, '/');

	if (!search->objects.minor)
		search->objects.minor = minor_of(map->path);
	if (map->offset)
		return false;
	if (!strcmp(map->path, search->executable))
		object_add(&search->objects, map->begin, true);
	else if (!strncmp(slash + 1, "libpython", 9))
		object_add(&search->objects, map->begin, false);
	return false;
}

int process_objects(uint32_t pid, struct process_objects *ret)
{
	struct search search = {0};
	int rc = process_executable(pid, search.executable, sizeof(search.executable));

	if (!rc)
		rc = process_maps_each(pid, object_take, &search);
	if (!rc)
		*ret = search.objects;
	return rc;
}

/* A file of one line in the thread's folder. Its length; 0: there is none. */
static size_t thread_file(uint32_t pid, uint32_t tid, const char *name, char *text, size_t size)
{
	char path[PROC_PATH_BYTES];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task/%" PRIu32 "/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, size - 1);
	close(fd);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return (size_t)n;
}

/* "cpu_ns run_delay_ns timeslices", Documentation/scheduler/sched-stats.rst */
bool process_thread_clocks(uint32_t pid, uint32_t tid, struct thread_clocks *ret)
{
	char text[STAT_BYTES];
	struct thread_clocks clocks;

	if (!thread_file(pid, tid, "schedstat", text, sizeof(text)) ||
		sscanf(text, "%" SCNu64 " %" SCNu64, &clocks.cpu_ns, &clocks.runq_ns) != 2)
		return false;
	*ret = clocks;
	return true;
}

char process_thread_state(uint32_t pid, uint32_t tid)
{
	char text[STAT_BYTES];
	const char *end;

	if (!thread_file(pid, tid, "stat", text, sizeof(text)))
		return 0;
	end = strrchr(text, ')'); /* the name before it may hold anything */
	return end && end[1] == ' ' && isalpha((unsigned char)end[2]) ? end[2] : 0;
}

bool process_thread_faults(uint32_t pid, uint32_t tid)
{
	char text[STAT_BYTES];

	return thread_file(pid, tid, "syscall", text, sizeof(text)) && !strncmp(text, "-1 ", 3);
}

/* The last number of NSpid is the innermost namespace's (proc(5)); older kernels have no such line.
 */
static uint32_t innermost_tid(uint32_t pid, uint32_t tid)
{
	char text[STATUS_BYTES];
	const char *line, *end;

	if (!thread_file(pid, tid, "status", text, sizeof(text)))
		return 0;
	line = strstr(text, "\nNSpid:");
	if (!line)
		return tid;
	line++;
	end = line + strcspn(line, "\n");
	while (end > line && end[-1] >= '0' && end[-1] <= '9')
		end--;
	return (uint32_t)strtoul(end, NULL, 10);
}

bool process_is_main(uint32_t pid, uint32_t tid)
{
	return tid && innermost_tid(pid, pid) == tid;
}

uint32_t process_thread_outer(uint32_t pid, uint32_t tid)
{
	char path[PROC_PATH_BYTES];
	struct dirent *entry;
	uint32_t outer = 0;
	DIR *tasks;

	if (!tid)
		return 0;
	if (process_is_main(pid, tid))
		return pid;
	if (innermost_tid(pid, tid) == tid) /* nearly always: it has no namespace of its own */
		return tid;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task", pid);
	tasks = opendir(path);
	if (!tasks)
		return 0;
	while (!outer && (entry = readdir(tasks))) {
		outer = (uint32_t)strtoul(entry->d_name, NULL, 10);
		if (!outer || innermost_tid(pid, outer) != tid)
			outer = 0;
	}
	closedir(tasks);
	return outer;
}

bool process_has_thread(uint32_t pid, uint32_t tid)
{
	return process_thread_outer(pid, tid) != 0;
}
