/* The maps of the program in the kernel, and how its parts get at a thread's slot. */
#ifndef PROBE_BPF_STATE_H
#define PROBE_BPF_STATE_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "probe/bpf/kernel.bpf.h"
#include "probe/bpf/slot.h"
#include "probe/bpf/taken.bpf.h"
#include "probe/event.h"

#define FRAMES_MAX 128u    /* of a stack; those beyond are counted in `cut` */
#define TOUCHED_BYTES 512u /* a power of two */
#define RECORD_BYTES 4096u

#define TASKS_MAX 262144u
#define FRAME_WORDS 16u             /* of a frame that are read; a power of two */
#define RING_SIZE_BYTES (16u << 20) /* 150,000 steps, 100 ms at 1,500,000 a second */

const volatile struct kernel_config config;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, RING_SIZE_BYTES);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct loop_slot);
} slots SEC(".maps");

struct { /* tid -> slot */
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SLOTS_MAX);
	__type(key, __u32);
	__type(value, __u32);
} slot_of SEC(".maps");

/*
 * Where a thread's slot was found last, by the end of its tid: a look into memory instead of a hash
 * of 30 ns at each event. A hint; the slot itself says whose it is.
 */
#define HINTS 1024u /* a power of two */
__u32 slot_hint[HINTS];

struct { /* free slots */
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, SLOTS_MAX);
	__type(value, __u32);
} slots_free SEC(".maps");

/*
 * Room to put a record together. Of a thread and not of a CPU: a uprobe's program can be preempted
 * by another thread's.
 */
struct scratch {
	unsigned char record[RECORD_BYTES];
	unsigned char text[TOUCHED_BYTES * 2];
	/*
	 * What loops count. Here and not on the stack, where a verifier would follow each value
	 * that they take.
	 */
	__u64 raw[FRAME_WORDS];
	__u64 frame; /* the next one */
	__u64 now_ns;
	__u32 fixed; /* where frames begin in the record */
	__u32 count, cut;
	__u32 run_once; /* the loop's own turn is among the frames */
	__u32 length;   /* of text */
	__u32 told;     /* a code was: the recorder is to look before it is gone */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLOTS_MAX);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

enum { /* of a CPU: nothing preempts a tracepoint but an interrupt */
	ROOM_TRACEPOINT,
	ROOM_INTERRUPT,
	ROOMS
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ROOMS);
	__type(key, __u32);
	__type(value, struct scratch);
} rooms SEC(".maps");

struct asked { /* a thread whose loop is not known was told of */
	__u64 time_ns;
	__s32 epfd;
	__u32 times;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct asked);
} asked SEC(".maps");

struct { /* tid -> epfd: the recorder has found that this is a loop's selector */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, __s32);
} approved SEC(".maps");

#define CODES_MAX 16384u

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CODES_MAX);
	__type(key, __u64);
	__type(value, struct known_code);
} codes SEC(".maps");

struct { /* of short waits: place -> when its stack was told */
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u64);
} sites SEC(".maps");

struct known_task {
	__u64 since_ns; /* the beginning of its last step; 0: none seen */
	__u64 named;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, TASKS_MAX);
	__type(key, __u64);
	__type(value, struct known_task);
} tasks SEC(".maps");

/* Read by the recorder as they are. */
__u64 losses[LOSSES];
__u64 exec_ns; /* the process became another program */
__u64 loops;   /* ids given out */
/* Code objects that are a turn of asyncio's loop, as far as they are known:
 * BaseEventLoop._run_once, and what nest_asyncio puts in its place. Written by the recorder. */
__u64 run_once_code[RUN_ONCE_MAX];

static const struct loop_slot slot_zero;

static __always_inline void lose(enum kernel_loss what)
{
	__sync_fetch_and_add(&losses[what], 1);
}

static __always_inline __u32 tid_now(void)
{
	return (__u32)bpf_get_current_pid_tgid();
}

/* What every system call or step runs is kept together: fewer lines of code to fetch. */
#define rarely(condition) __builtin_expect(!!(condition), 0)

static __always_inline struct task_struct *task_now(void)
{
	return (struct task_struct *)bpf_get_current_task_btf();
}

static __always_inline struct part_account account_of(struct task_struct *task)
{
	return (struct part_account){task->se.sum_exec_runtime, task->sched_info.run_delay,
		task->sched_info.last_arrival, 0, 0};
}

/* With that of its CPU, which it is on, or comes to. */
static __always_inline struct part_account account_with_cpu(struct task_struct *task)
{
	struct part_account account = account_of(task);
	struct rq *rq;

	if (!bpf_core_field_exists(task->se.cfs_rq))
		return account;
	rq = task->se.cfs_rq->rq;
	account.clock = rq->clock;
	if (bpf_core_field_exists(rq->prev_steal_time_rq))
		account.stolen_ns = rq->prev_steal_time_rq;
	return account;
}

static __always_inline struct part_account account_now(void)
{
	return account_of(task_now());
}

static __always_inline struct loop_slot *slot_get(__u32 tid, __u32 *ret_index)
{
	__u32 *known, index = slot_hint[tid & (HINTS - 1)];
	struct loop_slot *s = bpf_map_lookup_elem(&slots, &index);

	if (rarely(!s || s->tid != tid)) {
		known = bpf_map_lookup_elem(&slot_of, &tid);
		*ret_index = 0; /* the verifier wants a value */
		if (!known)
			return NULL;
		index = *known;
		slot_hint[tid & (HINTS - 1)] = index;
		s = bpf_map_lookup_elem(&slots, &index);
	}
	*ret_index = index;
	return s;
}

static __always_inline struct scratch *scratch_get(__u32 index)
{
	return bpf_map_lookup_elem(&scratches, &index);
}

