/*
 * Where a finding is in the files that people have. A cell's code is a line of the notebook's JSON,
 * found by the cells' own text in order; in a script with cells, the text itself.
 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "viewer/check.h"
#include "viewer/names.h"
#include "viewer/source_text.h"

/* A line of source as notebooks write it, without the closing quote: "\"import os". */
static char *json_line(const char *line, size_t n)
{
	cleanup(freep) char *copy = strndup(line, n), *dumped = NULL;
	json_t *string = copy ? json_string(copy) : NULL;

	dumped = string ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
	json_decref(string);
	if (dumped)
		dumped[strlen(dumped) - 1] = '\0';
	return TAKE(dumped);
}

static int line_at(const char *text, const char *at)
{
	int line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
}

/*
 * The line of the cell's `line` in the notebook's text: after a "source" key all lines of the cell
 * follow one another. 0: it is not written so, or has changed.
 */
static int notebook_line(const char *text, const char *source, int line)
{
	for (const char *key = strstr(text, "\"source\""); key;
		key = strstr(key + 1, "\"source\"")) {
		const char *at = key, *next = strstr(key + 1, "\"source\""), *found = NULL;
		const char *from = source;

		for (int i = 1; at && *from; i++) {
			size_t n = strcspn(from, "\n");
			cleanup(freep) char *want = json_line(from, n);

			at = want ? strstr(at + 1, want) : NULL;
			if (at && next && at > next)
				at = NULL;
			if (i == line)
				found = at;
			from += n + (from[n] == '\n');
		}
		if (at && found)
			return line_at(text, found);
	}
	return 0;
}

static int script_line(const char *text, const char *source, int line)
{
	size_t n = strlen(source);
	cleanup(freep) char *trimmed = NULL;
	const char *at;

	while (n && source[n - 1] == '\n')
		n--;
	trimmed = strndup(source, n);
	at = trimmed && n ? strstr(text, trimmed) : NULL;
	return at ? line_at(text, at) + line - 1 : 0;
}

static char *path_relative(const char *path)
{
	char here[PATH_MAX];
	size_t n;

	if (!getcwd(here, sizeof(here)))
		return strdup(path);
	n = strlen(here);
	return strdup(n > 1 && !strncmp(path, here, n) && path[n] == '/' ? path + n + 1 : path);
}

int location_find(const struct report *report, const struct finding *finding, struct location *ret)
{
	int cell = finding->place.file ? cell_of_file(report, finding->place.file, finding->cell)
				       : finding->cell;
	struct location at = {.line = finding->place.line, .cell = finding->cell};
	const char *path = finding->place.file;
	cleanup(freep) char *text = NULL;

	if (cell != NONE) {
		const char *source = report->cells.at[cell].source;
		int line = at.line ? at.line : 1;

		path = *report->notebook ? report->notebook : NULL;
		text = path ? source_read(path) : NULL;
		at.line = !text          ? 0
			  : *text == '{' ? notebook_line(text, source, line)
					 : script_line(text, source, line);
	}
	at.path = path ? path_relative(path) : NULL;
	if (path && !at.path)
		return -ENOMEM;
	*ret = at;
	return 0;
}
