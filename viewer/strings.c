/* A set of texts. Many rows name the same few files, calls and functions. */
#include "viewer/strings.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static size_t hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3;
	return (size_t)(h ^ h >> 32);
}

static char **find(char **slot, size_t room, const char *text)
{
	size_t i = hash(text) & (room - 1);

	while (slot[i] && strcmp(slot[i], text))
		i = (i + 1) & (room - 1);
	return &slot[i];
}

static int grow(struct strings *set)
{
	size_t room = set->room ? set->room * 2 : 256;
	char **slot = calloc(room, sizeof(*slot));

	if (!slot)
		return -1;
	for (size_t i = 0; i < set->room; i++)
		if (set->slot[i])
			*find(slot, room, set->slot[i]) = set->slot[i];
	free(set->slot);
	set->slot = slot;
	set->room = room;
	return 0;
}

const char *string_keep(struct strings *set, const char *text)
{
	char **slot;

	if (set->n * 2 >= set->room && grow(set))
		return NULL;
	slot = find(set->slot, set->room, text);
	if (!*slot) {
		*slot = strdup(text);
		set->n += *slot != NULL;
	}
	return *slot;
}

void strings_free(struct strings *set)
{
	for (size_t i = 0; i < set->room; i++)
		free(set->slot[i]);
	free(set->slot);
	*set = (struct strings){0};
}
