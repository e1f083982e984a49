/*
 * Walks the text itself, since no JSON library tells where a value stood: after each "source" key
 * it decodes one string, or a list of strings, and compares. A quote in a string is escaped there,
 * so the key is not found inside a cell's own text.
 */
#include "viewer/notebook_text.h"

#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#define KEY "\"source\""

struct walk {             /* of one source */
	const char *at;   /* in the notebook's text */
	const char *left; /* of the cell's source: what has not been met yet */
	const char *found;
	int line, wanted; /* the source's line that begins next; the one to be found */
	bool equal;
};

static const char *skip(const char *p, const char *bytes)
{
	return p + strspn(p, bytes);
}

/* Past the closing quote; NULL: there is none. */
static const char *string_end(const char *p)
{
	for (p++; *p && *p != '"'; p++)
		if (*p == '\\' && !*++p)
			return NULL;
	return *p ? p + 1 : NULL;
}

/* One string of the source. */
static void part_take(struct walk *w)
{
	const char *end = string_end(w->at);
	json_t *string =
		end ? json_loadb(w->at, (size_t)(end - w->at), JSON_DECODE_ANY, NULL) : NULL;
	const char *text = string ? json_string_value(string) : NULL;
	size_t n = text ? strlen(text) : 0;

	w->equal = text && !strncmp(text, w->left, n);
	for (size_t i = 0; i < n && w->equal; i++) {
		if ((!i || text[i - 1] == '\n') && w->line == w->wanted && !w->found)
			w->found = w->at;
		w->line += text[i] == '\n';
	}
	if (w->equal) {
		w->left += n;
		w->at = end;
	}
	json_decref(string);
}

static bool source_take(struct walk *w)
{
	bool list = *w->at == '[';

	if (list)
		w->at = skip(w->at + 1, " \t\r\n");
	do {
		if (*w->at != '"')
			return false;
		part_take(w);
		if (!w->equal)
			return false;
		w->at = skip(w->at, " \t\r\n");
		if (!list || *w->at != ',')
			break;
		w->at = skip(w->at + 1, " \t\r\n");
	} while (true);
	return !*skip(w->left, "\n") && (!list || *w->at == ']');
}

int notebook_line(const char *text, const char *source, int line)
{
	for (const char *key = strstr(text, KEY); key; key = strstr(key + 1, KEY)) {
		struct walk w = {.left = source, .line = 1, .wanted = line};
		int found = 1;

		w.at = skip(key + strlen(KEY), " \t\r\n");
		if (*w.at != ':')
			continue;
		w.at = skip(w.at + 1, " \t\r\n");
		if (!source_take(&w) || !w.found)
			continue;
		for (const char *p = text; p < w.found; p++)
			found += *p == '\n';
		return found;
	}
	return 0;
}
