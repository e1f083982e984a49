/* Processes beside whose agents the kernel tells. See bpf_processes.h. */
#include "collector/bpf_processes.h"

#include <stdlib.h>
#include <string.h>

#include "collector/bpf_native.h"
#include "collector/bpf_python.h"
#include "collector/bpf_thread.h"
#include "probe/target/opcode.h"
#include "probe/target/process.h"

struct stand { /* where the last samples found a thread, one after the other */
	uint64_t busy_since_ns, code;
	uint32_t position, tid, samples;
};

/* Bytecode of a short loop is at the same place twice more often than three times. */
#define STANDS_SAMPLES 3u

struct process {
	uint32_t pid, hexversion;
	uint32_t outer_pid;    /* as it is known here; 0: not told yet */
	bool doubtful;         /* two processes have that pid, in namespaces of their own */
	struct target *target; /* NULL: not opened yet, or refused */
	bool refused;
	struct target_constants constants;
	struct bpf_python python;
	struct bpf_threads threads;
	struct bpf_native native;
	struct stand stand;
	struct record_queue queue;
	struct map named;   /* tid -> a record has its name */
	struct map watched; /* tid -> the kernel has said so */
	struct map sampled; /* tid -> when that was, ns */
	struct process *next;
};

struct bpf_processes {
	struct process *first; /* the one asked for last */
	char *agent;
};

struct bpf_processes *bpf_processes_new(const char *agent)
{
	struct bpf_processes *p = calloc(1, sizeof(*p));

	if (p)
		p->agent = strdup(agent);
	return p;
}

static void process_close(struct process *p)
{
	target_free(p->target);
	p->target = NULL;
	p->python.outside.target = NULL;
	p->refused = false;
	bpf_python_clear(&p->python);
	bpf_threads_clear(&p->threads);
	bpf_native_clear(&p->native);
	map_free(&p->named);
	p->named = (struct map){0};
	map_free(&p->watched);
	p->watched = (struct map){0};
	map_free(&p->sampled);
	p->sampled = (struct map){0};
}

static void process_free(struct process *p)
{
	process_close(p);
	record_queue_free(&p->queue);
	free(p);
}

void bpf_processes_free(struct bpf_processes *p)
{
	if (!p)
		return;
	while (p->first) {
		struct process *first = p->first;

		p->first = first->next;
		process_free(first);
	}
	free(p->agent);
	free(p);
}

/* NULL: there is none. */
static struct process *process_find(struct bpf_processes *p, uint32_t pid)
{
	struct process **link = &p->first, *found;

	while (*link && (*link)->pid != pid)
		link = &(*link)->next;
	found = *link;
	if (!found || found == p->first)
		return found;
	*link = found->next;
	found->next = p->first;
	p->first = found;
	return found;
}

/* NULL: no memory. */
static struct process *process_get(struct bpf_processes *p, uint32_t pid)
{
	struct process *found = process_find(p, pid);

	if (found)
		return found;
	found = calloc(1, sizeof(*found));
	if (!found)
		return NULL;
	found->pid = pid;
	found->native.hidden = p->agent;
	found->python.outside =
		(struct outside){.queue = &found->queue, .id_base = EV_ID_BESIDE, .lenient = true};
	found->next = p->first;
	p->first = found;
	return found;
}

/* Its memory can be read. */
static bool process_open(struct process *p)
{
	const char *why;

	if (p->doubtful || p->target || p->refused)
		return !p->doubtful && p->target;
	if (target_open(p->outer_pid ? p->outer_pid : p->pid, p->hexversion, &p->target, &why)) {
		p->refused = true;
		return false;
	}
	target_constants(p->target, &p->constants);
	p->python.layout = p->constants.layout;
	p->python.outside.target = p->target;
	p->threads.target = p->target;
	return true;
}

/* ---- the kernel's ------------------------------------------------------------------------ */

