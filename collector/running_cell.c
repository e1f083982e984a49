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
static int hash_find(
	struct target *target, const struct target_frame *frame, uint32_t count, unsigned long *ret)
{
	bool inside = false;

	for (uint32_t i = count; i; i--) { /* from the outermost */
		bool is_shell = false;
		bool is_cell = frame_ask(target, frame[i - 1].code, ret, &is_shell);

		if (is_cell)
			return inside ? 0 : -ENOENT;
		inside = is_shell;
	}
	return -ENOENT;
}

/* On the main thread's stack. */
static int hash_of_thread(struct target *target, uint32_t pid, unsigned long *ret)
{
	cleanup(freep) struct target_stack *stack = malloc(sizeof(*stack));
	uint64_t thread;
	int rc = stack ? main_thread(target, pid, &thread) : -ENOMEM;

	if (!rc)
		rc = target_stack_read(target, thread, stack);
	return rc ? rc : hash_find(target, stack->frame, stack->count, ret);
}

static bool is_hash(void *ctx, const char *source)
{
	return murmur2(source, strlen(source), MURMUR_CELL_SEED) == *(const unsigned long *)ctx;
}

/* The newest input, if that is its hash: each cell that runs is the newest. */
static int input_of(
	struct target *target, unsigned long hash, uint32_t *ret_number, char **ret_source)
{
	return target_input_find(target, 1, is_hash, &hash, ret_number, ret_source);
}

struct awaiting {
	struct target *target;
	uint32_t number;
	char *source; /* NULL: not found yet */
};

/* Whether it is the task of a cell that awaits: the shell awaits its code. */
static int cell_of_task(void *ctx, const struct target_task *task)
{
	struct awaiting *a = ctx;
	unsigned long hash;

	if (a->source || hash_find(a->target, task->frame, task->frames, &hash))
		return 0;
	input_of(a->target, hash, &a->number, &a->source);
	return 0;
}

int running_cell_find(struct target *target, uint32_t pid, uint32_t *ret_number, char **ret_source)
{
	struct awaiting awaiting = {.target = target};
	struct target_tasks told;
	unsigned long hash;
	const char *why;
	int rc = hash_of_thread(target, pid, &hash);

	if (!rc)
		rc = input_of(target, hash, ret_number, ret_source);
	if (!rc || rc == -ESRCH)
		return rc;
	rc = target_tasks_read(target, cell_of_task, &awaiting, &told, &why);
	if (!awaiting.source)
		return rc ? rc : -ENOENT;
	*ret_number = awaiting.number;
	*ret_source = awaiting.source;
	return 0;
}
