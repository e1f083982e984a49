/* ncurses behind live_screen.h: the only file that knows it. */
#define NCURSES_WIDECHAR 1
#include "viewer/live_screen.h"

#include <curses.h>
#include <errno.h>
#include <locale.h>
#include <unistd.h>

#include "probe/base/text.h"

#define ESCAPE_MS 100 /* between ESC and the rest of a key's sequence */
#define ESCAPE 27
#define CTRL_L 12
#define ELLIPSIS "…"

enum { PAIR_red = 1, PAIR_yellow, PAIR_magenta };

struct live_screen {
	SCREEN *terminal;
	bool color;
};

bool live_screen_possible(void)
{
	const char *term = getenv("TERM");

	return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && term && *term &&
	       strcmp(term, "dumb");
}

static void colors_begin(struct live_screen *screen, bool color)
{
	/* The terminal's own colours behind and for plain text: light or dark. */
	screen->color = color && has_colors() && start_color() == OK && use_default_colors() == OK;
	if (!screen->color)
		return;
	init_pair(PAIR_red, COLOR_RED, -1);
	init_pair(PAIR_yellow, COLOR_YELLOW, -1);
	init_pair(PAIR_magenta, COLOR_MAGENTA, -1);
}

/* Whether it has a way to put its cursor somewhere (terminfo's cup). */
static bool is_movable(void)
{
	char name[] = "cup"; /* ncurses before 6.4 wants a char * */
	const char *cup = tigetstr(name);

	return cup && cup != (const char *)-1;
}

int live_screen_open(bool color, struct live_screen **ret)
{
	struct live_screen *screen = calloc(1, sizeof(*screen));

	if (!screen)
		return -ENOMEM;
	setlocale(LC_CTYPE, ""); /* ncurses asks it what a character is */
	screen->terminal = newterm(NULL, stdout, stdin);
	if (!screen->terminal || !is_movable()) {
		if (screen->terminal) {
			endwin();
			delscreen(screen->terminal);
		}
		free(screen);
		return -ENODEV;
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	colors_begin(screen, color);
	*ret = screen;
	return 0;
}

void live_screen_close(struct live_screen *screen)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen->terminal);
	free(screen);
}

void live_screen_size(const struct live_screen *screen, int *ret_rows, int *ret_columns)
{
	getmaxyx(stdscr, *ret_rows, *ret_columns);
}

void live_screen_clear(struct live_screen *screen)
{
	erase();
}

static attr_t attributes(const struct live_screen *screen, enum style style)
{
	switch (style) {
	case STYLE_bold:
		return A_BOLD;
	case STYLE_dim:
		return A_DIM;
	case STYLE_red:
		return A_BOLD | (screen->color ? COLOR_PAIR(PAIR_red) : 0);
	default:
		return A_NORMAL;
	}
}

/* Of the glyphs of a bar; the report has the same (screen.c). */
static attr_t glyph_attributes(const struct live_screen *screen, const char *p)
{
	static const struct {
		const char *glyph;
		int pair;
	} painted[] = {
		{GLYPH_BLOCKED, PAIR_red}, {GLYPH_CPU, PAIR_yellow}, {GLYPH_WAIT, PAIR_magenta}};

	for (size_t i = 0; i < sizeof(painted) / sizeof(*painted); i++)
		if (screen->color && !strncmp(p, painted[i].glyph, strlen(painted[i].glyph)))
			return COLOR_PAIR(painted[i].pair);
	return A_NORMAL;
}

static size_t sequence_length(const char *p)
{
	size_t n = 1;

	while (((unsigned char)p[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static void text_add(struct live_screen *screen, const char *text, size_t n, bool chosen)
{
	while (n) {
		size_t length = sequence_length(text);
		attr_t attr = length > 1 && !chosen ? glyph_attributes(screen, text) : A_NORMAL;

		attron(attr);
		addnstr(text, (int)length);
		attroff(attr);
		text += length;
		n -= length;
	}
}

void live_screen_line(
	struct live_screen *screen, int row, enum style style, bool chosen, const char *text)
{
	int rows, columns;
	size_t width, n = strlen(text);
	attr_t attr = attributes(screen, style) | (chosen ? A_REVERSE : A_NORMAL);

	getmaxyx(stdscr, rows, columns);
	if (row < 0 || row >= rows || columns < 2)
		return;
	width = (size_t)columns;
	move(row, 0);
	attron(attr);
	if (text_width(text) > width) {
		n = text_fit(text, width - 1);
		text_add(screen, text, n, chosen);
		addstr(MB_CUR_MAX > 1 ? ELLIPSIS : "~");
	} else {
		text_add(screen, text, n, chosen);
		for (size_t at = text_width(text); chosen && at < width; at++)
			addch(' ');
	}
	attroff(attr);
}

void live_screen_show(struct live_screen *screen)
{
	refresh();
}

int live_screen_key(struct live_screen *screen)
{
	static const struct {
		int code, key;
	} keys[] = {
		{ERR, LIVE_KEY_NONE},
		{KEY_RESIZE, LIVE_KEY_RESIZE},
		{KEY_UP, LIVE_KEY_UP},
		{'k', LIVE_KEY_UP},
		{KEY_DOWN, LIVE_KEY_DOWN},
		{'j', LIVE_KEY_DOWN},
		{KEY_PPAGE, LIVE_KEY_PAGE_UP},
		{KEY_NPAGE, LIVE_KEY_PAGE_DOWN},
		{KEY_HOME, LIVE_KEY_HOME},
		{'g', LIVE_KEY_HOME},
		{KEY_END, LIVE_KEY_END},
		{'G', LIVE_KEY_END},
		{'\t', LIVE_KEY_NEXT},
		{KEY_BTAB, LIVE_KEY_PREVIOUS},
		{'\r', LIVE_KEY_ENTER},
		{'\n', LIVE_KEY_ENTER},
		{KEY_ENTER, LIVE_KEY_ENTER},
		{KEY_RIGHT, LIVE_KEY_ENTER},
		{'l', LIVE_KEY_ENTER},
		{KEY_LEFT, LIVE_KEY_BACK},
		{'h', LIVE_KEY_BACK},
		{KEY_BACKSPACE, LIVE_KEY_BACK},
		{127, LIVE_KEY_BACK},
		{ESCAPE, LIVE_KEY_BACK},
	};
	int code = getch();

	if (code == CTRL_L) /* something else has written on the terminal */
		clearok(curscr, TRUE);
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
		if (keys[i].code == code)
			return keys[i].key;
	return code >= ' ' && code < 127 ? code : LIVE_KEY_OTHER;
}
