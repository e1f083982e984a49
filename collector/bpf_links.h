/*
 * What ties a program in the kernel to its probes. To take them away costs the kernel about 0.4 s
 * (uprobes, Linux 6.18, 2026-11), so that all go in a thread of their own. Silent.
 */
#ifndef COLLECTOR_BPF_LINKS_H
#define COLLECTOR_BPF_LINKS_H

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "probe/bpf/slot.h"
#include "probe/target/points.h"

#define BPF_LINKS_MAX (POINTS_MAX + SLOTS_MAX + 8u)

struct bpf_tie {
	struct bpf_link *link; /* NULL: fd is the link's */
	int fd;                /* -1: nor is there one */
};
#define BPF_UNTIED ((struct bpf_tie){.fd = -1})

struct bpf_links { /* zeroed before */
	struct bpf_tie tie[BPF_LINKS_MAX];
	size_t count;
	pthread_t detacher;
	bool detaching; /* it runs, and has the links */
};

/* Takes what an attach returned; NULL: it failed with errno, which is returned. -ENOBUFS: no room,
 * and it is gone. */
int bpf_links_add(struct bpf_links *links, struct bpf_link *link);
/* The same of a link that was made without libbpf. */
int bpf_links_add_fd(struct bpf_links *links, int fd);
/* The last one first, down to the first `keep`. */
void bpf_links_drop(struct bpf_links *links, size_t keep);
/* Begins to take all away, the last one first; nothing may be added any more. Does not wait. */
void bpf_links_detach(struct bpf_links *links);
void bpf_links_clear(struct bpf_links *links); /* the same, and waits */

#endif
