/* Processes beside whose agents the kernel tells. See bpf_processes.h. */
#include "collector/bpf_processes.h"

#include <stdlib.h>

#include "collector/bpf_python.h"
#include "collector/bpf_thread.h"

struct process {
	uint32_t pid, hexversion;
	struct target *target; /* NULL: not opened yet, or refused */
	bool refused;
	struct bpf_python python;
	struct bpf_threads threads;
	struct record_queue queue;
	struct map named;   /* tid -> a record has its name */
	struct map watched; /* tid -> the kernel has said so */
	struct process *next;
};

struct bpf_processes {
	struct process *first; /* the one asked for last */
};

struct bpf_processes *bpf_processes_new(void)
{
	return calloc(1, sizeof(struct bpf_processes));
}

static void process_close(struct process *p)
{
	target_free(p->target);
	p->target = NULL;
	p->python.outside.target = NULL;
	p->refused = false;
	bpf_python_clear(&p->python);
	bpf_threads_clear(&p->threads);
	map_free(&p->named);
	p->named = (struct map){0};
	map_free(&p->watched);
	p->watched = (struct map){0};
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
	found->python.outside =
		(struct outside){.queue = &found->queue, .id_base = EV_ID_BESIDE, .lenient = true};
	found->next = p->first;
	p->first = found;
	return found;
}

/* Its memory can be read. */
static bool process_open(struct process *p)
{
	struct target_constants constants;
	const char *why;

	if (p->target || p->refused)
		return p->target;
	if (target_open(p->pid, p->hexversion, &p->target, &why)) {
		p->refused = true;
		return false;
	}
	target_constants(p->target, &constants);
	p->python.layout = constants.layout;
	p->python.outside.target = p->target;
	p->threads.target = p->target;
	return true;
}

/* ---- the kernel's ------------------------------------------------------------------------ */

void bpf_processes_thread(struct bpf_processes *p, uint32_t pid, uint32_t tid)
{
	struct process *found = process_get(p, pid);

	if (!found)
		return;
	if (map_get(&found->watched, tid))
		process_close(found); /* another program by now, perhaps */
	map_put(&found->watched, tid, found);
}

bool bpf_processes_code(struct bpf_processes *p, const struct ev_kernel_code *r)
{
	struct process *found = process_get(p, r->pid);

	return found && process_open(found) && bpf_python_given(&found->python, r);
}

void bpf_processes_wake(struct bpf_processes *p, const struct ev_kernel_wake *r)
{
	struct process *found = process_get(p, r->pid);

	if (!found)
		return;
	process_open(found); /* else without its stack */
	if (!map_get(&found->named, r->head.tid) && !map_put(&found->named, r->head.tid, found))
		bpf_thread_put(&found->threads, &found->queue, found->pid, r->head.tid,
			r->thread_id, r->head.time_ns);
	bpf_python_wake(&found->python, r);
	record_queue_keep(&found->queue);
}

void bpf_processes_held(struct bpf_processes *p, uint32_t pid, uint64_t since_ns, uint64_t now_ns)
{
	struct process *found = process_find(p, pid);

	if (found && found->watched.count && process_open(found))
		bpf_threads_look(&found->threads, since_ns, now_ns);
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

int bpf_processes_hand_out_all(struct bpf_processes *p, record_fn sink, void *ctx)
{
	int rc = 0;

	for (struct process *at = p->first; at && !rc; at = at->next)
		rc = record_queue_hand_out(&at->queue, at->pid, UINT64_MAX, sink, ctx);
	return rc;
}
