/* Reads /proc/PID for people. See procfs.h. Must not trust what a target put there. */
#include "collector/procfs.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/program.h"
#include "probe/base/cleanup.h"

#define PATH_BYTES 64
#define FILE_BYTES_MAX (4u << 20)
#define ARGUMENTS_MAX 65536u
#define FOLDER_CHARS 24u /* what is left of a list's column */

/* All of a file with a NUL behind it. */
static int file_read(uint32_t pid, const char *name, char **ret, size_t *ret_size)
{
	cleanup(fclosep) FILE *file = NULL;
	cleanup(freep) char *text = NULL;
	char path[PATH_BYTES];
	size_t used = 0, size = 4096;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, name);
	file = fopen(path, "re");
	if (!file)
		return errno == ENOENT ? -ESRCH : errno == EACCES ? -EPERM : -errno;
	for (;;) {
		char *more = realloc(text, size);
		size_t got;

		if (!more)
			return -ENOMEM;
		text = more;
		got = fread(text + used, 1, size - used - 1, file);
		used += got;
		if (used < size - 1 || size >= FILE_BYTES_MAX)
			break;
		size *= 2;
	}
	if (ferror(file))
		return -ESRCH; /* it ended meanwhile */
	text[used] = '\0';
	*ret = TAKE(text);
	*ret_size = used;
	return 0;
}

int procfs_argv(uint32_t pid, char ***ret)
{
	cleanup(freep) char *text = NULL;
	cleanup(freep) char **argv = NULL;
	size_t size, count = 0, at = 0;
	char *strings;
	int rc = file_read(pid, "cmdline", &text, &size);

	if (rc)
		return rc;
	if (!size)
		return -ENODATA;
	for (size_t i = 0; i < size; i++)
		count += !text[i];
	count = count < ARGUMENTS_MAX ? count + 1 : ARGUMENTS_MAX; /* the last may lack its NUL */
	argv = malloc((count + 1) * sizeof(*argv) + size + 1);
	if (!argv)
		return -ENOMEM;
	strings = (char *)(argv + count + 1);
	memcpy(strings, text, size + 1);
	for (size_t i = 0; i < size && at < count; i += strlen(strings + i) + 1)
		argv[at++] = strings + i;
	argv[at] = NULL;
	*ret = TAKE(argv);
	return 0;
}

char *procfs_variable(uint32_t pid, const char *name)
{
	cleanup(freep) char *text = NULL;
	size_t size, n = strlen(name);

	if (file_read(pid, "environ", &text, &size))
		return NULL;
	for (size_t i = 0; i < size; i += strlen(text + i) + 1)
		if (!strncmp(text + i, name, n) && text[i + n] == '=')
			return strdup(text + i + n + 1);
	return NULL;
}

int procfs_user(uint32_t pid, char buf[PROCFS_USER_BYTES])
{
	char path[PATH_BYTES];
	struct passwd *user;
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%" PRIu32, pid);
	if (stat(path, &st))
		return -ESRCH;
	user = getpwuid(st.st_uid);
	if (user)
		snprintf(buf, PROCFS_USER_BYTES, "%s", user->pw_name);
	else
		snprintf(buf, PROCFS_USER_BYTES, "%u", (unsigned int)st.st_uid);
	return 0;
}

int procfs_status(uint32_t pid, const char *name, int base, uint64_t *ret)
{
	cleanup(freep) char *text = NULL;
	size_t size, n = strlen(name);
	int rc = file_read(pid, "status", &text, &size);

	if (rc)
		return rc;
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, name, n) || line[n] != ':')
			continue;
		*ret = strtoull(line + n + 1, NULL, base);
		return 0;
	}
	return -ENOENT;
}

/* jupyter_client writes "-f FILE", other front ends one of the longer forms. */
const char *procfs_connection_file(char *const *argv)
{
	static const char *const forms[] = {
		"--f=", "--connection-file=", "--IPKernelApp.connection_file="};
	bool kernel = false;

	for (size_t i = 0; argv[i]; i++) {
		kernel |= strstr(argv[i], "ipykernel") || strstr(argv[i], "kernel_launcher");
		if (!kernel)
			continue;
		if (!strcmp(argv[i], "-f") && argv[i + 1])
			return argv[i + 1];
		for (size_t k = 0; k < sizeof(forms) / sizeof(*forms); k++)
			if (!strncmp(argv[i], forms[k], strlen(forms[k])))
				return argv[i] + strlen(forms[k]);
	}
	return NULL;
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Its current folder, the end of a long path: "/home/ada/work", ".../analysis/2026". malloc'd. */
static char *folder_text(uint32_t pid)
{
	char path[PATH_BYTES], folder[PATH_MAX], *text;
	const char *end = folder, *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/cwd", pid);
	n = readlink(path, folder, sizeof(folder) - 1);
	if (n <= 0)
		return NULL;
	folder[n] = '\0';
	while (strlen(end) > FOLDER_CHARS && (slash = strchr(end + 1, '/')))
		end = slash;
	return asprintf(&text, "%s%s", end == folder ? "" : "...", end) < 0 ? NULL : text;
}

/* One that says nothing of its notebook is known by its folder, which is the notebook's mostly. */
static char *kernel_text(uint32_t pid, const char *connection)
{
	cleanup(freep) char *session = procfs_variable(pid, "JPY_SESSION_NAME");
	cleanup(freep) char *folder = session ? NULL : folder_text(pid);
	char *text;
	int n;

	if (session) /* jupyter_server tells its kernels the notebook they were started for */
		n = asprintf(&text, "notebook %s", base_name(session));
	else if (folder)
		n = asprintf(&text, "ipykernel in %s", folder);
	else
		n = asprintf(&text, "ipykernel %s", base_name(connection));
	return n < 0 ? NULL : text;
}

char *procfs_runs(uint32_t pid, char *const *argv)
{
	const char *connection = procfs_connection_file(argv);
	const char *runs;
	bool module = false;
	char *text;
	int n;

	if (connection)
		return kernel_text(pid, connection);
	if (!argv[0] || !program_is_python(argv[0]))
		n = asprintf(&text, "%s", argv[0] ? base_name(argv[0]) : "?");
	else if ((runs = program_python_runs(argv, &module)))
		n = asprintf(&text, "%s%s", module ? "-m " : "", module ? runs : base_name(runs));
	else
		n = asprintf(&text, "%s", argv[1] ? "python -c" : "python");
	return n < 0 ? NULL : text;
}
