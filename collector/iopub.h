/*
 * A subscriber on the iopub channel of a running ipykernel: when each cell began and ended, its
 * source and number. It sends nothing but the subscription that every front end sends. Silent.
 */
#ifndef COLLECTOR_IOPUB_H
#define COLLECTOR_IOPUB_H

#include <stdint.h>

#include "collector/kernel_cells.h"
#include "probe/target/target.h"

struct iopub;

/*
 * Waits for the connection, 50 ms at most: where that does not do, a cell that begins within some
 * milliseconds may be missed. tid: the kernel's main thread. -ENOENT: it is no kernel. *ret_why: a
 * clause that tells why not. The caller owns *ret: iopub_close().
 */
int iopub_open(uint32_t pid, uint32_t tid, struct iopub **ret, const char **ret_why);
void iopub_close(struct iopub *iopub); /* accepts NULL */
/*
 * Readable when something may have come. It tells only of changes (zmq_getsockopt(3), ZMQ_FD):
 * drain after each time, and once after opening.
 */
int iopub_fd(const struct iopub *iopub);
/* Hands out cell_begin and cell_end records as kernel_cells_take() does. 0, or what sink returned.
 */
int iopub_drain(struct iopub *iopub, record_fn sink, void *ctx);
/*
 * Hands out the beginning of the cell that runs at this moment, at now_ns, if it can be told for
 * certain which one that is; before it, what has come by then. 0, or what sink returned.
 */
int iopub_running(
	struct iopub *iopub, struct target *target, uint64_t now_ns, record_fn sink, void *ctx);
struct kernel_cells_counts iopub_counts(const struct iopub *iopub);

#endif
