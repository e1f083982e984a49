/* Looks at a running process's maps and program. See untraced.h. */
#include "collector/untraced.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "probe/base/cleanup.h"

struct objects { /* what is mapped into it */
	bool readable, preload, agent, python, free_threaded, musl;
};

static void see(struct objects *o, const char *path)
{
	const char *name = strrchr(path, '/');
	int length;

	name = name ? name + 1 : path;
	length = (int)strcspn(name, "\n");
	o->preload |= !strncmp(name, "preload.so", 10);
	o->agent |= !strncmp(name, "agent.so", 8);
	o->musl |= !strncmp(name, "ld-musl", 7);
	if (strncmp(name, "python", 6) && strncmp(name, "libpython", 9))
		return;
	o->python = true;
	/* python3.13t, libpython3.13t.so */
	for (int i = 1; i < length; i++)
		o->free_threaded |= name[i] == 't' && name[i - 1] >= '0' && name[i - 1] <= '9';
}

static struct objects look(pid_t pid)
{
	cleanup(fclosep) FILE *maps = NULL;
	struct objects o = {0};
	char path[64], *line = NULL;
	size_t size = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && getline(&line, &size, maps) > 0) {
		o.readable = true;
		if (strchr(line, '/'))
			see(&o, strchr(line, '/'));
	}
	free(line);
	return o;
}

const char *untraced_reason(pid_t pid, const char *language)
{
	struct objects o = look(pid);

	if (language && strcasecmp(language, "python"))
		return "its language is not Python";
	if (!o.readable)
		return "its process cannot be looked at";
	if (o.free_threaded)
		return "free-threaded builds of CPython are not supported";
	if (o.musl && !o.preload)
		return "its program uses another C library";
	if (!o.python && !o.preload)
		return "its program is not CPython";
	if (!o.preload)
		return "LD_PRELOAD did not reach it (removed by the kernel's own command, or not "
		       "allowed)";
	if (!o.agent)
		return "the agent could not be loaded into it (is it CPython 3.8 or later?)";
	return "the agent found nothing it could safely hook, or no room for its records";
}
