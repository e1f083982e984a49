/*
 * Records of the kernel as records of the model: code addresses become codes and stacks, types
 * names, descriptors what they stand for. What cannot be looked up any more is left out. See
 * bpf_feed.h.
 */
#include <asm/unistd.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/bpf_feed.h"
#include "collector/bpf_touched.h"
#include "probe/base/cleanup.h"
#include "probe/target/process.h"
#include "probe/target/task.h"

#define TYPES_MAX 4096u
#define SITES_MAX 4096u /* then they are told anew */
#define NAME_BYTES 512u
#define TYPE_NAME_BYTES 80u

enum { CODE_ANY = 1, CODE_SLEEPS = 2 }; /* see is_sleep() */

struct known_type {
	uint32_t id;
	bool is_task;
	uint64_t era;
};

/* ---- names ------------------------------------------------------------------------------ */

static uint64_t hash_text(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ull; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * 0x100000001b3ull;
	return h;
}

/* The id of a name, announced before; 0: no room. */
uint32_t translate_name(struct bpf_feed *f, const char *text, const struct ev_head *head)
{
	uint64_t hash = hash_text(text);
	void *known = map_get(&f->names, hash);
	struct ev_name *ev;

	if (known)
		return (uint32_t)(uintptr_t)known;
	ev = RECORD_NEW(&f->queue, name, strlen(text), head->tid, head->time_ns);
	if (!ev)
		return 0;
	ev->id = ++f->name_ids;
	ev->text_len = (uint32_t)strlen(text);
	record_tail_put(ev + 1, text, ev->text_len);
	return map_put(&f->names, hash, (void *)(uintptr_t)ev->id) ? 0 : ev->id;
}

static bool type_read(const struct bpf_feed *f, uint64_t type, char name[TYPE_NAME_BYTES])
{
	uint64_t at;

	if (memory_read_pointer(&f->memory, type + f->constants.layout.type_name, &at))
		return false;
	/* a name near the end of its page is read up to there */
	for (size_t n = TYPE_NAME_BYTES - 1; n >= 8; n /= 2) {
		if (memory_read(&f->memory, at, name, n))
			continue;
		name[n] = '\0';
		return *name != '\0';
	}
	return false;
}

/* NULL: none, or not to be had. */
static const struct known_type *type_get(
	struct bpf_feed *f, uint64_t type, const struct ev_head *head)
{
	struct known_type *known = type ? map_get(&f->types, type) : NULL;
	char name[TYPE_NAME_BYTES];

	if (!type || (known && known->era == bpf_python_era(head)))
		return known;
	if (!known) {
		if (f->types.count >= TYPES_MAX)
			return NULL;
		known = calloc(1, sizeof(*known));
		if (!known || map_put(&f->types, type, known)) {
			free(known);
			return NULL;
		}
	}
	known->id = type_read(f, type, name) ? translate_name(f, name, head) : 0;
	known->is_task = known->id && strstr(name, "Task");
	known->era = bpf_python_era(head);
	return known;
}

/* The id of a type's name; 0: none, or not to be had. */
static uint32_t type_id(struct bpf_feed *f, uint64_t type, const struct ev_head *head)
{
	const struct known_type *known = type_get(f, type, head);

	return known ? known->id : 0;
}

void translate_lost(struct bpf_feed *f, const char *what, uint64_t count, uint64_t now_ns)
{
	struct ev_lost *ev;

	if (!count)
		return;
	ev = RECORD_NEW(&f->queue, lost, strlen(what), f->options.pid, now_ns);
	if (!ev)
		return;
	ev->count = count;
	ev->what_len = (uint32_t)strlen(what);
	record_tail_put(ev + 1, what, ev->what_len);
}

/* ---- blocking calls ---------------------------------------------------------------------- */

uint32_t translate_call(uint32_t number)
{
	switch (number) {
#define SYSCALL(name, id, class, fd, touches)                                                      \
	case __NR_##name:                                                                          \
		return id;
#include "probe/syscalls.def"
#undef SYSCALL
	default:
		return 0;
	}
}

/* What the kernel takes for no turn of a loop may be one that nobody has seen yet. */
static bool left_is_turn(struct bpf_feed *f, const struct ev_head *head)
{
	size_t size;
	const struct kernel_frame *frame = record_tail(head, 0, &size);

	return loops_learn(f, frame, (uint32_t)(size / sizeof(*frame)));
}

void translate_taken(const struct ev_kernel_taken *r, struct taken_record *ret)
{
	const uint64_t name[] = {r->name_0, r->name_1};

	*ret = (struct taken_record){
		.taken = {.head = {r->head.time_ns, r->head.tid, EV_cpu_taken, sizeof(*ret) / 8},
			.ns = r->ns,
			.by = r->by}};
	memcpy(ret->name, name, sizeof(name));
	ret->taken.name_len = (uint32_t)strnlen(ret->name, sizeof(ret->name));
	ret->taken.head.size_words = (uint16_t)((sizeof(ret->taken) + ret->taken.name_len + 7) / 8);
}

