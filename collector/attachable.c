/* Looks at every process there is. See attachable.h. */
#include "collector/attachable.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "collector/procfs.h"
#include "collector/program.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "probe/target/process.h"
#include "probe/target/target.h"
#include "probe/target/task.h"

#define THREADS_MAX 256u /* of a process; loops on further ones are not told */
#define RUNS_CHARS 40    /* of a text in the table */
#define LOOPS_CHARS 60

struct attachable {
	uint32_t pid;
	char user[PROCFS_USER_BYTES];
	char *runs;      /* notebook, kernel, script or module */
	int minor;       /* of Python 3.minor; 0: not known */
	size_t loops;    /* threads that run one */
	char *loop_on;   /* "main, 4712 (uvloop)": those threads */
	const char *why; /* NULL, or a clause that tells why nothing could be read */
};

/* ---- one process ------------------------------------------------------------------------- */

static void part_clear(struct attachable *a)
{
	free(a->runs);
	free(a->loop_on);
	*a = (struct attachable){0};
}

static bool is_libpython(void *ctx, const struct process_map *map)
{
	bool *found = ctx;

	*found = !strncmp(strrchr(map->path, '/') + 1, "libpython3", 10);
	return *found;
}

/* By its name, or because it has libpython in it. */
static bool may_be_python(uint32_t pid, char *const *argv)
{
	char executable[PATH_MAX];
	bool linked = false;

	if (argv[0] && program_is_python(argv[0]))
		return true;
	if (!process_executable(pid, executable, sizeof(executable)) &&
		program_is_python(executable))
		return true;
	process_maps_each(pid, is_libpython, &linked);
	return linked;
}

static int loops_tell(uint32_t pid, struct target *target, struct attachable *ret)
{
	cleanup(freep) struct target_thread *thread = calloc(THREADS_MAX, sizeof(*thread));
	cleanup(fclosep) FILE *text = NULL;
	size_t count, size;
	int rc;

	if (!thread)
		return -ENOMEM;
	rc = target_threads_read(target, thread, THREADS_MAX, &count);
	if (rc)
		return rc;
	text = open_memstream(&ret->loop_on, &size);
	if (!text)
		return -ENOMEM;
	for (size_t i = 0; i < count && i < THREADS_MAX; i++) {
		bool uvloop = !strncmp(thread[i].loop_type, "uvloop.", 7);

		if (!thread[i].loop)
			continue;
		fputs(ret->loops++ ? ", " : "", text);
		if (process_is_main(pid, thread[i].tid))
			fputs("main", text);
		else if (thread[i].tid)
			fprintf(text, "thread %" PRIu32, thread[i].tid);
		else
			fputs("a thread", text);
		fputs(uvloop ? " (uvloop)" : "", text);
	}
	return 0;
}

/* false: it is not to be listed. */
static bool look(uint32_t pid, struct attachable *ret)
{
	cleanup(freep) char **argv = NULL;
	struct target *target;
	const char *why = NULL;
	int rc;

	if (procfs_argv(pid, &argv) || !may_be_python(pid, argv) || procfs_user(pid, ret->user))
		return false;
	ret->pid = pid;
	ret->runs = procfs_runs(pid, argv);
	rc = target_open(pid, 0, &target, &why);
	if (!rc) {
		ret->minor = target_minor(target);
		rc = loops_tell(pid, target, ret);
		target_free(target);
	}
	if (rc == -EPERM)
		ret->why = why;
	return ret->runs && (ret->loops || ret->why);
}

/* ---- all of them ------------------------------------------------------------------------- */

static int compare_pids(const void *a, const void *b)
{
	const struct attachable *x = a, *y = b;

	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

struct list {
	struct attachable *item;
	size_t count;
};

static void list_clear(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		part_clear(&list->item[i]);
	free(list->item);
}

/* Takes what item holds. */
static int list_add(struct list *list, struct attachable *item)
{
	struct attachable *more = reallocarray(list->item, list->count + 1, sizeof(*list->item));

	if (!more) {
		part_clear(item);
		return -ENOMEM;
	}
	list->item = more;
	list->item[list->count++] = *item;
	return 0;
}

/* Sorted by pid; also where it fails the caller clears it. */
static int list_read(struct list *list)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int rc = 0;

	if (!proc)
		return -errno;
	while (!rc && (entry = readdir(proc))) {
		uint32_t pid = (uint32_t)strtoul(entry->d_name, NULL, 10);
		struct attachable item = {0};

		if (!isdigit((unsigned char)entry->d_name[0]) || pid == (uint32_t)getpid())
			continue;
		if (look(pid, &item))
			rc = list_add(list, &item);
		else
			part_clear(&item);
	}
	closedir(proc);
	if (list->count)
		qsort(list->item, list->count, sizeof(*list->item), compare_pids);
	return rc;
}

/* ---- for people -------------------------------------------------------------------------- */

static void row_print(FILE *out, const struct attachable *a)
{
	cleanup(freep) char *runs = text_for_terminal(a->runs, RUNS_CHARS);
	cleanup(freep) char *loops = a->loop_on ? text_for_terminal(a->loop_on, LOOPS_CHARS) : NULL;
	char version[16] = "?";

	if (a->minor)
		snprintf(version, sizeof(version), "3.%d", a->minor);
	fprintf(out, "%7" PRIu32 "  %-10s  %-6s  %s%*s  ", a->pid, a->user, version,
		runs ? runs : "", RUNS_CHARS - (int)text_width(runs ? runs : ""), "");
	if (a->why)
		fputs("another user's: needs root\n", out);
	else
		fprintf(out, "%s\n", loops ? loops : "");
}

int attachable_print(FILE *out)
{
	cleanup(list_clear) struct list list = {0};
	int rc = list_read(&list);

	if (rc)
		return rc;
	if (!list.count)
		fputs("No Python process with a running event loop was found.\n", out);
	else
		fprintf(out, "%7s  %-10s  %-6s  %-*s  %s\n", "PID", "USER", "PYTHON", RUNS_CHARS,
			"RUNS", "LOOPS ON");
	for (size_t i = 0; i < list.count; i++)
		row_print(out, &list.item[i]);
	return 0;
}
