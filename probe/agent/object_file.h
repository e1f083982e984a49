/*
 * A loaded ELF object as got.c reads it: its relocations of imported functions, who they bind to,
 * what its pages permit.
 */
#ifndef PROBE_AGENT_OBJECT_FILE_H
#define PROBE_AGENT_OBJECT_FILE_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OBJECT_PATH_BYTES 256

struct object_file {
	bool executable;
	char path[OBJECT_PATH_BYTES];   /* cut */
	uintptr_t base;                 /* what its addresses are relative to */
	uintptr_t begin, end;           /* its mapping */
	uintptr_t code_begin, code_end; /* its executable segment */
	const ElfW(Dyn) * dynamic;
	void *handle; /* keeps it loaded while we look; NULL: not taken */
	/* of its dynamic section */
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint16_t *versions; /* NULL: none */
	const ElfW(Verneed) * needs;
	size_t needs_count;
	const ElfW(Rela) * tables[2]; /* of the PLT, and the others */
	size_t counts[2];
};

struct import { /* one relocation of an imported function */
	const char *name;
	void **slot;
	size_t index;  /* in its table */
	size_t symbol; /* in the symbol table */
	bool lazy;     /* of the PLT: may still be its own stub */
};

/* From dl_iterate_phdr; false: nothing that could be read. */
bool object_file_init(struct object_file *file, const struct dl_phdr_info *info);
/* Keep it loaded and read its tables; false: it is gone, or has none. */
bool object_file_open(struct object_file *file);
void object_file_close(struct object_file *file);
/* "libuv.so.1" */
const char *object_file_name(const struct object_file *file);
bool object_file_holds(const struct object_file *file, const void *address);
/* Relocation `index` of table 0 (PLT) or 1; false: no import of a function. */
bool object_file_import(
	const struct object_file *file, unsigned int table, size_t index, struct import *ret);
/* The version it asks for, "GLIBC_2.3.2"; NULL: none. */
const char *object_file_version(const struct object_file *file, const struct import *import);
/* The slot still holds the address of its own PLT stub, so ld.so has not bound it. */
bool object_file_unbound(
	const struct object_file *file, const struct import *import, const void *value);

#endif
