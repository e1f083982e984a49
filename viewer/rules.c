/* The table of rules, and which of them a trace lets one judge. */
#include "viewer/rule.h"

#include <string.h>

const struct rule rules[] = {
#define RULE(id, name, severity, needs, hooks, check, ...)                                         \
	{#id, name, SEVERITY_##severity, needs, hooks, check, __VA_ARGS__},
#define RULE_UNCHECKED(id, name, severity, needs, hooks, ...)                                      \
	{#id, name, SEVERITY_##severity, needs, hooks, NULL, __VA_ARGS__},
#include "viewer/rules.def"
#undef RULE
#undef RULE_UNCHECKED
};
const size_t rules_count = sizeof(rules) / sizeof(*rules);

const struct rule *rule_find(const char *id)
{
	for (size_t i = 0; i < rules_count; i++)
		if (!strcasecmp(rules[i].id, id) || !strcasecmp(rules[i].name, id))
			return &rules[i];
	return NULL;
}

const char *rule_needs_text(const struct rule *rule)
{
	return rule->needs & NEEDS_CELLS ? "agent, cells" : "agent";
}

const char *severity_name(enum severity severity)
{
	static const char *const names[] = {
		[SEVERITY_note] = "note",
		[SEVERITY_warning] = "warning",
		[SEVERITY_error] = "error",
	};

	return names[severity];
}

enum severity severity_lower(enum severity severity)
{
	return severity == SEVERITY_error ? SEVERITY_warning : SEVERITY_note;
}

static bool is_seen(const struct report *report, enum coverage_kind kind)
{
	return strcmp(report->coverage.sensor[kind], "none") != 0;
}

static bool any_refused(const struct report *report, const char *hooks)
{
	while (*hooks) {
		size_t n = strcspn(hooks, ",");

		for (size_t i = 0; i < report->refused.n; i++)
			if (strlen(report->refused.at[i]) == n &&
				!strncmp(report->refused.at[i], hooks, n))
				return true;
		hooks += n + (hooks[n] == ',');
	}
	return false;
}

/* Where they are known by the names of their code, when they ran is not. */
static bool cells_missed(const struct report *report)
{
	const char *sensor = report->coverage.sensor[COVERAGE_cells];
	bool kernels = false;

	for (size_t i = 0; i < report->processes.n; i++)
		kernels |= report->processes.at[i].is_kernel ||
			   strstr(report->processes.at[i].argv, "ipykernel");
	return kernels && (!strcmp(sensor, "none") || !strcmp(sensor, "filename"));
}

bool rule_checked(const struct report *report, const struct rule *rule)
{
	if (!rule->check || !report->loops.n)
		return false;
	if ((rule->needs & NEEDS_TASKS) && !is_seen(report, COVERAGE_tasks))
		return false;
	if ((rule->needs & NEEDS_CALLS) && !is_seen(report, COVERAGE_syscalls))
		return false;
	if ((rule->needs & NEEDS_CAUSES) && !is_seen(report, COVERAGE_causes))
		return false;
	if ((rule->needs & NEEDS_CELLS) && cells_missed(report))
		return false;
	for (size_t i = 0; i < report->loops.n && rule->needs & NEEDS_STDLIB_LOOP; i++)
		if (!strcmp(report->loops.at[i].kind, "uvloop"))
			return false;
	if (*rule->hooks && strcmp(report->coverage.sensor[COVERAGE_tasks], "agent"))
		return false;
	return !any_refused(report, rule->hooks);
}

size_t rules_checked(const struct report *report)
{
	size_t n = 0;

	for (size_t i = 0; i < rules_count; i++)
		n += rule_checked(report, &rules[i]);
	return n;
}

void unchecked_print(const struct report *report, FILE *out)
{
	size_t n = 0;

	if (!rules_checked(report)) {
		fputs("no rule was checked", out);
		return;
	}
	for (size_t i = 0; i < rules_count; i++)
		if (!rule_checked(report, &rules[i]))
			fprintf(out, "%s%s", n++ ? ", " : "not checked: ", rules[i].id);
	if (!n)
		fputs("every rule was checked", out);
}
