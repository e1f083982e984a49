/*
 * The program in the kernel beside agents (probe/bpf/beside.bpf.c) from this side: loaded for one
 * recording, before anything runs. Everything of it is gone when this process is. Silent.
 */
#ifndef COLLECTOR_BPF_BESIDE_H
#define COLLECTOR_BPF_BESIDE_H

#include <stddef.h>
#include <stdint.h>

struct bpf_beside;

struct bpf_beside_options {
	const char *agent;   /* path of agent.so: it announces the threads */
	const char *session; /* the folder of its rings */
	uint64_t min_block_ns, min_turn_ns;
};

typedef int (*bpf_beside_fn)(void *ctx, void *record, size_t size);

/*
 * fn takes its records, in bpf_beside_consume(). Where it fails *ret_why is a clause: what could
 * not be done. -EPERM: not privileged. The caller owns *ret: bpf_beside_free().
 */
int bpf_beside_open(const struct bpf_beside_options *options, bpf_beside_fn fn, void *ctx,
	struct bpf_beside **ret, const char **ret_why);
/*
 * Nothing more comes. The kernel takes 0.1 s for it, which pass beside what the caller does next.
 */
void bpf_beside_detach(struct bpf_beside *b);
void bpf_beside_free(struct bpf_beside *b);   /* detaches; accepts NULL */
int bpf_beside_consume(struct bpf_beside *b); /* how many, or what fn returned */
/*
 * Sample this thread by a clock of its CPU time, until it ends. 0 or -errno: the kernel refused the
 * clock.
 */
int bpf_beside_clock(struct bpf_beside *b, uint32_t tid);
/* This code is no cell's: it need not be told of again while its co_filename is that. */
void bpf_beside_code_stays(struct bpf_beside *b, uint32_t pid, uint64_t code, uint64_t file);
uint64_t bpf_beside_lost(const struct bpf_beside *b); /* records: its ring was full */

#endif
