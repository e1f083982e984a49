/* The text report's findings: what to mend first, and what to write instead. */
#include <inttypes.h>

#include "probe/base/cleanup.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/text_parts.h"

#define SHOWN 10 /* without -v */

static enum style severity_style(enum severity severity)
{
	switch (severity) {
	case SEVERITY_error:
		return STYLE_red;
	case SEVERITY_warning:
		return STYLE_bold;
	default:
		return STYLE_dim;
	}
}

static void finding_print(struct text_report *t, const struct finding *f)
{
	char head[64], saved[DURATION_BYTES];

	snprintf(head, sizeof(head), "  %s %-7s ", f->rule->id, severity_name(f->severity));
	screen_put(&t->screen, severity_style(f->severity), head);
	print_safe(t, STYLE_plain, NO_INDENT, "%s", f->rule->name);
	print_safe(t, STYLE_plain, 4, "%s", f->message);
	if (f->severity == SEVERITY_note && !t->options->verbose)
		return;
	if (*f->advice)
		print_safe(t, STYLE_plain, 4, "%s", f->advice);
	if (f->saves && f->saved_stall_ns)
		print_safe(t, STYLE_dim, 4, "Without it: %s less of stalls.",
			duration_text(f->saved_stall_ns, saved));
}

/* Never silent: how many, and with -v which. */
static void suppressed_print(struct text_report *t)
{
	const struct report *report = t->report;

	for (size_t i = 0; i < report->suppressed.n && t->options->verbose; i++)
		print_safe(t, STYLE_dim, 2, "%s suppressed by %s: %s",
			report->suppressed.at[i].rule->id, report->suppressed.at[i].suppressed,
			report->suppressed.at[i].message);
	if (report->suppressed.n)
		print_safe(t, STYLE_dim, 2, "%zu suppressed by %s%s", report->suppressed.n,
			IGNORE_COMMENT, t->options->verbose ? "" : ": -v shows them");
}

void findings_section(struct text_report *t)
{
	const struct report *report = t->report;
	size_t n = report->findings.n, shown = t->options->verbose || n <= SHOWN ? n : SHOWN;
	size_t count[SEVERITY_error + 1] = {0};
	char title[128];

	for (size_t i = 0; i < n; i++)
		count[report->findings.at[i].severity]++;
	if (!n && !report->suppressed.n)
		return;
	snprintf(title, sizeof(title),
		", what to mend first: %zu error%s, %zu warning%s, %zu note%s",
		count[SEVERITY_error], count[SEVERITY_error] == 1 ? "" : "s",
		count[SEVERITY_warning], count[SEVERITY_warning] == 1 ? "" : "s",
		count[SEVERITY_note], count[SEVERITY_note] == 1 ? "" : "s");
	section_title(t, "Findings", title);
	for (size_t i = 0; i < shown; i++)
		finding_print(t, &report->findings.at[i]);
	if (shown < n)
		print_safe(t, STYLE_dim, 2, "and %zu more: -v shows them", n - shown);
	suppressed_print(t);
	if (!n)
		return;
	print_safe(t, STYLE_dim, 2,
		"awaitscope rules %s explains %s, awaitscope report --help the words",
		report->findings.at[0].rule->id, report->findings.at[0].rule->name);
}
