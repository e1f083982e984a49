/* See named_cells.h. Must not name a cell whose source does not have the hash. */
#include "collector/named_cells.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/map.h"
#include "collector/murmur.h"
#include "collector/place.h"
#include "probe/base/cleanup.h"
#include "probe/target/shell.h"

#define SOURCE_BYTES_MAX (256u << 10) /* a longer one is left unknown */
#define FILE_BYTES 512

struct named_cells {
	struct notebook_cells *notebook;
	struct map told; /* (process, hash): known to the trace, or to nobody */
	uint64_t processes;
	uint32_t pid; /* whose memory it is */
	struct target *target;
};

int named_cells_new(struct notebook_cells *notebook, struct named_cells **ret)
{
	struct named_cells *n = calloc(1, sizeof(*n));

	if (!n) {
		notebook_cells_free(notebook);
		return -ENOMEM;
	}
	n->notebook = notebook;
	*ret = n;
	return 0;
}

static void target_forget(struct named_cells *n)
{
	target_free(n->target);
	n->target = NULL;
	n->pid = 0;
}

void named_cells_free(struct named_cells *n)
{
	if (!n)
		return;
	notebook_cells_free(n->notebook);
	map_free(&n->told);
	target_forget(n);
	free(n);
}

static bool is_told(const struct named_cells *n, unsigned long hash)
{
	return map_get(&n->told, map_mix(n->processes, hash)) != NULL;
}

/* Without memory for it, it is looked up again. */
static void told(struct named_cells *n, unsigned long hash)
{
	map_put(&n->told, map_mix(n->processes, hash), n);
}

/* ---- where its source may be ------------------------------------------------------------- */

static bool is_hash(void *ctx, const char *source)
{
	return murmur2(source, strlen(source), MURMUR_CELL_SEED) == *(const unsigned long *)ctx;
}

static int in_memory(struct named_cells *n, uint32_t pid, unsigned long hash, uint32_t *ret_number,
	char **ret_source)
{
	const char *why;
	int rc = 0;

	if (n->pid != pid) {
		target_forget(n);
		n->pid = pid;
		if (target_open(pid, 0, &n->target, &why))
			n->target = NULL;
	}
	if (n->target)
		rc = target_input_find(
			n->target, TARGET_INPUTS_MAX, is_hash, &hash, ret_number, ret_source);
	return n->target ? rc : -ENOENT;
}

static void known_put(const char *source, int32_t number, int32_t index, uint32_t pid,
	uint64_t time_ns, record_fn sink, void *ctx)
{
	size_t n = strlen(source), size = (sizeof(struct ev_cell_known) + n + 7) & ~(size_t)7;
	cleanup(freep) struct ev_cell_known *ev = n <= SOURCE_BYTES_MAX ? calloc(1, size) : NULL;

	if (!ev)
		return;
	ev->head = (struct ev_head){time_ns, pid, EV_cell_known, (uint16_t)(size / 8)};
	ev->execution_count = number;
	ev->notebook_index = index;
	ev->source_len = (uint32_t)n;
	memcpy(ev + 1, source, n);
	sink(ctx, pid, &ev->head);
}

static void look_up(struct named_cells *n, uint32_t pid, unsigned long hash, uint64_t time_ns,
	record_fn sink, void *ctx)
{
	cleanup(freep) char *source = NULL;
	struct notebook_cell cell = {0};
	uint32_t number = 0;
	bool in_notebook = n->notebook && !notebook_cells_find(n->notebook, hash, &cell);
	bool in_kernel = !in_memory(n, pid, hash, &number, &source);

	told(n, hash);
	if (in_kernel || in_notebook)
		known_put(in_kernel ? source : cell.source, in_kernel ? (int32_t)number : -1,
			in_notebook ? (int32_t)cell.index : -1, pid, time_ns, sink, ctx);
}

/* ---- records ----------------------------------------------------------------------------- */

static void code_look(struct named_cells *n, uint32_t pid, const struct ev_head *record,
	record_fn sink, void *ctx)
{
	char file[FILE_BYTES];
	unsigned long hash;
	size_t size;
	const char *name = record_tail(record, 0, &size);

	if (size >= sizeof(file))
		return;
	memcpy(file, name, size);
	file[size] = '\0';
	if (place_cell_hash(file, &hash) && !is_told(n, hash))
		look_up(n, pid, hash, record->time_ns, sink, ctx);
}

void named_cells_look(
	void *ctx, uint32_t pid, const struct ev_head *record, record_fn sink, void *sink_ctx)
{
	struct named_cells *n = ctx;
	const char *source;
	size_t size;

	switch (record->kind) {
	case EV_process: /* another interpreter, perhaps under the same pid */
		n->processes++;
		target_forget(n);
		break;
	case EV_cell_begin:
		source = record_tail(record, 0, &size);
		told(n, murmur2(source, size, MURMUR_CELL_SEED));
		break;
	case EV_code:
		code_look(n, pid, record, sink, sink_ctx);
		break;
	default:
		break;
	}
}
