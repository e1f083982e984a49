/* Samples of loop threads: which of them the open iteration has, and what they say of it. For the
 * model alone; silent. */
#ifndef COLLECTOR_MODEL_SAMPLE_H
#define COLLECTOR_MODEL_SAMPLE_H

#include "collector/model_state.h"

#define HOTTEST_SAMPLES_MIN 3u /* of an iteration, before its place is taken from them */
void sample_record(struct model *model, struct process *p, const struct ev_sample *r);
/*
 * Where the samples of the iteration that began then stand for the most time; running: leaving out
 * those off CPU. file NULL: too few.
 */
struct site samples_hottest(const struct thread *t, uint64_t begin_ns, bool running);
/* Where a thread was while it waited, by a sample of the open iteration, and in whose step (an
 * address); NULL: there was none. */
struct stack *samples_stack(
	const struct thread *t, uint64_t begin_ns, uint64_t end_ns, uint64_t *ret_task);
/* What of the iteration that began then was waits for pages, by samples; 0: too few to say. */
uint64_t samples_fault(const struct thread *t, uint64_t begin_ns);
void samples_end(struct thread *t, uint64_t begin_ns);
/* An iteration was sampled that has not ended. */
bool samples_open(const struct thread *t, uint64_t *ret_begin_ns, uint64_t *ret_last_ns);

#endif
