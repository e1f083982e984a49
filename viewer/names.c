/* Names of cells and places. A cell's file name (/tmp/ipykernel_1234/567.py) is never shown. */
#include "viewer/names.h"

#include <inttypes.h>
#include <limits.h>
#include <unistd.h>

char *cell_name(const struct report *report, int cell, char buf[NAME_BYTES])
{
	int count = report->cells.at[cell].execution_count;

	snprintf(buf, NAME_BYTES, count == NONE ? "cell %d" : "In [%d]", count == NONE ? cell + 1 : count);
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

static const char *relative(const char *file)
{
	char here[PATH_MAX];
	size_t n;

	if (!getcwd(here, sizeof(here)))
		return file;
	n = strlen(here);
	return n > 1 && !strncmp(file, here, n) && file[n] == '/' && file[n + 1] ? file + n + 1 : file;
}

void place_print(const struct report *report, int near, const struct place *place, FILE *out)
{
	int cell = cell_of_file(report, place->file, near);
	char name[NAME_BYTES];

	if (!place->file) {
		fputc('?', out);
		return;
	}
	fputs(cell == NONE ? relative(place->file) : cell_name(report, cell, name), out);
	if (place->line)
		fprintf(out, ":%d", place->line);
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
	static const char *const words[] = {"never", "once", "twice", "three times", "four times", "five times", "six times"};

	if (count < sizeof(words) / sizeof(*words))
		fputs(words[count], out);
	else
		fprintf(out, "%" PRIu64 " times", count);
}

void count_print(uint64_t count, const char *noun, FILE *out)
{
	fprintf(out, "%" PRIu64 " %s%s", count, noun, count == 1 ? "" : "s");
}
