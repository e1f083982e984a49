/*
 * Where a finding is in the files that people have. A cell's code is a line of the notebook's JSON,
 * found by the cells' own text in order; in a script with cells, the text itself.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "viewer/check.h"
#include "viewer/names.h"
#include "viewer/notebook_text.h"
#include "viewer/source_text.h"

#define NOTEBOOK_END ".ipynb"
#define NOTEBOOKS_MOST 100 /* of one folder; what is in others has no place in a file */

static int line_at(const char *text, const char *at)
{
	int line = 1;

	for (; text < at; text++)
		line += *text == '\n';
	return line;
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

static bool is_notebook(const char *path)
{
	size_t n = strlen(path), end = strlen(NOTEBOOK_END);

	return n > end && !strcmp(path + n - end, NOTEBOOK_END);
}

static bool holds(const char *path, const char *source)
{
	cleanup(freep) char *text = is_notebook(path) ? source_read(path) : NULL;

	return text && notebook_line(text, source, 1) > 0;
}

static void dir_close(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

/* That one of the folder's notebooks; NULL: none, or no folder. */
static char *notebook_in(const char *folder, const char *source)
{
	cleanup(dir_close) DIR *dir = opendir(folder);
	const struct dirent *entry;
	int left = NOTEBOOKS_MOST;

	while (dir && left && (entry = readdir(dir))) {
		cleanup(freep) char *path = NULL;

		if (*entry->d_name == '.' || !is_notebook(entry->d_name))
			continue;
		if (asprintf(&path, "%s%s%s", folder, folder[strlen(folder) - 1] == '/' ? "" : "/",
			    entry->d_name) < 0) {
			path = NULL;
			return NULL;
		}
		if (holds(path, source))
			return TAKE(path);
		left--;
	}
	return NULL;
}

/* A word of a command line: a notebook, or a folder of them. The word is a name, not a pattern. */
static char *notebook_at(const char *word, const char *source)
{
	if (*word == '-' || !*word)
		return NULL;
	if (is_notebook(word))
		return holds(word, source) ? strdup(word) : NULL;
	return notebook_in(word, source);
}

char *cell_notebook(const struct report *report, int cell)
{
	char *found = NULL;

	if (*report->notebook)
		return strdup(report->notebook);
	for (size_t i = 0; i < report->processes.n && !found; i++) {
		json_t *argv = json_loads(report->processes.at[i].argv, 0, NULL), *word;
		size_t k;

		json_array_foreach(argv, k, word) if (k && !found && json_is_string(word)) found =
			notebook_at(json_string_value(word), report->cells.at[cell].source);
		json_decref(argv);
	}
	return found;
}

static char *path_relative(const char *path)
{
	char here[PATH_MAX];
	size_t n;

	while (path[0] == '.' && path[1] == '/')
		path += 2;
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
	cleanup(freep) char *text = NULL, *notebook = NULL;

	if (cell != NONE) {
		const char *source = report->cells.at[cell].source;
		int line = at.line ? at.line : 1;

		path = notebook = cell_notebook(report, cell);
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
