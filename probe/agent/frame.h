/*
 * Raw reading of this process's own Python frames and what hangs on them. Everything here is proven
 * by frame_open() first; until then, and where the proof failed, there are no frames. Safe without
 * the GIL for the calling thread's own frames.
 */
#ifndef PROBE_AGENT_FRAME_H
#define PROBE_AGENT_FRAME_H

#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "probe/target/layout.h"

#define FRAMES_MAX 128u /* innermost frames kept; `cut` counts the rest */

struct frame_ref {
	const void *code;  /* PyCodeObject, kept alive by its frame */
	uint32_t position; /* bytes into the code, as the line table counts them */
};

struct code_parts { /* what tells one code object at an address from the next */
	const void *filename;
	const void *name; /* co_qualname where there is one */
	const void *linetable;
	int32_t firstlineno;
	int32_t flags; /* co_flags */
};

/* Where this interpreter keeps what; NULL: not proven. any */
const struct layout *frame_layout(void);
/* Innermost first; returns their number, 0 where not proven. `max` at most FRAMES_MAX. any */
size_t frames_here(struct frame_ref *frames, size_t max, uint32_t *ret_cut);
/*
 * The calling thread's innermost Python frame (inner NULL), or the one outside `inner`; NULL: none,
 * or not proven. It lives as long as its call. any
 */
const void *frame_outside(const void *inner);
const void *frame_code(const void *frame);
/*
 * A local variable by its place, borrowed; NULL: unset or not proven. Only of code known to have
 * so many. GIL
 */
void *frame_variable(const void *frame, unsigned int place);
/*
 * The frame of a coroutine, generator or async generator; false: it has ended, or not proven. GIL
 */
bool frame_of_generator(const void *generator, struct frame_ref *ret);
bool frame_of_generator_proven(void);
/* A fast local of its frame, by its place, borrowed; NULL: unset or not proven. GIL */
void *variable_of_generator(const void *generator, unsigned int place);
/*
 * Only of a code object that frames_here() or frame_of_generator() gave, or that PyCode_Type says
 * is one. any
 */
void code_read(const void *code, struct code_parts *ret);
bool code_is(const void *object);
/* co_localsplusnames (3.11+), a tuple, borrowed; NULL: not in this version, or not proven. GIL */
PyObject *code_local_names(const void *code);
/* tp_name of a type object; it lives as long as the type. GIL */
const char *type_name(const void *type);
/*
 * A str as UTF-8, surrogates as \udXXX, cut at a character; returns the length, 0 where it cannot
 * be read. any
 */
size_t str_read(const void *str, char *buf, size_t size);
/* The characters of an ASCII str, where they stand in it; NULL: it is none, or not proven. any */
const char *str_ascii(const void *str, size_t *ret_size);
/* Contents of a bytes object; NULL where it is none. any */
const void *bytes_read(const void *bytes, size_t *ret_size);
/* True if the innermost function on this thread is called `inner`, and its caller `outer`. any */
bool frames_are(const char *inner, const char *outer);

#endif
