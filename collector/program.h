/* Programs by name. Silent. */
#ifndef COLLECTOR_PROGRAM_H
#define COLLECTOR_PROGRAM_H

#include <stdbool.h>

/* Absolute path of a program on PATH, malloc'd; a name with a slash is itself. NULL: none that can
 * be executed. */
char *program_find(const char *name);
/* By its name alone: python, python3, /usr/bin/python3.11, pypy3. */
bool program_is_python(const char *name);
/* What python's own arguments run: "script.py", or "module" of -m; NULL for -c, standard input,
 * none. */
const char *program_python_runs(char *const *argv, bool *ret_module);

#endif
