/*
 * A process read from outside, as records of its own stream: codes, stacks, samples. Ids have the
 * top bit set, so they never meet the agent's. See sampled.h. Must not believe what it reads.
 */
#include "collector/sampled.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/map.h"
#include "probe/base/cleanup.h"
#include "probe/target/process.h"
#include "probe/target/target.h"

#define QUEUE_MAX_BYTES (1u << 20) /* beyond it samples are refused until some were handed out */
#define CODES_MAX 8192u            /* remembered; then all are forgotten and announced anew */
#define STACKS_MAX 65536u
/* A code's texts and table, a stack's frames: what a record holds with room to spare. */
#define TAIL_MAX_BYTES (EV_SIZE_MAX / 2)

struct known_code { /* by its address, which another code may have later */
	uint32_t id;
	struct target_code_key key;
	uint64_t content;
	uint64_t compared_ns; /* the iteration in which its content was last compared */
};

struct queue {
	unsigned char *bytes;
	size_t begin, kept, end, size; /* [begin, kept) may be handed out, [kept, end) not yet */
};

struct sampled {
	uint32_t pid, hexversion;
	struct target *target; /* NULL: not opened yet, or refused */
	bool refused;
	uint64_t thread_id, thread; /* the last one found */
	struct map codes, stacks;
	uint32_t code_ids, stack_ids;
	size_t sample; /* where in the queue the sample stands that is not kept yet */
	struct queue queue;
	struct target_stack stack;
};

static void free_code(void *code, void *ctx)
{
	free(code);
}

static void codes_forget(struct sampled *s)
{
	map_each(&s->codes, free_code, NULL);
	map_free(&s->codes);
	s->codes = (struct map){0};
}

struct sampled *sampled_new(uint32_t pid, uint32_t hexversion)
{
	struct sampled *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->pid = pid;
	s->hexversion = hexversion;
	return s;
}

void sampled_free(struct sampled *s)
{
	if (!s)
		return;
	target_free(s->target);
	codes_forget(s);
	map_free(&s->stacks);
	free(s->queue.bytes);
	free(s);
}

uint32_t sampled_pid(const struct sampled *s)
{
	return s->pid;
}

/* ---- records ----------------------------------------------------------------------------- */

