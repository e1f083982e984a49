/*
 * What goes on when a recording ends: a loop that is held, the call it is in. Told as if it ended
 * at this moment, which is what is known of it. See bpf_feed.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "collector/bpf_feed.h"
#include "probe/bpf/call_kind.h"
#include "probe/target/process.h"

#define PATH_BYTES 64
#define TARGET_BYTES 256

/* A copy of a slot whose partition is charged up to now. */
static struct loop_slot slot_now(const struct loop_slot *slot, uint64_t now_ns)
{
	struct loop_slot s = *slot;

	part_close(&s.part, now_ns);
	return s;
}

static void iteration_put(struct bpf_feed *f, const struct loop_slot *s, uint64_t now_ns)
{
	struct ev_causes *c = RECORD_NEW(&f->queue, causes, 0, s->tid, now_ns);
	struct ev_iteration *ev;

	if (c) {
		c->loop = s->loop;
#define PART(name, NAME, id, doc) c->name##_ns = s->part.sum_ns[PART_##NAME];
#include "probe/part.def"
		c->discrepancy_ns = s->part.discrepancy_ns;
	}
	ev = RECORD_NEW(&f->queue, iteration, 0, s->tid, now_ns);
	if (!ev)
		return;
	ev->loop = s->loop;
	ev->begin_ns = s->begin_ns;
	ev->select_ns = s->select_ns;
	ev->cpu_ns = (int64_t)(s->part.sum_ns[PART_USER] + s->part.sum_ns[PART_KERNEL] +
			       s->part.sum_ns[PART_GC]);
	ev->runq_ns = (int64_t)s->part.sum_ns[PART_RUNQ];
	ev->gil_ns = s->part.sum_ns[PART_GIL];
	ev->ready = (int32_t)s->ready;
}

/* Short ones that the kernel has summed and not told yet. */
static void turns_put(struct bpf_feed *f, const struct loop_slot *s, uint64_t now_ns)
{
	struct ev_turns *ev = RECORD_NEW(&f->queue, turns, 0, s->tid, now_ns);

	if (!ev)
		return;
	ev->loop = s->loop;
	ev->begin_ns = s->turns_begin_ns;
	ev->count = s->turns;
	ev->busy_ns = s->turns_busy_ns;
	ev->longest_ns = s->turns_longest_ns;
	ev->select_ns = s->turns_select_ns;
}

/* The path it was given; its end may lie on a page that is not there. */
static size_t path_text(const struct bpf_feed *f, uint64_t address, char buf[TARGET_BYTES])
{
	size_t n = TARGET_BYTES;

	while (n > 8 && memory_read(&f->memory, address, buf, n))
		n /= 2;
	return n > 8 ? strnlen(buf, n) : 0;
}

/* As the kernel's side has it (call_fd() in touch.bpf.h). */
static int32_t fd_of(const struct bpf_feed *f, const struct loop_slot *s)
{
	struct call_kind kind = call_kind_of(s->syscall);
	int32_t fd;

	if (kind.how == HOW_SELECT)
		return (int32_t)s->argument[0] - 1;
	if (kind.how == HOW_POLL && s->argument[1] &&
		!memory_read(&f->memory, s->argument[0], &fd, sizeof(fd)))
		return fd;
	return kind.fd_at < 0 ? -1 : (int32_t)s->argument[kind.fd_at];
}

/* What its descriptor or its path stands for, or nothing. */
static size_t target_text(
	const struct bpf_feed *f, const struct loop_slot *s, char buf[TARGET_BYTES])
{
	struct call_kind kind = call_kind_of(s->syscall);
	int32_t fd = fd_of(f, s);
	char path[PATH_BYTES];
	ssize_t n;

	if (kind.how == HOW_PATH || kind.how == HOW_PATH_AT)
		return path_text(f, s->argument[kind.how == HOW_PATH_AT], buf);
	if (fd < 0)
		return 0;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/fd/%d", f->options.pid, fd);
	n = readlink(path, buf, TARGET_BYTES);
	return n > 0 ? (size_t)n : 0;
}

