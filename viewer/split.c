/* CPU time divided by samples. See split.h. */
#include "viewer/split.h"

#include <errno.h>
#include <stdio.h>

#include "probe/base/cleanup.h"

int split_read(struct trace *trace, split_samples *ret)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(trace, QUERY_split_sample, &rows);

	while (!rc && (rc = trace_next(trace, rows)) == 1) {
		struct split_sample *s = list_add(ret);
		const char *kind = (const char *)sqlite3_column_text(rows, 4);

		if (!s || !kind)
			return -ENOMEM;
		s->loop = sqlite3_column_int64(rows, 0);
		s->begin_ns = column_ns(rows, 1);
		s->time_ns = column_ns(rows, 2);
		s->duration_ns = column_ns(rows, 3);
		s->kind = !strcmp(kind, "python")   ? SPLIT_PYTHON
			  : !strcmp(kind, "native") ? SPLIT_NATIVE
						    : SPLIT_UNKNOWN;
		rc = 0;
	}
	return rc;
}

/* The first of an iteration. */
static size_t first_of(const split_samples *samples, int64_t loop, uint64_t begin_ns)
{
	size_t low = 0, high = samples->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct split_sample *s = &samples->at[mid];

		if (s->loop < loop || (s->loop == loop && s->begin_ns < begin_ns))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct shares { /* what samples stand for */
	uint64_t python_ns, native_ns, all_ns, judged;
};

static uint64_t share(uint64_t ns, uint64_t of_ns, uint64_t all_ns)
{
	return all_ns ? (uint64_t)((unsigned __int128)ns * of_ns / all_ns) : 0;
}

static void divide(struct cpu_split *to, uint64_t ns, const struct shares *shares)
{
	if (!ns)
		return;
	to->python_ns += share(ns, shares->python_ns, shares->all_ns);
	to->native_ns += share(ns, shares->native_ns, shares->all_ns);
	to->samples += shares->judged;
}

void split_add(struct cpu_splits *to, const split_samples *samples, int64_t loop, uint64_t begin_ns,
	uint64_t from_ns, uint64_t to_ns, const struct causes *part)
{
	struct shares shares = {0};

	for (size_t i = first_of(samples, loop, begin_ns); i < samples->n; i++) {
		const struct split_sample *s = &samples->at[i];

		if (s->loop != loop || s->begin_ns != begin_ns)
			break;
		if (s->time_ns < from_ns || s->time_ns > to_ns)
			continue;
		shares.python_ns += s->kind == SPLIT_PYTHON ? s->duration_ns : 0;
		shares.native_ns += s->kind == SPLIT_NATIVE ? s->duration_ns : 0;
		shares.all_ns += s->duration_ns;
		shares.judged += s->kind != SPLIT_UNKNOWN;
	}
	divide(&to->cpu, part->ns[CAUSE_cpu], &shares);
	divide(&to->cpu_user, part->ns[CAUSE_cpu_user], &shares);
}

/*
 * The one to tell beside these causes, and which of them it divides; NULL: too few samples. What it
 * has not of that cause was not sampled, or nobody knows.
 */
static const struct cpu_split *told(
	const struct cpu_splits *splits, const struct causes *causes, enum cause *ret_of)
{
	bool user = causes->ns[CAUSE_cpu_user] >= causes->ns[CAUSE_cpu];
	const struct cpu_split *split = user ? &splits->cpu_user : &splits->cpu;

	*ret_of = user ? CAUSE_cpu_user : CAUSE_cpu;
	return split->samples < SPLIT_SAMPLES_MIN ? NULL : split;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

json_t *split_json(const struct cpu_splits *splits, const struct causes *causes, uint64_t total_ns)
{
	enum cause of;
	const struct cpu_split *split = told(splits, causes, &of);
	uint64_t us[CAUSE_COUNT], python_us, native_us;

	if (!split)
		return json_null();
	causes_us(causes, total_ns, us);
	python_us = least(split->python_ns / 1000, us[of]);
	native_us = least(split->native_ns / 1000, us[of] - python_us);
	return json_pack("{s:s, s:f, s:f, s:f, s:I}", "of", cause_keys[of], "python_ms",
		(double)python_us / 1000.0, "native_ms", (double)native_us / 1000.0, "unknown_ms",
		(double)(us[of] - python_us - native_us) / 1000.0, "samples",
		(json_int_t)split->samples);
}

char *split_words(const struct cpu_splits *splits, const struct causes *causes, enum cause cause,
	char buf[SPLIT_WORDS_BYTES])
{
	enum cause of;
	const struct cpu_split *split = told(splits, causes, &of);
	bool native = split && split->native_ns > split->python_ns;

	*buf = '\0';
	if (split && of == cause && causes->ns[of])
		snprintf(buf, SPLIT_WORDS_BYTES, ", ~%.0f %% %s",
			(double)(native ? split->native_ns : split->python_ns) * 100 /
				(double)causes->ns[of],
			native ? "native" : "python");
	return buf;
}
