/* A difference as one object: stable keys, times in ms rounded to 1 µs. */
#include "viewer/diff.h"
#include "viewer/json_values.h"

#include <errno.h>

#include "probe/base/cleanup.h"

#define DIFF_SCHEMA 1
#define REAL_DIGITS 15

static const char *const kinds[] = {
	[CHANGE_none] = "none",
	[CHANGE_note] = "note",
	[CHANGE_aside] = "set aside",
	[CHANGE_better] = "better",
	[CHANGE_worse] = "worse",
};

static json_t *index_json(int index)
{
	return index == NONE ? json_null() : json_integer(index);
}

static json_t *words(const struct diff *diff, const struct change *c,
	void (*print)(const struct diff *, FILE *),
	void (*print_change)(const struct diff *, const struct change *, FILE *))
{
	cleanup(freep) char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (!out)
		return NULL;
	if (print)
		print(diff, out);
	else
		print_change(diff, c, out);
	return fclose(out) ? NULL : json_text(line);
}

static json_t *side_json(const struct change *c, const struct side *s)
{
	if (c->rule && !s->finding)
		return json_null();
	if (!c->rule)
		return s->status ? json_pack("{s:o}", "status", json_text(s->status))
				 : json_pack("{s:o}", "ms", json_ms(s->cost_ns));
	return json_pack("{s:I,s:o,s:s}", "count", (json_int_t)s->count, "cost_ms",
		s->costed ? json_ms(s->cost_ns) : json_null(), "severity",
		severity_name(s->severity));
}

static json_t *change_json(const struct diff *diff, const struct change *c)
{
	const struct finding *f = c->new.finding ? c->new.finding : c->old.finding;
	json_t *o = json_pack("{s:s,s:o,s:o,s:o}", "change", kinds[c->kind], "where",
		words(diff, c, NULL, change_where), "old", side_json(c, &c->old), "new",
		side_json(c, &c->new));

	if (!o)
		return NULL;
	json_object_set_new(o, "rule", c->rule ? json_string(c->rule->id) : json_null());
	json_object_set_new(o, "name", c->rule ? json_string(c->rule->name) : json_null());
	json_object_set_new(o, "measure", c->measure ? json_string(c->measure) : json_null());
	json_object_set_new(o, "cell_old", index_json(c->cells ? c->unit[0] : NONE));
	json_object_set_new(o, "cell", index_json(c->cells ? c->unit[1] : NONE));
	json_object_set_new(o, "file", json_text_or_null(f ? f->place.file : NULL));
	json_object_set_new(
		o, "line", f && f->place.line ? json_integer(f->place.line) : json_null());
	json_object_set_new(o, "function", json_text_or_null(f ? f->place.function : NULL));
	json_object_set_new(o, "message", json_text_or_null(f ? f->message : NULL));
	return o;
}

static json_t *side_trace(const struct diff *diff, int side)
{
	const struct report *report = side ? diff->new : diff->old;

	return json_pack("{s:o,s:o,s:o,s:f}", "path", json_text(trace_path(report->trace)),
		"started_at", json_text(report->started_at), "duration_ms",
		json_ms(report->duration_ns), "starved_share",
		(double)(long long)(diff->starved_share[side] * 1e6 + 0.5) / 1e6);
}

static json_t *changes_json(const struct diff *diff)
{
	json_t *array = json_array();

	for (size_t i = 0; i < diff->changes.n; i++)
		if (diff->changes.at[i].kind != CHANGE_none &&
			json_array_append_new(array, change_json(diff, &diff->changes.at[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

int diff_json(const struct diff *diff, FILE *out)
{
	json_t *root = json_pack("{s:s,s:i,s:o,s:o,s:o,s:I,s:I,s:I,s:b,s:o,s:o}", "awaitscope",
		AWAITSCOPE_VERSION, "schema", DIFF_SCHEMA, "old", side_trace(diff, 0), "new",
		side_trace(diff, 1), "verdict", words(diff, NULL, diff_verdict, NULL), "worse",
		(json_int_t)diff->worse, "better", (json_int_t)diff->better, "set_aside",
		(json_int_t)diff->aside, "starved", diff->starved, "remarks",
		words(diff, NULL, diff_remarks, NULL), "changes", changes_json(diff));
	int rc;

	if (!root)
		return -ENOMEM;
	rc = json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(REAL_DIGITS));
	json_decref(root);
	return rc || fputc('\n', out) == EOF ? -EIO : 0;
}
