/* Messages on stderr. The only mutable state is the level, and whether a progress line stands on
 * the terminal. */
#include "collector/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "probe/base/cleanup.h"
#include "probe/base/text.h"

#define PROGRESS_BYTES 512
#define PROGRESS_COLUMNS 80 /* of a terminal that does not say */

static enum log_level level_now = LOG_NORMAL;
static bool terminal, color_on, progress_shown;

void log_setup(enum log_level level, bool color)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");

	level_now = level;
	terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb");
	color_on = color && terminal && !(no_color && *no_color);
}

enum log_level log_level(void)
{
	return level_now;
}

bool log_terminal(void)
{
	return terminal;
}

void log_progress_end(void)
{
	if (!progress_shown)
		return;
	fputs("\r\033[K", stderr);
	progress_shown = false;
}

static void say(const char *format, va_list args)
{
	log_progress_end();
	fputs("awaitscope: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
}

void log_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void log_note(const char *format, ...)
{
	va_list args;

	if (level_now < LOG_NORMAL)
		return;
	va_start(args, format);
	say(format, args);
	va_end(args);
}

void log_detail(const char *format, ...)
{
	va_list args;

	if (level_now < LOG_VERBOSE)
		return;
	va_start(args, format);
	say(format, args);
	va_end(args);
}

/* A line that the terminal would break could not be taken away again. */
static void rewrite(const char *format, va_list args)
{
	struct winsize size = {0};
	char text[PROGRESS_BYTES];
	int columns = PROGRESS_COLUMNS;

	if (!ioctl(STDERR_FILENO, TIOCGWINSZ, &size) && size.ws_col > 1)
		columns = size.ws_col;
	vsnprintf(text, sizeof(text), format, args);
	fprintf(stderr, "\r\033[K%.*s", (int)text_fit(text, (size_t)columns - 1), text);
	fflush(stderr);
	progress_shown = true;
}

void log_progress(const char *format, ...)
{
	va_list args;

	if (level_now < LOG_NORMAL)
		return;
	va_start(args, format);
	if (terminal) {
		rewrite(format, args);
	} else {
		say(format, args);
	}
	va_end(args);
}

/* Bytes of a colour sequence (ESC [ digits and ; m) at s, 0 if there is none. */
static size_t color_length(const char *s)
{
	size_t n;

	if (s[0] != '\033' || s[1] != '[')
		return 0;
	n = 2 + strspn(s + 2, "0123456789;");
	return s[n] == 'm' ? n + 1 : 0;
}

static void put_escaped(const char *text, size_t length)
{
	cleanup(freep) char *piece = strndup(text, length);
	cleanup(freep) char *safe = piece ? text_for_terminal(piece, 0) : NULL;

	if (safe)
		fputs(safe, stderr);
}

void log_target(const char *text)
{
	const char *from = text, *p = text;
	bool colored = false;
	size_t color;

	log_progress_end();
	while (*p) {
		color = color_length(p);
		if (!color && *p != '\n' && *p != '\t') {
			p++;
			continue;
		}
		put_escaped(from, (size_t)(p - from));
		if (color && color_on)
			fwrite(p, 1, color, stderr);
		else if (!color)
			fputc(*p, stderr);
		colored |= color > 0;
		p += color ? color : 1;
		from = p;
	}
	put_escaped(from, (size_t)(p - from));
	if (colored && color_on)
		fputs("\033[0m", stderr);
	if (p > text && p[-1] != '\n')
		fputc('\n', stderr);
}
