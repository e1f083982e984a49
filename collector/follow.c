/* Looks for it in /proc. See follow.h. Must not take another user's process for it. */
#include "collector/follow.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/procfs.h"
#include "probe/base/cleanup.h"

#define PATH_BYTES 64
#define STAT_BYTES 1024
#define GROUP_BYTES 4096
/* An end is noticed a turn of the recorder later (20 ms); the successor may have begun by then. */
#define NOTICED_LATE_MS 50u

struct sight { /* one process as it is now */
	uint32_t parent;
	uint64_t uid, start_ticks; /* since boot */
	char **argv;
	char folder[PATH_MAX], group[GROUP_BYTES];
};

struct follow {
	char *name;
	char *connection; /* of a kernel, else NULL */
	struct sight first;
	uint32_t pid;
	uint64_t ended_ticks;
	bool same; /* the process itself may be it again */
};

static void sight_clear(struct sight *s)
{
	free(s->argv);
	s->argv = NULL;
}

static size_t text_read(uint32_t pid, const char *name, char *buf, size_t size)
{
	char path[PATH_BYTES];
	cleanup(fclosep) FILE *file = NULL;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, name);
	file = fopen(path, "re");
	n = file ? fread(buf, 1, size - 1, file) : 0;
	buf[n] = '\0';
	return n;
}

/* proc(5): "pid (name) state ppid ..." with the start as the 22nd; the name may hold anything. */
static bool stat_read(uint32_t pid, struct sight *ret)
{
	char text[STAT_BYTES];
	const char *at = text_read(pid, "stat", text, sizeof(text)) ? strrchr(text, ')') : NULL;

	return at && sscanf(at + 1,
			     " %*c %" SCNu32 " %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d"
			     " %*d %*d %*d %*d %" SCNu64,
			     &ret->parent, &ret->start_ticks) == 2;
}

static int sight_read(uint32_t pid, struct sight *ret)
{
	char path[PATH_BYTES];
	ssize_t n;
	int rc = procfs_argv(pid, &ret->argv);

	if (!rc)
		rc = procfs_status(pid, "Uid", 10, &ret->uid);
	if (!rc && !stat_read(pid, ret))
		rc = -ESRCH;
	if (rc)
		return rc;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cwd", pid);
	n = readlink(path, ret->folder, sizeof(ret->folder) - 1);
	ret->folder[n > 0 ? n : 0] = '\0';
	text_read(pid, "cgroup", ret->group, sizeof(ret->group));
	return 0;
}

static uint64_t now_ticks(void)
{
	struct timespec t;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * hz + (uint64_t)t.tv_nsec * hz / 1000000000u;
}

int follow_new(uint32_t pid, struct follow **ret)
{
	struct follow *f = calloc(1, sizeof(*f));
	const char *connection;
	int rc = f ? sight_read(pid, &f->first) : -ENOMEM;

	if (!rc) {
		connection = procfs_connection_file(f->first.argv);
		f->connection = connection ? strdup(connection) : NULL;
		f->name = procfs_runs(pid, f->first.argv);
		f->pid = pid;
		rc = f->name && (f->connection || !connection) ? 0 : -ENOMEM;
	}
	if (rc) {
		follow_free(f);
		return rc;
	}
	*ret = f;
	return 0;
}

void follow_free(struct follow *f)
{
	if (!f)
		return;
	sight_clear(&f->first);
	free(f->connection);
	free(f->name);
	free(f);
}

const char *follow_name(const struct follow *f)
{
	return f->name;
}

void follow_ended(struct follow *f, bool same)
{
	uint64_t late = NOTICED_LATE_MS * (uint64_t)sysconf(_SC_CLK_TCK) / 1000, now = now_ticks();

	f->ended_ticks = now > late ? now - late : 0;
	f->same = same;
}

static bool same_arguments(char *const *a, char *const *b)
{
	while (*a && *b && !strcmp(*a, *b)) {
		a++;
		b++;
	}
	return !*a && !*b;
}

/*
 * Siblings and children may look alike, a kernel's children name its connection file too: the
 * successor begins after the end. One that has executed itself keeps its pid.
 */
static bool is_it(const struct follow *f, uint32_t pid, const struct sight *s)
{
	const char *connection = f->connection ? procfs_connection_file(s->argv) : NULL;
	bool in_time = pid == f->pid ? f->same : s->start_ticks >= f->ended_ticks;

	if (s->uid != f->first.uid || !in_time)
		return false;
	if (f->connection)
		return connection && !strcmp(connection, f->connection);
	return same_arguments(s->argv, f->first.argv) && !strcmp(s->folder, f->first.folder) &&
	       (s->parent == f->first.parent || !strcmp(s->group, f->first.group));
}

int follow_find(struct follow *f, uint32_t *ret_pid)
{
	DIR *proc = opendir("/proc");
	uint64_t begun = UINT64_MAX;
	uint32_t found = 0;
	struct dirent *entry;

	if (!proc)
		return -errno;
	while ((entry = readdir(proc))) {
		cleanup(sight_clear) struct sight s = {0};
		uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);

		if (!isdigit((unsigned char)entry->d_name[0]) || sight_read(pid, &s) ||
			!is_it(f, pid, &s) || s.start_ticks >= begun)
			continue;
		begun = s.start_ticks;
		found = pid;
	}
	closedir(proc);
	if (!found)
		return -ENOENT;
	f->pid = found;
	*ret_pid = found;
	return 0;
}
