/* The words for a difference: its verdict, what must be known of it, and each change. */
#include "viewer/diff.h"

#include <errno.h>
#include <inttypes.h>

#include "viewer/names.h"

void diff_verdict(const struct diff *diff, FILE *out)
{
	if (!diff->worse && !diff->better) {
		fputs("No change", out);
		return;
	}
	if (diff->worse)
		fprintf(out, "%zu worse", diff->worse);
	if (diff->better)
		fprintf(out, "%s%zu better", diff->worse ? ", " : "", diff->better);
}

static void cells_remark(const struct diff *diff, FILE *out)
{
	const struct {
		size_t n;
		const char *how;
	} parts[] = {
		{diff->added, "only in NEW"},
		{diff->removed, "only in OLD"},
		{diff->edited, "with another source"},
	};
	size_t told = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		if (!parts[i].n)
			continue;
		fputs(told++ ? ", " : "", out);
		count_print(parts[i].n, "cell", out);
		fprintf(out, " %s", parts[i].how);
	}
	fputs(told ? ".\n" : "", out);
}

static void side_remark(const struct report *report, const char *which, FILE *out)
{
	if (!report->loops.n)
		fprintf(out, "%s recorded no event loop.\n", which);
	if (!report->complete)
		fprintf(out, "%s was not closed in good order: its end may be missing.\n", which);
	if (report->lost_events)
		fprintf(out, "%s lost %" PRIu64 " records.\n", which, report->lost_events);
}

void diff_remarks(const struct diff *diff, FILE *out)
{
	size_t n = 0;

	cells_remark(diff, out);
	side_remark(diff->old, "OLD", out);
	side_remark(diff->new, "NEW", out);
	if (diff->starved)
		fprintf(out,
			"The machine was starved (loops waited for a CPU for %.0f %% of their busy "
			"time in OLD, %.0f %% in NEW): wall-clock measures are set aside, %zu of "
			"them would have counted.\n",
			diff->starved_share[0] * 100, diff->starved_share[1] * 100, diff->aside);
	if (diff->no_causes)
		fputs("One of them does not tell what loops were held by: only findings are "
		      "compared.\n",
			out);
	for (size_t i = 0; i < rules_count; i++)
		if (rule_incomparable(diff, &rules[i]))
			fprintf(out, "%s%s",
				n++ ? ", " : "Checked in one of them only: ", rules[i].id);
	fputs(n ? ".\n" : "", out);
}

void change_where(const struct diff *diff, const struct change *c, FILE *out)
{
	int side = c->unit[1] != NONE;
	const struct report *report = side ? diff->new : diff->old;
	int loop = NONE;
	char name[NAME_BYTES];

	if (c->cells) {
		fputs(cell_name(report, c->unit[side], name), out);
		return;
	}
	for (size_t i = 0; i < report->loops.n && loop == NONE; i++)
		if (report->loops.at[i].process == c->unit[side])
			loop = (int)i;
	program_print(report, c->unit[side] == NONE ? NONE : loop, out);
}

static void side_print(const struct change *c, const struct side *s, FILE *out)
{
	if (s->status)
		fputs(s->status, out);
	else if (s->costed || c->measure)
		fputs(s->cost_ns ? time_text(s->cost_ns) : "none", out);
	else
		fprintf(out, "%" PRIu64, s->count);
}

void change_how(const struct change *c, FILE *out)
{
	if (c->rule && !c->old.finding) {
		fputs("new", out);
		return;
	}
	if (c->rule && !c->new.finding) {
		fputs("gone", out);
		return;
	}
	side_print(c, &c->old, out);
	fputs(" → ", out);
	side_print(c, &c->new, out);
	if (c->rule && c->old.severity != c->new.severity)
		fprintf(out, ", %s → %s", severity_name(c->old.severity),
			severity_name(c->new.severity));
}
