/* Codes, stacks and wakers as the kernel gave them. See bpf_python.h. */
#include "collector/bpf_python.h"

#include <stdlib.h>
#include <string.h>

#include "probe/base/cleanup.h"
#include "probe/target/unicode.h"

#define KNOWN_MAX 16384u /* stacks and codes; then all are translated anew */
#define ERA_NS 1000000000ull
#define UTF8_PER_CHAR 6u

void bpf_python_clear(struct bpf_python *p)
{
	outside_clear(&p->outside);
	map_free(&p->known);
	p->known = (struct map){0};
}

uint64_t bpf_python_era(const struct ev_head *head)
{
	return head->time_ns / ERA_NS;
}

uint32_t bpf_python_known(const struct bpf_python *p, uint64_t key, const struct ev_head *head)
{
	uint64_t known = (uintptr_t)map_get(&p->known, key);

	return known >> 32 == (uint32_t)bpf_python_era(head) + p->codes_given ? (uint32_t)known : 0;
}

void bpf_python_know(struct bpf_python *p, uint64_t key, uint32_t id, const struct ev_head *head)
{
	uint64_t since = (uint32_t)bpf_python_era(head) + p->codes_given;

	if (p->known.count >= KNOWN_MAX) {
		map_free(&p->known);
		p->known = (struct map){0};
	}
	if (id)
		map_put(&p->known, key, (void *)(uintptr_t)((since & UINT32_MAX) << 32 | id));
}

/* ---- stacks and codes -------------------------------------------------------------------- */

static uint64_t hash_frames(const struct kernel_frame *frame, uint32_t count, uint32_t cut)
{
	uint64_t h = 0xcbf29ce484222325ull ^ cut;

	for (uint32_t i = 0; i < count; i++) {
		h = (h ^ frame[i].code) * 0x100000001b3ull;
		h = (h ^ frame[i].instr ^ h >> 29) * 0x100000001b3ull;
	}
	return h;
}

uint32_t bpf_python_stack(struct bpf_python *p, const struct kernel_frame *frame, uint32_t count,
	uint32_t cut, const struct ev_head *head)
{
	struct target_frame frames[TARGET_FRAMES_MAX];
	uint32_t n = count < TARGET_FRAMES_MAX ? count : TARGET_FRAMES_MAX;
	uint64_t key = hash_frames(frame, count, cut);
	uint32_t id;

	for (uint32_t i = 0; i < p->outside.natives; i++)
		key = map_mix(key, p->outside.native[i]);
	id = bpf_python_known(p, key, head);
	if (id)
		return id;
	for (uint32_t i = 0; i < n; i++)
		frames[i] = (struct target_frame){.code = frame[i].code,
			.position = layout_position(&p->layout, frame[i].code, frame[i].instr)};
	if (!n || !p->outside.target ||
		outside_stack(&p->outside, frames, n, cut + count - n, head->tid, head->time_ns,
			bpf_python_era(head), &id))
		return 0;
	bpf_python_know(p, key, id, head);
	return id;
}

uint32_t bpf_python_code(struct bpf_python *p, uint64_t code, const struct ev_head *head)
{
	uint32_t id = code ? bpf_python_known(p, code, head) : 0;

	if (!code || id)
		return id;
	if (outside_code(&p->outside, code, head->tid, head->time_ns, bpf_python_era(head), &id))
		return 0;
	bpf_python_know(p, code, id, head);
	return id;
}

uint32_t bpf_python_tail(
	struct bpf_python *p, const struct ev_head *head, unsigned int tail, uint32_t cut)
{
	size_t size;
	const struct kernel_frame *frame = record_tail(head, tail, &size);

	return bpf_python_stack(p, frame, (uint32_t)(size / sizeof(*frame)), cut, head);
}

/* ---- codes that may be gone -------------------------------------------------------------- */

size_t bpf_python_text(uint32_t state, const void *data, size_t size, char *buf, size_t buf_size)
{
	unsigned int width = unicode_width(state);

	return width ? unicode_utf8(data, width, size / width, buf, buf_size) : 0;
}

/* Of the whole table, if there is less of it than that, only memory can tell. */
static void table_whole(
	struct bpf_python *p, const struct ev_kernel_code *r, struct target_code *code)
{
	cleanup(target_code_clear) struct target_code now = {0};

