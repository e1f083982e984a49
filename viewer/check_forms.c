/* A check for other tools: JUnit XML, GitHub annotations and its Markdown summary. Every text of
 * the target is escaped for the form it goes into. */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/check.h"
#include "viewer/names.h"
#include "viewer/page.h"

/* ---- XML */

#define UNKNOWN_TIME "1970-01-01T00:00:00" /* of a trace that was never begun in good order */

/* XML 1.0 has no control characters but tab and line ends; they become spaces. */
static void xml_print(FILE *out, const char *raw)
{
	cleanup(freep) char *text = text_to_utf8(raw, strlen(raw));

	for (const char *p = text ? text : ""; *p; p++) {
		switch (*p) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\n':
			fputs("&#10;", out);
			break;
		default:
			fputc((unsigned char)*p < ' ' ? ' ' : *p, out);
		}
	}
}

/* One failure a case, as every reader of JUnit takes it: the first finding, and all of them below.
 */
static void failure_print(
	const struct check *check, const struct report *report, const struct rule *rule, FILE *out)
{
	size_t n = 0;

	for (size_t i = 0; i < report->findings.n; i++) {
		const struct finding *f = &report->findings.at[i];

		if (f->rule != rule || !finding_fails(&check->conditions, f))
			continue;
		if (!n++) {
			fprintf(out, "      <failure type=\"%s\" message=\"",
				severity_name(f->severity));
			xml_print(out, f->message);
			fputs("\">", out);
		}
		xml_print(out, f->message);
		fputc(' ', out);
		xml_print(out, f->advice);
		fputc('\n', out);
	}
	if (n)
		fputs("</failure>\n", out);
}

static bool is_gated(const condition_list *conditions, const struct rule *rule)
{
	for (size_t i = 0; i < conditions->n; i++) {
		const struct condition *c = &conditions->at[i];

		if (c->rule == rule || (c->by_severity && rule->severity >= c->severity))
			return true;
	}
	return false;
}

/* Findings that were decided about are told, and fail nothing. */
static void suppressed_list(const struct report *report, FILE *out)
{
	fputs("    <system-out>", out);
	for (size_t i = 0; i < report->suppressed.n; i++) {
		const struct finding *f = &report->suppressed.at[i];

		fprintf(out, "%s suppressed by ", f->rule->id);
		xml_print(out, f->suppressed);
		fputs(": ", out);
		xml_print(out, f->message);
		fputc('\n', out);
	}
	fputs("</system-out>\n    <system-err/>\n", out);
}

static void rule_case(
	const struct report *report, const struct check *check, const struct rule *rule, FILE *out)
{
	const condition_list *conditions = &check->conditions;

	fprintf(out, "    <testcase classname=\"awaitscope.rules\" name=\"%s %s\" time=\"0\">\n",
		rule->id, rule->name);
	if (!rule_checked(report, rule))
		fprintf(out,
			!check->allow_unchecked && is_gated(conditions, rule)
				? "      <failure type=\"unchecked\" message=\"not checked, needs "
				  "%s\"/>\n"
				: "      <skipped message=\"not checked, needs %s\"/>\n",
			rule_needs_text(rule));
	failure_print(check, report, rule, out);
	fputs("    </testcase>\n", out);
}

static void measure_case(const struct report *report, const struct check *check,
	const struct condition *c, FILE *out)
{
	cleanup(freep) char *outcome = NULL;
	size_t size;
	FILE *text = open_memstream(&outcome, &size);

	if (text) {
		outcome_print(check, report, c, text);
		fclose(text);
	}
	fprintf(out, "    <testcase classname=\"awaitscope.%s\" name=\"",
		c->measure ? "measures" : "baseline");
	xml_print(out, c->text);
	fputs("\" time=\"0\">", out);
	if (!condition_passes(check, c)) {
		fputs("<failure type=\"limit\" message=\"", out);
		xml_print(out, outcome ? outcome : c->text);
		fputs("\"/>", out);
	} else if (c->unchecked) {
		fputs("<skipped message=\"could not be measured\"/>", out);
	}
	fputs("</testcase>\n", out);
}

