/* The report's numbers as metrics of a finished run. What is not known is left out. */
#include "viewer/export.h"

#include <errno.h>
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define NS_PER_S 1e9

static void family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP awaitscope_%s %s\n# TYPE awaitscope_%s %s\n", name, help, name, type);
}

static void label_print(FILE *out, const char *name, const char *raw)
{
	cleanup(freep) char *text = text_to_utf8(raw, strlen(raw));

	fprintf(out, "%s=\"", name);
	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '\\' || *p == '"')
			fprintf(out, "\\%c", *p);
		else if (*p == '\n')
			fputs("\\n", out);
		else
			fputc(*p, out);
	}
	fputc('"', out);
}

static void loop_begin(FILE *out, const struct report *report, const char *name, size_t i)
{
	const struct loop *l = &report->loops.at[i];

	fprintf(out, "awaitscope_%s{loop=\"%" PRId64 "\",pid=\"%lld\",", name, l->id,
		l->process == NONE ? 0 : report->processes.at[l->process].pid);
	label_print(out, "thread", l->thread);
}

static void loops_counts(const struct report *report, FILE *out)
{
	static const struct {
		const char *name, *help;
		size_t off;
		double unit;
	} counts[] = {
		{"loop_iterations_total", "Turns of the loop.", offsetof(struct loop, iterations),
			1},
		{"loop_busy_seconds_total", "Time in which the loop could run nothing else.",
			offsetof(struct loop, busy_ns), NS_PER_S},
		{"loop_stalls_total", "Turns that lasted as long as a stall.",
			offsetof(struct loop, stalls), 1},
		{"loop_stall_seconds_total", "How long those were in all.",
			offsetof(struct loop, stall_ns), NS_PER_S},
	};

	for (size_t k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
		family(out, counts[k].name, "counter", counts[k].help);
		for (size_t i = 0; i < report->loops.n; i++) {
			const char *at = (const char *)&report->loops.at[i] + counts[k].off;

			loop_begin(out, report, counts[k].name, i);
			fprintf(out, "} %.9g\n", (double)*(const uint64_t *)at / counts[k].unit);
		}
	}
}

static void loops_lag(const struct report *report, FILE *out)
{
	family(out, "loop_lag_seconds", "gauge", "Time until the loop next polls, over all time.");
	for (size_t i = 0; i < report->loops.n; i++) {
		const struct lag *lag = &report->loops.at[i].lag;
		const struct {
			const char *quantile;
			uint64_t ns;
		} parts[] = {{"0.5", lag->p50_ns}, {"0.9", lag->p90_ns}, {"0.99", lag->p99_ns},
			{"1", lag->max_ns}};

		for (size_t k = 0; k < sizeof(parts) / sizeof(*parts) && lag->known; k++) {
			loop_begin(out, report, "loop_lag_seconds", i);
			fprintf(out, ",quantile=\"%s\"} %.9g\n", parts[k].quantile,
				(double)parts[k].ns / NS_PER_S);
		}
	}
}

static void loops_causes(const struct report *report, FILE *out)
{
	family(out, "loop_cause_seconds_total", "counter", "Busy time by what it was spent on.");
	for (size_t i = 0; i < report->loops.n; i++)
		for (int cause = 0; cause < CAUSE_COUNT; cause++) {
			uint64_t ns = report->loops.at[i].causes.ns[cause];

			if (!ns)
				continue;
			loop_begin(out, report, "loop_cause_seconds_total", i);
			fprintf(out, ",cause=\"%s\"} %.9g\n", cause_keys[cause],
				(double)ns / NS_PER_S);
		}
}

static void cells_busy(const struct report *report, FILE *out)
{
	char name[NAME_BYTES];

	if (!report->cells.n)
		return;
	family(out, "cell_busy_seconds", "gauge", "Time that a cell held its loop.");
	for (size_t i = 0; i < report->cells.n; i++)
		fprintf(out, "awaitscope_cell_busy_seconds{index=\"%zu\",cell=\"%s\"} %.9g\n", i,
			cell_name(report, (int)i, name),
			(double)report->cells.at[i].busy_ns / NS_PER_S);
}

/* Of rules that were checked, none is 0. */
static void findings_count(const struct report *report, FILE *out)
{
	family(out, "findings", "gauge", "Findings of each rule that was checked.");
	for (size_t r = 0; r < rules_count; r++) {
		size_t n = 0;

		if (!rule_checked(report, &rules[r]))
			continue;
		for (size_t i = 0; i < report->findings.n; i++)
			n += report->findings.at[i].rule == &rules[r];
		fprintf(out, "awaitscope_findings{rule=\"%s\",name=\"%s\"} %zu\n", rules[r].id,
			rules[r].name, n);
	}
}

int export_prometheus(struct report *report, FILE *out)
{
	family(out, "trace_duration_seconds", "gauge", "How long the recording lasted.");
	fprintf(out, "awaitscope_trace_duration_seconds %.9g\n",
		(double)report->duration_ns / NS_PER_S);
	family(out, "lost_events_total", "counter", "Records that could not be kept.");
	fprintf(out, "awaitscope_lost_events_total %" PRIu64 "\n", report->lost_events);
	if (strcmp(report->coverage.sensor[COVERAGE_tasks], "none")) {
		family(out, "leaked_tasks", "gauge", "Tasks that were left behind.");
		fprintf(out, "awaitscope_leaked_tasks %zu\n", report->leaks.n);
	}
	loops_counts(report, out);
	loops_lag(report, out);
	loops_causes(report, out);
	cells_busy(report, out);
	findings_count(report, out);
	return ferror(out) ? -EIO : 0;
}