static void taken(struct bpf_feed *f, const struct ev_kernel_taken *r)
{
	struct taken_record t;
	struct ev_cpu_taken *ev;

	translate_taken(r, &t);
	ev = RECORD_NEW(&f->queue, cpu_taken, t.taken.name_len, r->head.tid, r->head.time_ns);
	if (!ev)
		return;
	ev->ns = t.taken.ns;
	ev->by = t.taken.by;
	ev->name_len = t.taken.name_len;
	record_tail_put(ev + 1, t.name, t.taken.name_len);
}

static void block(struct bpf_feed *f, const struct ev_kernel_block *r)
{
	size_t size;
	const void *touched = record_tail(&r->head, 1, &size);
	uint64_t gone = f->python.outside.gone;
	char target[TOUCHED_TEXT_BYTES];
	struct ev_block *ev;
	uint32_t stack;

	if (r->left && !left_is_turn(f, &r->head))
		return;
	bpf_native_begin(&f->native, &f->python.outside, &r->head, r->head.time_ns);
	stack = bpf_python_tail(&f->python, &r->head, 0, r->cut);
	bpf_native_end(&f->python.outside);
	/* its memory went with the process: samples, taken before, have all frames */
	if (r->result == BLOCK_UNFINISHED && f->python.outside.gone != gone)
		stack = 0;
	touched_text(r->touches, touched, size, target);
	ev = RECORD_NEW(&f->queue, block, strlen(target), r->head.tid, r->head.time_ns);
	if (!ev)
		return;
	ev->begin_ns = r->begin_ns;
	ev->cpu_ns = r->cpu_ns;
	ev->runq_ns = r->runq_ns;
	ev->loop = r->loop;
	ev->task = r->task;
	ev->call = translate_call(r->number);
	ev->stack = stack;
	ev->fd = r->fd;
	ev->result = (int32_t)r->result;
	ev->target_len = (uint32_t)strlen(target);
	record_tail_put(ev + 1, target, ev->target_len);
}

/* A wait whose place was not told of stays what its system call says. */
static void short_wait(struct bpf_feed *f, const struct ev_kernel_short *r)
{
	uint32_t stack = (uint32_t)(uintptr_t)map_get(&f->sites, r->site);
	struct ev_short_wait *ev;

	if (r->frames_len) {
		bpf_native_begin(&f->native, &f->python.outside, &r->head, r->head.time_ns);
		stack = bpf_python_tail(&f->python, &r->head, 0, r->cut);
		bpf_native_end(&f->python.outside);
		if (f->sites.count >= SITES_MAX) {
			map_free(&f->sites);
			f->sites = (struct map){0};
		}
		if (stack)
			map_put(&f->sites, r->site, (void *)(uintptr_t)stack);
	}
	ev = stack ? RECORD_NEW(&f->queue, short_wait, 0, r->head.tid, r->head.time_ns) : NULL;
	if (!ev)
		return;
	ev->off_ns = r->off_ns;
	ev->call = translate_call(r->number);
	ev->fd = r->fd;
	ev->stack = stack;
}

/* ---- who ends a wait --------------------------------------------------------------------- */

static void wake(struct bpf_feed *f, const struct ev_kernel_wake *r)
{
	loops_thread(f, r->head.tid, r->thread_id, r->head.time_ns);
	bpf_python_wake(&f->python, r);
}

static void ended(struct bpf_feed *f, const struct ev_kernel_ended *r)
{
	if (!r->by_pid)
		loops_thread(f, r->by_tid, r->thread_id, r->head.time_ns);
	bpf_python_ended(&f->python, r);
}

static void keeps(struct bpf_feed *f, const struct ev_kernel_keeps *r)
{
	uint32_t tid = process_thread_outer(f->options.pid, r->tid);

	if (tid)
		loops_thread(f, tid, r->thread_id, r->head.time_ns);
	bpf_python_keeps(&f->python, r, tid);
}

/* ---- tasks ------------------------------------------------------------------------------- */

