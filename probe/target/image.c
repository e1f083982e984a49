/*
 * Dynamic symbols of a mapped ELF object by its hash tables (ELF gABI; DT_GNU_HASH as glibc's
 * elf/dl-lookup.c reads it). Called once per target. Every count is bounded.
 */
#include "probe/target/image.h"

#include <elf.h>
#include <errno.h>
#include <string.h>

#define SEGMENTS_MAX 64u
#define DYNAMIC_MAX 512u /* entries */
#define CHAIN_MAX 4096u  /* symbols of one hash value looked at */
#define NAME_MAX_BYTES 64u
#define PAGE_MASK 4095u

static int header_read(const struct memory *m, uint64_t base, Elf64_Ehdr *ret)
{
	int rc = memory_read(m, base, ret, sizeof(*ret));

	if (rc)
		return rc;
	if (memcmp(ret->e_ident, ELFMAG, SELFMAG) || ret->e_ident[EI_CLASS] != ELFCLASS64 ||
		ret->e_ident[EI_DATA] != ELFDATA2LSB)
		return -EPROTO;
	if (ret->e_type != ET_DYN && ret->e_type != ET_EXEC)
		return -EPROTO;
	if (ret->e_phentsize != sizeof(Elf64_Phdr) || !ret->e_phnum || ret->e_phnum > SEGMENTS_MAX)
		return -EPROTO;
	return 0;
}

/* The bias, and the dynamic section's place. */
static int segments_read(const struct memory *m, uint64_t base, const Elf64_Ehdr *header,
	uint64_t *ret_bias, Elf64_Phdr *ret_dynamic)
{
	Elf64_Phdr segments[SEGMENTS_MAX];
	const Elf64_Phdr *first = NULL, *dynamic = NULL;
	int rc = memory_read(
		m, base + header->e_phoff, segments, header->e_phnum * sizeof(*segments));

	if (rc)
		return rc;
	for (unsigned int i = 0; i < header->e_phnum; i++) {
		if (segments[i].p_type == PT_LOAD && !first)
			first = &segments[i];
		if (segments[i].p_type == PT_DYNAMIC)
			dynamic = &segments[i];
	}
	if (!first || !dynamic)
		return -EPROTO;
	*ret_bias = header->e_type == ET_EXEC ? 0 : base - (first->p_vaddr & ~(uint64_t)PAGE_MASK);
	*ret_dynamic = *dynamic;
	return 0;
}

int image_open(const struct memory *m, uint64_t base, struct image *ret)
{
	struct image image = {0};
	Elf64_Dyn entries[DYNAMIC_MAX];
	Elf64_Phdr dynamic;
	Elf64_Ehdr header;
	size_t count;
	int rc = header_read(m, base, &header);

	if (!rc)
		rc = segments_read(m, base, &header, &image.bias, &dynamic);
	if (rc)
		return rc;
	count = dynamic.p_memsz / sizeof(*entries);
	count = count < DYNAMIC_MAX ? count : DYNAMIC_MAX;
	rc = memory_read(m, image.bias + dynamic.p_vaddr, entries, count * sizeof(*entries));
	if (rc)
		return rc;
	for (size_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++) {
		uint64_t value = entries[i].d_un.d_val;
		/* glibc has made addresses absolute; others leave them as they were */
		uint64_t address = value < base ? value + image.bias : value;

		if (entries[i].d_tag == DT_SYMTAB)
			image.symbols = address;
		else if (entries[i].d_tag == DT_STRTAB)
			image.strings = address;
		else if (entries[i].d_tag == DT_STRSZ)
			image.strings_size = value;
		else if (entries[i].d_tag == DT_GNU_HASH)
			image.gnu_hash = address;
		else if (entries[i].d_tag == DT_HASH)
			image.hash = address;
	}
	if (!image.symbols || !image.strings || (!image.gnu_hash && !image.hash))
		return -EPROTO;
	*ret = image;
	return 0;
}

