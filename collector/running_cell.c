/* See running_cell.h. Tells nothing rather than the wrong cell. */
#include "collector/running_cell.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "collector/murmur.h"
#include "collector/place.h"
#include "probe/base/cleanup.h"
#include "probe/target/process.h"
#include "probe/target/shell.h"
#include "probe/target/task.h"

#define THREADS_MAX 256u
#define SHELL_FILE "IPython/core/interactiveshell.py"
#define SHELL_FUNCTION "run_code" /* InteractiveShell's: a cell's code is right inside it */

static int main_thread(struct target *target, uint32_t pid, uint64_t *ret)
{
	cleanup(freep) struct target_thread *thread = calloc(THREADS_MAX, sizeof(*thread));
	size_t count;
	int rc = thread ? target_threads_read(target, thread, THREADS_MAX, &count) : -ENOMEM;

	for (size_t i = 0; !rc && i < count && i < THREADS_MAX; i++)
		if (process_is_main(pid, thread[i].tid)) {
			*ret = thread[i].thread;
			return 0;
		}
	return rc ? rc : -ENOENT;
}

static bool ends_in(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

/* What the frame is: the hash of a cell's code, or the shell's own function that runs one. */
static bool frame_ask(
	struct target *target, uint64_t code, unsigned long *ret_hash, bool *ret_is_shell)
{
	cleanup(target_code_clear) struct target_code told = {0};
	bool is_cell;

	if (target_code_read(target, code, &told))
		return false;
	*ret_is_shell = ends_in(told.file, SHELL_FILE) && ends_in(told.function, SHELL_FUNCTION);
	is_cell = place_cell_hash(told.file, ret_hash);
	return is_cell;
}

/* The code that the shell called: a cell that runs now, and no task that one left behind. */
static int hash_find(struct target *target, uint64_t thread, unsigned long *ret)
{
	cleanup(freep) struct target_stack *stack = malloc(sizeof(*stack));
	bool inside = false;
	int rc = stack ? target_stack_read(target, thread, stack) : -ENOMEM;

	for (uint32_t i = rc ? 0 : stack->count; i; i--) { /* from the outermost */
		bool is_shell = false;
		bool is_cell = frame_ask(target, stack->frame[i - 1].code, ret, &is_shell);

		if (is_cell)
			return inside ? 0 : -ENOENT;
		inside = is_shell;
	}
	return rc ? rc : -ENOENT;
}

int running_cell_find(struct target *target, uint32_t pid, uint32_t *ret_number, char **ret_source)
{
	cleanup(freep) char *source = NULL;
	unsigned long hash = 0;
	uint32_t number;
	uint64_t thread;
	int rc = main_thread(target, pid, &thread);

	if (!rc)
		rc = hash_find(target, thread, &hash);
	if (!rc)
		rc = target_input_read(target, &number, &source);
	if (rc)
		return rc;
	if (murmur2(source, strlen(source), MURMUR_CELL_SEED) != hash)
		return -ENOENT;
	*ret_number = number;
	*ret_source = TAKE(source);
	return 0;
}
