/* Terminals: colours, widths, and a plain form of every glyph for those that know no UTF-8. */
#include "viewer/screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define WIDTH_DEFAULT 100
#define WIDTH_LEAST 40 /* narrower terminals wrap by themselves */
#define WIDTH_MOST 140
#define UNIT_BYTES 3 /* ms, µs, min, % */
#define INDENT 2
#define GAP 2 /* between columns */

static const char *const style_codes[STYLE_COUNT] = {
	[STYLE_bold] = "\033[1m",
	[STYLE_dim] = "\033[2m",
	[STYLE_red] = "\033[1;31m",
};

static const struct glyph {
	const char *text, *plain, *color;
} glyphs[] = {
	{GLYPH_BLOCKED, "#", "\033[31m"},
	{GLYPH_CPU, "=", "\033[33m"},
	{GLYPH_WAIT, "-", "\033[35m"},
	{GLYPH_UNKNOWN, ".", "\033[2m"},
	{"…", "~", NULL},
	{"µ", "u", NULL},
	{"×", "x", NULL},
};

static bool is_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8 = locale && !strcmp(nl_langinfo_l(CODESET, locale), "UTF-8");

	if (locale)
		freelocale(locale);
	return utf8;
}

static size_t width_bound(size_t width)
{
	if (!width)
		return WIDTH_DEFAULT;
	return width < WIDTH_LEAST ? WIDTH_LEAST : width > WIDTH_MOST ? WIDTH_MOST : width;
}

void screen_init(struct screen *screen, FILE *out, bool no_color)
{
	const char *forbidden = getenv("NO_COLOR"); /* no-color.org: present and not empty */
	const char *term = getenv("TERM"), *columns = getenv("COLUMNS");
	bool tty = isatty(fileno(out));
	struct winsize size;

	*screen = (struct screen){.out = out, .width = WIDTH_DEFAULT};
	if (!tty) { /* a log: as wide as whoever shows it says */
		screen->width = width_bound(columns ? (size_t)strtoul(columns, NULL, 10) : 0);
		return;
	}
	screen->color = !no_color && !(forbidden && *forbidden) && term && strcmp(term, "dumb");
	screen->ascii = !is_utf8();
	if (!ioctl(fileno(out), TIOCGWINSZ, &size) && size.ws_col)
		screen->width = width_bound(size.ws_col);
}

static const struct glyph *glyph_at(const char *text)
{
	for (size_t i = 0; i < sizeof(glyphs) / sizeof(*glyphs); i++)
		if (!strncmp(text, glyphs[i].text, strlen(glyphs[i].text)))
			return &glyphs[i];
	return NULL;
}

