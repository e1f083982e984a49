/*
 * ELF by libelf, unwind tables by libdw, over a private reading of the file (no mapping: a target
 * may cut its file). See elf_file.h. Must not believe a number it finds.
 */
#include "probe/target/elf_file.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "probe/base/cleanup.h"

#define SEGMENTS_MAX 16u
#define SEGMENT_BYTES_MAX (256u << 20)
#define RELOCATIONS_MAX 4000000u
#define RANGES_MAX 2000000u
#define TEXT_BYTES_MAX 4096u
#define BUILD_ID_MAX 64u

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#define RELOCATION_RELATIVE R_X86_64_RELATIVE
#define RELOCATION_CALL R_X86_64_JUMP_SLOT
#define RELOCATION_ADDRESS R_X86_64_GLOB_DAT
#else
#define MACHINE EM_AARCH64
#define RELOCATION_RELATIVE R_AARCH64_RELATIVE
#define RELOCATION_CALL R_AARCH64_JUMP_SLOT
#define RELOCATION_ADDRESS R_AARCH64_GLOB_DAT
#endif

struct relocation {
	uint64_t at, value;
};

struct elf_file {
	int fd;
	Elf *elf;
	bool fixed;
	uint64_t base;
	size_t names; /* section of the sections' names */
	struct elf_segment segment[SEGMENTS_MAX];
	size_t segments;
	struct relocation *relocation; /* relative ones, in order */
	size_t relocations;
	struct elf_range *range; /* in order */
	size_t ranges;
};

/* ---- sections ---------------------------------------------------------------------------- */

static Elf_Scn *section_find(const struct elf_file *f, const char *name, GElf_Shdr *ret)
{
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(f->elf, section))) {
		const char *found = NULL;

		if (gelf_getshdr(section, ret))
			found = elf_strptr(f->elf, f->names, ret->sh_name);
		if (found && !strcmp(found, name))
			return section;
	}
	return NULL;
}

const void *elf_file_section(
	const struct elf_file *f, const char *name, size_t *ret_size, uint64_t *ret_address)
{
	GElf_Shdr header;
	Elf_Scn *section = section_find(f, name, &header);
	Elf_Data *data =
		section && header.sh_type != SHT_NOBITS ? elf_rawdata(section, NULL) : NULL;

	if (!data || !data->d_buf || !data->d_size)
		return NULL;
	*ret_size = data->d_size;
	*ret_address = header.sh_addr;
	return data->d_buf;
}

/* ---- segments ---------------------------------------------------------------------------- */

static void segment_take(struct elf_file *f, const GElf_Phdr *p)
{
	struct elf_segment *s;
	Elf_Data *data = NULL;

	if (p->p_type != PT_LOAD || f->segments == SEGMENTS_MAX || !p->p_filesz ||
		p->p_vaddr > UINT64_MAX - p->p_filesz)
		return;
	s = &f->segment[f->segments];
	*s = (struct elf_segment){
		.begin = p->p_vaddr,
		.end = p->p_vaddr + p->p_filesz,
		.offset = p->p_offset,
		.executable = p->p_flags & PF_X,
		.writable = p->p_flags & PF_W,
	};
	if (p->p_filesz <= SEGMENT_BYTES_MAX)
		data = elf_getdata_rawchunk(f->elf, (int64_t)p->p_offset, p->p_filesz, ELF_T_BYTE);
	if (data && data->d_size == p->p_filesz)
		s->bytes = data->d_buf;
	f->segments++;
}

