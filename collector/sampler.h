/*
 * While an iteration of a loop lasts, this looks from outside where its thread is. Decides when;
 * sampled.c reads. Its records join those of the process in order of time. Called by the recorder
 * at each turn. Silent.
 */
#ifndef COLLECTOR_SAMPLER_H
#define COLLECTOR_SAMPLER_H

#include "collector/feed.h"

struct sampler;

struct sampler_counts {
	uint64_t taken;
	uint64_t torn;  /* thrown away: the stack changed while it was read */
	uint64_t ended; /* thrown away: the iteration ended meanwhile */
};

int sampler_new(struct sampler **ret);
void sampler_free(struct sampler *s); /* accepts NULL */
/* A process (another program in it, after exec) was announced; it has ended. */
int sampler_process(struct sampler *s, uint32_t pid, uint32_t hexversion);
void sampler_process_end(struct sampler *s, uint32_t pid);
/*
 * Sample the loops that have been busy for long and whose turn it is. Returns when it wants to be
 * called again, UINT64_MAX: no loop is busy.
 */
uint64_t sampler_look(struct sampler *s, const struct feed *feed, uint64_t now_ns);
/*
 * Read what ties a task, which waits for that future, to others: into records as of now_ns. 0;
 * -EAGAIN: not at this moment; else it cannot be read.
 */
int sampler_task(struct sampler *s, uint32_t pid, uint64_t task, uint64_t future, uint64_t now_ns);
/* Hand out what was taken of one process up to that time; of all. 0, or what sink returned. */
int sampler_hand_out(struct sampler *s, uint32_t pid, uint64_t until_ns, record_fn sink, void *ctx);
int sampler_hand_out_all(struct sampler *s, uint64_t until_ns, record_fn sink, void *ctx);
/* The loop that has been busy the longest as of the last look, if it was sampled; 0: there is none.
 */
int sampler_longest(const struct sampler *s, struct busy_loop *ret);
/* That process has just ended: what its threads have used by now, if there is still a telling. */
void sampler_ended(struct sampler *s, uint32_t pid);
/* What the thread of a busy loop used from its first sample to its last. -ENOENT: none was taken.
 */
struct sampler_used {
	uint64_t cpu_ns, runq_ns;
	uint64_t call_cpu_ns; /* in the call that it is in */
};
int sampler_used(const struct sampler *s, const struct busy_loop *busy, struct sampler_used *ret);
void sampler_counts(const struct sampler *s, struct sampler_counts *ret);

#endif