/* Whether the thread is in that call still: else its stack, read meanwhile, is not the call's. */
static bool in_flight(const struct bpf_feed *f, const struct loop_slot *s)
{
	const struct loop_slot *slots = bpf_sensor_slots(f->sensor);

	for (uint32_t i = 0; i < SLOTS_MAX; i++) {
		const volatile struct loop_slot *now = &slots[i];

		if (now->tid == s->tid)
			return now->syscall == s->syscall && now->enter_ns == s->enter_ns;
	}
	return false;
}

/* The system call in flight, if it has waited for long. */
static void block_put(struct bpf_feed *f, const struct loop_slot *s, uint64_t now_ns)
{
	uint32_t class = s->part.syscall, stack_id = 0;
	uint64_t waited_ns = part_sum(&s->part, class) - s->enter_off_ns, thread;
	struct target_stack stack;
	char text[TARGET_BYTES];
	struct ev_block *ev;
	size_t text_len;

	if (class == PART_GIL || class == PART_SELECT || class == PART_USER ||
		waited_ns < f->options.min_block_ns)
		return;
	if (target_thread_find(f->options.target, s->thread_id, &thread) ||
		target_stack_read(f->options.target, thread, &stack) || !in_flight(f, s) ||
		outside_stack(&f->python.outside, stack.frame, stack.count, stack.cut, s->tid,
			now_ns, now_ns, &stack_id))
		stack_id = 0;
	text_len = target_text(f, s, text);
	ev = RECORD_NEW(&f->queue, block, text_len, s->tid, now_ns);
	if (!ev)
		return;
	ev->begin_ns = s->enter_ns;
	ev->runq_ns = part_queued(&s->part) - s->enter_runq_ns;
	ev->cpu_ns = now_ns - s->enter_ns - waited_ns - ev->runq_ns;
	ev->loop = s->loop;
	ev->task = s->steps && s->steps <= SLOT_STEPS ? s->step[s->steps - 1].task : 0;
	ev->call = translate_call(s->syscall);
	ev->stack = stack_id;
	ev->fd = fd_of(f, s);
	ev->result = BLOCK_UNFINISHED;
	ev->target_len = (uint32_t)text_len;
	record_tail_put(ev + 1, text, text_len);
}

/* Who has the GIL that it waits for, and has had it since that was told last. */
static void holder_put(struct bpf_feed *f, const struct loop_slot *s, const struct futex_wait *wait,
	uint64_t now_ns)
{
	struct target *target = f->options.target;
	uint64_t thread, thread_id;
	struct ev_gil_holder *ev;
	struct target_stack stack;
	uint32_t tid, stack_id = 0;

	if (!s->waits || s->part.syscall != PART_GIL || wait->tid != s->tid ||
		wait->gil_ns >= now_ns || target_gil_holder(target, &thread, &tid))
		return;
	tid = process_thread_outer(f->options.pid, tid);
	if (tid && !memory_read_pointer(
			   &f->memory, thread + f->constants.layout.thread_thread_id, &thread_id))
		loops_thread(f, tid, thread_id, now_ns);
	if (target_stack_read(target, thread, &stack) ||
		outside_stack(&f->python.outside, stack.frame, stack.count, stack.cut, s->tid,
			now_ns, now_ns, &stack_id))
		stack_id = 0;
	ev = RECORD_NEW(&f->queue, gil_holder, 0, s->tid, now_ns);
	if (!ev)
		return;
	ev->busy_since_ns = s->begin_ns;
	ev->stands_for_ns = now_ns - wait->gil_ns;
	ev->holder = tid;
	ev->stack = stack_id;
	ev->exact = GIL_KEPT;
}

void finish(struct bpf_feed *f, uint64_t now_ns)
{
	const struct loop_slot *slots = bpf_sensor_slots(f->sensor);

	for (uint32_t i = 0; i < SLOTS_MAX; i++) {
		struct loop_slot s;

		if (slots[i].tid && slots[i].turns)
			turns_put(f, &slots[i], now_ns);
		if (!slots[i].tid || !slots[i].begin_ns || !slots[i].busy_since_ns ||
			!loops_turning(f, &slots[i]))
			continue; /* in its selector, or between two runs */
		s = slot_now(&slots[i], now_ns);
		if (s.syscall != NO_SYSCALL)
			block_put(f, &s, now_ns);
		holder_put(f, &s, bpf_sensor_wait(f->sensor, i), now_ns);
		iteration_put(f, &s, now_ns);
	}
}