static int segments_take(struct elf_file *f)
{
	GElf_Ehdr header;
	size_t count;
	bool first = true;

	if (elf_kind(f->elf) != ELF_K_ELF || gelf_getclass(f->elf) != ELFCLASS64 ||
		!gelf_getehdr(f->elf, &header) || header.e_machine != MACHINE ||
		header.e_ident[EI_DATA] != ELFDATA2LSB || elf_getphdrnum(f->elf, &count) ||
		elf_getshdrstrndx(f->elf, &f->names))
		return -EPROTO;
	f->fixed = header.e_type == ET_EXEC;
	for (size_t i = 0; i < count && i < INT_MAX; i++) {
		GElf_Phdr p;

		if (!gelf_getphdr(f->elf, (int)i, &p))
			return -EPROTO;
		if (p.p_type == PT_LOAD && first) {
			f->base = p.p_vaddr & ~(uint64_t)4095;
			first = false;
		}
		segment_take(f, &p);
	}
	return 0;
}

size_t elf_file_segments(const struct elf_file *f, const struct elf_segment **ret)
{
	*ret = f->segment;
	return f->segments;
}

static const struct elf_segment *segment_of(const struct elf_file *f, uint64_t address)
{
	for (size_t i = 0; i < f->segments; i++)
		if (address >= f->segment[i].begin && address < f->segment[i].end)
			return &f->segment[i];
	return NULL;
}

const void *elf_file_bytes(const struct elf_file *f, uint64_t address, size_t n)
{
	const struct elf_segment *s = segment_of(f, address);

	if (!s || !s->bytes || n > s->end - address)
		return NULL;
	return s->bytes + (address - s->begin);
}

const char *elf_file_text(const struct elf_file *f, uint64_t address)
{
	const struct elf_segment *s = segment_of(f, address);
	const char *text;
	size_t left;

	if (!s || !s->bytes)
		return "";
	text = (const char *)s->bytes + (address - s->begin);
	left = s->end - address < TEXT_BYTES_MAX ? s->end - address : TEXT_BYTES_MAX;
	return memchr(text, '\0', left) ? text : "";
}

int elf_file_offset(const struct elf_file *f, uint64_t address, uint64_t *ret)
{
	const struct elf_segment *s = segment_of(f, address);

	if (!s)
		return -ENOENT;
	*ret = address - s->begin + s->offset;
	return 0;
}

uint64_t elf_file_base(const struct elf_file *f)
{
	return f->base;
}

bool elf_file_fixed(const struct elf_file *f)
{
	return f->fixed;
}

void *elf_file_handle(const struct elf_file *f)
{
	return f->elf;
}

/* ---- relocations ------------------------------------------------------------------------- */

static int compare_relocations(const void *a, const void *b)
{
	const struct relocation *x = a, *y = b;

	return x->at < y->at ? -1 : x->at > y->at;
}

/* Calls fn for each relocation until it returns true. */
static bool relocations_each(const struct elf_file *f,
	bool (*fn)(void *ctx, const struct elf_file *f, const GElf_Rela *r, const char *symbol),
	void *ctx)
{
	GElf_Shdr header, of_symbols;
	Elf_Scn *section = NULL;

	while ((section = elf_nextscn(f->elf, section))) {
		Elf_Scn *symbols;
		Elf_Data *data, *table;
		size_t count;

		if (!gelf_getshdr(section, &header) || header.sh_type != SHT_RELA ||
			!(header.sh_flags & SHF_ALLOC) || !header.sh_entsize)
			continue;
		symbols = elf_getscn(f->elf, header.sh_link);
		data = elf_getdata(section, NULL);
		table = symbols && gelf_getshdr(symbols, &of_symbols) ? elf_getdata(symbols, NULL)
								      : NULL;
		count = data && data->d_buf ? data->d_size / sizeof(Elf64_Rela) : 0;
		for (size_t i = 0; i < count && i < RELOCATIONS_MAX; i++) {
			const char *name = NULL;
			GElf_Rela r;
			GElf_Sym symbol;

			if (!gelf_getrela(data, (int)i, &r))
				break;
			if (GELF_R_SYM(r.r_info) && GELF_R_SYM(r.r_info) < INT_MAX && table &&
				gelf_getsym(table, (int)GELF_R_SYM(r.r_info), &symbol))
				name = elf_strptr(f->elf, of_symbols.sh_link, symbol.st_name);
			if (fn(ctx, f, &r, name))
				return true;
		}
	}
	return false;
}

