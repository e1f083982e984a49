/* Opens and closes the file a command writes to. */
#include "viewer/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int output_file_open(const char *path, const char *trace, FILE **ret)
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

int output_file_close(FILE *out, int rc)
{
	int failed = ferror(out) ? (errno ? -errno : -EIO) : 0;

	if ((out == stdout ? fflush(out) : fclose(out)) && !failed)
		failed = -errno;
	return failed ? failed : rc;
}
