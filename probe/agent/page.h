/* What the pages of this process permit, read once from /proc/self/maps. */
#ifndef PROBE_AGENT_PAGE_H
#define PROBE_AGENT_PAGE_H

struct page_map;

struct page_map *page_map_read(void); /* NULL: could not be read; page_map_free() */
void page_map_free(struct page_map *map);
/* PROT_* of the page at address; -1: not mapped, or not known. */
int page_protection(const struct page_map *map, const void *address);

#endif
