/* Takes findings that were decided about out of the list; each keeps who said so, for the counts.
 */
#include "viewer/suppress.h"

#include <ctype.h>
#include <errno.h>
#include <fnmatch.h>

#include "probe/base/cleanup.h"
#include "viewer/check.h"
#include "viewer/names.h"
#include "viewer/rule.h"
#include "viewer/source_text.h"

#define MARK "awaitscope:"
#define WORD "ignore"
#define ANY_FOLDER "**/"

struct sources { /* the file read last: findings of one file mostly follow one another */
	const char *path;
	char *text;
};

/* ---- the comment */

/* Where the comment of a line begins; a # in a string is none. NULL: it has none. */
static const char *comment_of(const char *line, const char *end)
{
	char quote = '\0';

	for (; line < end; line++) {
		if (quote && *line == '\\' && line + 1 < end)
			line++;
		else if (quote)
			quote = *line == quote ? '\0' : quote;
		else if (*line == '\'' || *line == '"')
			quote = *line;
		else if (*line == '#')
			return line;
	}
	return NULL;
}

static const char *blanks_skip(const char *p, const char *end)
{
	while (p < end && isblank((unsigned char)*p))
		p++;
	return p;
}

/* "AS101, blocking-network]": is the rule one of them? */
static bool is_listed(const char *p, const char *end, const struct rule *rule)
{
	const char *close = memchr(p, ']', (size_t)(end - p));

	while (close && p < close) {
		size_t n;

		p = blanks_skip(p, close);
		for (n = 0; p + n < close && p[n] != ',' && !isblank((unsigned char)p[n]); n++)
			;
		if ((n == strlen(rule->id) && !strncasecmp(p, rule->id, n)) ||
			(n == strlen(rule->name) && !strncasecmp(p, rule->name, n)))
			return true;
		p = blanks_skip(p + n, close);
		p += p < close;
	}
	return false;
}

/* Does the comment on this line of source (up to its end) name the rule, or no rule at all? */
static bool comment_ignores(const char *line, const struct rule *rule)
{
	const char *end = line + strcspn(line, "\n"), *p = comment_of(line, end);

	if (!p)
		return false;
	p = memmem(p, (size_t)(end - p), MARK, strlen(MARK));
	if (!p)
		return false;
	p = blanks_skip(p + strlen(MARK), end);
	if ((size_t)(end - p) < strlen(WORD) || strncmp(p, WORD, strlen(WORD)))
		return false;
	p += strlen(WORD);
	if (p < end && (isalnum((unsigned char)*p) || *p == '_' || *p == '-'))
		return false; /* another word */
	p = blanks_skip(p, end);
	return p < end && *p == '[' ? is_listed(p + 1, end, rule) : true;
}

static const char *line_at(const char *text, int line)
{
	while (--line > 0 && text)
		text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
	return text;
}

static bool is_ignored(
	const struct report *report, const struct finding *f, struct sources *sources)
{
	int cell = cell_of_file(report, f->place.file, f->cell);
	const char *text = NULL, *line;

	if (!f->place.file || !f->place.line)
		return false;
	if (cell != NONE) {
		text = report->cells.at[cell].source;
	} else {
		if (!sources->path || strcmp(sources->path, f->place.file)) {
			free(sources->text);
			sources->text = source_read(f->place.file);
			sources->path = f->place.file;
		}
		text = sources->text;
	}
	line = text ? line_at(text, f->place.line) : NULL;
	return line && comment_ignores(line, f->rule);
}

/* ---- the allowlist */

static bool matches(const char *pattern, const char *text)
{
	size_t any = strlen(ANY_FOLDER);

	return !fnmatch(pattern, text, 0) ||
	       (!strncmp(pattern, ANY_FOLDER, any) && !fnmatch(pattern + any, text, 0));
}

/* As it is, relative to the list's folder, and, for a pattern without /, its last part. */
static bool file_matches(const struct allowlist *list, const char *pattern, const char *path)
{
	size_t n = strlen(list->folder);
	const char *last = strrchr(path, '/');

	if (matches(pattern, path))
		return true;
	if (n > 1 && !strncmp(path, list->folder, n) && path[n] == '/' &&
		matches(pattern, path + n + 1))
		return true;
	return last && !strchr(pattern, '/') && matches(pattern, last + 1);
}

static bool is_allowed(const struct report *report, const struct finding *f,
	const struct allowlist *list, const struct allowance *a)
{
	int cell = f->place.file ? cell_of_file(report, f->place.file, f->cell) : f->cell;
	cleanup(freep) char *notebook =
		a->file && cell != NONE ? cell_notebook(report, cell) : NULL;
	const char *path = cell != NONE ? notebook : f->place.file;
	const char *function = f->place.function ? f->place.function : "";

	if (a->rule && a->rule != f->rule)
		return false;
	if (a->file && (!path || !*path || !file_matches(list, a->file, path)))
		return false;
	return !a->function || matches(a->function, function) ||
	       matches(a->function, name_last(function));
}

/* ---- both */

/* Who decided about it, kept; NULL: nobody. */
static int decided_by(
	struct report *report, const struct finding *f, struct sources *sources, const char **ret)
{
	struct allowlist *list = report->options->allow;
	cleanup(freep) char *text = NULL;

	*ret = NULL;
	if (is_ignored(report, f, sources)) {
		*ret = IGNORE_COMMENT;
		return 0;
	}
	for (size_t i = 0; list && i < list->entries.n; i++) {
		struct allowance *a = &list->entries.at[i];

		if (!is_allowed(report, f, list, a))
			continue;
		a->used++;
		if (asprintf(&text, "allow %zu of %s%s%s", i + 1, list->name, a->reason ? ": " : "",
			    a->reason ? a->reason : "") < 0) {
			text = NULL;
			return -ENOMEM;
		}
		*ret = string_keep(&report->strings, text);
		return *ret ? 0 : -ENOMEM;
	}
	return 0;
}

int findings_suppress(struct report *report)
{
	struct sources sources = {0};
	size_t kept = 0, n = report->findings.n;
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		struct finding f = report->findings.at[i], *at = NULL;

		if (!rc)
			rc = decided_by(report, &f, &sources, &f.suppressed);
		if (!rc && f.suppressed && !(at = list_add(&report->suppressed)))
			rc = -ENOMEM;
		if (at)
			*at = f;
		else
			report->findings.at[kept++] = f;
	}
	report->findings.n = kept;
	free(sources.text);
	return rc;
}
