/* Programs by name. Silent. */
#ifndef COLLECTOR_PROGRAM_H
#define COLLECTOR_PROGRAM_H

#include <stdbool.h>

/* Absolute path of a program on PATH, malloc'd; a name with a slash is itself. NULL: none that can
 * be executed. */
char *program_find(const char *name);
/* By its name alone: python, python3, /usr/bin/python3.11, pypy3. */
bool program_is_python(const char *name);

#endif
