/* Notebook cells: when each ran, and which one a task, a call or a span of time belongs to. */
#include "collector/model_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/murmur.h"

static const char *status_text(const struct cell *c)
{
	if (c->known_only)
		return "unknown";
	if (!c->ended)
		return "running";
	if (c->end_lost)
		return "unknown";
	return c->failed ? "error" : "ok";
}

static void put_cell(struct model *model, struct dirty *d)
{
	const struct cell *c =
		(const struct cell *)((const char *)d - offsetof(struct cell, dirty));

	STORE_PUT(model->store, cell, NUMBER(c->id), NUMBER(c->process->id), NUMBER(c->thread->id),
		ID(c->loop ? c->loop->id : 0), NUMBER(c->index),
		NUMBER_IF(c->execution_count >= 0, c->execution_count), TEXT_OF(c->source),
		TEXT_OF(c->file), NUMBER(c->began_ns),
		NUMBER_IF(c->ended || c->known_only, c->known_only ? c->began_ns : c->ended_ns),
		TEXT_OF(status_text(c)), TEXT_OF(c->error), NUMBER(c->synchronous),
		NUMBER(c->tasks), NUMBER(c->steps),
		NUMBER_IF(c->notebook_index >= 0, c->notebook_index));
}

/* ---- which cell a file is */

static uint64_t file_key(const char *file)
{
	unsigned long hash;

	return place_cell_hash(file, &hash) ? hash : map_mix((uintptr_t)file, 1) | 1ull << 63;
}

struct cell *cell_for_file(const struct process *p, const char *file)
{
	return p->cell_by_file.count ? map_get(&p->cell_by_file, file_key(file)) : NULL;
}

struct cell *cell_for_magic(
	const struct process *p, const struct code *code, struct magic_shift *ret)
{
	bool named = magic_is_name(code->file), found = false;
	struct cell *c = NULL;
	unsigned long hash = 0;

	if (!named && (!place_cell_hash(code->file, &hash) || cell_for_file(p, code->file)))
		return NULL;
	for (uint32_t i = p->cells; i-- > 0 && !found;) {
		bool running;

		c = p->cell[i];
		running = !c->ended && !c->known_only;
		found = c->source && (named ? magic_code_is(c->source, code->function,
						      code->firstlineno, running, ret)
					    : magic_body_is(c->source, (uint32_t)hash, ret));
	}
	return found ? c : NULL;
}

/*
 * IPython without ipykernel names files after the number of the cell. While one runs the shell may
 * count the next already (9.11): no code of that can be there.
 */
static struct cell *cell_of_input(const struct process *p, const char *file, unsigned long number)
{
	const struct cell *open = NULL;

	for (uint32_t i = p->cells; i-- > 0;) {
		struct cell *c = p->cell[i];

		if (c->execution_count == (int64_t)number)
			return c;
		if (!c->ended && c->execution_count == (int64_t)number + 1 &&
			place_input_is(file, c->source))
			open = c;
	}
	return (struct cell *)open;
}

static void file_set(struct model *model, struct cell *c, const char *file)
{
	c->file = file;
	model_dirty(model, &c->dirty);
}

void cell_code(struct model *model, struct process *p, const char *file)
{
	struct cell *c = cell_for_file(p, file);
	unsigned long hash, number;

	if (!p->cells)
		return;
	if (place_input_number(file, &number)) {
		c = c ? c : cell_of_input(p, file, number);
		if (c && c->file != file && !map_put(&p->cell_by_file, file_key(file), c))
			file_set(model, c, file);
		return;
	}
	/* ipykernel's folder is $TMPDIR's; the code knows which. */
	if (!c || c->file == file || !place_cell_hash(file, &hash))
		return;
	for (uint32_t i = 0; i < p->cells; i++)
		if (p->cell[i] == c || p->cell[i]->hash == c->hash)
			file_set(model, p->cell[i], file);
}