/* Room for a record with these tails, zeroed, its head filled; NULL: the queue is full. */
static void *record_new(struct sampled *s, unsigned int kind, size_t fixed, size_t tails,
	uint32_t tid, uint64_t time_ns)
{
	struct queue *q = &s->queue;
	size_t size = (fixed + tails + 7) & ~(size_t)7, want = q->size ? q->size : 4096;
	unsigned char *more;
	void *record;

	while (want < q->end + size)
		want *= 2;
	if (want > QUEUE_MAX_BYTES)
		return NULL;
	if (want > q->size) {
		more = realloc(q->bytes, want);
		if (!more)
			return NULL;
		q->bytes = more;
		q->size = want;
	}
	record = q->bytes + q->end;
	memset(record, 0, size);
	*(struct ev_head *)record =
		(struct ev_head){time_ns, tid, (uint16_t)kind, (uint16_t)(size / 8)};
	q->end += size;
	return record;
}
#define RECORD_NEW(s, name, tails, tid, time_ns)                                                   \
	((struct ev_##name *)record_new(                                                           \
		s, EV_##name, sizeof(struct ev_##name), tails, tid, time_ns))

static char *tail_put(char *at, const void *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static void hook_put(struct sampled *s, const char *reason, uint64_t now_ns)
{
	static const char name[] = "stacks of busy loops";
	size_t name_len = sizeof(name) - 1, reason_len = strlen(reason);
	struct ev_hook *ev = RECORD_NEW(s, hook, name_len + reason_len, s->pid, now_ns);

	if (!ev)
		return;
	ev->placed = !reason_len;
	ev->name_len = (uint32_t)name_len;
	ev->reason_len = (uint32_t)reason_len;
	tail_put(tail_put((char *)(ev + 1), name, name_len), reason, reason_len);
	s->queue.kept = s->queue.end;
}

void sampled_keep(struct sampled *s)
{
	s->queue.kept = s->queue.end;
}

void sampled_drop(struct sampled *s)
{
	s->queue.end = s->sample;
	s->queue.kept = s->queue.end;
}

bool sampled_pending(const struct sampled *s)
{
	return s->queue.begin < s->queue.kept;
}

int sampled_hand_out(struct sampled *s, uint64_t until_ns, record_fn sink, void *ctx)
{
	struct queue *q = &s->queue;
	int rc = 0;

	while (!rc && q->begin < q->kept) {
		const struct ev_head *h = (const struct ev_head *)(q->bytes + q->begin);

		if (h->time_ns > until_ns)
			break;
		rc = sink(ctx, s->pid, h);
		q->begin += (size_t)h->size_words * 8;
	}
	if (q->begin == q->end)
		q->begin = q->kept = q->end = 0;
	return rc;
}

/* ---- codes and stacks -------------------------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t hash_add(uint64_t h, const void *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		h = (h ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3ull;
	return h;
}
#define HASH_BEGIN 0xcbf29ce484222325ull

static uint64_t content_of(const struct target_code *code)
{
	uint64_t h = hash_add(HASH_BEGIN, code->file, strlen(code->file) + 1);

	h = hash_add(h, code->function, strlen(code->function) + 1);
	h = hash_add(h, &code->firstlineno, sizeof(code->firstlineno));
	return hash_add(h, code->table, code->table_size);
}

static uint32_t line_format(const struct sampled *s)
{
	int minor = target_minor(s->target);

	if (minor < 10)
		return LINE_LNOTAB;
	return minor == 10 ? LINE_TABLE310 : LINE_TABLE311;
}

/* 0: no room. */
static uint32_t code_announce(
	struct sampled *s, const struct target_code *code, uint32_t tid, uint64_t now_ns)
{
	size_t file = strlen(code->file), function = strlen(code->function);
	size_t table = code->table_size;
	struct ev_code *ev;
	char *at;

	if (file + function + table > TAIL_MAX_BYTES)
		table = 0; /* no line is better than none of the record */
	ev = RECORD_NEW(s, code, file + function + table, tid, now_ns);
	if (!ev)
		return 0;
	ev->id = EV_ID_OUTSIDE | ++s->code_ids;
	ev->firstlineno = code->firstlineno;
	ev->line_format = line_format(s);
	ev->file_len = (uint32_t)file;
	ev->function_len = (uint32_t)function;
	ev->linetable_len = (uint32_t)table;
	at = tail_put((char *)(ev + 1), code->file, file);
	at = tail_put(at, code->function, function);
	tail_put(at, code->table, table);
	return ev->id;
}

static int code_take(struct sampled *s, struct known_code *known, uint64_t address,
	const struct ring_loop *loop, uint64_t now_ns)
{
	cleanup(target_code_clear) struct target_code code = {0};
	int rc = target_code_read(s->target, address, &code);
	uint64_t content;

	if (rc)
		return rc;
	content = content_of(&code);
	known->compared_ns = loop->busy_since_ns;
	if (known->id && known->content == content)
		return 0;
	known->content = content;
	known->id = code_announce(s, &code, loop->tid, now_ns);
	return known->id ? 0 : -ENOBUFS;
}

/*
 * The id of the code object at this address. Its parts are compared at every use, its texts once an
 * iteration: CPython gives the memory of one cell's code to the next one's.
 */
static int code_id(struct sampled *s, uint64_t address, const struct ring_loop *loop,
	uint64_t now_ns, uint32_t *ret)
{
	struct known_code *known = map_get(&s->codes, address);
	struct target_code_key key;
	int rc = target_code_key(s->target, address, &key);

	if (rc)
		return rc;
	if (!known) {
		if (s->codes.count >= CODES_MAX)
			codes_forget(s);
		known = calloc(1, sizeof(*known));
		if (!known || map_put(&s->codes, address, known)) {
			free(known);
			return -ENOMEM;
		}
	}
	if (!known->id || known->compared_ns != loop->busy_since_ns ||
		memcmp(&known->key, &key, sizeof(key)) != 0) {
		rc = code_take(s, known, address, loop, now_ns);
		known->key = key;
	}
	if (rc)
		known->id = 0; /* announced anew, should it come again */
	else
		*ret = known->id;
	return rc;
}

/* The id of s->stack, announced before. */
static int stack_id(struct sampled *s, const struct ring_loop *loop, uint64_t now_ns, uint32_t *ret)
{
	uint32_t pairs[TARGET_FRAMES_MAX][2], count = s->stack.count;
	size_t size = count * sizeof(pairs[0]);
	struct ev_stack *ev;
	uint64_t hash;
	void *known;

	for (uint32_t i = 0; i < count; i++) {
		int rc = code_id(s, s->stack.frame[i].code, loop, now_ns, &pairs[i][0]);

		if (rc)
			return rc;
		pairs[i][1] = s->stack.frame[i].position;
	}
	hash = hash_add(HASH_BEGIN, pairs, size);
	known = map_get(&s->stacks, hash);
	if (known) {
		*ret = (uint32_t)(uintptr_t)known;
		return 0;
	}
	if (s->stacks.count >= STACKS_MAX) {
		map_free(&s->stacks);
		s->stacks = (struct map){0};
	}
	ev = RECORD_NEW(s, stack, size, loop->tid, now_ns);
	if (!ev)
		return -ENOBUFS;
	ev->id = EV_ID_OUTSIDE | ++s->stack_ids;
	ev->cut = s->stack.cut;
	ev->frames_len = (uint32_t)size;
	memcpy(ev + 1, pairs, size);
	*ret = ev->id;
	return map_put(&s->stacks, hash, (void *)(uintptr_t)*ret);
}

/* ---- samples ----------------------------------------------------------------------------- */

static int reader_open(struct sampled *s, uint64_t now_ns)
{
	const char *why = "";
	int rc;

	if (s->target || s->refused)
		return s->target ? 0 : -ENOTSUP;
	rc = target_open(s->pid, s->hexversion, &s->target, &why);
	if (!rc || rc == -ESRCH) {
		if (!rc)
			hook_put(s, "", now_ns);
		return rc;
	}
	s->refused = true;
	hook_put(s, why, now_ns);
	return -ENOTSUP;
}

static int thread_find(struct sampled *s, uint64_t thread_id)
{
	int rc;

	if (s->thread && s->thread_id == thread_id &&
		target_thread_is(s->target, s->thread, thread_id))
		return 0;
	rc = target_thread_find(s->target, thread_id, &s->thread);
	s->thread_id = thread_id;
	if (rc)
		s->thread = 0;
	return rc;
}

/*
 * Where bytecode stood still, the thread is in a C function, or waits. Nothing tells from outside
 * whether it is on a CPU at this moment; a thread that has had no wait for one since its last
 * sample is believed to be.
 */
static uint32_t kind_of(const struct sampled *s, char state, uint64_t runq_ns, uint64_t before_ns)
{
	if (s->stack.moved)
		return SAMPLE_PYTHON;
	if (state == 'R' && runq_ns != UINT64_MAX && runq_ns == before_ns)
		return SAMPLE_NATIVE;
	return SAMPLE_UNKNOWN;
}

int sampled_take(struct sampled *s, const struct ring_loop *loop, uint64_t now_ns,
	uint64_t stands_for_ns, uint64_t *runq_ns)
{
	struct memory memory = memory_of_process(s->pid);
	uint64_t before_ns = *runq_ns, task = 0;
	struct ev_sample *ev;
	uint32_t stack = 0;
	char state;
	int rc = reader_open(s, now_ns);

	s->sample = s->queue.end;
	if (!rc)
		rc = thread_find(s, loop->thread_id);
	if (!rc)
		rc = target_stack_read(s->target, s->thread, &s->stack);
	if (rc)
		return rc == -EFAULT || rc == -EPROTO ? -EAGAIN : rc;
	state = process_thread_state(s->pid, loop->tid);
	*runq_ns = process_thread_runq_ns(s->pid, loop->tid);
	if (memory_read_pointer(&memory, loop->task_at, &task))
		task = 0; /* it does without */
	rc = stack_id(s, loop, now_ns, &stack);
	s->sample = s->queue.end;
	if (rc)
		return rc == -EFAULT || rc == -EPROTO ? -EAGAIN : rc;
	ev = RECORD_NEW(s, sample, 0, loop->tid, now_ns);
	if (!ev)
		return -ENOBUFS;
	ev->task = task;
	ev->busy_since_ns = loop->busy_since_ns;
	ev->stands_for_ns = stands_for_ns;
	ev->stack = stack;
	ev->kind = kind_of(s, state, *runq_ns, before_ns);
	ev->state = (uint32_t)state;
	return 0;
}

int sampled_take_holder(
	struct sampled *s, const struct ring_loop *loop, uint64_t now_ns, uint64_t stands_for_ns)
{
	uint64_t holder, still;
	struct ev_gil_holder *ev;
	uint32_t tid, stack = 0;
	int rc = s->target ? target_gil_holder(s->target, &holder, &tid) : -ENOTSUP;

	s->sample = s->queue.end;
	if (!rc && holder == s->thread)
		return -ENOENT;
	if (!rc)
		rc = target_stack_read(s->target, holder, &s->stack);
	if (!rc)
		rc = target_gil_holder(s->target, &still, &tid);
	if (!rc && still != holder)
		return -ENOENT;
	if (!rc)
		rc = stack_id(s, loop, now_ns, &stack);
	s->sample = s->queue.end;
	if (rc)
		return rc;
	ev = RECORD_NEW(s, gil_holder, 0, loop->tid, now_ns);
	if (!ev)
		return -ENOBUFS;
	ev->busy_since_ns = loop->busy_since_ns;
	ev->stands_for_ns = stands_for_ns;
	ev->holder = tid;
	ev->stack = stack;
	return 0;
}
