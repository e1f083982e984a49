/*
 * Where CPython keeps its members, as the debug information of its own files tells. The files are
 * anybody's: what is found is proven on the target like any other layout. Silent.
 */
#ifndef PROBE_TARGET_DWARF_H
#define PROBE_TARGET_DWARF_H

#include <stddef.h>

#include "probe/target/elf_file.h"
#include "probe/target/layout.h"

/*
 * Puts what these files' DWARF knows over the layout of a version; *ret_members: how many members.
 * -ENODATA: nothing of an interpreter; the layout is untouched then.
 */
int dwarf_layout_read(
	struct elf_file *const *files, size_t count, struct layout *layout, size_t *ret_members);

#endif