/* Of cells whose runs were not seen only the kernel's count tells; they began before the others. */
static bool is_newer(const struct cell *a, const struct cell *b)
{
	bool counted = a->execution_count >= 0 && b->execution_count >= 0;

	/* but for those of a subshell, which run beside them */
	if (a->known_only != b->known_only && !counted)
		return b->known_only;
	if ((a->known_only || b->known_only) && a->execution_count != b->execution_count)
		return a->execution_count > b->execution_count;
	return a->index > b->index;
}

/* The newest: a cell calls helpers of the cells before it. */
struct cell *cell_for_stack(const struct process *p, const struct stack *s)
{
	struct cell *newest = NULL;

	if (!s || !s->user || !p->cells)
		return NULL;
	for (uint32_t i = 0; i < s->count; i++) {
		struct cell *c = frame_is_user(s->at[i].frame)
					 ? cell_for_file(p, s->at[i].frame->file)
					 : NULL;

		if (c && (!newest || is_newer(c, newest)))
			newest = c;
	}
	return newest;
}

/* A worker of a pool works for who asks it; any other thread for who started it. */
static bool is_worker(const struct thread *t)
{
	return !strncmp(t->name, "asyncio_", strlen("asyncio_")) ||
	       !strncmp(t->name, "ThreadPoolExecutor", strlen("ThreadPoolExecutor"));
}

static bool runs_cells(const struct thread *t)
{
	return t->cell || t->recent[0];
}

struct cell *cell_asking(const struct thread *t, uint64_t time_ns)
{
	uint64_t asked_ns = is_worker(t) ? time_ns : t->seen_ns;

	for (uint32_t i = runs_cells(t) ? 0 : t->process->cells; i-- > 0;) {
		struct cell *c = t->process->cell[i];

		if (c->began_ns <= asked_ns && (!c->ended || c->ended_ns >= asked_ns))
			return c;
	}
	return NULL;
}

/* The work is with code of a cell (NULL: of none); another that asked for it when that was over. */
static struct cell *later_of(struct cell *of_code, struct cell *asking)
{
	bool over = of_code && asking && of_code->ended && of_code->ended_ns < asking->began_ns;

	return over ? asking : of_code;
}

/* Whose work it is that a thread does outside of steps, with code of this cell. */
static struct cell *cell_that_let(const struct thread *t, struct cell *of_code, uint64_t time_ns)
{
	return of_code ? later_of(of_code, cell_asking(t, time_ns)) : NULL;
}

static struct cell *cell_for_thread(const struct thread *t, const struct stack *s, uint64_t time_ns)
{
	return cell_that_let(t, cell_for_stack(t->process, s), time_ns);
}

struct cell *cell_for_coroutine(const struct thread *t, const struct code *code, uint64_t time_ns)
{
	if (!code || runs_cells(t))
		return NULL;
	return cell_that_let(t, cell_for_file(t->process, code->file), time_ns);
}

/* The open cell that this task runs on this thread. */
static struct cell *cell_for_runner(const struct thread *t, const struct task *task)
{
	for (struct cell *c = t->cell; c; c = c->outer)
		if (c->runner == task)
			return c;
	return NULL;
}

struct cell *cell_for_birth(
	const struct thread *t, uint64_t worker, const struct stack *s, uint64_t time_ns)
{
	const struct task *parent = task_get(t->process, worker);
	const struct callback *callback = callback_get(t->process, worker);
	struct cell *c;

	if (!t->process->cells)
		return NULL;
	if (callback && callback->cell)
		return callback->cell;
	if (parent) {
		c = cell_for_runner(t, parent);
		return c ? c : parent->cell;
	}
	c = cell_for_thread(t, s, time_ns);
	if (c)
		return callback ? later_of(c, callback->asking) : c;
	/*
	 * No step was open. A cell that runs without a task, or code of the user's that runs beside
	 * one. From outside no cell's task is known, and its end comes later than the task of the
	 * next request, which ipykernel 7 makes outside of every step.
	 */
	return t->cell && ((!t->cell->runner && !t->process->outside) || (s && s->user)) ? t->cell
											 : NULL;
}

