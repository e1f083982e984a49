/* Reads what interpreters said of themselves; looks at a running process's maps and program. See
 * untraced.h. */
#include "collector/untraced.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "probe/base/cleanup.h"
#include "probe/python.h"
#include "probe/ring.h"

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

/* ---- what interpreters said of themselves */

/* The file may be anything: its maker is the target. At most UNTRACED_BYTES are taken. */
static int file_text(const char *path, char **ret)
{
	cleanup(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	cleanup(freep) char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EPROTO;
	text = malloc(UNTRACED_BYTES + 1);
	if (!text)
		return -ENOMEM;
	n = pread(fd, text, UNTRACED_BYTES, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	*ret = TAKE(text);
	return 0;
}

struct note {
	pid_t pid;
	const char *version;
};

/* "PID VERSION", as the preload object writes it. */
static bool note_read(const char *line, struct note *ret)
{
	char *end;
	long pid = strtol(line, &end, 10);

	if (end == line || *end != ' ' || pid <= 0 || pid > INT32_MAX)
		return false;
	*ret = (struct note){(pid_t)pid, end + 1};
	return true;
}

static void clause(const char *version, char *buf, size_t size)
{
	/* what a version number is made of, and nothing that a terminal would take for a command */
	int length = (int)strspn(version, "0123456789.abrc+"), minor;

	switch (python_kind(version, &minor)) {
	case PYTHON_OLD:
		snprintf(buf, size, "Python %.*s is older than CPython 3.%d", length, version,
			PYTHON_MINOR_MIN);
		return;
	case PYTHON_NEW:
		snprintf(buf, size, "Python %.*s is newer than CPython 3.%d", length, version,
			PYTHON_MINOR_MAX);
		return;
	case PYTHON_FREE_THREADED:
		snprintf(buf, size, "free-threaded builds of CPython are not supported");
		return;
	case PYTHON_PYPY:
		snprintf(buf, size, "PyPy is not CPython");
		return;
	default:
		snprintf(buf, size, "its interpreter is not known");
	}
}

/* pid: only its note; 0: the first. Returns how many there are of those. */
static unsigned int find(const char *dir, pid_t pid, pid_t *ret_pid, char *buf, size_t size)
{
	cleanup(freep) char *path = NULL, *text = NULL;
	unsigned int count = 0;
	struct note note;
	char *next;

	if (asprintf(&path, "%s/" UNTRACED_FILE, dir) < 0 || file_text(path, &text))
		return 0;
	for (char *line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (!note_read(line, &note) || (pid && note.pid != pid) || count++)
			continue;
		clause(note.version, buf, size);
		if (ret_pid)
			*ret_pid = note.pid;
	}
	return count;
}

unsigned int untraced_noted(const char *dir, pid_t *ret_pid, char *buf, size_t size)
{
	return find(dir, 0, ret_pid, buf, size);
}

/* ---- what can be seen of a process that runs */

static const char *reason_seen(pid_t pid, const char *language)
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

const char *untraced_reason(
	const char *dir, pid_t pid, const char *language, char *buf, size_t size)
{
	return find(dir, pid, NULL, buf, size) ? buf : reason_seen(pid, language);
}
