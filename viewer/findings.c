/*
 * Runs the checks of all rules that this trace lets one judge; then each finding gets its
 * fingerprint and what lag would lose without it, and the list its order: what to mend first.
 */
#include <errno.h>
#include <stdio.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/saved.h"

#define FNV_BASIS 0xcbf29ce484222325 /* FNV-1a, 64 bits */
#define FNV_PRIME 0x100000001b3

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do {
		hash ^= (unsigned char)*text;
		hash *= FNV_PRIME;
	} while (*text++);
	return hash;
}

/* The cell's source, or the file: what does not change when lines move. */
static const char *fingerprint_source(const struct report *report, const struct finding *f)
{
	int cell = f->place.file ? cell_of_file(report, f->place.file, f->cell) : f->cell;

	if (cell != NONE)
		return report->cells.at[cell].source;
	return f->place.file ? f->place.file : "";
}

static int equals_compare(
	const struct report *report, const struct finding *a, const struct finding *b)
{
	int order = strcmp(a->rule->id, b->rule->id);

	if (!order)
		order = strcmp(fingerprint_source(report, a), fingerprint_source(report, b));
	if (!order)
		order = strcmp(a->place.function ? a->place.function : "",
			b->place.function ? b->place.function : "");
	return order;
}

static int source_compare(const void *a, const void *b, void *report)
{
	const struct finding *x = *(struct finding *const *)a, *y = *(struct finding *const *)b;
	int order = equals_compare(report, x, y);

	if (order)
		return order;
	if (x->place.line != y->place.line)
		return x->place.line - y->place.line;
	return x->cell != y->cell ? x->cell - y->cell : x->process - y->process;
}

/* No line and no time: rule, source, function, and which of the equal ones in source order. */
static int fingerprints_make(struct report *report)
{
	size_t n = report->findings.n;
	cleanup(freep) struct finding **sorted = malloc((n + 1) * sizeof(*sorted));
	uint64_t ordinal = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &report->findings.at[i];
	qsort_r(sorted, n, sizeof(*sorted), source_compare, report);
	for (size_t i = 0; i < n; i++) {
		struct finding *f = sorted[i];
		char number[24];

		ordinal = i && !equals_compare(report, sorted[i - 1], f) ? ordinal + 1 : 0;
		snprintf(number, sizeof(number), "%llu", (unsigned long long)ordinal);
		f->fingerprint = hash_text(FNV_BASIS, f->rule->id);
		f->fingerprint = hash_text(f->fingerprint, fingerprint_source(report, f));
		f->fingerprint =
			hash_text(f->fingerprint, f->place.function ? f->place.function : "");
		f->fingerprint = hash_text(f->fingerprint, number);
	}
	return 0;
}

/* Notes last; then by the stall time, the lag and the time that it would save. */
static int rank_compare(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	const uint64_t keys[][2] = {
		{x->severity != SEVERITY_note, y->severity != SEVERITY_note},
		{x->saved_stall_ns, y->saved_stall_ns},
		{x->saved_p99_ns, y->saved_p99_ns},
		{x->severity, y->severity},
		{x->cost_ns, y->cost_ns},
		{x->count, y->count},
	};
	int order;

	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] > keys[i][1] ? -1 : 1;
	order = strcmp(x->rule->id, y->rule->id);
	if (order)
		return order;
	if (x->process != y->process)
		return x->process - y->process;
	return x->cell != y->cell ? x->cell - y->cell : x->place.line - y->place.line;
}

int findings_read(struct report *report)
{
	struct judge judge = {.report = report};
	int rc = 0;

	for (size_t i = 0; i < rules_count && !rc; i++)
		if (rule_checked(report, &rules[i]))
			rc = rules[i].check(&judge, &rules[i]);
	free(judge.weights);
	free(judge.frames.at);
	if (!rc && judge.failed)
		rc = -ENOMEM;
	if (!rc)
		rc = saved_weigh(report);
	if (!rc)
		rc = fingerprints_make(report);
	if (!rc && report->findings.n)
		qsort(report->findings.at, report->findings.n, sizeof(*report->findings.at),
			rank_compare);
	return rc;
}
