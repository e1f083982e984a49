/*
 * Objects with a row that may end before the trace does: thread pool jobs, runs of loops, queues.
 * They are freed once their last row is in the file, or with the model.
 */
#include "collector/model_state.h"

#include <stdlib.h>

#define LIVE_OF(d) ((struct live *)((char *)(d)-offsetof(struct live, dirty)))

static void stored_live(struct model *model, struct dirty *d)
{
	struct live *l = LIVE_OF(d);

	(void)model;
	if (!l->done)
		return;
	*l->link = l->next;
	if (l->next)
		l->next->link = l->link;
	free(l);
}

void *live_new(struct model *model, size_t size, void (*put)(struct model *, struct dirty *))
{
	struct live *l = calloc(1, size);

	if (!l)
		return NULL;
	l->dirty = (struct dirty){.put = put, .stored = stored_live};
	l->next = model->live;
	l->link = &model->live;
	if (l->next)
		l->next->link = &l->next;
	model->live = l;
	model_dirty(model, &l->dirty);
	return l;
}

void live_done(struct model *model, struct live *l)
{
	l->done = true;
	model_dirty(model, &l->dirty);
}

bool live_room(struct model *model, struct live *l)
{
	if (!l->kept && !l->dropped) {
		l->kept = model_room(model);
		l->dropped = !l->kept;
	}
	return l->kept;
}

void live_free(struct model *model)
{
	for (struct live *l = model->live, *next; l; l = next) {
		next = l->next;
		free(l);
	}
}
