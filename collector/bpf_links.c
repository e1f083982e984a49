/* See bpf_links.h. */
#include "collector/bpf_links.h"

#include <errno.h>

int bpf_links_add(struct bpf_links *links, struct bpf_link *link)
{
	if (!link)
		return -errno;
	if (links->count == BPF_LINKS_MAX) {
		bpf_link__destroy(link);
		return -ENOBUFS;
	}
	links->link[links->count++] = link;
	return 0;
}

void bpf_links_drop(struct bpf_links *links, size_t keep)
{
	while (links->count > keep)
		bpf_link__destroy(links->link[--links->count]);
}

static void *drop_all(void *links)
{
	bpf_links_drop(links, 0);
	return NULL;
}

void bpf_links_detach(struct bpf_links *links)
{
	if (links->detaching)
		return;
	links->detaching = !pthread_create(&links->detacher, NULL, drop_all, links);
	if (!links->detaching)
		drop_all(links);
}

void bpf_links_clear(struct bpf_links *links)
{
	bpf_links_detach(links);
	if (links->detaching)
		pthread_join(links->detacher, NULL);
}
