/* Who had the CPU while a loop could run: rows of the iterations it was kept from; how busy the
 * machine was. */
#include "collector/model_state.h"

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

/* Before its row's id is known: of the same loop and begin. */
void takers_put(struct model *model, const struct loop *l, uint64_t begin_ns)
{
	for (unsigned int i = 0; i < l->span.takers; i++) {
		const struct span_taker *by = &l->span.taker[i];

		STORE_PUT(model->store, cpu_taken, NUMBER(l->id), NUMBER(begin_ns), NUMBER(by->pid),
			TEXT_OF(by->name), NUMBER(by->ns));
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