int check_junit(const struct check *check, const struct report *report, FILE *out)
{
	cleanup(freep) char *cases = NULL;
	size_t size, tests = rules_count, failures = 0, skipped = 0;
	FILE *body = open_memstream(&cases, &size);

	if (!body)
		return -ENOMEM;
	for (size_t i = 0; i < rules_count; i++)
		rule_case(report, check, &rules[i], body);
	for (size_t i = 0; i < check->conditions.n; i++)
		if (check->conditions.at[i].measure || check->conditions.at[i].by_baseline) {
			measure_case(report, check, &check->conditions.at[i], body);
			tests++;
		}
	if (fclose(body))
		return -ENOMEM;
	for (const char *p = cases; (p = strstr(p, "<testcase")); p++) {
		const char *end = strstr(p, "</testcase>");
		const char *failure = strstr(p, "<failure"), *skip = strstr(p, "<skipped");

		failures += failure && failure < end;
		skipped += skip && skip < end;
	}
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
	fprintf(out,
		"<testsuites>\n  <testsuite name=\"awaitscope\" id=\"0\" package=\"awaitscope\" "
		"hostname=\"localhost\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" "
		"skipped=\"%zu\" time=\"%.3f\" timestamp=\"%.19s\">\n    <properties/>\n",
		tests, failures, skipped, (double)report->duration_ns / 1e9,
		*report->started_at ? report->started_at : UNKNOWN_TIME);
	fputs(cases, out);
	suppressed_list(report, out);
	fputs("  </testsuite>\n</testsuites>\n", out);
	return ferror(out) ? -EIO : 0;
}

/* ---- GitHub */

/* A workflow command ends at a line's end; in a property also : and , mean something. */
static void command_print(FILE *out, const char *raw, bool property)
{
	cleanup(freep) char *text = text_to_utf8(raw, strlen(raw));

	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '%' || (unsigned char)*p < ' ' || (property && (*p == ':' || *p == ',')))
			fprintf(out, "%%%02X", (unsigned char)*p);
		else
			fputc(*p, out);
	}
}

int check_github(const struct check *check, const struct report *report, FILE *out)
{
	static const char *const commands[] = {
		[SEVERITY_note] = "notice",
		[SEVERITY_warning] = "warning",
		[SEVERITY_error] = "error",
	};

	for (size_t i = 0; i < report->findings.n; i++) {
		const struct finding *f = &report->findings.at[i];
		struct location at = {0};

		if (f->known)
			continue;
		if (location_find(report, f, &at))
			return -ENOMEM;
		fprintf(out, "::%s ", commands[f->severity]);
		if (at.path) {
			fputs("file=", out);
			command_print(out, at.path, true);
			if (at.line)
				fprintf(out, ",line=%d", at.line);
			fputc(',', out);
		}
		fprintf(out, "title=%s %s::", f->rule->id, f->rule->name);
		command_print(out, f->message, false);
		fputc(' ', out);
		command_print(out, f->advice, false);
		fputc('\n', out);
		free(at.path);
	}
	return 0;
}

static void summary_findings(const struct check *check, const struct report *report, FILE *out)
{
	if (!report->findings.n)
		return;
	fputs("| rule | severity | cost | finding |\n|---|---|---|---|\n", out);
	for (size_t i = 0; i < report->findings.n; i++) {
		const struct finding *f = &report->findings.at[i];
		const char *bold = finding_fails(&check->conditions, f) ? "**" : "";

		fprintf(out, "| %s%s%s %s | %s | %s | ", bold, f->rule->id, bold, f->rule->name,
			severity_name(f->severity), f->costed ? time_text(f->cost_ns) : "");
		markdown_print(out, f->message);
		fputs(f->known ? " (as in the baseline) |\n" : " |\n", out);
	}
	fputc('\n', out);
}

int check_summary(const struct check *check, const struct report *report, FILE *out)
{
	const condition_list *conditions = &check->conditions;

	fprintf(out, "## awaitscope: %s\n\n", check->passed ? "passed" : "failed");
	markdown_print(out, report->verdict);
	fputs("\n\n", out);
	summary_findings(check, report, out);
	for (size_t i = 0; i < conditions->n; i++) {
		cleanup(freep) char *outcome = NULL;
		size_t size;
		FILE *text = open_memstream(&outcome, &size);

		if (!text)
			return -ENOMEM;
		outcome_print(check, report, &conditions->at[i], text);
		fclose(text);
		fprintf(out, "* %s: ",
			condition_passes(check, &conditions->at[i]) ? "passed" : "failed");
		markdown_print(out, outcome);
		fputc('\n', out);
	}
	if (report->suppressed.n) {
		fputs("* ", out);
		suppressed_print(report, out);
		fputc('\n', out);
	}
	fputs("\n", out);
	return ferror(out) ? -EIO : 0;
}