static void task_new(struct bpf_feed *f, const struct ev_kernel_task_new *r)
{
	char coro[NAME_BYTES], type[TYPE_NAME_BYTES];
	uint32_t stack = bpf_python_tail(&f->python, &r->head, 0, r->cut),
		 code = bpf_python_code(&f->python, r->code, &r->head);
	size_t size, coro_len;
	const void *name = record_tail(&r->head, 1, &size);
	struct ev_task_new *ev;

	coro_len = bpf_python_text(r->str_state, name, size, coro, sizeof(coro));
	if (!coro_len && r->type && type_read(f, r->type, type)) {
		coro_len = strlen(type);
		memcpy(coro, type, coro_len);
	}
	ev = RECORD_NEW(&f->queue, task_new, coro_len, r->head.tid, r->head.time_ns);
	if (!ev)
		return;
	ev->task = r->task;
	ev->parent = r->parent;
	ev->loop = r->loop;
	ev->stack = stack;
	ev->code = code;
	ev->coro_len = (uint32_t)coro_len;
	record_tail_put(ev + 1, coro, coro_len);
}

static void task_name(struct bpf_feed *f, const struct ev_kernel_task_name *r)
{
	char name[NAME_BYTES];
	size_t size, len;
	const void *data = record_tail(&r->head, 0, &size);
	struct ev_task_name *ev;

	if (r->str_state)
		len = bpf_python_text(r->str_state, data, size, name, sizeof(name));
	else
		len = (size_t)snprintf(name, sizeof(name), "Task-%" PRIu64, (uint64_t)r->number);
	ev = RECORD_NEW(&f->queue, task_name, len, r->head.tid, r->head.time_ns);
	if (!ev)
		return;
	ev->task = r->task;
	ev->name_len = (uint32_t)len;
	record_tail_put(ev + 1, name, len);
}

static void step(struct bpf_feed *f, const struct ev_kernel_step *r)
{
	uint32_t type = type_id(f, r->type, &r->head);
	struct ev_step *ev = RECORD_NEW(&f->queue, step, 0, r->head.tid, r->head.time_ns);

	if (!ev)
		return;
	ev->task = r->task;
	ev->begin_ns = r->begin_ns;
	ev->waits_on = r->waits_on;
	ev->state = r->state;
	if (r->waits_on)
		ev->await_type = type;
	else
		ev->exception = type;
}

/* Whether it is asyncio.sleep(), which nothing but its timer ends; known for an era. */
static bool is_sleep(struct bpf_feed *f, uint64_t code, const struct ev_head *head)
{
	cleanup(target_code_clear) struct target_code c = {0};
	uint64_t key = map_mix(code, 1);
	uint32_t known = bpf_python_known(&f->python, key, head);

	if (known)
		return known == CODE_SLEEPS;
	if (target_code_read(f->options.target, code, &c))
		return false;
	known = strcmp(c.function, "sleep") || !strstr(c.file, "/asyncio/") ? CODE_ANY
									    : CODE_SLEEPS;
	bpf_python_know(&f->python, key, known, head);
	return known == CODE_SLEEPS;
}

/* The innermost coroutine through which the task waited; the kernel put it last. 0: none. */
static uint64_t innermost_of(const struct ev_kernel_wakeup *r)
{
	size_t size;
	const struct kernel_frame *frame = record_tail(&r->head, 0, &size);

	return size < sizeof(*frame) ? 0 : frame[size / sizeof(*frame) - 1].code;
}

static uint32_t how_of(struct bpf_feed *f, const struct ev_kernel_wakeup *r, bool is_task)
{
	if (r->state == TASK_CANCELLED)
		return WAKE_CANCEL;
	if (is_task)
		return WAKE_TASK_DONE;
	if (r->state == TASK_FAILED)
		return WAKE_EXCEPTION;
	if (!r->set_ns)
		return WAKE_UNSEEN;
	return !r->by && is_sleep(f, innermost_of(r), &r->head) ? WAKE_TIMER : WAKE_RESULT;
}

/* Coroutines as the kernel followed them, outermost first. */
static uint32_t chain_of(struct bpf_feed *f, const struct ev_head *head, uint32_t cut)
{
	struct kernel_frame frame[TARGET_CHAIN_MAX];
	size_t size, n;
	const struct kernel_frame *outer = record_tail(head, 0, &size);

	n = size / sizeof(*outer);
	n = n < TARGET_CHAIN_MAX ? n : TARGET_CHAIN_MAX;
	for (size_t i = 0; i < n; i++)
		frame[i] = outer[n - 1 - i];
	return bpf_python_stack(&f->python, frame, (uint32_t)n, cut, head);
}

