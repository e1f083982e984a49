/* Loads and attaches the program in the kernel beside agents. See bpf_beside.h. */
#include "collector/bpf_beside.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/bpf_clock.h"
#include "collector/bpf_links.h"
#include "probe/announce.h"
#include "probe/base/cleanup.h"
#include "probe/bpf/beside.h"
#include "probe/bpf/slot.h"

/* generated; its own style */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include "probe/bpf/beside.skel.h"
#pragma GCC diagnostic pop

#define STRING(x) STRING_OF(x)
#define STRING_OF(x) #x

struct bpf_beside {
	struct beside *program;
	struct ring_buffer *ring;
	struct bpf_links links;
	struct bpf_clocks clocks;
};

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static void beside_freep(struct bpf_beside **b)
{
	bpf_beside_free(*b);
}

void bpf_beside_detach(struct bpf_beside *b)
{
	bpf_clocks_clear(&b->clocks);
	bpf_links_detach(&b->links);
}

void bpf_beside_free(struct bpf_beside *b)
{
	if (!b)
		return;
	bpf_clocks_clear(&b->clocks);
	bpf_links_clear(&b->links);
	ring_buffer__free(b->ring);
	beside__destroy(b->program);
	free(b);
}

static int refuse(const char **ret_why, int rc, const char *why)
{
	*ret_why = why;
	return rc;
}

/* The two programs share a header with all maps; these are the other one's. */
static void maps_choose(struct beside *program)
{
	struct bpf_map *const others[] = {
		program->maps.slots,
		program->maps.slot_of,
		program->maps.slots_free,
		program->maps.scratches,
		program->maps.asked,
		program->maps.approved,
		program->maps.tasks,
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		bpf_map__set_autocreate(others[i], false);
}

/* Whether the kernel has that function for programs. */
static bool kernel_has(const char *function)
{
	struct btf *btf = btf__load_vmlinux_btf();
	bool has = btf && btf__find_by_name_kind(btf, function, BTF_KIND_FUNC) > 0;

	btf__free(btf);
	return has;
}

static int trace(struct bpf_beside *b)
{
	struct bpf_program *const programs[] = {
		b->program->progs.on_thread_exit,
		b->program->progs.on_exec,
		b->program->progs.on_waking,
		b->program->progs.on_switch,
		b->program->progs.on_sys_exit,
		b->program->progs.on_sys_enter,
	};
	int rc = 0;

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs) && !rc; i++)
		rc = bpf_links_add(&b->links, bpf_program__attach_trace(programs[i]));
	return rc;
}

/* In every process that has this file mapped, or will have. */
static int announced(struct bpf_beside *b, const char *agent)
{
	LIBBPF_OPTS(bpf_uprobe_opts, options, .func_name = STRING(ANNOUNCE));

	return bpf_links_add(
		&b->links, bpf_program__attach_uprobe_opts(
				   b->program->progs.on_announced, -1, agent, 0, &options));
}

static int attach(struct bpf_beside *b, const char *agent, const char **ret_why)
{
	int rc = trace(b);

	if (rc)
		return refuse(ret_why, rc, "this kernel's tracepoints cannot be attached to");
	rc = announced(b, agent);
	return rc ? refuse(ret_why, rc, "the agent's file cannot be probed") : 0;
}

int bpf_beside_open(const struct bpf_beside_options *o, bpf_beside_fn fn, void *ctx,
	struct bpf_beside **ret, const char **ret_why)
{
	cleanup(beside_freep) struct bpf_beside *b = calloc(1, sizeof(*b));
	int rc;

	if (!b)
		return refuse(ret_why, -ENOMEM, "no memory");
	libbpf_set_print(quiet);
	libbpf_set_strict_mode(LIBBPF_STRICT_ALL);
	b->program = beside__open();
	if (!b->program)
		return refuse(ret_why, -errno, "the program for the kernel cannot be opened");
	maps_choose(b->program);
	*(struct beside_config *)&b->program->rodata->beside =
		(struct beside_config){.session = announce_session(o->session),
			.min_block_ns = o->min_block_ns,
			.min_turn_ns = o->min_turn_ns,
			.casts = kernel_has("bpf_rdonly_cast")};
	rc = beside__load(b->program);
	if (rc == -EPERM)
		return refuse(
			ret_why, -EPERM, "loading a program into the kernel is not permitted");
	if (rc)
		return refuse(ret_why, rc,
			"this kernel does not take the program (5.17 or newer with BTF is needed)");
	b->ring = ring_buffer__new(bpf_map__fd(b->program->maps.ring), fn, ctx, NULL);
	if (!b->ring)
		return refuse(ret_why, -errno, "the program's ring cannot be mapped");
	rc = attach(b, o->agent, ret_why);
	if (rc)
		return rc;
	*ret = TAKE(b);
	return 0;
}

int bpf_beside_consume(struct bpf_beside *b)
{
	return ring_buffer__consume(b->ring);
}

int bpf_beside_clock(struct bpf_beside *b, uint32_t tid)
{
	return bpf_clocks_add(&b->clocks, bpf_program__fd(b->program->progs.on_cpu_clock), tid);
}

void bpf_beside_code_stays(struct bpf_beside *b, uint32_t pid, uint64_t code, uint64_t file)
{
	const uint64_t key = code_key(pid, code);
	const struct known_code known = {.file = file, .stays = 1};

	bpf_map_update_elem(bpf_map__fd(b->program->maps.codes), &key, &known, BPF_EXIST);
}

uint64_t bpf_beside_lost(const struct bpf_beside *b)
{
	return b->program->bss->losses[LOSS_RING];
}
