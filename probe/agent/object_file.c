/*
 * Reads a loaded ELF object's dynamic section (ELF gABI; x86-64 and aarch64 psABI). Called by got.c
 * under the GIL. Changes nothing.
 */
#include "probe/agent/object_file.h"

#include <dlfcn.h>
#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "probe/agent/symver.h"

#if defined(__x86_64__)
#define RELOC_JUMP_SLOT R_X86_64_JUMP_SLOT
#define RELOC_GLOB_DAT R_X86_64_GLOB_DAT
#elif defined(__aarch64__)
#define RELOC_JUMP_SLOT R_AARCH64_JUMP_SLOT
#define RELOC_GLOB_DAT R_AARCH64_GLOB_DAT
#endif

#define VERSION_MASK 0x7fff /* the top bit of a versym is "hidden" */
#define VERSIONS_FIRST 2    /* 0 local, 1 global: no name */

/* The executable has no name for ld.so. */
static void path_set(struct object_file *file, const char *name)
{
	ssize_t n = sizeof(file->path) - 1;

	if (!file->executable)
		strncpy(file->path, name, sizeof(file->path) - 1);
	else
		n = readlink("/proc/self/exe", file->path, sizeof(file->path) - 1);
	file->path[n > 0 ? n : 0] = '\0';
}

bool object_file_init(struct object_file *file, const struct dl_phdr_info *info)
{
	memset(file, 0, sizeof(*file));
	file->base = info->dlpi_addr;
	file->begin = UINTPTR_MAX;
	file->executable = !info->dlpi_name || !info->dlpi_name[0];
	path_set(file, info->dlpi_name);
	for (unsigned int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uintptr_t begin = file->base + p->p_vaddr;

		if (p->p_type == PT_DYNAMIC)
			file->dynamic = (const ElfW(Dyn) *)begin;
		if (p->p_type != PT_LOAD)
			continue;
		if (begin < file->begin)
			file->begin = begin;
		if (begin + p->p_memsz > file->end)
			file->end = begin + p->p_memsz;
		if (p->p_flags & PF_X && !file->code_end) {
			file->code_begin = begin;
			file->code_end = begin + p->p_memsz;
		}
	}
	return file->dynamic && file->code_end;
}

/* The same object, not another that took its place since. */
static void *handle_take(const struct object_file *file)
{
	void *handle = dlopen(file->executable ? NULL : file->path, RTLD_LAZY | RTLD_NOLOAD);
	struct link_map *map = handle; /* what a handle is in glibc */

	if (handle && map->l_addr == file->base && map->l_ld == file->dynamic)
		return handle;
	if (handle)
		dlclose(handle);
	return NULL;
}

/* ld.so has made the pointers absolute; where the section is read-only it has not. */
static const void *absolute(const struct object_file *file, ElfW(Addr) address)
{
	return (const void *)(address < file->begin ? address + file->base : address);
}

static void dynamic_read(struct object_file *file)
{
	for (const ElfW(Dyn) *d = file->dynamic; d->d_tag != DT_NULL; d++) {
		const void *at = absolute(file, d->d_un.d_ptr);

		switch (d->d_tag) {
		case DT_SYMTAB:
			file->symbols = at;
			break;
		case DT_STRTAB:
			file->strings = at;
			break;
		case DT_VERSYM:
			file->versions = at;
			break;
		case DT_VERNEED:
			file->needs = at;
			break;
		case DT_VERNEEDNUM:
			file->needs_count = d->d_un.d_val;
			break;
		case DT_JMPREL:
			file->tables[0] = at;
			break;
		case DT_PLTRELSZ:
			file->counts[0] = d->d_un.d_val / sizeof(ElfW(Rela));
			break;
		case DT_RELA:
			file->tables[1] = at;
			break;
		case DT_RELASZ:
			file->counts[1] = d->d_un.d_val / sizeof(ElfW(Rela));
			break;
		}
	}
}

bool object_file_open(struct object_file *file)
{
	file->handle = handle_take(file);
	if (!file->handle)
		return false;
	dynamic_read(file);
	for (unsigned int i = 0; i < 2; i++)
		if (!file->tables[i])
			file->counts[i] = 0;
	return file->symbols && file->strings;
}

void object_file_close(struct object_file *file)
{
	if (file->handle)
		dlclose(file->handle);
	file->handle = NULL;
}

const char *object_file_name(const struct object_file *file)
{
	const char *slash = strrchr(file->path, '/');

	return slash ? slash + 1 : file->path;
}

bool object_file_holds(const struct object_file *file, const void *address)
{
	return (uintptr_t)address >= file->begin && (uintptr_t)address < file->end;
}

const char *object_file_version(const struct object_file *file, const struct import *import)
{
	const char *need = (const char *)file->needs;
	uint16_t version;

	if (!file->versions || !need)
		return NULL;
	version = file->versions[import->symbol] & VERSION_MASK;
	if (version < VERSIONS_FIRST)
		return NULL;
	for (size_t i = 0; i < file->needs_count; i++) {
		const ElfW(Verneed) *n = (const ElfW(Verneed) *)need;
		const char *aux = need + n->vn_aux;

		for (unsigned int k = 0; k < n->vn_cnt; k++) {
			const ElfW(Vernaux) *a = (const ElfW(Vernaux) *)aux;

			if ((a->vna_other & VERSION_MASK) == version)
				return file->strings + a->vna_name;
			aux += a->vna_next;
		}
		need += n->vn_next;
	}
	return NULL;
}

bool object_file_import(
	const struct object_file *file, unsigned int table, size_t index, struct import *ret)
{
	const ElfW(Rela) *rela = &file->tables[table][index];
	uint32_t type = (uint32_t)ELF64_R_TYPE(rela->r_info);
	const ElfW(Sym) *symbol = &file->symbols[ELF64_R_SYM(rela->r_info)];

	if ((type != RELOC_JUMP_SLOT && type != RELOC_GLOB_DAT) || symbol->st_shndx != SHN_UNDEF)
		return false;
	ret->name = file->strings + symbol->st_name;
	ret->slot = (void **)(file->base + rela->r_offset);
	ret->index = index;
	ret->lazy = type == RELOC_JUMP_SLOT;
	ret->symbol = (size_t)ELF64_R_SYM(rela->r_info);
	return true;
}

#if defined(__x86_64__)
/* "push index" behind an optional endbr64; x86-64 psABI, 5.2 */
bool object_file_unbound(
	const struct object_file *file, const struct import *import, const void *value)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	const uint8_t *at = value;
	uint32_t index;

	if (!import->lazy || (uintptr_t)at < file->code_begin ||
		(uintptr_t)at + 16 > file->code_end)
		return false;
	if (!memcmp(at, endbr64, sizeof(endbr64)))
		at += sizeof(endbr64);
	if (*at != 0x68)
		return false;
	memcpy(&index, at + 1, sizeof(index));
	return index == import->index;
}
#else
/* All stubs share PLT[0] there: no proof which one it is. */
bool object_file_unbound(
	const struct object_file *file, const struct import *import, const void *value)
{
	return false;
}
#endif
