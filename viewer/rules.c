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

/* What the kernel's probes see in place of the agent's hooks. */
static const struct {
	const char *hook, *probe;
} from_outside[] = {
	{"_asyncio task wakeup", "future set"},
	{"gc.callbacks", "gc done"},
	{"asyncio.wait", "await graph"},
};

static const char *probe_of(const char *hook, size_t n)
{
	for (size_t i = 0; i < sizeof(from_outside) / sizeof(*from_outside); i++)
		if (strlen(from_outside[i].hook) == n && !strncmp(from_outside[i].hook, hook, n))
			return from_outside[i].probe;
	return NULL;
}

static bool is_among(const char *const *names, size_t count, const char *name, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(names[i]) == n && !strncmp(names[i], name, n))
			return true;
	return false;
}

/* Whether what a rule leans on was in place: by the agent, or by the kernel's probes. */
static bool hooks_placed(const struct report *report, const char *hooks)
{
	bool agent = !strcmp(report->coverage.sensor[COVERAGE_tasks], "agent");

	while (*hooks) {
		size_t n = strcspn(hooks, ",");
		const char *probe = probe_of(hooks, n);

		if (is_among(report->refused.at, report->refused.n, hooks, n))
			return false;
		if (!agent && (!probe ||
				      is_among(report->refused.at, report->refused.n, probe,
					      strlen(probe)) ||
				      !is_among(report->placed.at, report->placed.n, probe,
					      strlen(probe))))
			return false;
		hooks += n + (hooks[n] == ',');
	}
	return true;
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
	return hooks_placed(report, rule->hooks);
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
