/*
 * The rings of agents, and beside each agent's records what the kernel says of the same threads, as
 * one feed. Made by `run` where it may. Silent.
 */
#ifndef COLLECTOR_BPF_BOTH_H
#define COLLECTOR_BPF_BOTH_H

#include "collector/feed.h"

struct bpf_both_options {
	const char *agent;   /* path of agent.so */
	const char *session; /* the folder of its rings */
	uint64_t min_block_ns, min_step_ns;
};

/*
 * rings: the agents' feed, the new one's from now on, but not on failure. *ret_why as in
 * bpf_beside.h. The caller owns *ret: ret->ops->free().
 */
int bpf_both_open(const struct bpf_both_options *options, struct feed *rings, struct feed **ret,
	const char **ret_why);

#endif
