/*
 * The functions of asyncio's C code that task points stand in, by one source or the other. Asked by
 * points.c. Silent.
 */
#ifndef PROBE_TARGET_TASK_FUNCTIONS_H
#define PROBE_TARGET_TASK_FUNCTIONS_H

#include <stdint.h>

#include "probe/target/elf_file.h"

struct task_function {
	uint64_t address; /* as the file names it; 0: not found */
	const char *why;  /* where it was not */
};

struct task_functions {
	struct task_function step;     /* task_step_impl() */
	struct task_function task_new; /* Task's tp_init */
	struct task_function wakeup;   /* task_wakeup(); to 3.9 the wrapper's tp_call */
	struct task_function set[2];   /* Future.set_result(), Future.set_exception() */
	struct task_function python;   /* _register_task(), as Python code calls it */
};

void task_functions_by_symbols(const struct elf_file *file, int minor, struct task_functions *ret);
/*
 * Without symbols: types and methods by their names in relocated data, the step function as the one
 * below them that sends into a coroutine.
 */
void task_functions_recover(const struct elf_file *file, int minor, struct task_functions *ret);

#endif
