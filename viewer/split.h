/*
 * An estimate of what CPU time was spent in: bytecode, or C functions that it called, by samples of
 * the iterations that lasted long enough to be sampled. Silent.
 */
#ifndef VIEWER_SPLIT_H
#define VIEWER_SPLIT_H

#include <jansson.h>
#include <stdbool.h>

#include "viewer/causes.h"
#include "viewer/list.h"
#include "viewer/trace.h"

/* Fewer say nothing. */
#define SPLIT_SAMPLES_MIN 20u

struct cpu_split {
	uint64_t python_ns, native_ns, samples;
};

/* Of `cpu_user`, and of `cpu` where a sensor does not tell user and kernel apart. */
struct cpu_splits {
	struct cpu_split cpu, cpu_user;
};

struct split_sample {
	int64_t loop; /* row id */
	uint64_t begin_ns, time_ns, duration_ns;
	enum { SPLIT_PYTHON, SPLIT_NATIVE, SPLIT_UNKNOWN } kind; /* unknown: perhaps off CPU */
};

typedef LIST(struct split_sample) split_samples;

/* All of a trace, in order. 0, -ENOMEM or what trace_next() returns. The caller frees ret->at. */
int split_read(struct trace *trace, split_samples *ret);
/*
 * Adds how the CPU time in `part` divides, a part of the iteration of that loop (row id) that began
 * then: by those of its samples that were taken from from_ns to to_ns.
 */
void split_add(struct cpu_splits *to, const split_samples *samples, int64_t loop, uint64_t begin_ns,
	uint64_t from_ns, uint64_t to_ns, const struct causes *part);
/* The same as JSON, beside the causes of total_ns, whose sum is exact; null: too few samples. */
json_t *split_json(const struct cpu_splits *splits, const struct causes *causes, uint64_t total_ns);

#define SPLIT_WORDS_BYTES 24
/* ", ~88 % native" behind that cause's time; empty where it is not told. Returns buf. */
char *split_words(const struct cpu_splits *splits, const struct causes *causes, enum cause cause,
	char buf[SPLIT_WORDS_BYTES]);

#endif
