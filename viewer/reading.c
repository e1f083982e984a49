/* See reading.h. */
#include "viewer/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "viewer/complain.h"

#define WHY_BYTES 1024

int reading_open(const char *command, const char *path, const struct report_options *options,
	struct trace **ret_trace, struct report **ret_report)
{
	cleanup(trace_freep) struct trace *trace = NULL;
	char why[WHY_BYTES];
	int rc;

	if (trace_open(path, why, sizeof(why), &trace))
		return complain(command, "%s", why);
	if (trace_warning(trace))
		complain(command, "%s: %s", path, trace_warning(trace));
	rc = report_read(trace, options, ret_report);
	if (rc == -ERANGE)
		return complain(command,
			"%s was recorded with higher thresholds than asked for: --stall and "
			"--min-block can only be raised",
			path);
	if (rc == -ENOMEM)
		return complain(command, "%s: out of memory", path);
	if (rc)
		return complain(command, "%s", trace_why(trace));
	*ret_trace = TAKE(trace);
	return 0;
}

/* -EBUSY: it is the trace itself. */
static int file_open(const char *path, const char *trace, FILE **ret)
{
	struct stat out, in;
	FILE *file;
	int fd, rc;

	if (!path) {
		*ret = stdout;
		return 0;
	}
	if (!stat(path, &out) && !stat(trace, &in) && out.st_dev == in.st_dev &&
		out.st_ino == in.st_ino)
		return -EBUSY;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	file = fdopen(fd, "w");
	if (!file) {
		rc = -errno;
		close(fd);
		return rc;
	}
	*ret = file;
	return 0;
}

/* `rc` of what wrote it, else why it could not be written to the end: -errno. */
static int file_close(FILE *out, int rc)
{
	int failed = ferror(out) ? (errno ? -errno : -EIO) : 0;

	if ((out == stdout ? fflush(out) : fclose(out)) && !failed)
		failed = -errno;
	return failed ? failed : rc;
}

int reading_write(const char *command, const char *path, struct trace *trace,
	int (*write)(void *ctx, FILE *out), void *ctx)
{
	FILE *out = NULL;
	bool read_failed;
	int rc = file_open(path, trace_path(trace), &out);

	if (rc == -EBUSY)
		return complain(command, "-o %s is the trace itself; name another file", path);
	if (rc)
		return complain(command, "cannot write %s: %s", path, strerror(-rc));
	errno = 0;
	rc = write(ctx, out);
	read_failed = rc && !ferror(out);
	if (rc == -ENOMEM)
		complain(command, "%s: out of memory", trace_path(trace));
	else if (read_failed)
		complain(command, "%s", trace_why(trace));
	rc = file_close(out, rc);
	if (rc && !read_failed)
		complain(command, "cannot write %s: %s", path ? path : "the result", strerror(-rc));
	return rc ? EXIT_WRONG : 0;
}
