/* See bpf_links.h. */
#include "collector/bpf_links.h"

#include <errno.h>
#include <unistd.h>

static void untie(const struct bpf_tie *tie)
{
	if (tie->link)
		bpf_link__destroy(tie->link);
	else if (tie->fd >= 0)
		close(tie->fd);
}

static int add(struct bpf_links *links, const struct bpf_tie *tie)
{
	if (links->count == BPF_LINKS_MAX) {
		untie(tie);
		return -ENOBUFS;
	}
	links->tie[links->count++] = *tie;
	return 0;
}

int bpf_links_add(struct bpf_links *links, struct bpf_link *link)
{
	return link ? add(links, &(struct bpf_tie){.link = link}) : -errno;
}

int bpf_links_add_fd(struct bpf_links *links, int fd)
{
	return add(links, &(struct bpf_tie){.fd = fd});
}

void bpf_links_drop(struct bpf_links *links, size_t keep)
{
	while (links->count > keep)
		untie(&links->tie[--links->count]);
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
