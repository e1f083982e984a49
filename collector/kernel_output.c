/* A file that a kernel appends to and we follow. See kernel_output.h. */
#include "collector/kernel_output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "collector/log.h"
#include "probe/base/cleanup.h"

#define FREE_BYTES                                                                                 \
	(1 << 20) /* of what has been shown are given back at a time: the folder may be in memory  \
		   */

/* debugpy says so four times at each start of a kernel on 3.11 and later; it is about debuggers,
 * and nothing is wrong. */
#define DEBUGGER_NOISE "0.00s - "
#define LINE_MAX_BYTES 4096 /* a longer line is shown in pieces */

struct kernel_output {
	int fd;
	off_t seen;  /* shown up to here */
	off_t freed; /* given back to the file system up to here */
};

int kernel_output_open(const char *dir, struct kernel_output **ret)
{
	cleanup(freep) struct kernel_output *o = calloc(1, sizeof(*o));
	cleanup(freep) char *path = NULL;

	if (!o || asprintf(&path, "%s/kernel.log", dir) < 0)
		return -ENOMEM;
	o->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (o->fd < 0)
		return -errno;
	*ret = TAKE(o);
	return 0;
}

void kernel_output_free(struct kernel_output *o)
{
	if (!o)
		return;
	close(o->fd);
	free(o);
}

int kernel_output_fd(const struct kernel_output *o)
{
	return o->fd;
}

static void show_line(const char *line)
{
	if (strncmp(line, DEBUGGER_NOISE, strlen(DEBUGGER_NOISE)) || log_level() == LOG_VERBOSE)
		log_target(line);
}

void kernel_output_show(struct kernel_output *o, int final)
{
	char line[LINE_MAX_BYTES + 1];
	ssize_t got;

	while ((got = pread(o->fd, line, LINE_MAX_BYTES, o->seen)) > 0) {
		char *end = memchr(line, '\n', (size_t)got);
		size_t length = end ? (size_t)(end - line) : (size_t)got;

		if (!end && got < LINE_MAX_BYTES && !final)
			break;
		line[length] = '\0';
		show_line(line);
		o->seen += (off_t)length + (end != NULL);
	}
	if (o->seen - o->freed > FREE_BYTES &&
		!fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, o->freed,
			o->seen - o->freed))
		o->freed = o->seen;
}
