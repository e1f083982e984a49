/* Names, checks and ownership of traces. See trace_path.h. */
#include "collector/trace_path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/program.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define NAME_MAX_BYTES 100 /* of <name>: a file name may have 255 */

static const char *const companions[] = {"", "-wal", "-shm", "-journal"};

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Letters, digits and what no shell minds; other scripts as they are, if a terminal shows them as
 * they are. */
static char *clean(const char *text, size_t length)
{
	cleanup(freep) char *name =
		strndup(text, length < NAME_MAX_BYTES ? length : NAME_MAX_BYTES);
	cleanup(freep) char *shown = name ? text_for_terminal(name, 0) : NULL;
	bool ascii;

	if (!shown)
		return NULL;
	ascii = strcmp(shown, name) != 0;
	for (char *p = name; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("._-+", *p);

		if (!plain && (ascii || (unsigned char)*p < 0x80))
			*p = '_';
	}
	return *name ? TAKE(name) : strdup("program");
}

char *trace_name_of_file(const char *path)
{
	const char *name = base_name(path);
	const char *dot = strrchr(name, '.');

	return clean(name, dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

char *trace_name_of_command(char *const *argv)
{
	const char *runs = NULL;
	bool module = false;

	if (program_is_python(argv[0]))
		runs = program_python_runs(argv, &module);
	if (runs && module)
		return clean(runs, strlen(runs));
	if (!runs && program_is_python(argv[0])) /* python3.11 has no stem */
		return clean(base_name(argv[0]), strlen(base_name(argv[0])));
	return trace_name_of_file(runs ? runs : argv[0]);
}

char *trace_path_default(const char *name, pid_t pid)
{
	char *path;

	return asprintf(&path, "awaitscope-%s-%d.db", name, (int)pid) < 0 ? NULL : path;
}

int folder_check(const char *folder)
{
	return access(folder, W_OK | X_OK) ? -errno : 0;
}

int path_check_new(const char *path, bool force)
{
	cleanup(freep) char *folder = NULL;
	const char *name = base_name(path);
	struct stat st;

	if (!*name)
		return -EISDIR;
	if (!lstat(path, &st)) {
		if (S_ISDIR(st.st_mode))
			return -EISDIR;
		if (!force)
			return -EEXIST;
		if (!S_ISREG(st.st_mode))
			return -EINVAL;
	}
	folder = name == path ? strdup(".") : strndup(path, (size_t)(name - path));
	return folder ? folder_check(folder) : -ENOMEM;
}

void trace_remove(const char *path)
{
	for (size_t i = 0; i < sizeof(companions) / sizeof(*companions); i++) {
		cleanup(freep) char *file = NULL;

		if (asprintf(&file, "%s%s", path, companions[i]) >= 0)
			unlink(file);
	}
}

/* An id from the environment; false: not given. */
static bool id_given(const char *name, unsigned int *ret)
{
	const char *text = getenv(name);
	char *end;
	unsigned long id;

	if (!text || !*text)
		return false;
	errno = 0;
	id = strtoul(text, &end, 10);
	if (errno || *end || id >= UINT32_MAX)
		return false;
	*ret = (unsigned int)id;
	return true;
}

void trace_give(const char *path, uint32_t owner_uid, uint32_t owner_gid)
{
	unsigned int uid, gid;
	struct stat st;

	if (geteuid() != 0)
		return;
	if (!id_given("SUDO_UID", &uid) || !id_given("SUDO_GID", &gid)) {
		uid = owner_uid;
		gid = owner_gid;
	}
	if (uid == UINT32_MAX || gid == UINT32_MAX)
		return;
	for (size_t i = 0; i < sizeof(companions) / sizeof(*companions); i++) {
		cleanup(freep) char *file = NULL;
		cleanup(closep) int fd = -1;

		if (asprintf(&file, "%s%s", path, companions[i]) < 0)
			return;
		/* O_PATH: closing any other descriptor of a database drops SQLite's locks
		 * (fcntl(2)) */
		fd = open(file, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		/* the folder may be somebody's who put another file in its place */
		if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
			st.st_uid != 0)
			continue;
		if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH))
			return;
	}
}
