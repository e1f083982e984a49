/* Text that came from a target, made safe to show. Silent. */
#ifndef PROBE_BASE_TEXT_H
#define PROBE_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * A malloc'd copy fit for a terminal: control bytes (C0, DEL, C1) and bytes that are not UTF-8
 * become \xNN, newlines \n, characters that reorder or break lines (bidirectional controls, U+2028,
 * U+2029) \uNNNN. NULL only when out of memory. max > 0: at most that many code points, the cut
 * shown by "…".
 */
char *text_for_terminal(const char *s, size_t max);
/* The same of what vprintf() would write. */
char *text_vformat(const char *format, va_list args) __attribute__((format(printf, 1, 0)));
/* Columns it takes on a terminal; text must be valid UTF-8 (output of text_for_terminal is). */
size_t text_width(const char *s);
/* Bytes of the longest beginning of s (valid UTF-8) that takes at most `columns`. */
size_t text_fit(const char *s, size_t columns);
/* A malloc'd copy of n bytes with every byte that is not part of valid UTF-8, and every NUL,
 * replaced by U+FFFD. */
char *text_to_utf8(const void *bytes, size_t n);

/* Of code without a file ("<stdin>", "<string>"): whether somebody typed it in, and no library made
 * it. */
bool text_is_typed_in(const char *file);

/* The interpreter's own frame between a class's call and its __init__: its code, that has no lines,
 * has this for a file (_Py_InitCleanup, Python/specialize.c@v3.13.0). CPython tells nobody of it.
 */
bool text_is_interpreters(const char *file);

#endif
