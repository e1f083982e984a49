/*
 * Two sensors as one feed: agents' records in their order, and before each what of the kernel's
 * belongs to it. What the agent is about to tell has always been told by the kernel before, but for
 * the end of an iteration; a process's records wait for that, not for long. See bpf_both.h.
 */
#include "collector/bpf_both.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/bpf_beside.h"
#include "collector/bpf_feed.h"
#include "collector/bpf_processes.h"
#include "collector/bpf_touched.h"
#include "collector/model.h"
#include "collector/pairs.h"
#include "collector/record_queue.h"
#include "probe/base/cleanup.h"

/* A thread is seldom off CPU for longer on its way into a system call. */
#define HOLD_NS 100000000u
/* The kernel sees each iteration a little longer than the agent: it tells of some more. */
#define TURN_SHARE 8u

struct held { /* a process's records behind one that waits for the kernel's part */
	uint32_t pid;
	struct record_queue queue;
	struct held *next;
};

struct bpf_both {
	struct feed feed; /* first */
	struct feed *rings;
	struct bpf_beside *beside;
	struct pairs *pairs;
	struct bpf_processes *processes;
	struct held *held;
	uint64_t min_turn_ns;
	uint64_t consumed_ns; /* all that the kernel said before is in pairs */
	uint64_t damaged, lost_told;
	bool final;
	record_fn sink;
	void *ctx;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static struct bpf_both *both_of(const struct feed *feed)
{
	return (struct bpf_both *)feed;
}

static void feed_free(struct feed *feed)
{
	struct bpf_both *f = both_of(feed);

	if (!f)
		return;
	bpf_beside_free(f->beside);
	while (f->held) {
		struct held *first = f->held;

		f->held = first->next;
		record_queue_free(&first->queue);
		free(first);
	}
	pairs_free(f->pairs);
	bpf_processes_free(f->processes);
	if (f->rings)
		f->rings->ops->free(f->rings);
	free(f);
}

/* ---- what the kernel says ---------------------------------------------------------------- */

static int take_turn(struct bpf_both *f, const struct ev_kernel_turn *r)
{
	const struct ev_causes turn = {
		.head = {r->head.time_ns, r->head.tid, EV_causes, sizeof(turn) / 8},
#define PART(name, NAME, id, doc) .name##_ns = r->name##_ns,
#include "probe/part.def"
		.discrepancy_ns = r->discrepancy_ns,
		.begin_ns = r->begin_ns,
	};

	return pairs_turn(f->pairs, r->pid, &turn);
}

static int take_taken(struct bpf_both *f, const struct ev_kernel_taken *r)
{
	struct taken_record taken;

	translate_taken(r, &taken);
	return pairs_taken(f->pairs, r->pid, &taken.taken);
}

static int take_wait(struct bpf_both *f, const struct ev_kernel_wait *r)
{
	uint64_t wall_ns = r->head.time_ns - r->begin_ns;
	struct {
		struct ev_call_wait wait;
		char target[TOUCHED_TEXT_BYTES];
	} call = {0};
	size_t size;
	const void *touched = record_tail(&r->head, 1, &size);
	bool native;
	char target[TOUCHED_TEXT_BYTES];

	touched_text(r->touches, touched, size, target);
	call.wait = (struct ev_call_wait){
		.head = {r->head.time_ns, r->head.tid, EV_call_wait, 0},
		.begin_ns = r->begin_ns,
		.off_ns = wall_ns - r->cpu_ns - r->runq_ns,
		.cpu_ns = r->cpu_ns,
		.runq_ns = r->runq_ns,
		.task = r->task,
		.stack = bpf_processes_stack(f->processes, r, &native),
		.call = translate_call(r->number),
		.fd = r->fd,
		.result = (int32_t)r->result,
		.named = r->named,
		.target_len = (uint32_t)strlen(target),
	};
	call.wait.native = native;
	call.wait.head.size_words = (uint16_t)((sizeof(call.wait) + call.wait.target_len + 7) / 8);
	memcpy((char *)&call + sizeof(call.wait), target, call.wait.target_len);
	return pairs_wait(f->pairs, r->pid, &call.wait);
}

/* Without a clock of its own the thread is sampled as if there were no program in the kernel. */
static int take_thread(struct bpf_both *f, const struct ev_kernel_thread *r)
{
	bpf_beside_clock(f->beside, r->outer_tid);
	bpf_processes_thread(f->processes, r);
	return pairs_thread(f->pairs, r->pid, r->head.tid);
}

static int take_code(struct bpf_both *f, const struct ev_kernel_code *r)
{
	if (bpf_processes_code(f->processes, r))
		bpf_beside_code_stays(f->beside, r->pid, r->code, r->file_object);
	return 0;
}

static int take_wake(struct bpf_both *f, const struct ev_kernel_wake *r)
{
	bpf_processes_wake(f->processes, r);
	return 0;
}

/* Without memory for it the agent's own account stays. */
static int take_record(void *ctx, void *record, size_t size)
{
	struct bpf_both *f = ctx;
	const struct ev_head *head = record;
	int rc = record_check(record, size);

	if (!rc && head->kind == EV_kernel_turn)
		rc = take_turn(f, record);
	else if (!rc && head->kind == EV_kernel_wait)
		rc = take_wait(f, record);
	else if (!rc && head->kind == EV_kernel_taken)
		rc = take_taken(f, record);
	else if (!rc && head->kind == EV_kernel_thread)
		rc = take_thread(f, record);
	else if (!rc && head->kind == EV_kernel_code)
		rc = take_code(f, record);
	else if (!rc && head->kind == EV_kernel_wake)
		rc = take_wake(f, record);
	else if (!rc && head->kind == EV_kernel_ended)
		bpf_processes_ended(f->processes, record);
	else if (!rc && head->kind == EV_kernel_keeps)
		bpf_processes_keeps(f->processes, record);
	else if (!rc && head->kind == EV_kernel_native)
		bpf_processes_native(f->processes, record);
	else if (!rc && head->kind == EV_kernel_sample)
		bpf_processes_sample(f->processes, record);
	f->damaged += rc != 0;
	return 0;
}

static void consume(struct bpf_both *f)
{
	uint64_t ns = now_ns();

	bpf_beside_consume(f->beside);
	f->consumed_ns = ns;
}

/* ---- what agents say --------------------------------------------------------------------- */

static struct held *held_get(const struct bpf_both *f, uint32_t pid)
{
	struct held *h = f->held;

