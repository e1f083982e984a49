/* UTF-8, escaping and terminal columns. Knows no locale: what it is given is UTF-8 or it is not. */
#include "probe/base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ESCAPE_MAX 8 /* "\u202e" and its NUL, rounded up */
#define ELLIPSIS "…"
#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/*
 * Length of the well-formed sequence at p (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF), 0 if there is none within n bytes.
 */
static size_t sequence(const unsigned char *p, size_t n, uint32_t *ret)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = p[0] < 0x80   ? 1
		     : p[0] < 0xc2 ? 0
		     : p[0] < 0xe0 ? 2
		     : p[0] < 0xf0 ? 3
		     : p[0] < 0xf5 ? 4
				   : 0;
	uint32_t c;

	if (!len || len > n)
		return 0;
	c = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[len] || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*ret = c;
	return len;
}

/* Could make a line read otherwise than it is stored: direction controls, line and paragraph
 * separators. */
static bool reorders(uint32_t c)
{
	return c == 0x061c || (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069);
}

/*
 * The printable form of what begins at p: a sequence as it is, or an escape. Sets how many bytes of
 * p it stands for and how many code points it takes.
 */
static size_t piece(const unsigned char *p, size_t n, char out[ESCAPE_MAX], size_t *ret_used,
	size_t *ret_points)
{
	uint32_t c;
	size_t len = sequence(p, n, &c);
	int size;

	*ret_used = len ? len : 1;
	if (len && c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !reorders(c)) {
		memcpy(out, p, len);
		*ret_points = 1;
		return len;
	}
	if (!len)
		size = snprintf(out, ESCAPE_MAX, "\\x%02x", p[0]);
	else if (c == '\n')
		size = snprintf(out, ESCAPE_MAX, "\\n");
	else
		size = snprintf(out, ESCAPE_MAX, c < 0x100 ? "\\x%02x" : "\\u%04x", c & 0xffff);
	*ret_points = (size_t)size;
	return (size_t)size;
}

char *text_for_terminal(const char *s, size_t max)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = strlen(s), size = 0, fit = 0, points = 0;
	/* The longest escape of one byte is four; of a longer sequence, six for three. */
	char *out = malloc((max && max < n ? max : n) * 4 + sizeof(ELLIPSIS) + ESCAPE_MAX);

	if (!out)
		return NULL;
	while (n) {
		char one[ESCAPE_MAX];
		size_t used, more, len = piece(p, n, one, &used, &more);

		if (max && points + more > max) {
			memcpy(out + fit, ELLIPSIS, sizeof(ELLIPSIS));
			return out;
		}
		memcpy(out + size, one, len);
		size += len;
		points += more;
		if (!max || points < max)
			fit = size;
		p += used;
		n -= used;
	}
	out[size] = '\0';
	return out;
}

struct range {
	uint32_t first, last;
};

/* Combining marks and joiners (Unicode 15 general categories Mn, Me, Cf), by block: these take no
 * column. */
static const struct range no_column[] = {
	{0x0300, 0x036f},
	{0x0483, 0x0489},
	{0x0591, 0x05bd},
	{0x0610, 0x061a},
	{0x064b, 0x065f},
	{0x0900, 0x0902},
	{0x0e31, 0x0e31},
	{0x0e34, 0x0e3a},
	{0x0e47, 0x0e4e},
	{0x1ab0, 0x1aff},
	{0x1dc0, 0x1dff},
	{0x200b, 0x200d},
	{0x2060, 0x2064},
	{0x20d0, 0x20ff},
	{0xfe00, 0xfe0f},
	{0xfe20, 0xfe2f},
	{0xfeff, 0xfeff},
	{0xe0100, 0xe01ef},
};

/* East Asian wide and full width, and emoji shown so (Unicode 15 EastAsianWidth W and F), by block:
 * two columns. */
static const struct range two_columns[] = {
	{0x1100, 0x115f},
	{0x231a, 0x231b},
	{0x23e9, 0x23ec},
	{0x2614, 0x2615},
	{0x26a1, 0x26a1},
	{0x2705, 0x2705},
	{0x274c, 0x274c},
	{0x2753, 0x2755},
	{0x2795, 0x2797},
	{0x2e80, 0x303e},
	{0x3041, 0x33ff},
	{0x3400, 0x4dbf},
	{0x4e00, 0x9fff},
	{0xa000, 0xa4cf},
	{0xa960, 0xa97f},
	{0xac00, 0xd7a3},
	{0xf900, 0xfaff},
	{0xfe30, 0xfe6f},
	{0xff00, 0xff60},
	{0xffe0, 0xffe6},
	{0x1f300, 0x1f64f},
	{0x1f680, 0x1f6ff},
	{0x1f900, 0x1f9ff},
	{0x20000, 0x3fffd},
};

static bool within(const struct range *ranges, size_t n, uint32_t c)
{
	size_t low = 0;

	while (n > low) {
		size_t mid = low + (n - low) / 2;

		if (c > ranges[mid].last)
			low = mid + 1;
		else if (c < ranges[mid].first)
			n = mid;
		else
			return true;
	}
	return false;
}

static size_t columns_of(uint32_t c)
{
	if (c < 0x300)
		return 1;
	if (within(no_column, sizeof(no_column) / sizeof(*no_column), c))
		return 0;
	return within(two_columns, sizeof(two_columns) / sizeof(*two_columns), c) ? 2 : 1;
}

/* How many bytes of s fit into so many columns, and how many they take. */
static size_t measure(const char *s, size_t columns, size_t *ret_width)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = strlen(s), at = 0, width = 0;

	while (at < n) {
		uint32_t c = 0;
		size_t len = sequence(p + at, n - at, &c), more = columns_of(c);

		if (more > columns - width)
			break;
		width += more;
		at += len ? len : 1;
	}
	*ret_width = width;
	return at;
}

size_t text_fit(const char *s, size_t columns)
{
	size_t width;

	return measure(s, columns, &width);
}

size_t text_width(const char *s)
{
	size_t width;

	measure(s, SIZE_MAX, &width);
	return width;
}

char *text_to_utf8(const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	char *out = n > (SIZE_MAX - 1) / 3 ? NULL : malloc(n * 3 + 1);
	size_t size = 0;

	if (!out)
		return NULL;
	while (n) {
		uint32_t c;
		size_t len = sequence(p, n, &c);

		if (len && c) {
			memcpy(out + size, p, len);
			size += len;
		} else {
			memcpy(out + size, REPLACEMENT, 3);
			size += 3;
			len = 1;
		}
		p += len;
		n -= len;
	}
	out[size] = '\0';
	return out;
}

char *text_vformat(const char *format, va_list args)
{
	char *raw, *safe;

	if (vasprintf(&raw, format, args) < 0)
		return NULL;
	safe = text_for_terminal(raw, 0);
	free(raw);
	return safe;
}

bool text_is_typed_in(const char *file)
{
	static const char *const typed[] = {"<stdin>", "<string>", "<ipython-input-", "<console>",
		"<input>", "<timed exec>", "<timed eval>", "<unknown>", "<module>"};

	for (size_t i = 0; i < sizeof(typed) / sizeof(*typed); i++)
		if (!strncmp(file, typed[i], strlen(typed[i])))
			return true;
	return false;
}

bool text_is_interpreters(const char *file)
{
	return !strcmp(file, "__init__");
}
