/* Notebook formats 3 and 4 (nbformat's docs/format_description.rst). See notebook_cells.h. */
#include "collector/notebook_cells.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/murmur.h"
#include "probe/base/cleanup.h"

struct code_cell {
	char *source;
	size_t index;
	uint32_t hash;
};

struct notebook_cells {
	struct code_cell *cell;
	size_t count;
};

static void json_freep(json_t **json)
{
	json_decref(*json);
}

void notebook_cells_free(struct notebook_cells *cells)
{
	if (!cells)
		return;
	for (size_t i = 0; i < cells->count; i++)
		free(cells->cell[i].source);
	free(cells->cell);
	free(cells);
}

static void notebook_cells_freep(struct notebook_cells **cells)
{
	notebook_cells_free(*cells);
}

/* A text, or the list of its lines. malloc'd; NULL: neither. */
static char *source_text(const json_t *source)
{
	const json_t *line;
	char *text = NULL;
	size_t size, i;
	FILE *out;

	if (json_is_string(source))
		return strdup(json_string_value(source));
	if (!json_is_array(source))
		return NULL;
	out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	json_array_foreach(source, i, line)
	{
		if (json_is_string(line))
			fputs(json_string_value(line), out);
	}
	if (fclose(out)) { /* only now is the text where it stays */
		free(text);
		return NULL;
	}
	return text;
}

static int cell_add(struct notebook_cells *cells, const json_t *cell, size_t index)
{
	const char *type = json_string_value(json_object_get(cell, "cell_type"));
	const json_t *source = json_object_get(cell, "source");
	struct code_cell *more;
	char *text;

	if (!type || strcmp(type, "code"))
		return 0;
	text = source_text(source ? source : json_object_get(cell, "input")); /* format 3 */
	if (!text)
		return 0;
	more = reallocarray(cells->cell, cells->count + 1, sizeof(*more));
	if (!more) {
		free(text);
		return -ENOMEM;
	}
	cells->cell = more;
	more[cells->count++] =
		(struct code_cell){text, index, murmur2(text, strlen(text), MURMUR_CELL_SEED)};
	return 0;
}

int notebook_cells_read(const char *path, struct notebook_cells **ret)
{
	cleanup(notebook_cells_freep) struct notebook_cells *cells = calloc(1, sizeof(*cells));
	cleanup(json_freep) json_t *json = NULL;
	cleanup(fclosep) FILE *file = fopen(path, "re");
	const json_t *list, *cell;
	size_t i;
	int rc = cells ? 0 : -ENOMEM;

	if (!file)
		return -errno;
	json = json_loadf(file, JSON_ALLOW_NUL, NULL);
	list = json_object_get(json, "cells");
	if (!list) /* format 3 */
		list = json_object_get(
			json_array_get(json_object_get(json, "worksheets"), 0), "cells");
	if (!json_is_array(list))
		return -EPROTO;
	json_array_foreach(list, i, cell)
	{
		if (!rc)
			rc = cell_add(cells, cell, i);
	}
	if (!rc)
		*ret = TAKE(cells);
	return rc;
}

int notebook_cells_find(
	const struct notebook_cells *cells, unsigned long hash, struct notebook_cell *ret)
{
	struct notebook_cell found = {0};

	for (size_t i = 0; i < cells->count; i++) {
		const struct code_cell *cell = &cells->cell[i];

		if (cell->hash != hash)
			continue;
		if (found.source)
			found.alike += !strcmp(found.source, cell->source);
		else
			found = (struct notebook_cell){cell->source, cell->index, 0};
	}
	if (!found.source)
		return -ENOENT;
	*ret = found;
	return 0;
}
