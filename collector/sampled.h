/*
 * One traced process as it is sampled: its memory reader, the codes and stacks that were announced,
 * and the records that wait for their turn in the stream. Called by sampler.c. Silent.
 */
#ifndef COLLECTOR_SAMPLED_H
#define COLLECTOR_SAMPLED_H

#include <stdbool.h>

#include "collector/record.h"
#include "collector/ring_reader.h"
#include "probe/target/native.h"
#include "probe/target/process.h"

struct sampled;

/* hexversion: PY_VERSION_HEX. NULL: no memory. */
struct sampled *sampled_new(uint32_t pid, uint32_t hexversion);
void sampled_free(struct sampled *s); /* accepts NULL */
uint32_t sampled_pid(const struct sampled *s);
/*
 * Read where the thread of that loop is now, and make its records of it: what it takes to read
 * them, then the sample. They wait until sampled_keep() or sampled_drop() is called. clocks: of
 * the thread, as the last call for this loop left them there, all 0 before the first. native: its
 * last native stack, taken if it has not moved since; NULL: none. stands_for_ns 0: another
 * sensor samples the thread while it is on a CPU, and if it may be, this is -EALREADY. -EAGAIN: the
 * stack changed while it was read; -ENOTSUP: this process cannot be read, which its records tell
 * once; else the thread or the process is gone.
 */
int sampled_take(struct sampled *s, const struct ring_loop *loop,
	const struct native_moment *native, uint64_t now_ns, uint64_t stands_for_ns,
	struct thread_clocks *clocks);
/*
 * The same for the thread that has the GIL, while the loop's thread waits for it: -ENOENT where no
 * other thread had it all the time.
 */
int sampled_take_holder(
	struct sampled *s, const struct ring_loop *loop, uint64_t now_ns, uint64_t stands_for_ns);
/*
 * What ties a task, which waits for that future, to others: its records are kept. They hold until
 * the task's first step after now_ns. -EAGAIN: it goes on, or waits for another by now; else as
 * above, and -EPROTO: there is no such task.
 */
int sampled_task(struct sampled *s, uint64_t task, uint64_t future, uint64_t now_ns);
void sampled_keep(struct sampled *s);
/* The sample counts for nothing: its iteration ended meanwhile. What it announced stays. */
void sampled_drop(struct sampled *s);
bool sampled_pending(const struct sampled *s); /* something waits */
/* Hand out what is kept and not later than that. 0, or what sink returned. */
int sampled_hand_out(struct sampled *s, uint64_t until_ns, record_fn sink, void *ctx);

#endif
