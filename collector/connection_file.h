/*
 * An ipykernel's connection file, found by its command line: where its iopub channel is, and the
 * key of its signatures. The file is the target's: what it names is reached only where the target's
 * own user could. Silent.
 */
#ifndef COLLECTOR_CONNECTION_FILE_H
#define COLLECTOR_CONNECTION_FILE_H

#include <stdint.h>

struct connection_file {
	char *iopub; /* "tcp://127.0.0.1:43115", "ipc:///run/..." */
	char *key;
};

/*
 * Fills ret, which the caller clears. -ENOENT: it is no ipykernel, or the file is gone; -EPROTO:
 * the file is no connection file; -EACCES: it names what is not its user's. *ret_why: a clause.
 */
int connection_file_read(uint32_t pid, struct connection_file *ret, const char **ret_why);
void connection_file_clear(struct connection_file *c);

#endif
