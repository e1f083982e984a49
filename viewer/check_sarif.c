/* Findings as SARIF 2.1.0 (OASIS): one run, all rules, a result for each finding. */
#include <errno.h>

#include "probe/base/cleanup.h"
#include "viewer/check.h"
#include "viewer/names.h"
#include "viewer/json_values.h"

#define SCHEMA_URI                                                                                 \
	"https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"                      \
	"sarif-schema-2.1.0.json"

static const char *level_of(enum severity severity)
{
	return severity_name(severity); /* the same words */
}

/* RFC 3986: a path as a relative reference, or as a file URI. */
static json_t *uri_of(const char *path)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "-._~/";
	cleanup(freep) char *uri = NULL;
	size_t size;
	FILE *out = open_memstream(&uri, &size);

	if (!out)
		return NULL;
	fputs(*path == '/' ? "file://" : "", out);
	for (; *path; path++)
		fprintf(out, strchr(plain, *path) ? "%c" : "%%%02X", (unsigned char)*path);
	return fclose(out) ? NULL : json_string(uri);
}

static json_t *rules_json(void)
{
	json_t *array = json_array();

	for (size_t i = 0; i < rules_count; i++)
		json_array_append_new(array,
			json_pack("{s:s,s:s,s:{s:s},s:{s:s},s:{s:s},s:{s:s}}", "id", rules[i].id,
				"name", rules[i].name, "shortDescription", "text",
				rules[i].sentence, "fullDescription", "text", rules[i].cause,
				"help", "text", rules[i].advice, "defaultConfiguration", "level",
				level_of(rules[i].severity)));
	return array;
}

static json_t *location_json(
	const struct report *report, const struct location *at, const struct finding *f)
{
	json_t *location = json_object(), *logical = json_array();
	char name[NAME_BYTES];

	if (at->path) {
		json_t *physical =
			json_pack("{s:{s:o}}", "artifactLocation", "uri", uri_of(at->path));

		if (at->line)
			json_object_set_new(
				physical, "region", json_pack("{s:i}", "startLine", at->line));
		json_object_set_new(location, "physicalLocation", physical);
	}
	if (at->cell != NONE)
		json_array_append_new(
			logical, json_pack("{s:s,s:s}", "name", cell_name(report, at->cell, name),
					 "kind", "module"));
	if (function_name(&f->place))
		json_array_append_new(
			logical, json_pack("{s:o,s:s}", "name", json_text(f->place.function),
					 "kind", "function"));
	if (json_array_size(logical))
		json_object_set(location, "logicalLocations", logical);
	json_decref(logical);
	return location;
}

/* SARIF's words for what a baseline says of a finding. */
static const char *baseline_state(const struct diff *diff, const struct finding *f)
{
	const struct change *c = &diff->changes.at[diff->change_of_new[f - diff->new->findings.at]];

	return f->known ? "unchanged" : c->old.finding ? "updated" : "new";
}

static json_t *result_json(
	const struct check *check, const struct report *report, const struct finding *f)
{
	cleanup(freep) char *message = NULL;
	struct location at = {0};
	char fingerprint[24];
	json_t *result;

	if (location_find(report, f, &at) || asprintf(&message, "%s %s", f->message, f->advice) < 0)
		return NULL;
	snprintf(fingerprint, sizeof(fingerprint), "%016llx", (unsigned long long)f->fingerprint);
	result = json_pack("{s:s,s:i,s:s,s:{s:o},s:[o],s:{s:s},s:{s:o,s:o}}", "ruleId", f->rule->id,
		"ruleIndex", (int)(f->rule - rules), "level", level_of(f->severity), "message",
		"text", json_text(message), "locations", location_json(report, &at, f),
		"partialFingerprints", "awaitscope/v1", fingerprint, "properties", "costMs",
		f->costed ? json_real((double)(f->cost_ns / 1000) / 1000.0) : json_null(),
		"evidence", json_loads(f->evidence, 0, NULL));
	if (check->diff && !f->suppressed)
		json_object_set_new(
			result, "baselineState", json_string(baseline_state(check->diff, f)));
	if (f->suppressed)
		json_object_set_new(result, "suppressions",
			json_pack("[{s:s,s:o}]", "kind",
				strcmp(f->suppressed, IGNORE_COMMENT) ? "external" : "inSource",
				"justification", json_text(f->suppressed)));
	free(at.path);
	return result;
}

int check_sarif(const struct check *check, const struct report *report, FILE *out)
{
	json_t *results = json_array(), *root;
	int rc = 0;

	for (size_t i = 0; i < report->findings.n && !rc; i++)
		rc = json_array_append_new(
			results, result_json(check, report, &report->findings.at[i]));
	for (size_t i = 0; i < report->suppressed.n && !rc; i++)
		rc = json_array_append_new(
			results, result_json(check, report, &report->suppressed.at[i]));
	root = json_pack("{s:s,s:s,s:[{s:{s:{s:s,s:s,s:o}},s:[{s:b}],s:s,s:o}]}", "$schema",
		SCHEMA_URI, "version", "2.1.0", "runs", "tool", "driver", "name", "awaitscope",
		"version", AWAITSCOPE_VERSION, "rules", rules_json(), "invocations",
		"executionSuccessful", 1, "columnKind", "utf16CodeUnits", "results", results);
	if (rc || !root) {
		json_decref(root);
		return -ENOMEM;
	}
	rc = json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(15));
	json_decref(root);
	return rc || fputc('\n', out) == EOF ? -EIO : 0;
}
