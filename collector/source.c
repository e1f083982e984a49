/*
 * Sources are read only to name a call. The recorder may be root while the path was chosen by the
 * target, so it shows a file's line only if the target's own user could read it, and opens nothing
 * that could block or act.
 */
#include "collector/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/map.h"
#include "collector/shorten.h"
#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define FILE_BYTES_MAX (4u << 20)
#define FILES_MAX 128u      /* kept; later ones are not read */
#define DATABASES_MAX 4096u /* files asked about; later ones are none */

struct source_cache {
	struct map
		files; /* by the address of the interned name; value: text, "" where not readable */
	struct map databases; /* the same; value: `yes` or `no` */
};

static char unreadable[] = "";

int source_cache_new(struct source_cache **ret)
{
	struct source_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return -ENOMEM;
	*ret = cache;
	return 0;
}

static void free_text(void *text, void *ctx)
{
	(void)ctx;
	if (text != unreadable)
		free(text);
}

void source_cache_free(struct source_cache *cache)
{
	if (!cache)
		return;
	map_each(&cache->files, free_text, NULL);
	map_free(&cache->files);
	map_free(&cache->databases);
	free(cache);
}

static bool may_show(const struct stat *st, uint32_t uid)
{
	if (!S_ISREG(st->st_mode) || st->st_size > FILE_BYTES_MAX)
		return false;
	/* Not root: the kernel has checked. Root: as the target's user would be. */
	return geteuid() != 0 || uid == 0 || st->st_uid == uid || st->st_mode & S_IROTH;
}

static char *read_file(const char *file, uint32_t uid)
{
	cleanup(closep) int fd = -1;
	cleanup(freep) char *bytes = NULL;
	struct stat st;
	size_t size = 0;
	ssize_t n;

	/* Asked first, so that opening has no effect on a device or a pipe. */
	if (file[0] != '/' || stat(file, &st) || !may_show(&st, uid))
		return NULL;
	fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) || !may_show(&st, uid))
		return NULL;
	bytes = malloc((size_t)st.st_size + 1);
	if (!bytes)
		return NULL;
	while (size < (size_t)st.st_size) {
		n = read(fd, bytes + size, (size_t)st.st_size - size);
		if (n <= 0)
			break;
		size += (size_t)n;
	}
	return text_to_utf8(bytes, size);
}

const char *source_of_file(struct source_cache *cache, const char *file, uint32_t uid)
{
	char *text = map_get(&cache->files, (uintptr_t)file);

	if (!text && cache->files.count < FILES_MAX) {
		text = read_file(file, uid);
		if (!text)
			text = unreadable;
		if (map_put(&cache->files, (uintptr_t)file, text)) {
			free_text(text, NULL);
			return NULL;
		}
	}
	return text == unreadable ? NULL : text;
}

/* "apilevel = ..." of a module, or an import of it from another part of the package. */
static bool defines_apilevel(const char *text)
{
	static const char name[] = "apilevel";

	for (const char *at = strstr(text, name); at; at = strstr(at + 1, name)) {
		const char *line = at, *after = at + strlen(name);

		while (line > text && line[-1] != '\n')
			line--;
		after += strspn(after, " \t");
		if (line == at && (*after == '=' || *after == ':'))
			return true;
		if (!strncmp(line, "from ", 5) && (strchr(",)#\r\n", *after)))
			return true;
	}
	return false;
}

static bool file_defines_apilevel(const char *file, uint32_t uid)
{
	cleanup(freep) char *text = read_file(file, uid);

	return text && defines_apilevel(text);
}

static bool find_apilevel(const char *file, uint32_t uid)
{
	char path[PATH_MAX];
	char *slash;

	if (snprintf(path, sizeof(path), "%s", file) >= (int)sizeof(path))
		return false;
	if (file_defines_apilevel(path, uid))
		return true;
	for (int up = 0; up < 2 && (slash = strrchr(path, '/')); up++) {
		const size_t left = sizeof(path) - (size_t)(slash - path);

		if (snprintf(slash, left, "/__init__.py") >= (int)left || access(path, R_OK))
			return false; /* no package, or no longer in it */
		if (file_defines_apilevel(path, uid))
			return true;
		*slash = '\0';
	}
	return false;
}

