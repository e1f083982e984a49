/* Reads files that a trace names, and finds loops in Python's text by its indentation. */
#include "viewer/source_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "probe/base/cleanup.h"

#define INDENT_TAB 8
#define FILE_MOST (64 << 20) /* bytes; of a larger one nothing is told */

char *source_read(const char *path)
{
	cleanup(freep) char *text = NULL;
	FILE *file;
	struct stat st;
	size_t n;

	if (stat(path, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MOST)
		return NULL;
	file = fopen(path, "re");
	text = file ? malloc((size_t)st.st_size + 1) : NULL;
	n = text ? fread(text, 1, (size_t)st.st_size, file) : 0;
	if (text)
		text[n] = '\0';
	if (file)
		fclose(file);
	return TAKE(text);
}

struct text_line {
	const char *at;
	size_t n, indent;
};

static struct text_line line_of(const char *source, int line)
{
	struct text_line l = {.at = source};

	for (; line > 1 && *l.at; line--) {
		l.at += strcspn(l.at, "\n");
		l.at += *l.at == '\n';
	}
	l.n = strcspn(l.at, "\n");
	for (; l.n && isblank((unsigned char)*l.at); l.at++, l.n--)
		l.indent += *l.at == '\t' ? INDENT_TAB : 1;
	for (size_t i = 1; i + 1 < l.n; i++)
		if (l.at[i] == '#' && isblank((unsigned char)l.at[i - 1]))
			l.n = i; /* a comment */
	while (l.n && isspace((unsigned char)l.at[l.n - 1]))
		l.n--;
	return l;
}

static bool begins(const struct text_line *l, const char *word)
{
	size_t n = strlen(word);

	return l->n > n && !strncmp(l->at, word, n) && !isalnum((unsigned char)l->at[n]);
}

static bool has(const struct text_line *l, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= l->n; i++)
		if (!strncmp(l->at + i, word, n))
			return true;
	return false;
}

/* "for x in xs" below a line of its own in brackets. */
static bool is_comprehension(const char *source, int line, const struct text_line *here)
{
	struct text_line next = line_of(source, line + 1);

	return next.n && next.indent == here->indent && next.at[next.n - 1] != ':' &&
	       (begins(&next, "for") || begins(&next, "async for"));
}

bool source_awaits_in_loop(const char *source, int line)
{
	struct text_line here = line_of(source, line);
	size_t indent = here.indent;

	if (!has(&here, "await ") && !has(&here, "async "))
		return false;
	if (has(&here, " for ") && (has(&here, "await ") || !has(&here, "async for ")))
		return true; /* and not `async for` itself, whose items come in their order */
	if (is_comprehension(source, line, &here))
		return true;
	for (int i = line - 1; i > 0; i--) {
		struct text_line l = line_of(source, i);

		if (!l.n || *l.at == '#' || l.indent >= indent)
			continue;
		indent = l.indent;
		if (begins(&l, "for") || begins(&l, "while") || begins(&l, "async for"))
			return true;
		if (begins(&l, "def") || begins(&l, "async def") || begins(&l, "class"))
			return false;
	}
	return false;
}

/* Does this line begin the definition of that function? */
static bool defines(const struct text_line *l, const char *keyword, const char *name)
{
	size_t k = strlen(keyword), n = strlen(name);
	const char *at = l->at + k;

	if (!begins(l, keyword))
		return false;
	for (; isblank((unsigned char)*at); at++)
		;
	return !strncmp(at, name, n) && !isalnum((unsigned char)at[n]) && at[n] != '_';
}

bool source_in_plain_function(const char *source, int line, const char *name)
{
	struct text_line l = line_of(source, line);
	size_t indent = l.indent + 1;

	for (int i = line; i > 0; i--) {
		l = line_of(source, i);
		if (!l.n || *l.at == '#' || l.indent >= indent)
			continue;
		indent = l.indent;
		if (begins(&l, "def") || begins(&l, "async def"))
			return defines(&l, "def", name);
	}
	return false;
}
