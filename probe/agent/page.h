/* Pages of this process: what they permit, read once from /proc/self/maps; and pages of our own. */
#ifndef PROBE_AGENT_PAGE_H
#define PROBE_AGENT_PAGE_H

#include <stddef.h>

/*
 * Zeroed memory that is not malloc's, NULL where there is none; never empty. glibc adapts its mmap
 * threshold to what is freed: one large block of ours halved the CPU time of a stream server that
 * gets 256 KiB per read (measured 2026-11-21, CPython 3.11.2), and the target must not change.
 */
void *pages_get(size_t bytes);
void pages_put(void *pages, size_t bytes); /* accepts NULL */

struct page_map;

struct page_map *page_map_read(void); /* NULL: could not be read; page_map_free() */
void page_map_free(struct page_map *map);
/* PROT_* of the page at address; -1: not mapped, or not known. */
int page_protection(const struct page_map *map, const void *address);

#endif
