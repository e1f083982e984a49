/* asyncio queues: how their sizes go. A queue is an address, until one made elsewhere is seen
 * there.
 */
#include "collector/model_state.h"

struct queue {
	struct live live; /* first */
	uint64_t id;
	const struct process *process;
	const struct cell *cell; /* whose code made it */
	const char *type;
	uint64_t maxsize, size, largest;
	uint64_t seen_ns;
	bool sampled;
	uint32_t made;  /* stack id, as announced */
	uint32_t stack; /* row */
	struct site site;
};

/* SQLite's integers end there. */
static uint64_t storable(uint64_t n)
{
	return n < INT64_MAX ? n : INT64_MAX;
}

static void put_queue(struct model *model, struct dirty *d)
{
	struct queue *q = (struct queue *)d;

	if (!live_room(model, &q->live))
		return;
	STORE_PUT(model->store, queue, NUMBER(q->id), NUMBER(q->process->id),
		ID(q->cell ? q->cell->id : 0), TEXT_OF(q->type), NUMBER(q->maxsize),
		NUMBER(q->seen_ns), NUMBER(q->largest), ID(q->stack), TEXT_OF(q->site.file),
		NUMBER_IF(q->site.line, q->site.line), TEXT_OF(q->site.function));
}

static struct queue *make(struct model *model, struct process *p, const struct ev_queue *r)
{
	struct stack *s = stack_get(model, p, r->stack);
	struct queue *q;

	if (model->queues >= QUEUES_MAX) {
		loss_add(model, p, "queues beyond the limit", 1);
		return NULL;
	}
	q = live_new(model, sizeof(*q), put_queue);
	if (!q) {
		loss_add(model, p, "records without memory", 1);
		return NULL;
	}
	q->id = ++model->queues;
	q->process = p;
	q->cell = cell_for_stack(p, s);
	q->type = tail_text(model, &r->head, 0);
	q->maxsize = storable(r->maxsize);
	q->made = r->stack;
	q->stack = stack_row(model, s);
	q->site = stack_site(s);
	if (map_put(&p->queues, r->queue, q)) {
		loss_add(model, p, "records without memory", 1);
		live_done(model, &q->live);
	}
	return q;
}

static struct queue *find(struct model *model, struct process *p, const struct ev_queue *r)
{
	struct queue *q = map_get(&p->queues, r->queue);

	if (q && q->made == r->stack && q->maxsize == storable(r->maxsize))
		return q;
	if (q) {
		map_remove(&p->queues, r->queue);
		live_done(model, &q->live);
	}
	return make(model, p, r);
}

static void sample(struct model *model, const struct queue *q)
{
	if (q->live.dropped || !model_room(model))
		return;
	if (model->queue_samples >= QUEUE_SAMPLES_MAX) {
		loss_add(model, NULL, "sizes of queues beyond the limit", 1);
		return;
	}
	model->queue_samples++;
	STORE_PUT(model->store, queue_sample, NUMBER(q->id), NUMBER(q->seen_ns), NUMBER(q->size));
}

void queue_record(struct model *model, struct process *p, const struct ev_queue *r)
{
	struct queue *q = find(model, p, r);
	uint64_t size = storable(r->size);

	if (!q)
		return;
	q->seen_ns = model_time(model, r->head.time_ns);
	model_dirty(model, &q->live.dirty);
	if (q->sampled && q->size == size)
		return;
	q->sampled = true;
	q->size = size;
	if (size > q->largest)
		q->largest = size;
	sample(model, q);
}
