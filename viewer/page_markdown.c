/* A page in GitHub's Markdown. */
#include "viewer/page.h"

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define FENCE_LEAST 3

void markdown_print(FILE *out, const char *raw)
{
	cleanup(freep) char *text = page_text(raw);

	for (const char *p = text ? text : ""; *p; p++) {
		if (*p == '&')
			fputs("&amp;", out);
		else if (*p == '<')
			fputs("&lt;", out);
		else if (*p == '\n')
			fputc(' ', out);
		else if (strchr("\\`*_[]|#@!~", *p))
			fprintf(out, "\\%c", *p);
		else
			fputc(*p, out);
	}
}

char *page_text(const char *raw)
{
	char *safe = NULL;
	size_t size;
	FILE *out = open_memstream(&safe, &size);

	while (out && *raw) {
		size_t n = strcspn(raw, "\t\n");
		cleanup(freep) char *part = strndup(raw, n);
		cleanup(freep) char *shown = part ? text_for_terminal(part, 0) : NULL;

		fputs(shown ? shown : "", out);
		if (raw[n])
			fputs(raw[n] == '\t' ? "    " : "\n", out);
		raw += n + (raw[n] != '\0');
	}
	if (!out || fclose(out))
		return NULL;
	return safe;
}

static void begin(FILE *out, const char *title)
{
	fputs("# ", out);
	markdown_print(out, title);
	fputs("\n\n", out);
}

static void heading(FILE *out, const char *text)
{
	fputs("## ", out);
	markdown_print(out, text);
	fputs("\n\n", out);
}

static void marked(FILE *out, enum page_mark mark, const char *text)
{
	const char *around = mark == MARK_strong && *text ? "**" : "";

	fputs(around, out);
	markdown_print(out, text);
	fputs(around, out);
}

static void paragraph(FILE *out, enum page_mark mark, const char *text)
{
	marked(out, mark, text);
	fputs("\n\n", out);
}

static void table_begin(FILE *out, const char *const *titles, bool prose)
{
	(void)prose;
	for (const char *const *t = titles; *t; t++)
		fprintf(out, "| %s ", *t);
	fputs("|\n", out);
	for (const char *const *t = titles; *t; t++)
		fputs("|---", out);
	fputs("|\n", out);
}

static void row_begin(FILE *out)
{
	(void)out;
}

static void cell(FILE *out, enum page_mark mark, const char *text)
{
	fputs("| ", out);
	marked(out, mark, text);
	fputc(' ', out);
}

static void row_end(FILE *out)
{
	fputs("|\n", out);
}

static void table_end(FILE *out)
{
	fputc('\n', out);
}

/* A fence longer than any run of backticks in it. */
static void source(FILE *out, const char *name, const char *raw)
{
	cleanup(freep) char *text = page_text(raw);
	int fence = FENCE_LEAST, run = 0;

	for (const char *p = text ? text : ""; *p; p++) {
		run = *p == '`' ? run + 1 : 0;
		fence = run >= fence ? run + 1 : fence;
	}
	paragraph(out, MARK_strong, name);
	for (int i = 0; i < fence; i++)
		fputc('`', out);
	fprintf(out, "python\n%s\n", text ? text : "");
	for (int i = 0; i < fence; i++)
		fputc('`', out);
	fputs("\n\n", out);
}

static void list_begin(FILE *out, size_t depth)
{
	(void)out;
	(void)depth;
}

static void item_begin(FILE *out, size_t depth, enum page_mark mark, const char *text)
{
	fprintf(out, "%*s- ", (int)(2 * depth), "");
	marked(out, mark, text);
	fputc('\n', out);
}

static void item_end(FILE *out, size_t depth)
{
	(void)out;
	(void)depth;
}

static void list_end(FILE *out, size_t depth)
{
	if (!depth)
		fputc('\n', out);
}

static void end(FILE *out)
{
	(void)out;
}

const struct page_form page_markdown = {
	.begin = begin,
	.heading = heading,
	.paragraph = paragraph,
	.table_begin = table_begin,
	.row_begin = row_begin,
	.cell = cell,
	.row_end = row_end,
	.table_end = table_end,
	.source = source,
	.list_begin = list_begin,
	.item_begin = item_begin,
	.item_end = item_end,
	.list_end = list_end,
	.end = end,
};