void bpf_processes_thread(struct bpf_processes *p, const struct ev_kernel_thread *r)
{
	struct process *found = process_get(p, r->pid);
	bool other = found && found->outer_pid && found->outer_pid != r->outer_pid;

	if (!found)
		return;
	found->doubtful |= other && process_has_thread(found->outer_pid, found->pid);
	if (other || map_get(&found->watched, r->head.tid))
		process_close(found); /* another program by now, perhaps */
	found->outer_pid = r->outer_pid;
	found->threads.outer_pid = r->outer_pid != r->pid ? r->outer_pid : 0;
	map_put(&found->watched, r->head.tid, found);
}

bool bpf_processes_code(struct bpf_processes *p, const struct ev_kernel_code *r)
{
	struct process *found = process_get(p, r->pid);

	return found && process_open(found) && bpf_python_given(&found->python, r);
}

static void thread_name(struct process *p, uint32_t tid, uint64_t thread_id, uint64_t now_ns)
{
	const void *named = map_get(&p->named, tid), *unnamed = &p->threads;

	if (named && (named != unnamed || !bpf_thread_again(&p->threads, tid, thread_id, now_ns)))
		return;
	map_put(&p->named, tid,
		bpf_thread_put(&p->threads, &p->queue, p->pid, tid, thread_id, now_ns)
			? p
			: (void *)unnamed);
}

void bpf_processes_wake(struct bpf_processes *p, const struct ev_kernel_wake *r)
{
	struct process *found = process_get(p, r->pid);

	if (!found)
		return;
	process_open(found); /* else without its stack */
	thread_name(found, r->head.tid, r->thread_id, r->head.time_ns);
	bpf_python_wake(&found->python, r);
	record_queue_keep(&found->queue);
}

void bpf_processes_ended(struct bpf_processes *p, const struct ev_kernel_ended *r)
{
	struct process *found = process_get(p, r->pid);

	if (!found)
		return;
	if (!r->by_pid && process_open(found))
		thread_name(found, r->by_tid, r->thread_id, r->head.time_ns);
	bpf_python_ended(&found->python, r);
	record_queue_keep(&found->queue);
}

void bpf_processes_keeps(struct bpf_processes *p, const struct ev_kernel_keeps *r)
{
	struct process *found = process_get(p, r->pid);
	uint32_t tid;

	if (!found || !process_open(found))
		return;
	/* one that is named was there, if it has ended since */
	tid = map_get(&found->named, r->tid) || process_has_thread(found->outer_pid, r->tid)
		      ? r->tid
		      : 0;
	if (tid)
		thread_name(found, tid, r->thread_id, r->head.time_ns);
	bpf_python_keeps(&found->python, r, tid);
	record_queue_keep(&found->queue);
}

void bpf_processes_held(struct bpf_processes *p, uint32_t pid, uint64_t since_ns, uint64_t now_ns)
{
	struct process *found = process_find(p, pid);

	if (found && found->watched.count && process_open(found))
		bpf_threads_look(&found->threads, since_ns, now_ns);
}

void bpf_processes_native(struct bpf_processes *p, const struct ev_kernel_native *r)
{
	struct process *found = process_get(p, r->pid);

	if (found && process_open(found))
		bpf_native_take(&found->native, found->outer_pid, &found->constants, r);
}

/* What it takes to read the stack goes before all that is later than since_ns. */
static uint32_t stack_at(struct process *p, const struct ev_head *head, uint32_t cut,
	uint64_t since_ns, bool *ret_native)
{
	const struct native_moment *m = bpf_native_at(&p->native, head);
	const struct ev_head early = {since_ns, head->tid, head->kind, head->size_words};
	const struct kernel_frame *frame;
	uint32_t stack;
	size_t size;

	frame = record_tail(head, 0, &size);
	bpf_native_begin(&p->native, &p->python.outside, head, since_ns);
	stack = bpf_python_stack(&p->python, frame, (uint32_t)(size / sizeof(*frame)), cut, &early);
	bpf_native_end(&p->python.outside);
	*ret_native = m && m->count;
	return stack;
}

uint32_t bpf_processes_stack(
	struct bpf_processes *p, const struct ev_kernel_wait *r, bool *ret_native)
{
	struct process *found = r->frames_len ? process_get(p, r->pid) : NULL;
	uint32_t stack;

	*ret_native = false;
	if (!found || !process_open(found))
		return 0;
	stack = stack_at(found, &r->head, r->cut, r->begin_ns, ret_native);
	record_queue_keep(&found->queue);
	return stack;
}

