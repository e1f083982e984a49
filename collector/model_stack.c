/*
 * Codes and stacks as a process announced them, frames and the stack tree as the trace keeps them.
 * A stack costs nothing until a row refers to it.
 */
#include "collector/model_state.h"

#include <stdlib.h>
#include <string.h>

#include "collector/linetable.h"

void stack_code(struct model *model, struct process *p, const struct ev_code *r)
{
	size_t size;
	const void *table = record_tail(&r->head, 2, &size);
	struct code *code;

	if (map_get(&p->codes, r->id))
		return; /* announced twice: the first one is in use */
	if (p->codes.count >= PROCESS_STACKS_MAX) {
		loss_add(model, p, "code objects beyond the limit", 1);
		return;
	}
	code = malloc(sizeof(*code) + size);
	if (!code || map_put(&p->codes, r->id, code)) {
		free(code);
		loss_add(model, p, "records without memory", 1);
		return;
	}
	code->firstlineno = r->firstlineno;
	code->line_format = r->line_format;
	code->flags = r->flags;
	code->file = tail_text(model, &r->head, 0);
	code->function = tail_text(model, &r->head, 1);
	code->place = place_of(code->file, p->stdlib, code->function);
	if (code->line_format == LINE_NATIVE)
		code->place = (struct place){.owner = PLACE_GENERATED};
	code->size = size;
	if (size)
		memcpy(code->table, table, size);
	cell_code(model, p, code->file);
	code->cell = cell_for_magic(p, code, &code->shift);
}

const struct code *code_get(const struct process *p, uint32_t id)
{
	return id ? map_get(&p->codes, id) : NULL;
}

static bool is_native(const struct process *p, const void *pair)
{
	const struct code *code;
	uint32_t id;

	memcpy(&id, pair, sizeof(id));
	code = code_get(p, id);
	return code && code->line_format == LINE_NATIVE;
}

void stack_record(struct model *model, struct process *p, const struct ev_stack *r)
{
	size_t size, count;
	const void *pairs = record_tail(&r->head, 0, &size);
	struct stack *s;

	if (map_get(&p->stacks, r->id))
		return;
	if (p->stacks.count >= PROCESS_STACKS_MAX) {
		loss_add(model, p, "stacks beyond the limit", 1);
		return;
	}
	count = size / sizeof(uint64_t);
	if (count > STACK_DEPTH_MAX)
		count = STACK_DEPTH_MAX;
	s = calloc(1, sizeof(*s) + count * sizeof(s->at[0]));
	if (!s || map_put(&p->stacks, r->id, s)) {
		free(s);
		loss_add(model, p, "records without memory", 1);
		return;
	}
	while (s->natives < count &&
		is_native(p, (const char *)pairs + s->natives * sizeof(uint64_t)))
		s->natives++;
	s->count = (uint32_t)count - s->natives;
	if (s->count)
		memcpy(s->at, (const char *)pairs + s->natives * sizeof(uint64_t),
			s->count * sizeof(uint64_t));
	if (s->natives)
		memcpy(s->at + s->count, pairs, s->natives * sizeof(uint64_t));
}

/* ---- frames */

static bool same_frame(const struct frame *a, const struct frame *b)
{
	return a->file == b->file && a->function == b->function && a->line == b->line &&
	       a->end_line == b->end_line && a->col == b->col && a->end_col == b->end_col &&
	       a->owner == b->owner && a->generator == b->generator;
}

static uint64_t frame_key(const struct frame *f)
{
	uint64_t key = map_mix((uintptr_t)f->file, (uintptr_t)f->function);

	key = map_mix(key, (uint64_t)f->line << 32 | f->end_line);
	return map_mix(key, (uint64_t)(uint32_t)f->col << 32 | (uint32_t)f->end_col);
}

static const struct frame unknown_frame = {.id = 1,
	.col = -1,
	.end_col = -1,
	.file = "?",
	.function = "?",
	.module = "",
	.owner = PLACE_GENERATED};

static int frame_room(struct model *model)
{
	uint32_t room = model->frames_room ? model->frames_room * 2 : 256;
	struct frame **frame;

	if (model->frame_count < model->frames_room)
		return 0;
	frame = realloc(model->frame, room * sizeof(*frame));
	if (!frame)
		return -1;
	model->frame = frame;
	model->frames_room = room;
	return 0;
}

/* Frame 1 is the one for codes that were never announced, or beyond the limit. */
static const struct frame *frame_add(struct model *model, uint64_t key, const struct frame *want)
{
	struct frame *f;

	if (model->frame_count >= FRAMES_MAX || frame_room(model)) {
		loss_add(model, NULL, "frames beyond the limit", 1);
		return &unknown_frame;
	}
	f = malloc(sizeof(*f));
	if (!f)
		return &unknown_frame;
	*f = *want;
	f->next = map_get(&model->frames, key);
	f->id = model->frame_count + 1;
	if (map_put(&model->frames, key, f)) {
		free(f);
		return &unknown_frame;
	}
	model->frame[model->frame_count++] = f;
	return f;
}

