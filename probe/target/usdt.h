/*
 * Statically defined trace points of an ELF file (sys/sdt.h's .note.stapsdt), with the place of
 * each argument. The notes are whoever's who made the file: every byte is checked. Silent.
 */
#ifndef PROBE_TARGET_USDT_H
#define PROBE_TARGET_USDT_H

#include <stdint.h>

#include "probe/target/elf_file.h"
#include "probe/target/points.h"

struct usdt_site {
	const char *name;
	uint64_t address;   /* as the file names it, as is the semaphore's */
	uint64_t semaphore; /* 0: none */
	/* ARGUMENT_NONE: there are fewer, or its place cannot be told */
	struct point_argument argument[POINT_ARGUMENTS_MAX];
};

/* Calls fn for each site of a provider ("python"); what is malformed is left out. */
void usdt_each(const struct elf_file *file, const char *provider,
	void (*fn)(void *ctx, const struct usdt_site *site), void *ctx);
/* "8@%rax", "-4@112(%rsp)", "4@$1"; -EINVAL: another form. *ret_used: bytes it took. */
int usdt_argument_parse(const char *text, struct point_argument *ret, size_t *ret_used);

#endif