bool source_is_database(struct source_cache *cache, const char *file, uint32_t uid)
{
	static char yes[] = "yes", no[] = "no";
	char *known = map_get(&cache->databases, (uintptr_t)file);

	if (!known && cache->databases.count < DATABASES_MAX) {
		known = find_apilevel(file, uid) ? yes : no;
		if (map_put(&cache->databases, (uintptr_t)file, known))
			return false;
	}
	return known == yes;
}

static const char *line_at(const char *text, uint32_t line)
{
	for (uint32_t n = 1; n < line; n++) {
		text = strchr(text, '\n');
		if (!text)
			return NULL;
		text++;
	}
	return text;
}

static size_t line_length(const char *line)
{
	return strcspn(line, "\n");
}

/* First byte and end of the span; the whole line where columns are unknown or make no sense. */
static bool span_of(
	const char *text, const struct position *at, const char **ret_begin, const char **ret_end)
{
	const char *line = at->line ? line_at(text, at->line) : NULL;
	const char *last;

	if (!line)
		return false;
	*ret_begin = line;
	*ret_end = line + line_length(line);
	if (at->col < 0 || at->end_col < 0 || at->end_line < at->line ||
		(size_t)at->col > line_length(line))
		return true;
	last = line_at(line, at->end_line - at->line + 1);
	if (!last || (size_t)at->end_col > line_length(last) ||
		last + at->end_col <= line + at->col)
		return true;
	*ret_begin = line + at->col;
	*ret_end = last + at->end_col;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* "with guard:" says more than "guard". */
static const char *with_head(const char *line_begin, const char *begin)
{
	const char *p = line_begin;

	while (p < begin && is_blank(*p))
		p++;
	if (!strncmp(p, "async with ", 11) || !strncmp(p, "with ", 5))
		return p;
	return begin;
}

/* Of "for line in pipe: ..." and the like what is before the colon: the statement's own part. */
static const char *head_end(const char *begin, const char *end)
{
	static const char *const words[] = {"for ", "async for ", "with ", "async with "};
	size_t depth = 0;
	char quote = 0;
	bool compound = false;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		compound |= !strncmp(begin, words[i], strlen(words[i]));
	for (const char *p = begin; compound && p < end; p++) {
		if (quote && *p == '\\')
			p++;
		else if (quote && *p == quote)
			quote = 0;
		else if (!quote && (*p == '"' || *p == '\''))
			quote = *p;
		else if (!quote && strchr("([{", *p))
			depth++;
		else if (!quote && strchr(")]}", *p) && depth)
			depth--;
		else if (!quote && !depth && *p == ':')
			return p;
	}
	return end;
}

bool source_excerpt(const char *text, const struct position *at, char *buf, size_t size)
{
	const char *begin, *end;
	char line[512]; /* one line that people read is shorter */
	size_t n = 0;

	if (!span_of(text, at, &begin, &end))
		return false;
	if (!memchr(begin, '(', (size_t)(end - begin)))
		begin = with_head(line_at(text, at->line), begin);
	while (begin < end && is_blank(*begin))
		begin++;
	if (at->col >= 0)
		end = head_end(begin, end);
	for (const char *p = begin; p < end; p++) {
		bool blank = is_blank(*p);

		if (blank && (p + 1 == end || is_blank(p[1]) || strchr(")]}", p[1]) ||
				     (n && strchr("([{", line[n - 1]))))
			continue;
		if (n + 1 == sizeof(line))
			break;
		line[n++] = blank ? ' ' : *p;
	}
	line[n] = '\0';
	shorten(buf, size, "%s", line);
	return n > 0;
}