static void stand_add(
	struct stand *s, const struct native_moment *m, const struct ev_kernel_sample *r)
{
	if (!m || s->tid != m->tid || s->code != m->code || s->position != m->position ||
		s->busy_since_ns != r->busy_since_ns)
		*s = (struct stand){.busy_since_ns = r->busy_since_ns,
			.code = m ? m->code : 0,
			.position = m ? m->position : 0,
			.tid = r->head.tid};
	s->samples += m != NULL;
}

/*
 * An instruction that calls runs a C function; any other does if it has stood there for long, as
 * far as a call into the C library shows. Where a call of a Python function looks the same, nobody
 * knows.
 */
static uint32_t kind_of(const struct process *p, const struct ev_kernel_sample *r)
{
	const struct native_moment *m = bpf_native_at(&p->native, &r->head);
	int minor = p->constants.layout.minor;
	bool stands = p->stand.samples >= STANDS_SAMPLES;

	if (r->mode != SAMPLED_USER)
		return r->mode == SAMPLED_KERNEL ? SAMPLE_KERNEL : SAMPLE_GC;
	if (!m || (m->opcode == OPCODE_UNKNOWN && !m->count))
		return SAMPLE_UNKNOWN;
	if (m->count)
		return SAMPLE_NATIVE;
	if (!opcode_calls_c(minor, m->opcode))
		return m->elsewhere && stands ? SAMPLE_NATIVE : SAMPLE_PYTHON;
	return opcode_calls_any(minor) && !stands ? SAMPLE_UNKNOWN : SAMPLE_NATIVE;
}

void bpf_processes_sample(struct bpf_processes *p, const struct ev_kernel_sample *r)
{
	struct process *found = process_get(p, r->pid);
	struct ev_sample *ev;
	uint32_t stack;
	bool native;

	if (!found || !process_open(found))
		return;
	stack = stack_at(found, &r->head, r->cut, r->head.time_ns, &native);
	stand_add(&found->stand, bpf_native_at(&found->native, &r->head), r);
	ev = stack ? RECORD_NEW(&found->queue, sample, 0, r->head.tid, r->head.time_ns) : NULL;
	if (ev) {
		ev->task = r->task;
		ev->busy_since_ns = r->busy_since_ns;
		ev->stack = stack;
		ev->kind = kind_of(found, r);
		ev->state = 'R';
		map_put(&found->sampled, r->head.tid, (void *)(uintptr_t)r->head.time_ns);
	}
	record_queue_keep(&found->queue);
}

uint64_t bpf_processes_sampled_ns(struct bpf_processes *p, uint32_t pid, uint32_t tid)
{
	const struct process *found = process_find(p, pid);

	return found ? (uintptr_t)map_get(&found->sampled, tid) : 0;
}

/* ---- the agent's ------------------------------------------------------------------------- */

void bpf_processes_agent(struct bpf_processes *p, uint32_t pid, const struct ev_head *record)
{
	struct process *found;

	if (record->kind != EV_process && record->kind != EV_thread)
		return;
	found = process_get(p, pid);
	if (!found)
		return;
	if (record->kind == EV_thread) {
		map_put(&found->named, record->tid, found);
		return;
	}
	found->hexversion = ((const struct ev_process *)record)->hexversion;
	found->refused = false; /* without it that may have been why */
}

int bpf_processes_hand_out(
	struct bpf_processes *p, uint32_t pid, uint64_t until_ns, record_fn sink, void *ctx)
{
	struct process *found = process_find(p, pid);

	return found ? record_queue_hand_out(&found->queue, pid, until_ns, sink, ctx) : 0;
}

int bpf_processes_hand_out_all(struct bpf_processes *p, uint64_t until_ns,
	bpf_processes_waits_fn waits, const void *waits_ctx, record_fn sink, void *ctx)
{
	int rc = 0;

	for (struct process *at = p->first; at && !rc; at = at->next)
		if (!waits(waits_ctx, at->pid))
			rc = record_queue_hand_out(&at->queue, at->pid, until_ns, sink, ctx);
	return rc;
}