static uint64_t overlap(const struct cell *c, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t from = c->began_ns > begin_ns ? c->began_ns : begin_ns;
	uint64_t to = c->ended && c->ended_ns < end_ns ? c->ended_ns : end_ns;

	return to > from ? to - from : 0;
}

struct cell *cell_for_work(const struct thread *t, const struct task *task, const struct stack *s,
	uint64_t begin_ns, uint64_t end_ns)
{
	struct cell *c;

	if (!t->process->cells)
		return NULL;
	if (task && task->cell)
		return task->cell;
	if (task && task->runs_cell) {
		/* A step that ran a whole cell ends after it; machinery around the cell is no
		 * cell's. */
		c = cell_for_runner(t, task);
		if (!c && task->ran && overlap(task->ran, begin_ns, end_ns))
			c = task->ran;
		return s && !s->user ? NULL : c;
	}
	c = cell_for_thread(t, s, begin_ns);
	if (c)
		return c;
	return !task && t->cell && !t->cell->runner ? t->cell : NULL;
}

struct cell *cell_for_worker(const struct thread *t, uint64_t worker, const struct stack *s,
	uint64_t begin_ns, uint64_t end_ns)
{
	const struct callback *callback = callback_get(t->process, worker);
	struct cell *c;

	if (callback && callback->cell)
		return callback->cell;
	c = cell_for_work(t, task_get(t->process, worker), s, begin_ns, end_ns);
	return callback ? later_of(c, callback->asking) : c;
}

struct cell *cell_for_span(const struct thread *t, uint64_t begin_ns, uint64_t end_ns)
{
	uint64_t none = end_ns - begin_ns, most = 0;
	struct cell *best = NULL;

	if (t->cell && t->cell->began_ns <= begin_ns && !t->cell->outer)
		return t->cell;
	for (unsigned int i = 0; i < RECENT_CELLS; i++) {
		struct cell *c = t->recent[i];
		uint64_t part = c ? overlap(c, begin_ns, end_ns) : 0;

		none = none > part ? none - part : 0;
		if (part > most) {
			most = part;
			best = c;
		}
	}
	return most > none ? best : NULL;
}

/* ---- begin and end */

void cell_turned(struct thread *t, uint64_t end_ns)
{
	for (struct cell *c = t->cell; c; c = c->outer)
		if (!c->turned_ns && end_ns > c->began_ns)
			c->turned_ns = end_ns;
}

static void leave(struct model *model, struct thread *t, uint64_t time_ns)
{
	struct cell *c = t->cell;

	c->ended = true;
	c->ended_ns = time_ns;
	t->cell = c->outer;
	task_unref(model, c->runner);
	c->runner = NULL;
	model_dirty(model, &c->dirty);
}

static struct cell *cell_new(struct model *model, struct process *p)
{
	struct cell *c;

	if (p->cells == p->cells_room) {
		uint32_t room = p->cells_room ? p->cells_room * 2 : 64;
		struct cell **list = p->cells < CELLS_MAX
					     ? realloc(p->cell, room * sizeof(struct cell *))
					     : NULL;

		if (!list) {
			loss_add(model, p, "cells beyond the limit", 1);
			return NULL;
		}
		p->cell = list;
		p->cells_room = room;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->dirty.put = put_cell;
	c->id = ++model->cells;
	c->index = p->cells;
	c->notebook_index = -1;
	c->process = p;
	p->cell[p->cells++] = c;
	return c;
}

static void name_file(struct model *model, struct process *p, struct cell *c)
{
	struct cell *twin = map_get(&p->cell_by_file, c->hash);
	const struct cell *before = c->index ? p->cell[c->index - 1] : NULL;
	char file[64];

	snprintf(file, sizeof(file), "/tmp/ipykernel_%u/%u.py", p->pid, c->hash);
	c->file = twin ? twin->file : pool_text(&model->pool, file, strlen(file));
	if (before && before->file && before->file[0] == '<')
		c->file =
			NULL; /* a terminal's shell, whose names tell numbers: its code will say */
	if (map_put(&p->cell_by_file, c->hash, c))
		loss_add(model, p, "records without memory", 1);
}

static void label_runner(struct model *model, struct cell *c, struct task *runner)
{
	c->runner = task_ref(runner);
	if (!runner)
		return;
	runner->ran = c;
	if (runner->cell || runner->runs_cell)
		return; /* a user's task that runs a cell stays its cell's */
	runner->runs_cell = true;
	task_dirty(model, runner);
}

/* What its code was known for already, if that is this very run. */
static struct cell *cell_adopt(struct process *p, uint32_t hash, int64_t execution_count)
{
	struct cell *c = map_get(&p->cell_by_file, hash);

