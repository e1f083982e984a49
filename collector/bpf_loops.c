/*
 * Which threads of a process run loops, judged by their stacks: a loop of asyncio has
 * BaseEventLoop._run_once on it, uvloop's has none of Python, but addresses of its own library on
 * the native stack. See bpf_feed.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/bpf_feed.h"
#include "collector/bpf_thread.h"
#include "probe/base/cleanup.h"
#include "probe/bpf/call_kind.h"
#include "probe/target/process.h"

#define NATIVE_BYTES 16384u /* of a native stack, from its inner end */
#define PATH_BYTES 96
#define LEARN_NS 100000000u /* how often an unknown stack is looked at for a loop's turn */
/* How often asyncio is looked for, once a drain: an import of it takes 30 ms. */
#define EXPECTED_MAX 250u
#define FUNCTIONS_MAX 64u /* of a stack that are looked at, from its inner end */

static uint64_t clock_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* ---- what a frame is --------------------------------------------------------------------- */

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), m = strlen(end);

	return n >= m && !strcmp(text + n - m, end);
}

/* The last part of a qualified name, in asyncio's file or in that of nest_asyncio (1.5; a debugger
 * has a copy of it), which puts functions of its own in place of asyncio's. */
static bool code_is(struct bpf_feed *f, uint64_t code, const char *function)
{
	cleanup(target_code_clear) struct target_code c = {0};
	const char *dot;

	if (target_code_read(f->options.target, code, &c))
		return false;
	dot = strrchr(c.function, '.');
	return !strcmp(dot ? dot + 1 : c.function, function) &&
	       (ends_with(c.file, "asyncio/base_events.py") ||
		       ends_with(c.file, "nest_asyncio.py"));
}

/* A loop's turn; from now on it is known as one. */
static bool is_turn(struct bpf_feed *f, uint64_t code)
{
	return bpf_sensor_is_run_once(f->sensor, code) ||
	       (code_is(f, code, "_run_once") && !bpf_sensor_run_once(f->sensor, code));
}

/* Index of the innermost one, or count. */
static uint32_t turn_in(struct bpf_feed *f, const struct kernel_frame *frame, uint32_t count)
{
	uint32_t i = 0;

	while (i < count && i < FUNCTIONS_MAX && !is_turn(f, frame[i].code))
		i++;
	return i < FUNCTIONS_MAX ? i : count;
}

/* ---- the native stack -------------------------------------------------------------------- */

/* Whether any word of it points into a mapped, executable file that is called so. */
static bool words_point_into(const uint64_t *word, size_t count, uint32_t pid, const char *file)
{
	cleanup(fclosep) FILE *maps = NULL;
	cleanup(freep) char *line = NULL;
	char path[PATH_BYTES], perms[5];
	size_t size = 0;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/maps", pid);
	maps = fopen(path, "re");
	while (maps && !found && getline(&line, &size, maps) > 0) {
		uint64_t begin, end;

		if (!strstr(line, file) ||
			sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s", &begin, &end, perms) != 3 ||
			perms[2] != 'x')
			continue;
		for (size_t i = 0; i < count && !found; i++)
			found = word[i] >= begin && word[i] < end;
	}
	return found;
}

static bool runs_uvloop(struct bpf_feed *f, uint64_t stack_pointer)
{
	uint64_t word[NATIVE_BYTES / 8];
	size_t bytes = NATIVE_BYTES;

	/* the stack may end before */
	while (bytes >= 512 && memory_read(&f->memory, stack_pointer & ~7ull, word, bytes))
		bytes /= 2;
	return bytes >= 512 && words_point_into(word, bytes / 8, f->options.pid, "/uvloop/");
}

/* ---- told to the model ------------------------------------------------------------------- */

void loops_thread(struct bpf_feed *f, uint32_t tid, uint64_t thread_id, uint64_t now_ns)
{
	const void *told = map_get(&f->told, tid), *unnamed = &f->threads;

	if (told && (told != unnamed || !bpf_thread_again(&f->threads, tid, thread_id, now_ns)))
		return;
	if (!told && bpf_sensor_clock(f->sensor, tid))
		bpf_feed_hook(f, "native stacks while it computes", "the kernel refused the clock",
			now_ns);
	map_put(&f->told, tid,
		bpf_thread_put(&f->threads, &f->queue, f->options.pid, tid, thread_id, now_ns)
			? f
			: (void *)unnamed);
}

/* stack: of who called run_forever(). */
static void started(
	struct bpf_feed *f, const struct ev_head *head, uint64_t loop, bool uvloop, uint32_t stack)
{
	struct ev_loop_start *ev = RECORD_NEW(&f->queue, loop_start, 0, head->tid, head->time_ns);

	if (!ev)
		return;
	ev->loop = loop;
	ev->stack = stack;
	ev->flags = uvloop ? LOOP_UVLOOP : 0;
	f->loops++;
}

