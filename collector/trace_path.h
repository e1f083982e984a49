/* Where a trace goes: its default name, whether it may go there, whom it belongs to. Silent. */
#ifndef COLLECTOR_TRACE_PATH_H
#define COLLECTOR_TRACE_PATH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The <name> of awaitscope-<name>-<pid>.db: stem of a file, and what a command line is about. NULL:
 * out of memory. */
char *trace_name_of_file(const char *path);
char *trace_name_of_command(char *const *argv);
char *trace_path_default(const char *name, pid_t pid);

/*
 * Whether a file could be made at path: 0, -EEXIST (force takes only a regular file's place, else
 * -EISDIR, -EINVAL), -EACCES, -EROFS, -ENOENT where the folder is missing. Makes nothing.
 */
int path_check_new(const char *path, bool force);
/* Whether the trace could be made in the current folder under some name. */
int folder_check(const char *folder);
/* With the files that SQLite keeps beside it. */
void trace_remove(const char *path);
/* Under sudo the files belong to the invoking user; else, where root records, to that one (-1: to
 * root). */
void trace_give(const char *path, uint32_t uid, uint32_t gid);

#endif
