/*
 * The files of a process that hold its interpreter and asyncio's C code, and their way into our
 * file system, from other mount namespaces too. Silent.
 */
#ifndef PROBE_TARGET_MAPPED_H
#define PROBE_TARGET_MAPPED_H

#include <stddef.h>
#include <stdint.h>

#include "probe/target/elf_file.h"

#define MAPPED_CANDIDATES_MAX 8u

struct mapped { /* the first mapping of an object */
	uint64_t begin, end, inode;
	char *path; /* as the target calls it; NULL: there is none */
};

struct mapped_files {
	struct mapped asyncio;                          /* _asyncio, where it is not built in */
	struct mapped candidate[MAPPED_CANDIDATES_MAX]; /* the executable, and every libpython */
	size_t candidates;
};

/* Fills ret, which the caller clears. -ESRCH: no such process; -EPERM. */
int mapped_find(uint32_t pid, struct mapped_files *ret);
void mapped_clear(struct mapped_files *files);
/*
 * Opens the very file that is mapped. *ret_path: how, for whoever opens it again; the caller frees
 * it. -ESTALE: another file has that name now, and we may not open the old one.
 */
int mapped_open(uint32_t pid, const struct mapped *mapped, struct elf_file **ret, char **ret_path);

#endif