/* Index of the frame that ran the loop whose turn that is: what called run_forever(), which
 * nest_asyncio leaves out. */
static uint32_t after_run(
	struct bpf_feed *f, const struct kernel_frame *frame, uint32_t count, uint32_t turn)
{
	if (turn + 1 < count && code_is(f, frame[turn + 1].code, "run_forever"))
		return turn + 2;
	return turn < count ? turn + 1 : 0;
}

/* ---- what a stack begins with --------------------------------------------------------------- */

/* Of a stack in a turn of the thread's loop; without memory for it nothing is ever "left". */
static void outermost_note(
	struct bpf_feed *f, uint32_t tid, const struct kernel_frame *frame, uint32_t count)
{
	map_put(&f->outermost, tid, (void *)(uintptr_t)frame[count - 1].code);
}

/* Whether the stack, read while its thread may run, goes down to where that thread's do. */
static bool is_whole(
	const struct bpf_feed *f, uint32_t tid, const struct kernel_frame *frame, uint32_t count)
{
	return count && map_get(&f->outermost, tid) == (void *)(uintptr_t)frame[count - 1].code;
}

/* ---- threads that poll ------------------------------------------------------------------- */

void loops_poll(struct bpf_feed *f, const struct ev_kernel_poll *r)
{
	size_t size;
	const struct kernel_frame *frame = record_tail(&r->head, 0, &size);
	uint32_t count = (uint32_t)(size / sizeof(*frame)), turn, after;

	if (r->loop) {
		turn = turn_in(f, frame, count);
		after = after_run(f, frame, count, turn);
		if (turn < count && !r->cut)
			outermost_note(f, r->head.tid, frame, count);
		loops_thread(f, r->head.tid, r->thread_id, r->head.time_ns);
		started(f, &r->head, r->loop, turn == count,
			bpf_python_stack(
				&f->python, frame + after, count - after, r->cut, &r->head));
	} else if (count > 1 && is_turn(f, frame[1].code)) {
		bpf_sensor_approve(f->sensor, r->head.tid, r->epfd);
	} else if (runs_uvloop(f, r->stack_pointer)) {
		bpf_sensor_approve(f->sensor, r->head.tid, r->epfd);
	}
}

/* ---- what a turn is ----------------------------------------------------------------------- */

bool loops_learn(struct bpf_feed *f, const struct kernel_frame *frame, uint32_t count)
{
	uint64_t now_ns = clock_ns();

	if (now_ns < f->learn_after_ns)
		return false;
	f->learn_after_ns = now_ns + LEARN_NS;
	return turn_in(f, frame, count) < count;
}

void loops_expect(struct bpf_feed *f)
{
	static const struct target_method turn = {
		"asyncio.base_events", "BaseEventLoop", "_run_once"};
	uint64_t code;

	if (f->expected == EXPECTED_MAX)
		return;
	f->expected++;
	if (target_method_code(f->options.target, &turn, &code))
		return; /* it is being imported, or somebody has changed it */
	bpf_sensor_run_once(f->sensor, code);
	f->expected = EXPECTED_MAX;
}

bool loops_turning(struct bpf_feed *f, const struct loop_slot *slot)
{
	struct kernel_frame frame[TARGET_FRAMES_MAX];
	struct target_stack stack;
	uint64_t thread;
	bool seen = false;

	/* uvloop has no such frame; a stack that cannot be read, or not whole, says nothing */
	if (!slot->loop || !slot->by_stack ||
		target_thread_find(f->options.target, slot->thread_id, &thread) ||
		target_stack_read(f->options.target, thread, &stack) || stack.cut)
		return true;
	for (uint32_t i = 0; i < stack.count; i++) {
		frame[i] = (struct kernel_frame){stack.frame[i].code, stack.frame[i].position};
		seen |= bpf_sensor_is_run_once(f->sensor, frame[i].code);
	}
	if (seen)
		outermost_note(f, slot->tid, frame, stack.count);
	return seen || !is_whole(f, slot->tid, frame, stack.count) ||
	       loops_learn(f, frame, stack.count);
}

/* ---- threads at the beginning ------------------------------------------------------------ */

struct in_syscall { /* /proc/PID/task/TID/syscall (proc(5)) */
	bool off;   /* the thread is off CPU, in one or (number < 0) in none */
	long number;
	uint64_t argument[6], stack_pointer;
};

static bool syscall_read(const struct bpf_feed *f, uint32_t tid, struct in_syscall *ret)
{
	char path[PATH_BYTES], text[256];
	cleanup(closep) int fd = -1;
	uint64_t *a = ret->argument;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task/%" PRIu32 "/syscall", f->options.pid,
		tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	*ret = (struct in_syscall){.number = -1};
	if (!strncmp(text, "running", 7))
		return true;
	ret->off = true;
	if (sscanf(text,
		    "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
		    " %" SCNx64,
		    &ret->number, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5],
		    &ret->stack_pointer) < 8)
		ret->number = -1;
	return true;
}

