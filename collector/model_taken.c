/* Who had the CPU while a loop could run: rows of the iterations it was kept from; how busy the
 * machine was. */
#include "collector/model_state.h"
#include "probe/bpf/taken.h"

void cpu_taken_record(struct model *model, struct process *p, const struct ev_cpu_taken *r)
{
	struct thread *t = thread_get(model, p, r->head.tid, model_time(model, r->head.time_ns));
	const char *name = tail_text(model, &r->head, 0);

	for (unsigned int i = 0; t && i < t->depth; i++) {
		struct span *s = &t->loops[i]->span;

		if (s->takers < SPAN_TAKERS_MAX)
			s->taker[s->takers++] = (struct span_taker){r->ns, r->by, name};
	}
}

/*
 * What is left of the wait beside a hypervisor's part, which the scheduler tells exactly, and all
 * others' together. These are told by switches as they were seen, up to 0.9 ms after they were
 * (2026-11), so they can be more than the wait was.
 */
static unsigned __int128 others_sum(const struct span *s, uint64_t *left_ns)
{
	unsigned __int128 sum_ns = 0;

	for (unsigned int i = 0; i < s->takers; i++) {
		uint64_t ns = s->taker[i].ns;

		if (s->taker[i].pid != TAKEN_BY_HYPERVISOR)
			sum_ns += ns;
		else
			*left_ns -= ns < *left_ns ? ns : *left_ns;
	}
	return sum_ns;
}

/* Before its row's id is known: of the same loop and begin. */
void takers_put(struct model *model, const struct loop *l, uint64_t begin_ns, uint64_t runq_ns)
{
	const struct span *s = &l->span;
	uint64_t left_ns = runq_ns, stolen_ns = runq_ns;
	unsigned __int128 others_ns = others_sum(s, &left_ns);

	for (unsigned int i = 0; i < s->takers; i++) {
		const struct span_taker *by = &s->taker[i];
		uint64_t ns = by->ns;

		if (by->pid == TAKEN_BY_HYPERVISOR) {
			ns = ns < stolen_ns ? ns : stolen_ns;
			stolen_ns -= ns;
		} else if (others_ns > left_ns) {
			ns = (uint64_t)((unsigned __int128)ns * left_ns / others_ns);
		}
		if (ns)
			STORE_PUT(model->store, cpu_taken, NUMBER(l->id), NUMBER(begin_ns),
				NUMBER(by->pid), TEXT_OF(by->name), NUMBER(ns));
	}
}

void machine_record(struct model *model, struct process *p, const struct ev_machine *r)
{
	uint64_t begin_ns = model_time(model, r->begin_ns),
		 end_ns = model_time(model, r->head.time_ns);

	(void)p;
	if (end_ns > begin_ns && model_room(model))
		STORE_PUT(model->store, machine, NUMBER(begin_ns), NUMBER(end_ns - begin_ns),
			NUMBER(r->cpus), NUMBER(r->busy_ns), NUMBER(r->stolen_ns));
}