static size_t sequence_length(const char *p)
{
	size_t n = 1;

	while (((unsigned char)p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static void style_begin(struct screen *screen, enum style style)
{
	if (screen->color && style_codes[style])
		fputs(style_codes[style], screen->out);
}

static void style_end(struct screen *screen, enum style style)
{
	if (screen->color && style_codes[style])
		fputs("\033[0m", screen->out);
}

/* One character as this screen can show it. */
static void character_put(struct screen *screen, enum style style, const char *p, size_t n)
{
	const struct glyph *glyph = n > 1 ? glyph_at(p) : NULL;
	bool painted = screen->color && style == STYLE_bar && glyph && glyph->color;

	if (painted)
		fputs(glyph->color, screen->out);
	if (!screen->ascii || n == 1)
		fwrite(p, 1, n, screen->out);
	else
		fputs(glyph ? glyph->plain : "?", screen->out);
	if (painted)
		fputs("\033[0m", screen->out);
}

static void put_bytes(struct screen *screen, enum style style, const char *text, size_t n)
{
	for (size_t i = 0; i < n;) {
		size_t len = sequence_length(text + i);

		character_put(screen, style, text + i, len);
		i += len;
	}
}

void screen_put(struct screen *screen, enum style style, const char *text)
{
	style_begin(screen, style);
	put_bytes(screen, style, text, strlen(text));
	style_end(screen, style);
}

static void spaces(struct screen *screen, size_t n)
{
	fprintf(screen->out, "%*s", (int)n, "");
}

/* Columns of the n bytes at text. */
static size_t width_of(const char *text, size_t n)
{
	char *copy = strndup(text, n);
	size_t width = copy ? text_width(copy) : n;

	free(copy);
	return width;
}

/* Bytes of the next word; a number and its unit are one, and so is "In [3]". */
static size_t word_length(const char *text)
{
	size_t n = strcspn(text, " "), unit;

	if (n >= 2 && !strncmp(text + n - 2, "In [", 4))
		return n + 1 + strcspn(text + n + 1, " ");
	if (!n || !text[n] || text[n - 1] < '0' || text[n - 1] > '9')
		return n;
	unit = strcspn(text + n + 1, " ,;:.");
	return unit && unit <= UNIT_BYTES ? n + 1 + strcspn(text + n + 1, " ") : n;
}

void screen_wrap(
	struct screen *screen, enum style style, const char *text, size_t at, size_t indent)
{
	bool first = true;

	style_begin(screen, style);
	text += strspn(text, " ");
	while (*text) {
		size_t n = word_length(text), width = width_of(text, n);

		if (!first && at + 1 + width > screen->width) {
			fputc('\n', screen->out);
			spaces(screen, indent);
			at = indent;
		} else if (!first) {
			fputc(' ', screen->out);
			at++;
		}
		put_bytes(screen, style, text, n);
		at += width;
		first = false;
		text += n;
		text += strspn(text, " ");
	}
	style_end(screen, style);
	fputc('\n', screen->out);
}

void table_add(struct table *table, enum style style, const char *format, ...)
{
	struct table_cell *cell = list_add(&table->cells);
	va_list args;

	if (!cell) {
		table->failed = true;
		return;
	}
	va_start(args, format);
	cell->text = text_vformat(format, args);
	va_end(args);
	cell->style = style;
	table->failed |= !cell->text;
}

/* At most `width` columns of text, the cut shown. */
static char *cut(const char *text, size_t width, bool keep_end)
{
	static const char ellipsis[] = "…";
	size_t all = text_width(text), n;
	char *out;

	if (all <= width)
		return strdup(text);
	if (keep_end) {
		n = text_fit(text, all - width + 1);
		return asprintf(&out, "%s%s", ellipsis, text + n) < 0 ? NULL : out;
	}
	n = text_fit(text, width - 1);
	return asprintf(&out, "%.*s%s", (int)n, text, ellipsis) < 0 ? NULL : out;
}

/* `gap` is the white space owed so far: a line does not end in it. */
static int cell_print(struct table *table, struct screen *screen, size_t column, size_t width,
	const struct table_cell *cell, size_t *gap)
{
	const struct column *c = &table->columns[column];
	cleanup(freep) char *shown = cut(cell->text, width, c->keep_end);
	size_t pad;

	if (!shown)
		return -ENOMEM;
	pad = width - text_width(shown);
	*gap += c->right ? pad : 0;
	if (*shown) {
		spaces(screen, *gap);
		*gap = 0;
		screen_put(screen, cell->style, shown);
	}
	*gap += c->right ? 0 : pad;
	return 0;
}

/* As the cells and titles want them; 0: empty in all rows. Returns the whole row's. */
static size_t widths_natural(const struct table *table, size_t *widths)
{
	size_t total = INDENT;

	for (size_t i = 0; i < table->cells.n; i++) {
		size_t width = text_width(table->cells.at[i].text),
		       most = table->columns[i % table->n].most;

		width = most && width > most ? most : width;
		if (width > widths[i % table->n])
			widths[i % table->n] = width;
	}
	for (size_t c = 0; c < table->n; c++) {
		size_t title = text_width(table->columns[c].title);

		if (widths[c] && widths[c] < title)
			widths[c] = title;
		total += widths[c] ? widths[c] + GAP : 0;
	}
	return total;
}

/* The widest of those that may shrink, until the row fits; its width then. */
static size_t widths_shrink(const struct table *table, size_t *widths, size_t total, size_t room)
{
	while (total > room) {
		size_t widest = table->n;

		for (size_t c = 0; c < table->n; c++)
			if (table->columns[c].shrinks && widths[c] > table->columns[c].shrinks &&
				(widest == table->n || widths[c] > widths[widest]))
				widest = c;
		if (widest == table->n)
			break;
		widths[widest]--;
		total--;
	}
	return total;
}

/* Natural widths; then without the columns that may be dropped; then shrunken ones; then without
 * the spare ones. */
static void widths_find(const struct table *table, const struct screen *screen, size_t *widths)
{
	size_t total = widths_natural(table, widths), room = screen->width + GAP;

	for (size_t c = 0; c < table->n && total > room; c++)
		if (table->columns[c].drops && widths[c]) {
			total -= widths[c] + GAP;
			widths[c] = 0;
		}
	total = widths_shrink(table, widths, total, room);
	for (size_t c = 0; c < table->n && total > room; c++)
		if (table->columns[c].spare && widths[c]) {
			total -= widths[c] + GAP;
			widths[c] = 0;
		}
}

static int row_print(struct table *table, struct screen *screen, const size_t *widths,
	const struct table_cell *row)
{
	size_t gap = INDENT;
	int rc = 0;

	for (size_t c = 0; c < table->n && !rc; c++) {
		const struct table_cell title = {(char *)table->columns[c].title, STYLE_dim};

		if (!widths[c])
			continue;
		rc = cell_print(table, screen, c, widths[c], row ? &row[c] : &title, &gap);
		gap += GAP;
	}
	fputc('\n', screen->out);
	return rc;
}

int table_print(struct table *table, struct screen *screen)
{
	cleanup(freep) size_t *widths = calloc(table->n, sizeof(*widths));
	int rc = 0;

	if (!widths || table->failed)
		return -ENOMEM;
	widths_find(table, screen, widths);
	rc = row_print(table, screen, widths, NULL);
	for (size_t i = 0; i + table->n <= table->cells.n && !rc; i += table->n)
		rc = row_print(table, screen, widths, &table->cells.at[i]);
	return rc;
}

void table_free(struct table *table)
{
	for (size_t i = 0; i < table->cells.n; i++)
		free(table->cells.at[i].text);
	free(table->cells.at);
}
