/* A check for people: the findings that fail it, what each condition came to, and what was
 * suppressed. Every text of the target is made safe for a terminal. */
#include "viewer/check.h"

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/names.h"
#include "viewer/screen.h"

#define OUTCOME_INDENT 8

static void finding_print(struct screen *screen, const struct finding *f, bool fails)
{
	cleanup(freep) char *message = text_for_terminal(f->message, 0);
	cleanup(freep) char *advice = text_for_terminal(f->advice, 0);
	char head[64];
	int n = snprintf(head, sizeof(head), "%s %-7s ", f->rule->id, severity_name(f->severity));

	screen_put(screen, fails ? STYLE_red : STYLE_plain, head);
	screen_wrap(screen, STYLE_plain, message ? message : "", (size_t)n, (size_t)n);
	if (!fails || !advice || !*advice)
		return;
	fprintf(screen->out, "%*s", n, "");
	screen_wrap(screen, STYLE_plain, advice, (size_t)n, (size_t)n);
}

static void condition_show(const struct check *check, const struct report *report,
	const struct condition *c, struct screen *screen)
{
	bool passes = condition_passes(check, c);
	cleanup(freep) char *outcome = NULL, *safe = NULL;
	size_t size;
	FILE *text = open_memstream(&outcome, &size);

	if (!text)
		return;
	outcome_print(check, report, c, text);
	fclose(text);
	safe = text_for_terminal(outcome, 0);
	screen_put(screen, passes ? STYLE_plain : STYLE_red, passes ? "passed  " : "failed  ");
	screen_wrap(screen, STYLE_plain, safe ? safe : "", OUTCOME_INDENT, OUTCOME_INDENT);
}

void suppressed_print(const struct report *report, FILE *out)
{
	size_t comments = 0, n = report->suppressed.n;

	for (size_t i = 0; i < n; i++)
		comments += !strcmp(report->suppressed.at[i].suppressed, IGNORE_COMMENT);
	count_print(n, "finding", out);
	fputs(" suppressed: ", out);
	if (comments)
		fprintf(out, "%zu by %s%s", comments, IGNORE_COMMENT, comments < n ? ", " : "");
	if (comments < n)
		fprintf(out, "%zu by %s", n - comments, report->options->allow->name);
}

static void suppressed_show(
	const struct check *check, const struct report *report, struct screen *screen)
{
	cleanup(freep) char *line = NULL, *safe = NULL;
	size_t size;
	FILE *text;

	for (size_t i = 0; i < report->suppressed.n && check->text->verbose; i++) {
		const struct finding *f = &report->suppressed.at[i];
		cleanup(freep) char *message = text_for_terminal(f->message, 0);
		cleanup(freep) char *who = text_for_terminal(f->suppressed, 0);

		fprintf(screen->out, "%s suppressed by %s: ", f->rule->id, who ? who : "?");
		screen_wrap(screen, STYLE_plain, message ? message : "", 0, OUTCOME_INDENT);
	}
	for (size_t i = 0; check->allow && check->text->verbose && i < check->allow->entries.n; i++)
		if (!check->allow->entries.at[i].used)
			fprintf(screen->out, "allow %zu of the configuration matched nothing\n",
				i + 1);
	text = report->suppressed.n ? open_memstream(&line, &size) : NULL;
	if (!text)
		return;
	suppressed_print(report, text);
	fclose(text);
	safe = text_for_terminal(line, 0);
	fprintf(screen->out, "%s%s\n", safe ? safe : "",
		check->text->verbose ? "" : " (-v lists them)");
}

/* What is worse than in the baseline and no finding of this trace, then what was set aside. */
static void baseline_show(const struct diff *diff, struct screen *screen)
{
	cleanup(freep) char *lines = NULL;
	size_t size;
	FILE *out = open_memstream(&lines, &size);

	if (!out)
		return;
	for (size_t i = 0; i < diff->changes.n; i++) {
		const struct change *c = &diff->changes.at[i];

		if (c->kind != CHANGE_worse || c->rule)
			continue;
		fputs("worse: ", out);
		change_where(diff, c, out);
		fprintf(out, ": %s ", c->measure);
		change_how(c, out);
		fputc('\n', out);
	}
	diff_remarks(diff, out);
	fclose(out);
	for (char *line = lines, *end; line && (end = strchr(line, '\n')); line = end + 1) {
		cleanup(freep) char *safe = NULL;

		*end = '\0';
		safe = text_for_terminal(line, 0);
		screen_wrap(screen, STYLE_plain, safe ? safe : "", 0, OUTCOME_INDENT);
	}
}

/* What a verdict on this trace cannot know of. */
static void gaps_show(const struct report *report, FILE *out)
{
	if (!report->loops.n)
		fputs("no event loop was recorded, so there was nothing to judge\n", out);
	if (!report->complete)
		fputs("the recording was not closed in good order: its end may be missing\n", out);
	if (report->lost_events)
		fprintf(out, "%llu records were lost, and what they would have told\n",
			(unsigned long long)report->lost_events);
}

/* Why it fails although nothing was found, and what to do about it. */
static void unchecked_show(const struct check *check, struct screen *screen)
{
	for (size_t i = 0; i < check->conditions.n && !check->allow_unchecked; i++)
		if (check->conditions.at[i].unchecked) {
			screen_wrap(screen, STYLE_dim,
				"What could not be checked fails too; --allow-unchecked lets it "
				"pass, awaitscope rules ID tells what a rule needs.",
				0, OUTCOME_INDENT);
			return;
		}
}

void check_text(const struct check *check, const struct report *report, FILE *out)
{
	struct screen screen;

	screen_init(&screen, out, check->text->no_color);
	for (size_t i = 0; i < report->findings.n && !check->text->quiet; i++) {
		const struct finding *f = &report->findings.at[i];
		bool fails = finding_fails(&check->conditions, f);

		if (fails || check->text->verbose)
			finding_print(&screen, f, fails);
	}
	if (!check->text->quiet)
		gaps_show(report, out);
	if (check->diff && !check->text->quiet)
		baseline_show(check->diff, &screen);
	for (size_t i = 0; i < check->conditions.n && !check->text->quiet; i++)
		condition_show(check, report, &check->conditions.at[i], &screen);
	if (!check->text->quiet) {
		unchecked_show(check, &screen);
		suppressed_show(check, report, &screen);
	}
	fprintf(out, "awaitscope check: %s\n", check->passed ? "passed" : "failed");
}
