/* Files of a process by its maps. See mapped.h. Must not believe the names they bear. */
#include "probe/target/mapped.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/base/cleanup.h"
#include "probe/target/process.h"

struct search {
	struct mapped_files files;
	char executable[PATH_MAX];
	bool no_memory;
};

static bool mapping_take(void *ctx, const struct process_map *map)
{
	struct search *search = ctx;
	struct mapped_files *files = &search->files;
	const char *name = strrchr(map->path, '/') + 1;
	struct mapped *to = NULL;

	if (map->offset)
		return false;
	if (!strncmp(name, "_asyncio.", 9) && !files->asyncio.path)
		to = &files->asyncio;
	else if ((!strcmp(map->path, search->executable) || !strncmp(name, "libpython", 9)) &&
		 files->candidates < MAPPED_CANDIDATES_MAX)
		to = &files->candidate[files->candidates++];
	if (!to)
		return false;
	*to = (struct mapped){map->begin, map->end, map->inode, strdup(map->path)};
	search->no_memory |= !to->path;
	return search->no_memory;
}

int mapped_find(uint32_t pid, struct mapped_files *ret)
{
	struct search search = {0};
	int rc = process_executable(pid, search.executable, sizeof(search.executable));

	if (!rc)
		rc = process_maps_each(pid, mapping_take, &search);
	if (!rc && search.no_memory)
		rc = -ENOMEM;
	if (rc)
		mapped_clear(&search.files);
	else
		*ret = search.files;
	return rc;
}

void mapped_clear(struct mapped_files *files)
{
	free(files->asyncio.path);
	for (size_t i = 0; i < files->candidates; i++)
		free(files->candidate[i].path);
	*files = (struct mapped_files){0};
}

/* map_files needs CAP_CHECKPOINT_RESTORE; without it the file of that name must still be the same.
 */
int mapped_open(uint32_t pid, const struct mapped *mapped, struct elf_file **ret, char **ret_path)
{
	cleanup(freep) char *path = NULL;
	struct stat st;
	int rc;

	if (asprintf(&path, "/proc/%" PRIu32 "/map_files/%" PRIx64 "-%" PRIx64, pid, mapped->begin,
		    mapped->end) < 0)
		return -ENOMEM;
	rc = elf_file_open(path, ret);
	if (rc == -EPERM || rc == -EACCES || rc == -ENOENT) {
		free(path);
		if (asprintf(&path, "/proc/%" PRIu32 "/root%s", pid, mapped->path) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		if (!stat(path, &st) && st.st_ino != mapped->inode)
			return -ESTALE;
		rc = elf_file_open(path, ret);
	}
	if (!rc)
		*ret_path = TAKE(path);
	return rc == -EACCES ? -EPERM : rc;
}
