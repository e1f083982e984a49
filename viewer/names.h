/* What people call cells and places: In [3], In [3]:2, app.py:12. Silent. */
#ifndef VIEWER_NAMES_H
#define VIEWER_NAMES_H

#include <stdio.h>

#include "viewer/report.h"

#define NAME_BYTES 48 /* of a cell's name */

/* "In [3]", or "cell 4" (from 1) where it has no execution count. Returns buf. */
char *cell_name(const struct report *report, int cell, char buf[NAME_BYTES]);
/*
 * The cell a file is the code of, NONE if it is none; `near` is the cell the place was met in: of
 * several executions of the same source it is that one, else the last before it.
 */
int cell_of_file(const struct report *report, const char *file, int near);
/* The path of a library's file below its root: asyncio/base_events.py, requests/api.py; NULL: no
 * library known by its place. */
const char *library_path(const char *file);
/* A file as people know it: a library's below its root, others relative to the current folder. */
const char *path_shown(const char *file);
/* "In [3]:2", "app.py:12" (relative to the current folder where below it), "?" where unknown. */
void place_print(const struct report *report, int near, const struct place *place, FILE *out);
/* "app.py", "The kernel", with its pid where there are several processes; "The program" where its
 * command line does not tell. */
void program_print(const struct report *report, int loop, FILE *out);
/* A command line, of a JSON array: "python3 app.py --port 80". malloc'd. */
char *command_text(const char *argv);
/* A threshold as people write it: "1 ms" where duration_format() has "1.00 ms". Returns buf. */
char *threshold_text(uint64_t ns, char buf[NAME_BYTES]);
/* A call as people are told of it. Where Python's name of it is not known, it is what the C call is
 * for: "a sleep (clock_nanosleep)" may be time.sleep(), or an extension's. Kept in the set; NULL:
 * out of memory. */
const char *call_words(
	struct strings *strings, const char *call, const char *syscall, const char *class);
/* What the times of sites have in them that those of findings have not; malloc'd. NULL: nothing, or
 * out of memory. */
char *sites_note(const struct report *report);
/* Of a call's site: its place, with the nearest caller where no file holds its code: "<string>:1,
 * from app.py:8"; or that the loop itself called it. malloc'd. */
char *site_place_text(const struct report *report, const struct site *site);
/* "cut off at shutdown" for the reason that a task leaked. */
const char *leak_words(const char *reason);
/* NULL where the name tells nothing (<module>, <cell line: 1>). */
const char *function_name(const struct place *place);
/* "once", "twice", "three times", ... "12 times". */
void times_print(uint64_t count, FILE *out);
/* "1 task", "3 tasks". */
void count_print(uint64_t count, const char *noun, FILE *out);

#endif
