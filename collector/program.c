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
