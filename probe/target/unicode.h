/* The text of a CPython str as UTF-8, from its raw parts. Silent, no Python, no allocation. */
#ifndef PROBE_TARGET_UNICODE_H
#define PROBE_TARGET_UNICODE_H

#include <stddef.h>
#include <stdint.h>

enum { /* PyASCIIObject.state, CPython Include/cpython/unicodeobject.h, 3.8 to 3.14 */
	UNICODE_KIND_SHIFT = 2,
	UNICODE_KIND_MASK = 7,
	UNICODE_COMPACT = 0x20,
	UNICODE_ASCII = 0x40,
};

/* Bytes of one code point of a str with this state; 0: not a str with its text inside. */
unsigned int unicode_width(uint32_t state);
/*
 * At most `size` bytes of UTF-8 from `length` code points of `width` bytes each, never a part of a
 * code point; surrogates, which have no UTF-8, as "\udc80". Returns bytes written.
 */
size_t unicode_utf8(const void *data, unsigned int width, size_t length, char *buf, size_t size);

#endif