	while (h && h->pid != pid)
		h = h->next;
	return h;
}

static struct held *held_new(struct bpf_both *f, uint32_t pid)
{
	struct held *h = held_get(f, pid);

	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->pid = pid;
	h->next = f->held;
	f->held = h;
	return h;
}

static bool must_wait(const struct bpf_both *f, uint32_t pid, const struct ev_head *record)
{
	return !f->final && f->consumed_ns < record->time_ns + HOLD_NS &&
	       pairs_awaits(f->pairs, pid, record, f->min_turn_ns);
}

/* Of whichever process: told with the next record. */
static int lost_tell(struct bpf_both *f, uint32_t pid, const struct ev_head *at)
{
	static const char what[] = MODEL_LOST_BESIDE;
	uint64_t lost = bpf_beside_lost(f->beside) + f->damaged;
	struct {
		struct ev_lost lost;
		char what[sizeof(what) + 8];
	} r = {.lost = {.head = {at->time_ns, at->tid, EV_lost, 0},
		       .count = lost - f->lost_told,
		       .what_len = sizeof(what) - 1}};

	if (lost == f->lost_told)
		return 0;
	f->lost_told = lost;
	memcpy((char *)&r + sizeof(r.lost), what, sizeof(what));
	r.lost.head.size_words = (uint16_t)((sizeof(r.lost) + sizeof(what) - 1 + 7) / 8);
	return f->sink(f->ctx, pid, &r.lost.head);
}

static int give(struct bpf_both *f, uint32_t pid, const struct ev_head *record)
{
	int rc;

	bpf_processes_agent(f->processes, pid, record);
	rc = bpf_processes_hand_out(f->processes, pid, record->time_ns, f->sink, f->ctx);
	if (!rc)
		rc = pairs_hand_out(f->pairs, pid, record, f->sink, f->ctx);
	if (!rc)
		rc = lost_tell(f, pid, record);
	return rc ? rc : f->sink(f->ctx, pid, record);
}

/* A record_fn for what is held. */
static int give_held(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct bpf_both *f = ctx;

	return must_wait(f, pid, record) ? -EAGAIN : give(f, pid, record);
}

static int held_give(struct bpf_both *f, struct held *h)
{
	int rc = record_queue_hand_out(&h->queue, h->pid, UINT64_MAX, give_held, f);

	return rc == -EAGAIN ? 0 : rc;
}

/* False: there is no room for it. */
static bool hold(struct bpf_both *f, uint32_t pid, const struct ev_head *record)
{
	size_t size = (size_t)record->size_words * 8;
	struct held *h = held_new(f, pid);
	void *copy =
		h ? record_queue_new(&h->queue, record->kind, size, 0, record->tid, record->time_ns)
		  : NULL;

	if (!copy)
		return false;
	memcpy(copy, record, size);
	record_queue_keep(&h->queue);
	return true;
}

/* A record_fn. */
static int take_agents(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct bpf_both *f = ctx;
	struct held *h = held_get(f, pid);
	bool behind = h && record_queue_pending(&h->queue), was_final = f->final;
	int rc = 0;

	if (record->time_ns >= f->consumed_ns)
		consume(f);
	if ((behind || must_wait(f, pid, record)) && hold(f, pid, record))
		return 0;
	if (behind) { /* they have waited enough */
		f->final = true;
		rc = held_give(f, h);
		f->final = was_final;
	}
	return rc ? rc : give(f, pid, record);
}

/* A bpf_processes_waits_fn. */
static bool waits(const void *both, uint32_t pid)
{
	const struct held *h = held_get(both, pid);

	return h && record_queue_pending(&h->queue);
}

/* ---- turns ------------------------------------------------------------------------------- */

static int drain(struct feed *feed, int final, record_fn sink, void *ctx)
{
	struct bpf_both *f = both_of(feed);
	int count, rc = 0;

	f->sink = sink;
	f->ctx = ctx;
	consume(f);
	for (struct held *h = f->held; h && !rc; h = h->next)
		rc = held_give(f, h);
	if (rc)
		return rc;
	count = f->rings->ops->drain(f->rings, final, take_agents, f);
	if (!final && count >= 0)
		rc = bpf_processes_hand_out_all(
			f->processes, f->consumed_ns - RINGS_HOLDBACK_NS, waits, f, sink, ctx);
	if (!final || count < 0)
		return rc ? rc : count;
	f->final = true;
	consume(f);
	bpf_beside_detach(f->beside);
	for (struct held *h = f->held; h && !rc; h = h->next)
		rc = held_give(f, h);
	f->final = false;
	if (!rc)
		rc = bpf_processes_hand_out_all(f->processes, UINT64_MAX, waits, f, sink, ctx);
	return rc ? rc : count;
}

static void release(struct feed *feed, uint32_t pid)
{
	struct feed *rings = both_of(feed)->rings;

	rings->ops->release(rings, pid);
}

static size_t busy(const struct feed *feed, struct busy_loop *buf, size_t max)
{
	const struct bpf_both *f = both_of(feed);
	size_t n = f->rings->ops->busy(f->rings, buf, max);
	uint64_t ns = n ? now_ns() : 0;

	for (size_t i = 0; i < n; i++)
		bpf_processes_held(f->processes, buf[i].pid, buf[i].loop.busy_since_ns, ns);
	return n;
}

static int still_busy(const struct feed *feed, const struct busy_loop *loop)
{
	const struct feed *rings = both_of(feed)->rings;

	return rings->ops->still_busy(rings, loop);
}

static int waits_for_gil(const struct feed *feed, const struct busy_loop *loop)
{
	const struct feed *rings = both_of(feed)->rings;

	return rings->ops->waits_for_gil(rings, loop);
}

static uint64_t sampled_ns(const struct feed *feed, const struct busy_loop *loop)
{
	return bpf_processes_sampled_ns(both_of(feed)->processes, loop->pid, loop->loop.tid);
}

static size_t left(const struct feed *feed, uint32_t pid, struct busy_loop *buf, size_t max)
{
	const struct feed *rings = both_of(feed)->rings;

	return rings->ops->left(rings, pid, buf, max);
}

static int tell(
	struct feed *feed, uint32_t pid, const struct ev_head *record, record_fn sink, void *ctx)
{
	struct bpf_both *f = both_of(feed);

