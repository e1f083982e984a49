/* CPython's three widths of text to UTF-8. See unicode.h. */
#include "probe/target/unicode.h"

#include <string.h>

#define UTF8_MAX 6u /* bytes of one code point, a surrogate's escape included */

unsigned int unicode_width(uint32_t state)
{
	unsigned int kind = state >> UNICODE_KIND_SHIFT & UNICODE_KIND_MASK;

	if (!(state & UNICODE_COMPACT))
		return 0;
	return kind == 1 || kind == 2 || kind == 4 ? kind : 0;
}

static uint32_t char_at(const void *data, unsigned int width, size_t i)
{
	const unsigned char *at = (const unsigned char *)data + i * width;
	uint32_t four;
	uint16_t two;

	if (width == 1)
		return *at;
	if (width == 2) {
		memcpy(&two, at, sizeof(two));
		return two;
	}
	memcpy(&four, at, sizeof(four));
	return four;
}

/* Bytes written, at most UTF8_MAX; what no str can hold becomes U+FFFD. */
static size_t utf8_put(uint32_t c, char *out)
{
	static const char hex[] = "0123456789abcdef";

	if (c > 0x10ffff)
		c = 0xfffd;
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c >= 0xd800 && c < 0xe000) {
		memcpy(out, "\\u", 2);
		for (unsigned int i = 0; i < 4; i++)
			out[2 + i] = hex[c >> (12 - 4 * i) & 15];
		return 6;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

size_t unicode_utf8(const void *data, unsigned int width, size_t length, char *buf, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < length; i++) {
		char one[UTF8_MAX];
		size_t len = utf8_put(char_at(data, width, i), one);

		if (len > size - n)
			break;
		memcpy(buf + n, one, len);
		n += len;
	}
	return n;
}