static bool relocation_take(
	void *ctx, const struct elf_file *of, const GElf_Rela *r, const char *symbol)
{
	struct elf_file *f = ctx;
	struct relocation *more;

	if (GELF_R_TYPE(r->r_info) != RELOCATION_RELATIVE)
		return false;
	if (!(f->relocations & (f->relocations + 1)) || !f->relocation) { /* 0, 1, 3, 7, ... */
		more = reallocarray(
			f->relocation, 2 * (f->relocations + 1), sizeof(*f->relocation));
		if (!more)
			return true;
		f->relocation = more;
	}
	f->relocation[f->relocations++] = (struct relocation){r->r_offset, (uint64_t)r->r_addend};
	return f->relocations == RELOCATIONS_MAX;
}

/* Without RELA entries the word stands in the file itself: DT_RELR, or a fixed address. */
uint64_t elf_file_word(const struct elf_file *f, uint64_t address)
{
	struct relocation key = {.at = address}, *found = NULL;
	const void *bytes;
	uint64_t word = 0;

	if (f->relocations)
		found = bsearch(
			&key, f->relocation, f->relocations, sizeof(key), compare_relocations);
	if (found)
		return found->value;
	bytes = elf_file_bytes(f, address, sizeof(word));
	if (bytes)
		memcpy(&word, bytes, sizeof(word));
	return word;
}

struct import {
	const char *name;
	uint64_t at;
};

static bool import_is(void *ctx, const struct elf_file *f, const GElf_Rela *r, const char *symbol)
{
	struct import *import = ctx;

	if ((GELF_R_TYPE(r->r_info) != RELOCATION_CALL &&
		    GELF_R_TYPE(r->r_info) != RELOCATION_ADDRESS) ||
		!symbol || strcmp(symbol, import->name))
		return false;
	import->at = r->r_offset;
	return true;
}

uint64_t elf_file_import(const struct elf_file *f, const char *name)
{
	struct import import = {.name = name};

	relocations_each(f, import_is, &import);
	return import.at;
}

/* ---- symbols ----------------------------------------------------------------------------- */

enum match { MATCH_NONE, MATCH_CHANGED, MATCH };

/* GCC's suffixes: lto_priv and the like rename, isra, constprop and part change arguments. */
static enum match name_match(const char *found, const char *name)
{
	size_t n = strlen(name);

	if (strncmp(found, name, n))
		return MATCH_NONE;
	if (!found[n])
		return MATCH;
	if (found[n] != '.' || !strncmp(found + n, ".cold", 5))
		return MATCH_NONE;
	if (strstr(found + n, ".isra") || strstr(found + n, ".constprop") ||
		strstr(found + n, ".part"))
		return MATCH_CHANGED;
	return MATCH;
}

static int symbol_in(const struct elf_file *f, uint32_t type, const char *name,
	uint64_t *ret_address, uint64_t *ret_size)
{
	GElf_Shdr header;
	Elf_Scn *section = NULL;
	int rc = -ENOENT;

	while ((section = elf_nextscn(f->elf, section))) {
		Elf_Data *data;
		size_t count;

		if (!gelf_getshdr(section, &header) || header.sh_type != type)
			continue;
		data = elf_getdata(section, NULL);
		count = data && data->d_buf ? data->d_size / sizeof(Elf64_Sym) : 0;
		for (size_t i = 0; i < count && i < INT_MAX; i++) {
			enum match match = MATCH_NONE;
			const char *found = NULL;
			GElf_Sym symbol;

			if (gelf_getsym(data, (int)i, &symbol) && symbol.st_shndx != SHN_UNDEF)
				found = elf_strptr(f->elf, header.sh_link, symbol.st_name);
			if (found)
				match = name_match(found, name);
			if (match == MATCH_CHANGED)
				rc = -ENOTUNIQ;
			if (match != MATCH)
				continue;
			*ret_address = symbol.st_value;
			*ret_size = symbol.st_size;
			return 0;
		}
	}
	return rc;
}

