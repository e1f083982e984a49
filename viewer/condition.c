/* Conditions of a check: a rule, a severity, or a measure and its limit. */
#include "viewer/check.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "probe/base/units.h"

#define NS_PER_MS 1e6

struct measure {
	const char *name;
	bool is_time;  /* in ms */
	bool is_clock; /* the wall clock's: a busy machine stretches it */
	double (*value)(const struct report *report, size_t which); /* NAN: not known */
	size_t which;
	const char *doc;
};

/* Of the user's loops, the worst; NAN where one of them was not measured. */
static double worst_lag(const struct report *report, size_t off, bool timers)
{
	double worst = 0;
	bool any = false;

	for (size_t i = 0; i < report->loops.n; i++) {
		const struct loop *l = &report->loops.at[i];
		const struct lag *lag = timers ? &l->timer_late : &l->lag;
		uint64_t ns = *(const uint64_t *)((const char *)lag + off);

		if (l->machinery)
			continue;
		if (l->coarse)
			return NAN;
		if (!lag->known)
			continue;
		any = true;
		if ((double)ns > worst)
			worst = (double)ns;
	}
	return any ? worst / NS_PER_MS : NAN;
}

static double lag_value(const struct report *report, size_t which)
{
	return worst_lag(report, which, false);
}

static double timer_value(const struct report *report, size_t which)
{
	return worst_lag(report, which, true);
}

static double count_value(const struct report *report, size_t which)
{
	return (double)*(const size_t *)((const char *)report + which);
}

static double lost_value(const struct report *report, size_t which)
{
	(void)which;
	return (double)report->lost_events;
}

/* Quiet ones, of synchronous cells that delayed nobody, are none here. */
static double stalls_value(const struct report *report, size_t which)
{
	double n = 0;

	for (size_t i = 0; i < report->loops.n; i++) {
		const struct loop *l = &report->loops.at[i];

		if (l->machinery)
			continue;
		if (l->coarse)
			return NAN;
		n += which ? (double)l->felt_ns / NS_PER_MS : (double)l->felt;
	}
	return report->loops.n ? n : NAN;
}

static double blocking_value(const struct report *report, size_t which)
{
	double ns = 0;

	(void)which;
	if (!strcmp(report->coverage.sensor[COVERAGE_syscalls], "none"))
		return NAN;
	for (size_t i = 0; i < report->sites.n; i++)
		ns += report->sites.at[i].machinery ? 0 : (double)report->sites.at[i].total_ns;
	return ns / NS_PER_MS;
}

static double cpu_value(const struct report *report, size_t which)
{
	double ns = 0;

	(void)which;
	if (!strcmp(report->coverage.sensor[COVERAGE_causes], "none"))
		return NAN;
	for (size_t i = 0; i < report->loops.n; i++) {
		const struct loop *l = &report->loops.at[i];

		ns += l->machinery ? 0
				   : (double)(causes_family(&l->causes, FAMILY_CPU) +
					      l->causes.ns[CAUSE_gc]);
	}
	return report->loops.n ? ns / NS_PER_MS : NAN;
}

static double leaked_value(const struct report *report, size_t which)
{
	if (!strcmp(report->coverage.sensor[COVERAGE_tasks], "none"))
		return NAN;
	return count_value(report, which);
}

static const struct measure measures[] = {
	{"lag.p50", true, true, lag_value, offsetof(struct lag, p50_ns),
		"time until the loop next polls: the median over all observed time"},
	{"lag.p90", true, true, lag_value, offsetof(struct lag, p90_ns), "its 90th percentile"},
	{"lag.p99", true, true, lag_value, offsetof(struct lag, p99_ns), "its 99th percentile"},
	{"lag.max", true, true, lag_value, offsetof(struct lag, max_ns),
		"the longest time the loop was held"},
	{"timer_late.p50", true, true, timer_value, offsetof(struct lag, p50_ns),
		"how late timers were: the median"},
	{"timer_late.p90", true, true, timer_value, offsetof(struct lag, p90_ns),
		"its 90th percentile"},
	{"timer_late.p99", true, true, timer_value, offsetof(struct lag, p99_ns),
		"its 99th percentile"},
	{"timer_late.max", true, true, timer_value, offsetof(struct lag, max_ns),
		"the latest of them"},
	{"stalls", false, true, stalls_value, 0, "times the loop was held for --stall or longer"},
	{"stall", true, true, stalls_value, 1, "how long in all"},
	{"blocking", true, true, blocking_value, 0, "blocking calls in all"},
	{"cpu", true, false, cpu_value, 0, "CPU time on loop threads, collections included"},
	{"leaked", false, false, leaked_value, offsetof(struct report, leaks.n), "leaked tasks"},
	{"findings", false, false, count_value, offsetof(struct report, findings.n),
		"of any severity"},
	{"lost", false, false, lost_value, 0, "records that could not be kept"},
};

void measures_print(FILE *out)
{
	char asked[64];

	for (size_t i = 0; i < sizeof(measures) / sizeof(*measures); i++) {
		snprintf(asked, sizeof(asked), "%s=%s", measures[i].name,
			measures[i].is_time ? "TIME" : "N");
		fprintf(out, "    %-20s%s\n", asked, measures[i].doc);
	}
}