	if (!c || !c->known_only ||
		(c->execution_count >= 0 && c->execution_count != execution_count))
		return NULL;
	c->known_only = false;
	return c;
}

static void kernel_seen(struct model *model, struct process *p)
{
	if (p->is_kernel)
		return;
	p->is_kernel = true;
	model_dirty(model, &p->dirty);
	coverage_add(model, p, "cells", p->outside ? "iopub" : "ipython", "");
}

void cell_begin(struct model *model, struct process *p, const struct ev_cell_begin *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct cell *c, *open;
	unsigned int depth = 0;
	uint32_t hash;
	size_t size;
	const char *source = record_tail(&r->head, 0, &size);

	if (!t)
		return;
	kernel_seen(model, p);
	for (open = t->cell; open; open = open->outer)
		depth++;
	/* Records were lost while a cell was open: its end may be among them, and cells that run
	 * cells are rare. */
	while (t->cell && (t->cell->lost_before != p->lost || depth >= CELL_DEPTH)) {
		t->cell->end_lost = true;
		leave(model, t, time_ns);
		depth--;
	}
	hash = murmur2(source, size, MURMUR_CELL_SEED);
	c = cell_adopt(p, hash, r->execution_count);
	if (!c)
		c = cell_new(model, p);
	if (!c)
		return;
	c->thread = t;
	c->loop = thread_loop(t);
	c->outer = t->cell;
	c->execution_count = r->execution_count;
	c->source = tail_text(model, &r->head, 0);
	c->hash = hash;
	c->began_ns = time_ns;
	c->lost_before = p->lost;
	name_file(model, p, c);
	label_runner(model, c, task_get(p, r->task));
	c->runner_steps = c->runner ? c->runner->steps : 0;
	t->cell = c;
	t->recent[t->recent_at++ % RECENT_CELLS] = c;
	model_dirty(model, &c->dirty);
}

void cell_end(struct model *model, struct process *p, const struct ev_cell_end *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, r->head.tid, time_ns);
	struct cell *c = t ? t->cell : NULL;
	size_t size;

	if (!c)
		return;
	record_tail(&r->head, 0, &size);
	if (r->execution_count >= 0)
		c->execution_count = r->execution_count;
	c->failed = r->failed;
	c->error = size ? tail_text(model, &r->head, 0) : NULL;
	/* from outside, the turn that it ran in may have been told of before its end */
	c->synchronous = (!c->turned_ns || c->turned_ns >= time_ns) &&
			 (!c->runner || c->runner->steps == c->runner_steps);
	leave(model, t, time_ns);
}

/* Its thread is not known; kernels run cells on the main one, but for subshells. */
void cell_known(struct model *model, struct process *p, const struct ev_cell_known *r)
{
	uint64_t time_ns = model_time(model, r->head.time_ns);
	struct thread *t = thread_get(model, p, p->pid, time_ns);
	size_t size;
	const char *source = record_tail(&r->head, 0, &size);
	uint32_t hash = murmur2(source, size, MURMUR_CELL_SEED);
	struct cell *c = t && !map_get(&p->cell_by_file, hash) ? cell_new(model, p) : NULL;

	if (!c)
		return;
	c->known_only = true;
	c->thread = t;
	c->execution_count = r->execution_count;
	c->notebook_index = r->notebook_index;
	c->source = tail_text(model, &r->head, 0);
	c->hash = hash;
	c->began_ns = time_ns;
	name_file(model, p, c);
	model_dirty(model, &c->dirty);
}
