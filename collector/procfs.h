/*
 * What /proc tells a person about a process: whose it is, what it runs, which notebook. Texts are
 * the target's: whoever shows them escapes them. Silent.
 */
#ifndef COLLECTOR_PROCFS_H
#define COLLECTOR_PROCFS_H

#include <stddef.h>
#include <stdint.h>

#define PROCFS_USER_BYTES 33

/* Its arguments, NULL at the end; one block, the caller frees *ret. -ESRCH, -EPERM; -ENODATA: it
 * has none (a kernel thread, a zombie). */
int procfs_argv(uint32_t pid, char ***ret);
/* A variable of the environment it was started with, malloc'd; NULL: not set, or not to be read. */
char *procfs_variable(uint32_t pid, const char *name);
/* Name of its user, or the number of one without a name. -ESRCH. */
int procfs_user(uint32_t pid, char buf[PROCFS_USER_BYTES]);
/* Number from a line of /proc/PID/status, such as "TracerPid", in this base. -ENOENT: no such line.
 */
int procfs_status(uint32_t pid, const char *name, int base, uint64_t *ret);
/* The connection file that an ipykernel's arguments name, a part of argv; NULL: it is no kernel. */
const char *procfs_connection_file(char *const *argv);
/* "notebook analysis.ipynb", "ipykernel in /home/ada/work", "app.py", "-m module", "python -c";
 * malloc'd. NULL: out of memory. */
char *procfs_runs(uint32_t pid, char *const *argv);

#endif