static const struct frame *frame_get(struct model *model, const struct frame *want)
{
	uint64_t key = frame_key(want);

	if (!model->frame_count)
		frame_add(model, frame_key(&unknown_frame), &unknown_frame);
	for (const struct frame *f = map_get(&model->frames, key); f; f = f->next)
		if (same_frame(f, want))
			return f;
	return frame_add(model, key, want);
}

static struct position shifted(struct position at, struct magic_shift by)
{
	at.line += at.line ? by.lines : 0;
	at.end_line += at.end_line ? by.lines : 0;
	at.col += at.col >= 0 ? (int32_t)by.columns : 0;
	at.end_col += at.end_col >= 0 ? (int32_t)by.columns : 0;
	return at;
}

static const struct frame *resolve_pair(
	struct model *model, const struct process *p, const void *pair)
{
	uint32_t number[2]; /* code id, position */
	const struct code *code;
	struct position at;

	memcpy(number, pair, sizeof(number));
	code = code_get(p, number[0]);
	if (!code)
		return frame_get(model, &unknown_frame);
	at = linetable_find(
		code->line_format, code->firstlineno, code->table, code->size, number[1]);
	if (code->cell)
		at = shifted(at, code->shift);
	return frame_get(model, &(struct frame){.line = at.line,
					.end_line = at.end_line,
					.col = at.col,
					.end_col = at.end_col,
					.file = code->cell ? code->cell->file : code->file,
					.function = code->function,
					.module = pool_text(&model->pool, code->place.module,
						strlen(code->place.module)),
					.owner = code->cell ? PLACE_USER : code->place.owner,
					.generator = code->flags & CODE_GENERATOR});
}

struct stack *stack_get(struct model *model, struct process *p, uint32_t id)
{
	struct stack *s = id ? map_get(&p->stacks, id) : NULL;

	if (!s || s->resolved)
		return s;
	for (uint32_t i = 0; i < s->count + s->natives; i++) {
		s->at[i].frame = resolve_pair(model, p, &s->at[i].pair);
		if (!s->user && frame_is_user(s->at[i].frame))
			s->user = s->at[i].frame;
	}
	s->resolved = true;
	return s;
}

struct site stack_site(const struct stack *s)
{
	const struct frame *f;

	if (!s || !s->count)
		return (struct site){0};
	f = s->user ? s->user : s->at[0].frame;
	return (struct site){f->file, f->function, f->line};
}

/* ---- the tree */

static uint32_t node_get(struct model *model, uint32_t parent, uint32_t frame)
{
	uint64_t key = (uint64_t)parent << 32 | frame;
	uint32_t id = (uint32_t)(uintptr_t)map_get(&model->stack_ids, key);

	if (id)
		return id;
	if (model->node_count == model->nodes_room) {
		uint32_t room = model->nodes_room ? model->nodes_room * 2 : 256;
		struct stack_node *node = realloc(model->node, room * sizeof(*node));

		if (!node)
			return 0;
		model->node = node;
		model->nodes_room = room;
	}
	id = model->node_count + 1;
	if (id > STACKS_MAX || map_put(&model->stack_ids, key, (void *)(uintptr_t)id))
		return 0;
	model->node[model->node_count++] = (struct stack_node){parent, frame};
	return id;
}

uint32_t stack_row(struct model *model, struct stack *s)
{
	uint32_t row = 0;

	if (!s || !s->resolved || s->row)
		return s ? s->row : 0;
	for (uint32_t n = s->count + s->natives, left = n; left-- > 0;) {
		/* the innermost Python frame is the caller of the outermost native one */
		uint32_t i = left >= s->natives ? left - s->natives : s->count + left;

		row = node_get(model, row, s->at[i].frame->id);
		if (!row) {
			loss_add(model, NULL, "stacks beyond the limit", 1);
			return 0;
		}
	}
	s->row = row;
	return row;
}

void stack_put_new(struct model *model)
{
	for (; model->frames_put < model->frame_count; model->frames_put++) {
		const struct frame *f = model->frame[model->frames_put];

		STORE_PUT(model->store, frame, NUMBER(f->id), TEXT_OF(f->file), NUMBER(f->line),
			NUMBER_IF(f->end_line, f->end_line), NUMBER_IF(f->col >= 0, f->col),
			NUMBER_IF(f->end_col >= 0, f->end_col), TEXT_OF(f->function),
			NUMBER(frame_is_user(f)), NUMBER(f->generator));
	}
	for (; model->nodes_put < model->node_count; model->nodes_put++) {
		const struct stack_node *n = &model->node[model->nodes_put];

		STORE_PUT(model->store, stack, NUMBER(model->nodes_put + 1), ID(n->parent),
			NUMBER(n->frame));
	}
}

void stack_stored(struct model *model)
{
	model->frames_committed = model->frames_put;
	model->nodes_committed = model->nodes_put;
}

void stack_refused(struct model *model)
{
	model->frames_put = model->frames_committed;
	model->nodes_put = model->nodes_committed;
}

void stack_free(struct model *model)
{
	for (uint32_t i = 0; i < model->frame_count; i++)
		free(model->frame[i]);
	free(model->frame);
	free(model->node);
	map_free(&model->frames);
	map_free(&model->stack_ids);
}