/* 1: symbol `index` is defined and has this name; 0: not. */
static int symbol_is(const struct memory *m, const struct image *image, uint32_t index,
	const char *name, Elf64_Sym *ret)
{
	char found[NAME_MAX_BYTES];
	size_t n = strlen(name) + 1;
	int rc = memory_read(m, image->symbols + (uint64_t)index * sizeof(*ret), ret, sizeof(*ret));

	if (rc)
		return rc;
	if (ret->st_shndx == SHN_UNDEF || n > sizeof(found) || ret->st_name >= image->strings_size)
		return 0;
	rc = memory_read(m, image->strings + ret->st_name, found, n);
	return rc ? rc : !memcmp(found, name, n);
}

static uint32_t gnu_hash_of(const char *name)
{
	uint32_t h = 5381;

	for (; *name; name++)
		h = h * 33 + (unsigned char)*name;
	return h;
}

/* struct { u32 buckets, first, bloom, shift; u64 bloom[]; u32 bucket[]; u32 chain[]; } */
static int gnu_find(
	const struct memory *m, const struct image *image, const char *name, Elf64_Sym *ret)
{
	uint32_t head[4], index, value, hash = gnu_hash_of(name);
	uint64_t buckets, chain;
	int rc = memory_read(m, image->gnu_hash, head, sizeof(head));

	if (rc || !head[0])
		return rc ? rc : -ENOENT;
	buckets = image->gnu_hash + sizeof(head) + 8ull * head[2];
	chain = buckets + 4ull * head[0];
	rc = memory_read(m, buckets + 4ull * (hash % head[0]), &index, sizeof(index));
	if (rc || index < head[1])
		return rc ? rc : -ENOENT;
	for (unsigned int i = 0; i < CHAIN_MAX; i++, index++) {
		rc = memory_read(m, chain + 4ull * (index - head[1]), &value, sizeof(value));
		if (!rc && (value | 1) == (hash | 1))
			rc = symbol_is(m, image, index, name, ret);
		if (rc)
			return rc < 0 ? rc : 0;
		if (value & 1)
			break; /* the last of its bucket */
	}
	return -ENOENT;
}

static uint32_t sysv_hash_of(const char *name)
{
	uint32_t h = 0, g;

	for (; *name; name++) {
		h = (h << 4) + (unsigned char)*name;
		g = h & 0xf0000000u;
		h = (h ^ g >> 24) & ~g;
	}
	return h;
}

/* struct { u32 buckets, chains; u32 bucket[]; u32 chain[]; } */
static int sysv_find(
	const struct memory *m, const struct image *image, const char *name, Elf64_Sym *ret)
{
	uint32_t head[2], index;
	uint64_t at;
	int rc = memory_read(m, image->hash, head, sizeof(head));

	if (rc || !head[0])
		return rc ? rc : -ENOENT;
	at = image->hash + sizeof(head) + 4ull * (sysv_hash_of(name) % head[0]);
	for (unsigned int i = 0; i < CHAIN_MAX; i++) {
		rc = memory_read(m, at, &index, sizeof(index));
		if (!rc && (!index || index >= head[1]))
			return -ENOENT;
		if (!rc)
			rc = symbol_is(m, image, index, name, ret);
		if (rc)
			return rc < 0 ? rc : 0;
		at = image->hash + sizeof(head) + 4ull * head[0] + 4ull * index;
	}
	return -ENOENT;
}

int image_symbol(const struct memory *m, const struct image *image, const char *name,
	uint64_t *ret_address, uint64_t *ret_size)
{
	Elf64_Sym symbol = {0};
	int rc = image->gnu_hash ? gnu_find(m, image, name, &symbol)
				 : sysv_find(m, image, name, &symbol);

	if (rc)
		return rc;
	*ret_address = symbol.st_value + image->bias;
	*ret_size = symbol.st_size;
	return 0;
}
