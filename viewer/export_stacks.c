/* Where loop threads were while their loop was held, by the recorded samples: speedscope, folded
 * stacks. */
#include "viewer/export.h"

#include <errno.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"
#include "viewer/json_values.h"
#include "viewer/names.h"
#include "viewer/rule.h"

#define NS_PER_US 1000

/* ---- folded */

/* A frame must not hold what ends one; "fetch (app.py:12)". */
static void frame_print(const struct report *report, const struct place *place, FILE *out)
{
	cleanup(freep) char *raw = NULL, *safe = NULL;
	size_t size;
	FILE *text = open_memstream(&raw, &size);

	if (!text)
		return;
	fprintf(text, "%s (", place->function && *place->function ? place->function : "?");
	place_print(report, NONE, place, text);
	fputc(')', text);
	fclose(text);
	safe = text_for_terminal(raw, 0);
	for (const char *p = safe ? safe : "?"; *p; p++)
		fputc(*p == ';' ? ':' : *p, out);
}

static int folded_write(struct report *report, sqlite3_stmt *rows, frame_list *frames, FILE *out)
{
	cleanup(freep) char *thread = text_for_terminal(column_text(rows, 1), 0);
	uint64_t weight_us = column_ns(rows, 3) / NS_PER_US;
	int rc;

	if (!weight_us)
		return 0;
	frames->n = 0;
	rc = report_stack(report, sqlite3_column_int64(rows, 2), frames);
	if (rc)
		return rc;
	for (const char *p = thread ? thread : ""; *p; p++)
		fputc(*p == ';' ? ':' : *p, out);
	for (size_t i = frames->n; i; i--) {
		fputc(';', out);
		frame_print(report, &frames->at[i - 1].place, out);
	}
	fprintf(out, " %llu\n", (unsigned long long)weight_us);
	return 0;
}

int export_folded(struct report *report, FILE *out)
{
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	frame_list frames = {0};
	int rc = trace_rows(report->trace, QUERY_export_stack, &rows);

	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = folded_write(report, rows, &frames, out);
	free(frames.at);
	return rc;
}

/* ---- speedscope */

struct profile { /* of one thread, as it is filled */
	int64_t thread;
	json_t *samples, *weights;
	uint64_t total_ns;
};

struct speedscope {
	struct report *report;
	json_t *frames, *profiles;
	json_t *ids; /* "function\nfile\nline" → index in frames */
	frame_list stack;
	int64_t stack_id; /* of the last sample; neighbours are mostly alike */
	json_t *last;
	struct profile open;
	const char *name;
};

static json_t *frame_index(struct speedscope *s, const struct place *place)
{
	cleanup(freep) char *key = NULL, *valid = NULL;
	json_t *index;

	if (asprintf(&key, "%s\n%s\n%d", place->function ? place->function : "",
		    place->file ? place->file : "", place->line) < 0) {
		key = NULL;
		return NULL;
	}
	valid = text_to_utf8(key, strlen(key));
	index = valid ? json_object_get(s->ids, valid) : NULL;
	if (index || !valid)
		return json_incref(index);
	index = json_integer((json_int_t)json_array_size(s->frames));
	json_object_set(s->ids, valid, index);
	json_array_append_new(s->frames,
		json_pack("{s:o,s:o,s:i}", "name",
			json_text(place->function && *place->function ? place->function : "?"),
			"file", json_text(place->file ? place->file : "?"), "line", place->line));
	return index;
}

/* Outermost first. */
static int stack_make(struct speedscope *s, int64_t id)
{
	int rc = 0;

	if (s->last && s->stack_id == id)
		return 0;
	json_decref(s->last);
	s->last = json_array();
	s->stack_id = id;
	s->stack.n = 0;
	rc = report_stack(s->report, id, &s->stack);
	for (size_t i = s->stack.n; i && !rc; i--)
		rc = json_array_append_new(s->last, frame_index(s, &s->stack.at[i - 1].place))
			     ? -ENOMEM
			     : 0;
	return rc;
}

static int profile_close(struct speedscope *s)
{
	json_t *profile;

	if (!s->open.samples)
		return 0;
	profile = json_pack("{s:s,s:o,s:s,s:i,s:I,s:o,s:o}", "type", "sampled", "name",
		json_text(s->name), "unit", "nanoseconds", "startValue", 0, "endValue",
		(json_int_t)s->open.total_ns, "samples", s->open.samples, "weights",
		s->open.weights);
	s->open = (struct profile){0};
	return profile && !json_array_append_new(s->profiles, profile) ? 0 : -ENOMEM;
}

static int sample_take(struct speedscope *s, sqlite3_stmt *rows)
{
	int64_t thread = sqlite3_column_int64(rows, 0);
	uint64_t ns = column_ns(rows, 3);
	int rc = 0;

	if (!s->open.samples || s->open.thread != thread) {
		rc = profile_close(s);
		s->name = string_keep(&s->report->strings, column_text(rows, 1));
		s->open = (struct profile){
			.thread = thread, .samples = json_array(), .weights = json_array()};
	}
	if (!rc)
		rc = stack_make(s, sqlite3_column_int64(rows, 2));
	if (rc)
		return rc;
	s->open.total_ns += ns;
	if (json_array_append(s->open.samples, s->last) ||
		json_array_append_new(s->open.weights, json_integer((json_int_t)ns)))
		return -ENOMEM;
	return 0;
}

int export_speedscope(struct report *report, FILE *out)
{
	struct speedscope s = {.report = report,
		.frames = json_array(),
		.profiles = json_array(),
		.ids = json_object(),
		.name = ""};
	cleanup(rows_freep) sqlite3_stmt *rows = NULL;
	int rc = trace_rows(report->trace, QUERY_export_sample, &rows);
	json_t *root = NULL;

	while (!rc && (rc = trace_next(report->trace, rows)) == 1)
		rc = sample_take(&s, rows);
	if (!rc)
		rc = profile_close(&s);
	json_decref(s.open.samples);
	json_decref(s.open.weights);
	json_decref(s.ids);
	json_decref(s.last);
	free(s.stack.at);
	root = json_pack("{s:s,s:s,s:{s:o},s:o}", "$schema",
		"https://www.speedscope.app/file-format-schema.json", "exporter",
		"awaitscope@" AWAITSCOPE_VERSION, "shared", "frames", s.frames, "profiles",
		s.profiles);
	if (!rc && !root)
		rc = -ENOMEM;
	if (!rc && (json_dumpf(root, out, JSON_COMPACT) || fputc('\n', out) == EOF))
		rc = -EIO;
	json_decref(root);
	return rc;
}
