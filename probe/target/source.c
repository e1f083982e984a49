/*
 * Which source the layout of a live target is taken from: what it publishes, the shipped list, or
 * debug information of its files. Whatever it gives is proven by target.c.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "probe/base/cleanup.h"
#include "probe/target/dwarf.h"
#include "probe/target/mapped.h"
#include "probe/target/state.h"

#define FILES_MAX (MAPPED_CANDIDATES_MAX + 1)

/* A file with debug information: itself, or the one of its build id here or in the target's tree.
 */
static struct elf_file *with_debug(uint32_t pid, struct elf_file *file)
{
	struct elf_file *debug;
	char root[PATH_MAX];
	uint64_t address;
	size_t size;

	if (elf_file_section(file, ".debug_info", &size, &address))
		return file;
	snprintf(root, sizeof(root), "/proc/%" PRIu32 "/root", pid);
	if (elf_file_open_debug(file, "", &debug) && elf_file_open_debug(file, root, &debug))
		return file;
	elf_file_free(file);
	return debug;
}

static size_t files_open(
	uint32_t pid, const struct mapped_files *mapped, struct elf_file *files[FILES_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i <= mapped->candidates; i++) {
		const struct mapped *one =
			i < mapped->candidates ? &mapped->candidate[i] : &mapped->asyncio;
		cleanup(freep) char *path = NULL;

		if (one->path && !mapped_open(pid, one, &files[count], &path)) {
			files[count] = with_debug(pid, files[count]);
			count++;
		}
	}
	return count;
}

static int by_dwarf(uint32_t pid, struct layout *layout)
{
	cleanup(mapped_clear) struct mapped_files mapped = {0};
	struct elf_file *files[FILES_MAX];
	size_t count, members;
	int rc = mapped_find(pid, &mapped);

	if (rc)
		return rc;
	count = files_open(pid, &mapped, files);
	rc = dwarf_layout_read(files, count, layout, &members);
	for (size_t i = 0; i < count; i++)
		elf_file_free(files[i]);
	return rc;
}

void target_layout_asyncio(uint32_t pid, struct layout *layout)
{
	cleanup(mapped_clear) struct mapped_files mapped = {0};
	cleanup(freep) char *path = NULL;
	struct elf_file *file;
	const void *section;
	uint64_t address;
	size_t n;

	if (layout->minor < 14 || mapped_find(pid, &mapped) || !mapped.asyncio.path ||
		mapped_open(pid, &mapped.asyncio, &file, &path))
		return;
	section = elf_file_section(file, ".AsyncioDebug", &n, &address);
	if (section)
		layout_refine_asyncio(layout, section, n);
	elf_file_free(file);
}

int target_layout_choose(struct target *t, int minor, enum layout_source source)
{
	unsigned char head[LAYOUT_DEBUG_BYTES];
	struct layout published;
	int rc = layout_shipped(minor, &t->layout);

	if (rc)
		return -ERANGE; /* no such version */
	rc = memory_read(&t->memory, t->symbol[SYMBOL_RUNTIME], head, sizeof(head));
	if (rc)
		return rc;
	published = t->layout;
	rc = layout_refine(&published, head, sizeof(head));
	if (rc == -ENOTSUP || (rc && (source == LAYOUT_ANY || source == LAYOUT_PUBLISHED)))
		return rc;
	if (source == LAYOUT_PUBLISHED && published.source != LAYOUT_PUBLISHED)
		return -ENODATA;
	if (source == LAYOUT_DWARF)
		return by_dwarf(t->memory.pid, &t->layout);
	if (source != LAYOUT_SHIPPED)
		t->layout = published;
	return 0;
}
