/* Looking for programs, and at their names. See program.h. */
#include "collector/program.h"

#include <string.h>

#include "probe/base/cleanup.h"

char *program_find(const char *name)
{
	const char *list = getenv("PATH");
	cleanup(freep) char *copy = NULL;
	char *rest, *one, *path;

	if (strchr(name, '/'))
		return access(name, X_OK) ? NULL : strdup(name);
	copy = strdup(list ? list : "/usr/local/bin:/usr/bin:/bin");
	rest = copy;
	while (rest && (one = strsep(&rest, ":"))) {
		if (asprintf(&path, "%s/%s", *one ? one : ".", name) < 0)
			return NULL;
		if (!access(path, X_OK))
			return path;
		free(path);
	}
	return NULL;
}

bool program_is_python(const char *program)
{
	const char *slash = strrchr(program, '/');
	const char *name = slash ? slash + 1 : program;

	if (!strncmp(name, "python", 6))
		name += 6;
	else if (!strncmp(name, "pypy", 4))
		name += 4;
	else
		return false;
	return name[strspn(name, "0123456789.td-bg")] == '\0'; /* python3.13t, python3.11-dbg */
}

const char *program_python_runs(char *const *argv, bool *ret_module)
{
	*ret_module = false;
	for (size_t i = 1; argv[i]; i++) {
		const char *arg = argv[i];

		if (arg[0] != '-')
			return arg;
		if (!arg[1])
			return NULL;
		if (!strcmp(arg, "--check-hash-based-pycs") && argv[i + 1])
			i++;
		if (arg[1] == '-')
			continue;
		for (const char *p = arg + 1; *p; p++) {
			if (*p == 'c')
				return NULL;
			if (*p == 'm') {
				*ret_module = true;
				return p[1] ? p + 1 : argv[i + 1];
			}
			if (*p == 'W' ||
				*p == 'X') { /* its value follows, here or as the next argument */
				i += !p[1] && argv[i + 1];
				break;
			}
		}
	}
	return NULL;
}
