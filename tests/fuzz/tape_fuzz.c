/*
 * Any bytes as a tape: each record that comes out is well formed, and survives being written and
 * read again, bit for bit.
 */
#include <stdlib.h>
#include <string.h>

#include "collector/tape.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int compare(void *ctx, uint32_t pid, const struct ev_head *record)
{
	const struct ev_head *first = ctx;

	if (pid != 7 || memcmp(first, record, first->size_words * 8ull))
		abort();
	return 0;
}

static int again(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct tape_writer w = {0};
	unsigned long line;
	const char *why;
	char *text = NULL;
	size_t size = 0;

	(void)ctx;
	(void)pid;
	if (record_check(record, record->size_words * 8ull))
		abort();
	w.file = open_memstream(&text, &size);
	if (!w.file || tape_write(&w, 7, record) || fclose(w.file))
		abort();
	w.file = fmemopen(text, size, "r");
	if (!w.file || tape_read(w.file, compare, (void *)(uintptr_t)record, &line, &why))
		abort();
	fclose(w.file);
	free(text);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *file = size ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;
	unsigned long line;
	const char *why;

	if (!file)
		return 0;
	tape_read(file, again, NULL, &line, &why);
	fclose(file);
	return 0;
}