static __always_inline struct scratch *room_get(__u32 which)
{
	return bpf_map_lookup_elem(&rooms, &which);
}

static __noinline __attribute__((unused)) struct loop_slot *slot_make(__u32 tid)
{
	struct task_struct *task = (struct task_struct *)bpf_get_current_task_btf();
	struct part_account account = account_of(task);
	struct loop_slot *s;
	__u32 index;

	if (bpf_map_pop_elem(&slots_free, &index)) {
		lose(LOSS_SLOTS);
		return NULL;
	}
	s = bpf_map_lookup_elem(&slots, &index);
	if (!s)
		return NULL;
	bpf_probe_read_kernel(s, sizeof(*s), &slot_zero);
	s->tid = tid;
	s->thread_id = task->thread.fsbase;
	s->syscall = NO_SYSCALL;
	part_begin(&s->part, bpf_ktime_get_ns(), &account);
	bpf_map_update_elem(&slot_of, &tid, &index, BPF_ANY);
	return s;
}

static __always_inline void slot_drop(__u32 tid)
{
	__u32 index;
	struct loop_slot *s = slot_get(tid, &index);

	if (!s)
		return;
	s->tid = 0;
	s->busy_since_ns = 0;
	bpf_map_delete_elem(&slot_of, &tid);
	bpf_map_push_elem(&slots_free, &index, BPF_ANY);
}

/* ---- records */

#define HEAD_OF(tid_, name, now_ns)                                                                \
	{                                                                                          \
		.time_ns = (now_ns), .tid = (tid_), .kind = EV_##name,                             \
		.size_words = sizeof(struct ev_##name) / 8                                         \
	}
#define HEAD(name, now_ns) HEAD_OF(tid_now(), name, now_ns)

/* A record without tails; NULL: the ring is full, and that is counted. */
#define RECORD_RESERVE(name)                                                                       \
	({                                                                                         \
		struct ev_##name *record_ =                                                        \
			bpf_ringbuf_reserve(&ring, sizeof(struct ev_##name), 0);                   \
		if (!record_)                                                                      \
			lose(LOSS_RING);                                                           \
		record_;                                                                           \
	})
/* The recorder looks every few ms by itself. */
#define RECORD_SUBMIT(record) bpf_ringbuf_submit(record, BPF_RB_NO_WAKEUP)

#define FILLING_LOOK 64u /* records of a thread; a power of two */

static __always_inline bool ring_is_half_full(void)
{
	return bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) > RING_SIZE_BYTES / 2;
}

static __always_inline bool ring_is_filling(struct loop_slot *s)
{
	if (!(s->short_records++ & (FILLING_LOOK - 1)))
		s->ring_fills = ring_is_half_full();
	return s->ring_fills;
}

/*
 * The record in the scratch: a fixed part, `frames` of a stack behind it, then text_len bytes of
 * s->text. wake: the recorder is to look at once, before what the stack refers to is gone.
 */
__noinline int record_put(struct scratch *s, __u32 fixed, __u32 frames, __u32 text_len, bool wake)
{
	__u32 at = fixed + frames * sizeof(struct kernel_frame), size;
	struct ev_head *head;

	if (!s)
		return 0;
	if (text_len > TOUCHED_BYTES)
		text_len = TOUCHED_BYTES;
	size = (at + text_len + 7) & ~7u;
	if (at >= RECORD_BYTES || size >= RECORD_BYTES)
		return 0;
	head = (struct ev_head *)s->record;
	head->size_words = (__u16)(size / 8);
	/* what is known by now, in a form that the verifier follows */
	barrier_var(at);
	barrier_var(size);
	barrier_var(text_len);
	at &= RECORD_BYTES - 1;
	size &= RECORD_BYTES - 1;
	text_len &= TOUCHED_BYTES * 2 - 1;
	if (bpf_probe_read_kernel(s->record + at, text_len, s->text))
		return 0;
	if (bpf_ringbuf_output(
		    &ring, s->record, size, wake ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP))
		lose(LOSS_RING);
	return 0;
}

/* What a hypervisor had of it: as taken_tell(), but for its part in PART_RUNQ being exact. */
static __always_inline void stolen_tell(
	const struct partition *p, __u32 tid, __u32 pid, __u64 now_ns)
{
	static const union {
		char text[16];
		__u64 word[2];
	} name = {"hypervisor"};
	struct ev_kernel_taken *ev =
		p->stolen_ns >= STOLEN_LEAST_NS ? RECORD_RESERVE(kernel_taken) : NULL;

	if (!ev)
		return;
	*ev = (struct ev_kernel_taken){.head = HEAD_OF(tid, kernel_taken, now_ns),
		.ns = p->stolen_ns,
		.name_0 = name.word[0],
		.name_1 = name.word[1],
		.by = TAKEN_BY_HYPERVISOR,
		.pid = pid};
	RECORD_SUBMIT(ev);
}

/* Who had the CPU; before the record of the iteration. pid: beside agents, else 0. */
static __always_inline void taken_tell(const struct taken *t, __u32 tid, __u32 pid, __u64 now_ns)
{
#pragma unroll
	for (__u32 i = 0; i < TAKERS_MAX; i++) {
		const struct taker *by = &t->by[i];
		struct ev_kernel_taken *ev;

		if (by->ns < TAKEN_LEAST_NS)
			continue;
		ev = RECORD_RESERVE(kernel_taken);
		if (!ev)
			return;
		*ev = (struct ev_kernel_taken){.head = HEAD_OF(tid, kernel_taken, now_ns),
			.ns = by->ns,
			.name_0 = by->name[0],
			.name_1 = by->name[1],
			.by = by->pid,
			.pid = pid};
		RECORD_SUBMIT(ev);
	}
}

#endif