static int measure_parse(
	const char *text, const char *equals, struct condition *ret, char *why, size_t size)
{
	size_t n = (size_t)(equals - text), left = size;
	char *p = why, *end;
	uint64_t ns;

	for (size_t i = 0; i < sizeof(measures) / sizeof(*measures); i++)
		if (strlen(measures[i].name) == n && !strncmp(measures[i].name, text, n))
			ret->measure = &measures[i];
	if (!ret->measure) {
		p += snprintf(p, left, "no measure is called %.*s; there are", (int)n, text);
		for (size_t i = 0; i < sizeof(measures) / sizeof(*measures); i++) {
			left = size - (size_t)(p - why);
			p += snprintf(p, left, "%s %s", i ? "," : "", measures[i].name);
		}
		return -EINVAL;
	}
	if (ret->measure->is_time) {
		if (!strcmp(equals + 1, "0")) {
			ret->limit = 0;
		} else if (duration_parse(equals + 1, 0, &ns)) {
			snprintf(why, size, "%s needs a duration with its unit, as %s=50ms", text,
				ret->measure->name);
			return -EINVAL;
		} else {
			ret->limit = (double)ns / NS_PER_MS;
		}
		return 0;
	}
	ret->limit = strtod(equals + 1, &end);
	if (end == equals + 1 || *end || !(ret->limit >= 0) || isinf(ret->limit)) {
		snprintf(why, size, "%s needs a count, as %s=0", text, ret->measure->name);
		return -EINVAL;
	}
	return 0;
}

int condition_parse(const char *text, struct condition *ret, char *why, size_t size)
{
	struct condition c = {.text = text, .least = 1};
	const char *equals = strchr(text, '='), *colon = strchr(text, ':');
	char name[64];
	char *end;

	if (equals) {
		if (measure_parse(text, equals, &c, why, size))
			return -EINVAL;
		*ret = c;
		return 0;
	}
	for (int s = SEVERITY_note; s <= (int)SEVERITY_error; s++)
		if (!strcasecmp(text, severity_name((enum severity)s))) {
			c.by_severity = true;
			c.severity = (enum severity)s;
			*ret = c;
			return 0;
		}
	snprintf(
		name, sizeof(name), "%.*s", (int)(colon ? colon - text : (long)strlen(text)), text);
	c.rule = rule_find(name);
	if (!c.rule) {
		snprintf(why, size,
			"%s is no rule, no severity (note, warning, error) and no measure=limit; "
			"awaitscope rules lists the rules",
			text);
		return -EINVAL;
	}
	errno = 0;
	if (colon)
		c.least = colon[1] >= '0' && colon[1] <= '9' ? strtoull(colon + 1, &end, 10) : 0;
	if (colon && (!c.least || *end || errno)) {
		snprintf(why, size, "%s needs a count from 1 on after the colon, as AS102:3", text);
		return -EINVAL;
	}
	*ret = c;
	return 0;
}

static bool counts(const struct condition *c, const struct finding *f)
{
	if (c->by_baseline || f->known)
		return c->by_baseline && !f->known;
	if (c->rule)
		return f->rule == c->rule;
	return c->by_severity && f->severity >= c->severity;
}

static bool is_gated(const struct condition *c, const struct rule *rule)
{
	return c->rule ? rule == c->rule : c->by_severity && rule->severity >= c->severity;
}

static void condition_judge(
	const struct check *check, const struct report *report, struct condition *c)
{
	if (c->by_baseline) {
		c->failed = check->diff->worse > 0;
		return;
	}
	if (c->measure) {
		c->value = c->measure->value(report, c->measure->which);
		c->unchecked = isnan(c->value);
		c->aside = c->measure->is_clock && check->diff && check->diff->new_starved;
		c->failed = !c->unchecked && !c->aside && c->value > c->limit;
		return;
	}
	for (size_t i = 0; i < rules_count; i++)
		c->unchecked |= is_gated(c, &rules[i]) && !rule_checked(report, &rules[i]);
	for (size_t i = 0; i < report->findings.n; i++)
		c->findings += counts(c, &report->findings.at[i]);
	c->failed = c->findings >= c->least;
}

bool condition_passes(const struct check *check, const struct condition *c)
{
	return !c->failed && (!c->unchecked || check->allow_unchecked);
}

void check_judge(struct check *check, const struct report *report)
{
	check->passed = true;
	for (size_t i = 0; i < check->conditions.n; i++) {
		condition_judge(check, report, &check->conditions.at[i]);
		check->passed &= condition_passes(check, &check->conditions.at[i]);
	}
}

bool finding_fails(const condition_list *conditions, const struct finding *finding)
{
	for (size_t i = 0; i < conditions->n; i++)
		if (conditions->at[i].failed && counts(&conditions->at[i], finding))
			return true;
	return false;
}

void outcome_print(const struct check *check, const struct report *report,
	const struct condition *c, FILE *out)
{
	char value[32];
	size_t n = 0;

	fprintf(out, "%s: ", c->text);
	if (c->by_baseline) {
		diff_verdict(check->diff, out);
		return;
	}
	if (c->measure && c->unchecked) {
		fputs("could not be measured", out);
		return;
	}
	if (c->measure) {
		if (c->measure->is_time)
			duration_format((uint64_t)(c->value * NS_PER_MS), value, sizeof(value));
		else
			snprintf(value, sizeof(value), "%.0f", c->value);
		fprintf(out, "%s%s", value,
			c->aside && c->value > c->limit ? ", set aside: the machine was starved"
							: "");
		return;
	}
	fprintf(out, "%llu %sfinding%s", (unsigned long long)c->findings,
		check->diff ? "new or worse " : "", c->findings == 1 ? "" : "s");
	for (size_t i = 0; i < rules_count; i++)
		if (is_gated(c, &rules[i]) && !rule_checked(report, &rules[i]))
			fprintf(out, "%s%s", n++ ? ", " : "; not checked: ", rules[i].id);
}
