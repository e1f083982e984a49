/*
 * An ELF object as it lies in another process's memory, read from there alone: no file is opened,
 * so a replaced or unreachable file does not matter. Silent.
 */
#ifndef PROBE_TARGET_IMAGE_H
#define PROBE_TARGET_IMAGE_H

#include "probe/target/memory.h"

struct image {
	uint64_t bias; /* added to the addresses that the object names */
	/* of .dynsym, in the target; 0: it has none */
	uint64_t symbols, strings, strings_size;
	uint64_t gnu_hash, hash;
};

/* base: where its first byte is mapped. -EPROTO: no 64-bit ELF object with dynamic symbols. */
int image_open(const struct memory *memory, uint64_t base, struct image *ret);
/* Address of a defined dynamic symbol. -ENOENT: it has none of that name. */
int image_symbol(const struct memory *memory, const struct image *image, const char *name,
	uint64_t *ret_address, uint64_t *ret_size);

#endif
