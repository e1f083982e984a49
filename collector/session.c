/* The private folder of one recording and the environment of the processes in it. See session.h. */
#include "collector/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "probe/base/cleanup.h"
#include "probe/ring.h"

#define PREFIX "awaitscope-session-"
/* /dev/shm is 64 MB in a default container; a folder there must hold the rings of a few processes.
 */
#define SHM_FREE_BYTES (64ull << 20)

enum { VAR_PRELOAD, VAR_SESSION, VAR_AGENT, VAR_MIN_BLOCK, VAR_MIN_STEP, VARS };

struct session {
	char *dir;
	int dir_fd; /* locked: a folder without a lock belongs to a recorder that was killed */
	struct session_variable var[VARS];
};

static char *library_in(const char *folder, const char *below)
{
	cleanup(freep) char *path = NULL, *agent = NULL;

	if (asprintf(&path, "%s%s", folder, below) < 0 || asprintf(&agent, "%s/agent.so", path) < 0)
		return NULL;
	return access(agent, R_OK) ? NULL : realpath(path, NULL);
}

int library_find(char **ret_dir, char **ret_looked)
{
	const char *given = getenv("AWAITSCOPE_LIB");
	char program[PATH_MAX];
	ssize_t length;
	char *dir;

	if (given && *given) {
		dir = library_in(given, "");
		if (!dir && asprintf(ret_looked, "%s (AWAITSCOPE_LIB)", given) < 0)
			return -ENOMEM;
		*ret_dir = dir;
		return dir ? 0 : -ENOENT;
	}
	length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (length < 0)
		return -errno;
	program[length] = '\0';
	*strrchr(program, '/') = '\0';
	dir = library_in(program, "/../lib/awaitscope");
	if (!dir)
		dir = library_in(program, "/awaitscope/lib");
	if (!dir && asprintf(ret_looked, "%s/../lib/awaitscope and %s/awaitscope/lib", program,
			    program) < 0)
		return -ENOMEM;
	*ret_dir = dir;
	return dir ? 0 : -ENOENT;
}

/* The folder holds only files and links: rings, the driver's log. */
static void folder_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			unlinkat(dirfd(dir), entry->d_name, 0);
	if (dir)
		closedir(dir);
	rmdir(path);
}

/* -errno, or a descriptor that holds the lock. */
static int folder_lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -EWOULDBLOCK;
	}
	return fd;
}

/* Folders of recorders that were killed: ours, and nobody holds their lock. */
static void folder_sweep(const char *base)
{
	DIR *dir = opendir(base);
	struct dirent *entry;
	struct stat st;
	char path[PATH_MAX];
	int fd;

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", base, entry->d_name) >= (int)sizeof(path))
			continue;
		fd = folder_lock(path);
		/* a new folder is locked within its first second */
		if (fd >= 0 && !fstat(fd, &st) && st.st_uid == geteuid() &&
			st.st_mtime + 60 < time(NULL))
			folder_remove(path);
		if (fd >= 0)
			close(fd);
	}
	if (dir)
		closedir(dir);
}

static int folder_make(const char *base, char **ret)
{
	cleanup(freep) char *path = NULL;

	if (asprintf(&path, "%s/" PREFIX "XXXXXX", base) < 0)
		return -ENOMEM;
	folder_sweep(base);
	if (!mkdtemp(path))
		return -errno;
	*ret = TAKE(path);
	return 0;
}

static int folder_choose(char **ret)
{
	const char *tmp = getenv("TMPDIR");
	struct statvfs fs;

	if (!statvfs("/dev/shm", &fs) && (uint64_t)fs.f_bavail * fs.f_frsize >= SHM_FREE_BYTES &&
		!folder_make("/dev/shm", ret))
		return 0;
	if (tmp && *tmp == '/' && !folder_make(tmp, ret))
		return 0;
	return folder_make("/tmp", ret);
}

/* Why a link with that name: probe/preload/CMakeLists.txt. A packager may have made a copy of it.
 */
static int preload_name(const char *library, char **ret)
{
	cleanup(freep) char *link = NULL;
	struct stat st;

	if (asprintf(&link, "%s/preload-libasan.so", library) < 0)
		return -ENOMEM;
	if (!lstat(link, &st) && S_ISLNK(st.st_mode)) {
		*ret = TAKE(link);
		return 0;
	}
	return asprintf(ret, "%s/preload.so", library) < 0 ? -ENOMEM : 0;
}

/* ld.so splits LD_PRELOAD at blanks and colons; a path with one of them is reached through a link
 * in the folder. */
static int preload_path(const char *library, const char *dir, char **ret)
{
	cleanup(freep) char *path = NULL, *link = NULL;

	if (preload_name(library, &path))
		return -ENOMEM;
	if (strpbrk(path, " :\t\n")) {
		if (asprintf(&link, "%s%s", dir, strrchr(path, '/')) < 0)
			return -ENOMEM;
		if (symlink(path, link))
			return -errno;
		*ret = TAKE(link);
		return 0;
	}
	*ret = TAKE(path);
	return 0;
}

static int environment_make(
	struct session *s, const char *library, uint64_t min_block_ns, uint64_t min_step_ns)
{
	const char *had = getenv("LD_PRELOAD");
	cleanup(freep) char *preload = NULL;
	int rc = preload_path(library, s->dir, &preload);

	if (rc)
		return rc;
	s->var[VAR_PRELOAD].name = "LD_PRELOAD";
	s->var[VAR_SESSION].name = ENV_SESSION;
	s->var[VAR_AGENT].name = ENV_AGENT;
	s->var[VAR_MIN_BLOCK].name = ENV_MIN_BLOCK;
	s->var[VAR_MIN_STEP].name = ENV_MIN_STEP;
	/* ours last: a sanitizer's runtime insists on being first */
	if (asprintf(&s->var[VAR_PRELOAD].value, "%s%s%s", had ? had : "", had && *had ? ":" : "",
		    preload) < 0 ||
		!(s->var[VAR_SESSION].value = strdup(s->dir)) ||
		asprintf(&s->var[VAR_AGENT].value, "%s/agent.so", library) < 0 ||
		asprintf(&s->var[VAR_MIN_BLOCK].value, "%" PRIu64, min_block_ns) < 0 ||
		asprintf(&s->var[VAR_MIN_STEP].value, "%" PRIu64, min_step_ns) < 0)
		return -ENOMEM;
	return 0;
}

static void session_freep(struct session **s)
{
	session_free(*s);
}

int session_open(
	const char *library, uint64_t min_block_ns, uint64_t min_step_ns, struct session **ret)
{
	cleanup(session_freep) struct session *s = calloc(1, sizeof(*s));
	int rc;

	if (!s)
		return -ENOMEM;
	s->dir_fd = -1;
	rc = folder_choose(&s->dir);
	if (rc)
		return rc;
	s->dir_fd = folder_lock(s->dir);
	if (s->dir_fd < 0)
		return s->dir_fd;
	rc = environment_make(s, library, min_block_ns, min_step_ns);
	if (rc)
		return rc;
	*ret = TAKE(s);
	return 0;
}

void session_free(struct session *s)
{
	if (!s)
		return;
	if (s->dir)
		folder_remove(s->dir);
	if (s->dir_fd >= 0)
		close(s->dir_fd);
	for (size_t i = 0; i < VARS; i++)
		free(s->var[i].value);
	free(s->dir);
	free(s);
}

const char *session_dir(const struct session *s)
{
	return s->dir;
}

const struct session_variable *session_environment(const struct session *s, size_t *ret_count)
{
	*ret_count = VARS;
	return s->var;
}