static void wakeup(struct bpf_feed *f, const struct ev_kernel_wakeup *r)
{
	const struct known_type *type = type_get(f, r->type, &r->head);
	uint32_t stack = chain_of(f, &r->head, r->cut);
	bool is_task = type && type->is_task;
	struct ev_await_chain *chain;
	struct ev_wakeup *ev;

	chain = stack ? RECORD_NEW(&f->queue, await_chain, 0, r->head.tid, r->head.time_ns) : NULL;
	if (chain) {
		chain->task = r->task;
		chain->future = r->future;
		chain->stack = stack;
		chain->type = type ? type->id : 0;
	}
	ev = RECORD_NEW(&f->queue, wakeup, 0, r->head.tid, r->head.time_ns);
	if (!ev)
		return;
	ev->task = r->task;
	ev->future = r->future;
	ev->how = how_of(f, r, is_task);
	ev->by = is_task ? r->future : r->by;
	ev->set_ns = r->set_ns;
	ev->by_tid = r->by_tid;
}

/* ---- audit events ------------------------------------------------------------------------ */

/* What an import reads is not told, as in the agent. */
static bool audit_matters(const char *event, const char *detail, size_t size)
{
	static const char *const endings[] = {".py", ".pyc", ".so"};

	if (strcmp(event, "open"))
		return true;
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		size_t n = strlen(endings[i]);

		if (size >= n && !memcmp(detail + size - n, endings[i], n))
			return false;
	}
	return size > 0;
}

static void audit(struct bpf_feed *f, const struct ev_kernel_audit *r)
{
	const uint64_t name[] = {r->name_0, r->name_1, r->name_2};
	char event[sizeof(name) + 1] = "", detail[NAME_BYTES];
	size_t size, detail_len;
	const void *data = record_tail(&r->head, 1, &size);
	uint32_t stack, id;
	struct ev_audit *ev;

	memcpy(event, name, sizeof(name));
	detail_len = bpf_python_text(r->str_state, data, size, detail, sizeof(detail));
	if (!audit_matters(event, detail, detail_len))
		return;
	stack = bpf_python_tail(&f->python, &r->head, 0, r->cut);
	id = translate_name(f, event, &r->head);
	ev = RECORD_NEW(&f->queue, audit, detail_len, r->head.tid, r->head.time_ns);
	if (!ev)
		return;
	ev->task = r->task;
	ev->stack = stack;
	ev->event = id;
	ev->detail_len = (uint32_t)detail_len;
	record_tail_put(ev + 1, detail, detail_len);
}

static void code(struct bpf_feed *f, const struct ev_kernel_code *r)
{
	if (bpf_python_given(&f->python, r))
		bpf_sensor_code_stays(f->sensor, r->code, r->file_object);
}

/* ---- all --------------------------------------------------------------------------------- */

static void pass(struct bpf_feed *f, const struct ev_head *record)
{
	size_t size = (size_t)record->size_words * 8;
	void *copy =
		record_queue_new(&f->queue, record->kind, size, 0, record->tid, record->time_ns);

	if (copy)
		memcpy(copy, record, size);
}

/* Its selector was closed, so it does not run any more either. */
static void closed(struct bpf_feed *f, const struct ev_loop_close *r)
{
	struct ev_loop_stop *ev = RECORD_NEW(&f->queue, loop_stop, 0, r->head.tid, r->head.time_ns);

	if (ev)
		ev->loop = r->loop;
	pass(f, &r->head);
}

void translate(struct bpf_feed *f, const struct ev_head *record)
{
	switch (record->kind) {
	case EV_kernel_block:
		block(f, (const struct ev_kernel_block *)record);
		break;
	case EV_kernel_short:
		short_wait(f, (const struct ev_kernel_short *)record);
		break;
	case EV_kernel_taken:
		taken(f, (const struct ev_kernel_taken *)record);
		break;
	case EV_kernel_wake:
		wake(f, (const struct ev_kernel_wake *)record);
		break;
	case EV_kernel_ended:
		ended(f, (const struct ev_kernel_ended *)record);
		break;
	case EV_kernel_keeps:
		keeps(f, (const struct ev_kernel_keeps *)record);
		break;
	case EV_kernel_audit:
		audit(f, (const struct ev_kernel_audit *)record);
		break;
	case EV_kernel_task_new:
		task_new(f, (const struct ev_kernel_task_new *)record);
		break;
	case EV_kernel_task_name:
		task_name(f, (const struct ev_kernel_task_name *)record);
		break;
	case EV_kernel_step:
		step(f, (const struct ev_kernel_step *)record);
		break;
	case EV_kernel_wakeup:
		wakeup(f, (const struct ev_kernel_wakeup *)record);
		break;
	case EV_kernel_native:
		bpf_native_take(&f->native, f->options.pid, &f->constants,
			(const struct ev_kernel_native *)record);
		break;
	case EV_kernel_code:
		code(f, (const struct ev_kernel_code *)record);
		break;
	case EV_kernel_poll:
		loops_poll(f, (const struct ev_kernel_poll *)record);
		break;
	case EV_loop_close:
		closed(f, (const struct ev_loop_close *)record);
		break;
	default:
		pass(f, record);
	}
}
