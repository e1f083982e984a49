/* See cell_magic.h. IPython/core/magics/execution.py@8.5 and @9.0: time, timeit, capture. */
#include "collector/cell_magic.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "collector/murmur.h"
#include "probe/base/cleanup.h"

#define BLANK " \t\f\r"
#define DIGITS "0123456789"

static const char *line_after(const char *line)
{
	const char *end = strchr(line, '\n');

	return end ? end + 1 : line + strlen(line);
}

static bool is_blank(const char *line)
{
	line += strspn(line, BLANK);
	return !*line || *line == '\n';
}

/* The text below a "%%magic" line; NULL: it has none. Blank lines above it do not count. */
static const char *body_of(const char *source, uint32_t *lines)
{
	while (*source && is_blank(source)) {
		source = line_after(source);
		++*lines;
	}
	if (strncmp(source, "%%", 2) != 0)
		return NULL;
	++*lines;
	return line_after(source);
}

/* IPython ends each cell with a line's end. */
static uint32_t hash_of(const char *body)
{
	size_t n = strlen(body);
	cleanup(freep) char *text = malloc(n + 2);

	if (!text)
		return 0;
	memcpy(text, body, n + 1);
	if (!n || text[n - 1] != '\n')
		text[n++] = '\n';
	return murmur2(text, n, MURMUR_CELL_SEED);
}

bool magic_is_name(const char *file)
{
	return !strcmp(file, "<timed exec>") || !strcmp(file, "<timed eval>") ||
	       !strcmp(file, "<magic-timeit>");
}

bool magic_body_is(const char *source, uint32_t hash, struct magic_shift *ret)
{
	*ret = (struct magic_shift){0};
	for (const char *body = source; (body = body_of(body, &ret->lines));)
		if (hash_of(body) == hash)
			return true;
	return false;
}

/* "-n1 -r 2 -o " */
static size_t options_size(const char *text)
{
	const char *at = text;

	while (*at == '-' ||
		(at > text && strspn(at, DIGITS) && strchr(BLANK, at[strspn(at, DIGITS)]))) {
		at += strcspn(at, " \t\n");
		at += strspn(at, BLANK);
	}
	return (size_t)(at - text);
}

/* The statement behind a line magic that times, on this line; NULL: none. */
static const char *timed_on(const char *line)
{
	const char *end = line_after(line);

	for (const char *p = line; (p = strstr(p, "%time")) && p < end; p++) {
		const char *word = p + strcspn(p, " \t\n"), *at = word;

		if (p > line && !strchr(BLANK "=", p[-1]))
			continue;
		at += strspn(at, BLANK);
		at += options_size(at);
		return at < end ? at : NULL;
	}
	return NULL;
}

/* The line magics of a cell that time something: the only one, or NULL. */
static const char *timed_statement(const char *source, struct magic_shift *ret)
{
	const char *found = NULL;
	uint32_t line_number = 0;

	for (const char *line = source; *line; line = line_after(line), line_number++) {
		const char *at = timed_on(line);

		if (at && found)
			return NULL;
		if (at)
			*ret = (struct magic_shift){line_number, (uint32_t)(at - line)};
		found = at ? at : found;
	}
	return found;
}

static const char *last_name(const char *function)
{
	const char *dot = strrchr(function, '.');

	return dot ? dot + 1 : function;
}

/* Does "def name" stand here, or behind decorators? */
static bool defines(const char *line, const char *name)
{
	size_t n = strlen(name);

	while (line[strspn(line, BLANK)] == '@')
		line = line_after(line);
	line += strspn(line, BLANK);
	line += strncmp(line, "async ", strlen("async ")) ? 0 : strlen("async ");
	if (strncmp(line, "def ", strlen("def ")) != 0)
		return false;
	line += strlen("def ");
	return !strncmp(line, name, n) && strchr("([ ", line[n]) && line[n];
}

/* Can code of this name begin on this line? */
static bool begins_on(const char *body, uint32_t line_number, const char *function, bool running)
{
	const char *name = last_name(function), *end, *word;

	if (!strcmp(name, "<module>") || !strcmp(function, "inner")) /* timeit's own function */
		return running;
	while (--line_number && *body)
		body = line_after(body);
	if (*name != '<')
		return defines(body, name);
	end = line_after(body);
	word = strstr(body, strcmp(name, "<lambda>") ? " for " : "lambda");
	return running && word && word < end;
}

bool magic_code_is(const char *source, const char *function, uint32_t firstlineno, bool running,
	struct magic_shift *ret)
{
	const char *body = source;

	*ret = (struct magic_shift){0};
	for (const char *next; (next = body_of(body, &ret->lines));)
		body = next;
	if (body == source)
		body = timed_statement(source, ret);
	return body && firstlineno && begins_on(body, firstlineno, function, running);
}
