/*
 * The terminal of the live view, through ncurses: lines at places, keys. Given back as it was when
 * it is closed. Silent.
 */
#ifndef VIEWER_LIVE_SCREEN_H
#define VIEWER_LIVE_SCREEN_H

#include "viewer/screen.h"

struct live_screen;

enum live_key {
	LIVE_KEY_NONE, /* nothing was typed */
	LIVE_KEY_RESIZE,
	LIVE_KEY_UP,
	LIVE_KEY_DOWN,
	LIVE_KEY_PAGE_UP,
	LIVE_KEY_PAGE_DOWN,
	LIVE_KEY_HOME,
	LIVE_KEY_END,
	LIVE_KEY_NEXT, /* view */
	LIVE_KEY_PREVIOUS,
	LIVE_KEY_ENTER,
	LIVE_KEY_BACK,
	LIVE_KEY_OTHER, /* means nothing here; letters stand for themselves, from space on */
};

/* Whether there is a terminal that it could be: both ends, and one that can move its cursor. */
bool live_screen_possible(void);
/* -ENODEV: the terminal's kind (TERM) is not known. The caller owns *ret: live_screen_close(). */
int live_screen_open(bool color, struct live_screen **ret);
void live_screen_close(struct live_screen *screen); /* accepts NULL */

void live_screen_size(const struct live_screen *screen, int *ret_rows, int *ret_columns);
void live_screen_clear(struct live_screen *screen);
/* Text is safe for a terminal; what does not fit is cut, and the cut shown. chosen: in reverse,
 * over the whole width. */
void live_screen_line(
	struct live_screen *screen, int row, enum style style, bool chosen, const char *text);
void live_screen_show(struct live_screen *screen);
/* The next key that was typed; never waits. */
int live_screen_key(struct live_screen *screen);

#endif