static struct part_account account_read(const struct bpf_feed *f, uint32_t tid)
{
	struct part_account account = {0};
	char path[PATH_BYTES];
	cleanup(fclosep) FILE *file = NULL;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task/%" PRIu32 "/schedstat", f->options.pid,
		tid);
	file = fopen(path, "re");
	if (file && fscanf(file, "%llu %llu", &account.ran_ns, &account.delayed_ns) != 2)
		account = (struct part_account){0};
	return account;
}

static void slot_fill(const struct bpf_feed *f, struct loop_slot *s, const struct in_syscall *call,
	bool polls, uint64_t now_ns)
{
	struct part_account account = account_read(f, s->tid);

	part_begin(&s->part, now_ns, &account);
	if (call->off) {
		s->part.out_ns = now_ns;
		s->part.stale = 0;
	}
	for (unsigned int i = 0; i < 3; i++)
		s->argument[i] = call->argument[i];
	if (call->number >= 0) {
		s->syscall = (uint32_t)call->number;
		s->enter_ns = now_ns;
		s->part.syscall = polls ? PART_SELECT
					: call_class(s->syscall, s->argument,
						  f->constants.gil_begin, f->constants.gil_end);
	}
	if (polls) {
		s->poll_ns = now_ns;
		return;
	}
	s->begin_ns = now_ns; /* of what is seen of this iteration */
	s->busy_since_ns = now_ns;
}

/*
 * A thread that ran a loop before we came; its loop's id. polls: it is in its loop's selector. Its
 * present system call is read a moment before the kernel begins to tell of it: what happens in
 * between is healed by the scheduler's account.
 */
static uint64_t thread_take(struct bpf_feed *f, const struct bpf_thread *thread, uint64_t state,
	const struct in_syscall *call, bool polls, bool asyncio, uint64_t now_ns)
{
	uint32_t index;
	struct loop_slot *s = bpf_sensor_slot(f->sensor, &index);
	uint64_t loop;

	if (!s)
		return 0;
	s->tid = (uint32_t)thread->tid;
	s->thread_id = thread->thread_id;
	s->thread = state;
	s->loop = loop = bpf_sensor_loop_id(f->sensor);
	s->known[0] = (struct slot_loop){.loop = s->loop,
		.epfd = polls ? (int32_t)call->argument[0] : EPFD_UNKNOWN,
		.by_stack = asyncio};
	s->by_stack = asyncio;
	slot_fill(f, s, call, polls, now_ns);
	return bpf_sensor_slot_publish(f->sensor, index) ? 0 : loop;
}

static void thread_judge(struct bpf_feed *f, const struct bpf_thread *thread, uint64_t now_ns)
{
	struct ev_head head = {.tid = (uint32_t)thread->tid, .time_ns = now_ns};
	struct kernel_frame frame[TARGET_FRAMES_MAX];
	uint32_t turn, after, outer;
	struct target_stack stack;
	struct in_syscall call;
	uint64_t state, loop;
	bool polls, asyncio, uvloop;

	if (!thread->thread_id ||
		target_thread_find(f->options.target, thread->thread_id, &state) ||
		target_stack_read(f->options.target, state, &stack) ||
		!syscall_read(f, head.tid, &call))
		return;
	for (uint32_t i = 0; i < stack.count; i++)
		frame[i] = (struct kernel_frame){stack.frame[i].code, stack.frame[i].position};
	turn = turn_in(f, frame, stack.count);
	polls = call.number >= 0 && call_is_poll((uint32_t)call.number);
	asyncio = turn < stack.count;
	uvloop = !asyncio && polls && runs_uvloop(f, call.stack_pointer);
	if (!asyncio && !uvloop)
		return;
	loop = thread_take(
		f, thread, state, &call, polls && (uvloop || turn == 1), asyncio, now_ns);
	if (!loop)
		return;
	loops_thread(f, head.tid, thread->thread_id, now_ns);
	after = after_run(f, frame, stack.count, turn);
	if (asyncio && !stack.cut)
		outermost_note(f, head.tid, frame, stack.count);
	if (outside_stack(&f->python.outside, stack.frame + after, stack.count - after, stack.cut,
		    head.tid, now_ns, now_ns, &outer))
		outer = 0;
	started(f, &head, loop, uvloop, outer);
}

void loops_find(struct bpf_feed *f, uint64_t now_ns)
{
	cleanup(freep) struct bpf_thread *thread = calloc(BPF_TIDS_MAX, sizeof(*thread));
	int n = thread ? bpf_sensor_threads(f->sensor, thread, BPF_TIDS_MAX) : 0;

	for (int i = 0; i < n; i++)
		thread_judge(f, &thread[i], now_ns);
}