int elf_file_symbol(
	const struct elf_file *f, const char *name, uint64_t *ret_address, uint64_t *ret_size)
{
	int rc = symbol_in(f, SHT_SYMTAB, name, ret_address, ret_size);

	return rc == -ENOENT ? symbol_in(f, SHT_DYNSYM, name, ret_address, ret_size) : rc;
}

bool elf_file_has_symbols(const struct elf_file *f)
{
	GElf_Shdr header;

	return section_find(f, ".symtab", &header) != NULL;
}

/* ---- functions --------------------------------------------------------------------------- */

static int compare_ranges(const void *a, const void *b)
{
	const struct elf_range *x = a, *y = b;

	return x->begin < y->begin ? -1 : x->begin > y->begin;
}

/* How a CIE says that its FDEs' addresses are written (LSB 5.0, 10.6.1.1.1: augmentation R). */
static unsigned int cie_encoding(const Dwarf_CIE *cie)
{
	const char *letters = cie->augmentation;
	const uint8_t *data = cie->augmentation_data;
	size_t left = cie->augmentation_data_size;

	if (!letters || *letters++ != 'z')
		return DW_EH_PE_absptr;
	for (; *letters; letters++) {
		size_t skip = 0;

		if (*letters == 'R')
			return left ? *data : DW_EH_PE_omit;
		if (*letters == 'L')
			skip = 1;
		else if (*letters == 'P') /* a pointer behind its encoding */
			skip = !left ? 1 : (*data & 0x0f) == DW_EH_PE_absptr ? 9 : 5;
		else if (*letters != 'S' && *letters != 'B')
			return DW_EH_PE_omit;
		if (skip > left)
			return DW_EH_PE_omit;
		data += skip;
		left -= skip;
	}
	return DW_EH_PE_absptr;
}

/* Where the addresses of an FDE stand, `at` in memory; only forms that compilers write are read. */
static bool fde_range(
	const Dwarf_FDE *fde, uint64_t at, unsigned int encoding, struct elf_range *ret)
{
	size_t n = (size_t)(fde->end - fde->start);
	int64_t place8, length8;
	int32_t place4, length4;

	if (encoding == (DW_EH_PE_pcrel | DW_EH_PE_sdata4) && n >= 8) {
		memcpy(&place4, fde->start, 4);
		memcpy(&length4, fde->start + 4, 4);
		*ret = (struct elf_range){at + (uint64_t)(int64_t)place4, (uint32_t)length4};
	} else if ((encoding == DW_EH_PE_absptr ||
			   encoding == (DW_EH_PE_pcrel | DW_EH_PE_sdata8)) &&
		   n >= 16) {
		memcpy(&place8, fde->start, 8);
		memcpy(&length8, fde->start + 8, 8);
		*ret = (struct elf_range){
			(encoding ? at : 0) + (uint64_t)place8, (uint64_t)length8};
	} else {
		return false;
	}
	ret->end += ret->begin;
	return ret->end > ret->begin;
}

struct known_cie { /* the one last met; most files have one or two */
	Dwarf_Off offset;
	unsigned int encoding;
};

static unsigned int encoding_of(const struct elf_file *f, Elf_Data *data, Dwarf_Off cie)
{
	GElf_Ehdr header;
	Dwarf_CFI_Entry entry;
	Dwarf_Off next;

	if (!gelf_getehdr(f->elf, &header) ||
		dwarf_next_cfi(header.e_ident, data, true, cie, &next, &entry) ||
		!dwarf_cfi_cie_p(&entry))
		return DW_EH_PE_omit;
	return cie_encoding(&entry.cie);
}

