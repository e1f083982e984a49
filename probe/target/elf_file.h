/*
 * An ELF file that a target has mapped, or its debug file: bytes by address, symbols, relocated
 * words, function bounds from its unwind tables. Written by whoever made the target: every place is
 * checked. Addresses are those the file names. Silent.
 */
#ifndef PROBE_TARGET_ELF_FILE_H
#define PROBE_TARGET_ELF_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_file;

struct elf_segment {         /* a PT_LOAD */
	uint64_t begin, end; /* of what the file holds of it */
	uint64_t offset;     /* of its first byte in the file */
	bool executable, writable;
	const unsigned char *bytes; /* NULL: could not be read */
};

struct elf_range { /* of one function, or of one part of it */
	uint64_t begin, end;
};

/* -EPROTO: no 64-bit ELF object of this machine. The caller owns *ret: elf_file_free(). */
int elf_file_open(const char *path, struct elf_file **ret);
void elf_file_free(struct elf_file *file); /* accepts NULL */
/* The file of its symbols and debug information by its build id, below root ("": this system's). */
int elf_file_open_debug(const struct elf_file *file, const char *root, struct elf_file **ret);
/* The libelf handle, for libdw; the file keeps it. */
void *elf_file_handle(const struct elf_file *file);

/* Where its first byte goes to memory if nothing is added to its addresses; 0 for most. */
uint64_t elf_file_base(const struct elf_file *file);
bool elf_file_fixed(const struct elf_file *file); /* not relocatable: addresses are final */
size_t elf_file_segments(const struct elf_file *file, const struct elf_segment **ret);
/* n bytes at an address; NULL: the file does not hold them. */
const void *elf_file_bytes(const struct elf_file *file, uint64_t address, size_t n);
/* A text at an address, "" where there is none. */
const char *elf_file_text(const struct elf_file *file, uint64_t address);
/* -ENOENT: no byte of the file is loaded there. */
int elf_file_offset(const struct elf_file *file, uint64_t address, uint64_t *ret);
/* A word of its data as the dynamic linker leaves it; 0 where nothing is known. */
uint64_t elf_file_word(const struct elf_file *file, uint64_t address);
/* The word that will hold the address of an imported function; 0: it imports none of that name. */
uint64_t elf_file_import(const struct elf_file *file, const char *name);

/*
 * A defined symbol, of .symtab or else of .dynsym. Compilers append to a name what they did to the
 * function (".lto_priv.0", ".isra.0"); a copy whose arguments may differ is no match and gives
 * -ENOTUNIQ. -ENOENT: none.
 */
int elf_file_symbol(
	const struct elf_file *file, const char *name, uint64_t *ret_address, uint64_t *ret_size);
bool elf_file_has_symbols(const struct elf_file *file); /* a .symtab with names */
/* The function that an address lies in; false: no unwind table tells. */
bool elf_file_function(const struct elf_file *file, uint64_t address, struct elf_range *ret);
/* Bytes of a section and its address; NULL: none. */
const void *elf_file_section(
	const struct elf_file *file, const char *name, size_t *ret_size, uint64_t *ret_address);

#endif
