/*
 * The cells a Jupyter kernel runs, from the messages of its iopub channel: each becomes the records
 * that the agent would write. Messages are anybody's until their signature holds. Silent.
 */
#ifndef COLLECTOR_KERNEL_CELLS_H
#define COLLECTOR_KERNEL_CELLS_H

#include <stddef.h>
#include <stdint.h>

#include "collector/record.h"

#define KERNEL_CELLS_OPEN_MAX 64u /* at one time; further ones are counted as missed */

struct kernel_cells;

struct message_frame {
	const void *bytes;
	size_t size;
};

struct kernel_cells_counts {
	uint64_t cells;  /* begun */
	uint64_t forged; /* messages whose signature did not hold: not looked at */
	uint64_t malformed;
	uint64_t missed; /* cells that began before we listened, in a subshell, or beyond the bound
			  */
};

/* tid: the thread that runs its cells. key: of its connection file; "": messages are not signed. */
struct kernel_cells *kernel_cells_new(uint32_t pid, uint32_t tid, const char *key);
void kernel_cells_free(struct kernel_cells *k); /* accepts NULL */
/*
 * One message as it came from the wire, at these times. Calls sink for cell_begin and cell_end,
 * whose task is 0: iopub does not know it. Returns 0, or what sink returned.
 */
int kernel_cells_take(struct kernel_cells *k, const struct message_frame *frame, size_t count,
	uint64_t monotonic_ns, uint64_t realtime_ns, record_fn sink, void *ctx);
/*
 * A cell that began before we listened and ran at seen_ns: its cell_begin at now_ns, its end when
 * the kernel says, after seen_ns, that a request is done whose beginning was not seen. Nothing if a
 * message has told of it meanwhile; one that comes later begins it no second time.
 */
int kernel_cells_running(struct kernel_cells *k, int32_t execution_count, const char *source,
	uint64_t seen_ns, uint64_t now_ns, record_fn sink, void *ctx);
struct kernel_cells_counts kernel_cells_counts(const struct kernel_cells *k);

#endif
