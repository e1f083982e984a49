/*
 * Codes and stacks of a process that is read from outside: turned into records, each announced
 * once. Must not believe what it reads. Silent.
 */
#ifndef COLLECTOR_OUTSIDE_H
#define COLLECTOR_OUTSIDE_H

#include "collector/map.h"
#include "collector/record_queue.h"
#include "probe/target/native.h"
#include "probe/target/target.h"

struct outside {
	struct target *target;      /* the caller's */
	struct record_queue *queue; /* the caller's: where announcements go */
	uint32_t id_base;           /* of ids; EV_ID_OUTSIDE beside an agent's */
	struct map codes, stacks;
	uint32_t code_ids, stack_ids;
	const char *folder; /* of the process: where relative file names lead; the caller's, NULL:
			       unknown */
	bool lenient;       /* frames whose code cannot be read are left out, and counted in gone */
	uint64_t gone;
	/* Native frames that the next stacks begin with, innermost first: outside_native(). */
	uint32_t native[NATIVE_FRAMES_MAX], natives;
	struct map native_codes;
};

void outside_clear(struct outside *o);
/*
 * What the code object at this address is, as it was read when it was in use: believed until the
 * next call for that address. 1: a cell's; 0: another's, which is to be looked up when it is
 * needed.
 */
int outside_given(struct outside *o, uint64_t address, const struct target_code *code, uint32_t tid,
	uint64_t now_ns);
/*
 * The id of this stack. era: texts of codes are compared again whenever it changes, of cells' codes
 * at each use: CPython gives the memory of one cell's code to the next one's. -EFAULT, -EPROTO:
 * what was read cannot be; -ENOBUFS: no room.
 */
int outside_stack(struct outside *o, const struct target_frame *frame, uint32_t count, uint32_t cut,
	uint32_t tid, uint64_t now_ns, uint64_t era, uint32_t *ret_id);
/* Adds a function of an object file to the native frames of the next stacks. */
void outside_native(
	struct outside *o, const char *object, const char *function, uint32_t tid, uint64_t now_ns);
/* The id of the code object at this address; the same results. */
int outside_code(struct outside *o, uint64_t address, uint32_t tid, uint64_t now_ns, uint64_t era,
	uint32_t *ret_id);

#endif