	if (r->table_bytes <= r->table_len)
		return;
	code->table_size = 0;
	if (target_code_read(p->outside.target, r->code, &now) || strcmp(now.file, code->file) ||
		strcmp(now.function, code->function) || now.firstlineno != code->firstlineno)
		return;
	free(code->table);
	code->table = now.table;
	code->table_size = now.table_size;
	now.table = NULL;
}

bool bpf_python_given(struct bpf_python *p, const struct ev_kernel_code *r)
{
	cleanup(target_code_clear) struct target_code given = {.firstlineno = r->firstlineno};
	size_t file_size, function_size, table_size, n;
	const void *file = record_tail(&r->head, 0, &file_size);
	const void *function = record_tail(&r->head, 1, &function_size);
	const void *table = record_tail(&r->head, 2, &table_size);

	p->codes_given++;
	if (r->file_bytes > file_size || r->function_bytes > function_size)
		return false;
	given.file = calloc(1, file_size * UTF8_PER_CHAR + 1);
	given.function = calloc(1, function_size * UTF8_PER_CHAR + 1);
	given.table = malloc(table_size + 1);
	if (!given.file || !given.function || !given.table)
		return false;
	n = bpf_python_text(
		r->file_state, file, r->file_bytes, given.file, file_size * UTF8_PER_CHAR);
	given.file[n] = '\0';
	n = bpf_python_text(r->function_state, function, r->function_bytes, given.function,
		function_size * UTF8_PER_CHAR);
	given.function[n] = '\0';
	given.table_size = r->table_bytes < table_size ? r->table_bytes : table_size;
	memcpy(given.table, table, given.table_size);
	table_whole(p, r, &given);
	return *given.file &&
	       !outside_given(&p->outside, r->code, &given, r->head.tid, r->head.time_ns);
}

/* ---- who ends a wait --------------------------------------------------------------------- */

static void holder_put(struct bpf_python *p, uint32_t waiter, const struct ev_gil_holder *told)
{
	struct ev_gil_holder *ev =
		RECORD_NEW(p->outside.queue, gil_holder, 0, waiter, told->head.time_ns);

	if (!ev)
		return;
	ev->busy_since_ns = told->busy_since_ns;
	ev->stands_for_ns = told->stands_for_ns;
	ev->holder = told->holder;
	ev->stack = told->stack;
	ev->exact = told->exact;
}

void bpf_python_wake(struct bpf_python *p, const struct ev_kernel_wake *r)
{
	uint32_t stack = bpf_python_tail(p, &r->head, 0, r->cut);
	struct ev_block_ended *ended;

	if (r->what == WAKES_GIL) {
		holder_put(p, r->waiter,
			&(struct ev_gil_holder){.head = r->head,
				.busy_since_ns = r->busy_since_ns,
				.stands_for_ns = r->waited_ns,
				.holder = r->head.tid,
				.stack = stack,
				.exact = GIL_LET_GO});
		return;
	}
	ended = RECORD_NEW(p->outside.queue, block_ended, 0, r->waiter, r->head.time_ns);
	if (!ended)
		return;
	ended->by = r->head.tid;
	ended->stack = stack;
}

void bpf_python_ended(struct bpf_python *p, const struct ev_kernel_ended *r)
{
	const uint64_t words[] = {r->name_0, r->name_1};
	char name[sizeof(words) + 1] = "";
	struct ev_block_ended *ended;
	size_t size;

	memcpy(name, words, sizeof(words));
	size = r->by_pid ? strlen(name) : 0;
	ended = RECORD_NEW(p->outside.queue, block_ended, size, r->head.tid, r->head.time_ns);
	if (!ended)
		return;
	ended->by = r->by_pid ? 0 : r->by_tid;
	ended->by_pid = r->by_pid;
	ended->name_len = (uint32_t)size;
	record_tail_put(ended + 1, name, size);
}

void bpf_python_keeps(struct bpf_python *p, const struct ev_kernel_keeps *r, uint32_t tid)
{
	holder_put(p, r->head.tid,
		&(struct ev_gil_holder){.head = r->head,
			.busy_since_ns = r->busy_since_ns,
			.stands_for_ns = r->kept_ns,
			.holder = tid,
			/* of one that ran on, frames of different moments may have been read */
			.stack = r->moved ? 0 : bpf_python_tail(p, &r->head, 0, r->cut),
			.exact = GIL_KEPT});
}