	f->sink = sink;
	f->ctx = ctx;
	return give(f, pid, record);
}

static unsigned int processes(const struct feed *feed)
{
	const struct feed *rings = both_of(feed)->rings;

	return rings->ops->processes(rings);
}

static uint64_t late(const struct feed *feed)
{
	const struct feed *rings = both_of(feed)->rings;

	return rings->ops->late(rings);
}

int bpf_both_open(const struct bpf_both_options *o, struct feed *rings, struct feed **ret,
	const char **ret_why)
{
	static const struct feed_ops ops = {
		.free = feed_free,
		.drain = drain,
		.release = release,
		.busy = busy,
		.still_busy = still_busy,
		.waits_for_gil = waits_for_gil,
		.sampled_ns = sampled_ns,
		.left = left,
		.tell = tell,
		.processes = processes,
		.late = late,
	};
	struct bpf_both *f = calloc(1, sizeof(*f));
	uint64_t min_turn_ns = o->min_step_ns - o->min_step_ns / TURN_SHARE;
	const struct bpf_beside_options beside = {.agent = o->agent,
		.session = o->session,
		.min_block_ns = o->min_block_ns,
		.min_turn_ns = min_turn_ns};
	int rc;

	*ret_why = "no memory";
	if (!f)
		return -ENOMEM;
	f->feed.ops = &ops;
	f->min_turn_ns = min_turn_ns;
	f->processes = bpf_processes_new(o->agent);
	rc = f->processes ? pairs_new(&f->pairs) : -ENOMEM;
	if (!rc)
		rc = bpf_beside_open(&beside, take_record, f, &f->beside, ret_why);
	if (rc) {
		feed_free(&f->feed);
		return rc;
	}
	f->rings = rings;
	*ret = &f->feed;
	return 0;
}
