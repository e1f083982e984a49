/* Where a text report goes: how wide it is, whether it knows colours and UTF-8. Tables and wrapped
 * text. */
#ifndef VIEWER_SCREEN_H
#define VIEWER_SCREEN_H

#include <stdbool.h>
#include <stdio.h>

#include "viewer/list.h"

enum style { STYLE_plain, STYLE_bold, STYLE_dim, STYLE_red, STYLE_bar, STYLE_COUNT };

struct screen {
	FILE *out;
	bool color;
	bool ascii; /* a terminal that is not UTF-8 */
	size_t width;
};

/* Bars: one glyph each for what holds a loop. */
#define GLYPH_BLOCKED "█"
#define GLYPH_CPU "▓"
#define GLYPH_WAIT "▒"
#define GLYPH_UNKNOWN "░"

/* Colour and width are the terminal's where out is one; else no colour and $COLUMNS or 100 columns.
 * NO_COLOR is obeyed. */
void screen_init(struct screen *screen, FILE *out, bool no_color);
/* Text is valid UTF-8 without control bytes (text_for_terminal). */
void screen_put(struct screen *screen, enum style style, const char *text);
/* Words, filled into lines: the first goes on in column `at`, the others are indented by `indent`.
 * Ends the last line. */
void screen_wrap(
	struct screen *screen, enum style style, const char *text, size_t at, size_t indent);

struct column {
	const char *title;
	bool right;     /* numbers */
	bool keep_end;  /* what does not fit is cut at the beginning: file names */
	size_t most;    /* columns at most; 0: no limit */
	bool drops;     /* left out where the screen is too narrow for all */
	bool spare;     /* left out where even what shrinks is too wide */
	size_t shrinks; /* may be cut to that many where the screen is narrow; 0: never */
};

struct table_cell {
	char *text; /* made safe for a terminal; the table owns it */
	enum style style;
};

struct table {
	const struct column *columns;
	size_t n;
	LIST(struct table_cell) cells; /* row by row */
	bool failed;                   /* out of memory: table_print() says so */
};

/* The next cell; the text is escaped here, so that nothing from a target can reach the terminal by
 * itself. */
void table_add(struct table *table, enum style style, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Titles and rows, indented by two; columns that are empty in all rows are left out. -ENOMEM. */
int table_print(struct table *table, struct screen *screen);
void table_free(struct table *table);

#endif
