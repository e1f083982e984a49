/*
 * The process record, first of its first ring: what runs here. And the list of hooks, which a
 * forked child says again.
 */
#include "probe/agent/object.h"
#include "probe/agent/page.h"
#include "probe/agent/process.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#define ARGV_MAX 32768
#define PATH_MAX_BYTES 4096
#define HOOKS_MAX 256 /* those beyond are said once, but not again in a forked child */
#define HOOK_NAME_BYTES 96
#define HOOK_REASON_BYTES 96

static struct hook_note {
	char name[HOOK_NAME_BYTES];
	char reason[HOOK_REASON_BYTES];
	bool placed;
} hooks[HOOKS_MAX];
static unsigned int hook_count;

/* The command line as the kernel has it, without the last NUL; every version shows it so. */
static size_t argv_read(char *buf, size_t size)
{
	int fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t n;

	if (fd < 0)
		return 0;
	while (used < size && (n = read(fd, buf + used, size - used)) > 0)
		used += (size_t)n;
	close(fd);
	return used && buf[used - 1] == '\0' ? used - 1 : used;
}

/* The folder part of a path, without its slash. */
static size_t folder_size(const struct text *path)
{
	const char *slash = memrchr(path->data, '/', path->size);

	return slash ? (size_t)(slash - path->data) : 0;
}

static uint64_t realtime_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint32_t hexversion(void)
{
	PyObject *value = PySys_GetObject("hexversion");
	unsigned long version = value ? PyLong_AsUnsignedLong(value) : 0;

	PyErr_Clear();
	return (uint32_t)version;
}

void process_announce(void)
{
	struct text executable, version, stdlib;
	const char *newline;
	struct ev_process *e;
	size_t argv_size, folder;
	uint32_t hex;
	char *argv, *at;

	argv = pages_get(ARGV_MAX);
	argv_size = argv ? argv_read(argv, ARGV_MAX) : 0;
	text_of(PySys_GetObject("executable"), PATH_MAX_BYTES, &executable);
	text_of(PySys_GetObject("version"), PATH_MAX_BYTES, &version);
	newline = memchr(version.data, '\n', version.size);
	if (newline)
		version.size = (size_t)(newline - version.data);
	text_of(module_attr("os", "__file__"), PATH_MAX_BYTES, &stdlib);
	folder = folder_size(&stdlib);
	hex = hexversion();
	e = ring_new(process, argv_size + executable.size + version.size + folder, 0);
	if (e) {
		e->realtime_ns = realtime_ns();
		e->pid = agent.pid;
		e->ppid = (uint32_t)getppid();
		e->hexversion = hex;
		e->abi = RING_ABI;
		e->argv_len = (uint32_t)argv_size;
		e->executable_len = (uint32_t)executable.size;
		e->version_len = (uint32_t)version.size;
		e->stdlib_len = (uint32_t)folder;
		at = tail_put((char *)(e + 1), argv_size ? argv : "", argv_size);
		at = tail_put(at, executable.data, executable.size);
		at = tail_put(at, version.data, version.size);
		tail_put(at, stdlib.data, folder);
		ring_end(e);
	}
	text_free(&stdlib);
	text_free(&version);
	text_free(&executable);
	pages_put(argv, ARGV_MAX);
}

/* ---- hooks -------------------------------------------------------------- */

static void hook_record(const char *name, const char *reason, bool placed)
{
	size_t name_size = strlen(name), reason_size = placed ? 0 : strlen(reason);
	struct ev_hook *e = ring_new(hook, name_size + reason_size, 0);
	char *at;

	if (!e)
		return;
	e->placed = placed;
	e->name_len = (uint32_t)name_size;
	e->reason_len = (uint32_t)reason_size;
	at = tail_put((char *)(e + 1), name, name_size);
	tail_put(at, reason ? reason : "", reason_size);
	ring_end(e);
}

static void text_keep(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

void hook_report(const char *name, const char *reason)
{
	struct hook_note *note;

	if (hook_count < HOOKS_MAX) {
		note = &hooks[hook_count++];
		text_keep(note->name, sizeof(note->name), name);
		text_keep(note->reason, sizeof(note->reason), reason ? reason : "");
		note->placed = !reason;
	}
	hook_record(name, reason, !reason);
}

bool lost_report(uint64_t count, const char *what)
{
	size_t size = strlen(what);
	struct ev_lost *e = ring_new(lost, size, 0);

	if (!e)
		return false;
	e->count = count;
	e->what_len = (uint32_t)size;
	tail_put((char *)(e + 1), what, size);
	ring_end(e);
	return true;
}

void hook_forked(void)
{
	unsigned int i;

	for (i = 0; i < hook_count; i++)
		hook_record(hooks[i].name, hooks[i].reason, hooks[i].placed);
}