static int ranges_take(struct elf_file *f)
{
	struct known_cie known = {.offset = UINT64_MAX};
	GElf_Shdr shdr;
	GElf_Ehdr header;
	Elf_Scn *section = section_find(f, ".eh_frame", &shdr);
	Elf_Data *data = section && shdr.sh_type != SHT_NOBITS ? elf_rawdata(section, NULL) : NULL;
	Dwarf_CFI_Entry entry;
	Dwarf_Off next;

	if (!data || !data->d_buf || !gelf_getehdr(f->elf, &header))
		return 0; /* no function is known then */
	for (Dwarf_Off off = 0; off < data->d_size && f->ranges < RANGES_MAX; off = next) {
		int rc = dwarf_next_cfi(header.e_ident, data, true, off, &next, &entry);
		struct elf_range *more;
		uint64_t at;

		if (rc < 0 && next > off)
			continue; /* one it does not understand */
		if (rc || next <= off)
			break;
		if (dwarf_cfi_cie_p(&entry))
			continue;
		if (entry.fde.CIE_pointer != known.offset)
			known = (struct known_cie){
				entry.fde.CIE_pointer, encoding_of(f, data, entry.fde.CIE_pointer)};
		if (!(f->ranges & (f->ranges + 1)) || !f->range) {
			more = reallocarray(f->range, 2 * (f->ranges + 1), sizeof(*more));
			if (!more)
				return -ENOMEM;
			f->range = more;
		}
		at = shdr.sh_addr + (uint64_t)(entry.fde.start - (const uint8_t *)data->d_buf);
		f->ranges += fde_range(&entry.fde, at, known.encoding, &f->range[f->ranges]);
	}
	if (f->ranges)
		qsort(f->range, f->ranges, sizeof(*f->range), compare_ranges);
	return 0;
}

bool elf_file_function(const struct elf_file *f, uint64_t address, struct elf_range *ret)
{
	size_t low = 0, high = f->ranges;

	while (low < high) { /* the first that begins behind it */
		size_t middle = low + (high - low) / 2;

		if (f->range[middle].begin <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address >= f->range[low - 1].end)
		return false;
	*ret = f->range[low - 1];
	return true;
}

/* ---- life -------------------------------------------------------------------------------- */

static void elf_file_freep(struct elf_file **f)
{
	elf_file_free(*f);
}

int elf_file_open(const char *path, struct elf_file **ret)
{
	cleanup(elf_file_freep) struct elf_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int rc;

	if (!f)
		return -ENOMEM;
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (f->fd < 0)
		return -errno;
	if (fstat(f->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EPROTO;
	elf_version(EV_CURRENT);
	f->elf = elf_begin(f->fd, ELF_C_READ, NULL);
	if (!f->elf)
		return -EPROTO;
	rc = segments_take(f);
	if (rc)
		return rc;
	relocations_each(f, relocation_take, f);
	if (f->relocations)
		qsort(f->relocation, f->relocations, sizeof(*f->relocation), compare_relocations);
	rc = ranges_take(f);
	if (rc)
		return rc;
	*ret = TAKE(f);
	return 0;
}

void elf_file_free(struct elf_file *f)
{
	if (!f)
		return;
	if (f->elf)
		elf_end(f->elf);
	if (f->fd >= 0)
		close(f->fd);
	free(f->relocation);
	free(f->range);
	free(f);
}

int elf_file_open_debug(const struct elf_file *f, const char *root, struct elf_file **ret)
{
	char path[PATH_MAX], hex[2 * BUILD_ID_MAX + 1];
	const void *id;
	ssize_t n = dwelf_elf_gnu_build_id(f->elf, &id);

	if (n < 2 || (size_t)n > BUILD_ID_MAX)
		return -ENOENT;
	for (ssize_t i = 0; i < n; i++)
		sprintf(hex + 2 * i, "%02x", ((const unsigned char *)id)[i]);
	if ((size_t)snprintf(path, sizeof(path), "%s/usr/lib/debug/.build-id/%.2s/%s.debug", root,
		    hex, hex + 2) >= sizeof(path))
		return -ENAMETOOLONG;
	return elf_file_open(path, ret);
}
