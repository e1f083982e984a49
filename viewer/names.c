/* Names of cells and places. A cell's file name (/tmp/ipykernel_1234/567.py) is never shown. */
#include "viewer/names.h"

#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

#include <jansson.h>

#include "probe/base/units.h"

char *cell_name(const struct report *report, int cell, char buf[NAME_BYTES])
{
	int count = report->cells.at[cell].execution_count;

	snprintf(buf, NAME_BYTES, count == NONE ? "cell %d" : "In [%d]",
		count == NONE ? cell + 1 : count);
	return buf;
}

static bool is_source(const struct report *report, int cell, const char *file)
{
	const char *name = cell == NONE ? NULL : report->cells.at[cell].filename;

	return name && !strcmp(name, file);
}

int cell_of_file(const struct report *report, const char *file, int near)
{
	if (!file)
		return NONE;
	for (int i = near; i > NONE; i--)
		if (is_source(report, i, file))
			return i;
	for (int i = 0; i < (int)report->cells.n; i++)
		if (is_source(report, i, file))
			return i;
	return NONE;
}

const char *library_path(const char *file)
{
	static const char *const roots[] = {"/site-packages/", "/dist-packages/"};
	const char *found;

	for (size_t i = 0; i < sizeof(roots) / sizeof(*roots); i++) {
		found = strstr(file, roots[i]);
		if (found)
			return found + strlen(roots[i]);
	}
	found = strstr(file, "/lib/python3.");
	found = found ? strchr(found + strlen("/lib/python3."), '/') : NULL;
	return found ? found + 1 : NULL;
}

const char *path_shown(const char *file)
{
	const char *library = library_path(file);
	char here[PATH_MAX];
	size_t n;

	if (library)
		return library;
	if (!getcwd(here, sizeof(here)))
		return file;
	n = strlen(here);
	return n > 1 && !strncmp(file, here, n) && file[n] == '/' && file[n + 1] ? file + n + 1
										 : file;
}

void place_print(const struct report *report, int near, const struct place *place, FILE *out)
{
	int cell = cell_of_file(report, place->file, near);
	char name[NAME_BYTES];

	if (!place->file) {
		fputc('?', out);
		return;
	}
	fputs(cell == NONE ? path_shown(place->file) : cell_name(report, cell, name), out);
	if (place->line)
		fprintf(out, ":%d", place->line);
}

char *site_place_text(const struct report *report, const struct site *site)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	if (site->by_loop)
		fputs("the loop itself", out);
	else
		place_print(report, site->cell, &site->place, out);
	if (site->caller.file) {
		fputs(", from ", out);
		place_print(report, site->cell, &site->caller, out);
	}
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

const char *leak_words(const char *reason)
{
	return strcmp(reason, "cancelled_at_shutdown") ? reason : "cut off at shutdown";
}

char *threshold_text(uint64_t ns, char buf[NAME_BYTES])
{
	char *end, *zero;

	duration_format(ns, buf, NAME_BYTES);
	zero = strchr(buf, '.');
	end = strchr(buf, ' ');
	if (zero && end && strspn(zero + 1, "0") == (size_t)(end - zero - 1))
		memmove(zero, end, strlen(end) + 1);
	return buf;
}

/* The script of a python command line, the module of -m; NULL where there is none. */
static const char *script_of(const json_t *argv)
{
	size_t i;
	const json_t *item;

	json_array_foreach(argv, i, item)
	{
		const char *word = json_string_value(item);

		if (!i || !word)
			continue;
		if (!strcmp(word, "-m"))
			return json_string_value(json_array_get(argv, i + 1));
		if (!strcmp(word, "-c"))
			return NULL;
		if (*word != '-')
			return strrchr(word, '/') ? strrchr(word, '/') + 1 : word;
	}
	return NULL;
}

void program_print(const struct report *report, int loop, FILE *out)
{
	int process = loop == NONE ? NONE : report->loops.at[loop].process;
	json_t *argv =
		process == NONE ? NULL : json_loads(report->processes.at[process].argv, 0, NULL);
	const char *script = script_of(argv);

	if (process != NONE && report->processes.at[process].is_kernel)
		script = "The kernel";
	fputs(script && *script ? script : "The program", out);
	if (process != NONE && report->processes.n > 1)
		fprintf(out, " (pid %lld)", report->processes.at[process].pid);
	json_decref(argv);
}

char *command_text(const char *argv)
{
	json_t *array = json_loads(argv, 0, NULL), *item;
	char *text = NULL;
	size_t size, i;
	FILE *out = open_memstream(&text, &size);

	if (!out) {
		json_decref(array);
		return NULL;
	}
	json_array_foreach(array, i, item)
	{
		const char *word = json_string_value(item);
		const char *slash = word && !i ? strrchr(word, '/') : NULL;

		fprintf(out, "%s%s", i ? " " : "", slash ? slash + 1 : word ? word : "?");
	}
	json_decref(array);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

const char *function_name(const struct place *place)
{
	if (!place->function || !*place->function || !strcmp(place->function, "<module>") ||
		!strncmp(place->function, "<cell line:", 11))
		return NULL;
	return place->function;
}

void times_print(uint64_t count, FILE *out)
{
	static const char *const words[] = {
		"never", "once", "twice", "three times", "four times", "five times", "six times"};

	if (count < sizeof(words) / sizeof(*words))
		fputs(words[count], out);
	else
		fprintf(out, "%" PRIu64 " times", count);
}

void count_print(uint64_t count, const char *noun, FILE *out)
{
	fprintf(out, "%" PRIu64 " %s%s", count, noun, count == 1 ? "" : "s");
}
