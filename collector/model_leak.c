/*
 * Which tasks leaked: destroyed while pending; cut off by the loop's shutdown alone; or still
 * pending though what created them has ended. A task that somebody may still await is none.
 */
#include "collector/model_state.h"

#include <string.h>

static const char *last_part(const char *dotted)
{
	const char *dot = strrchr(dotted, '.');

	return dot ? dot + 1 : dotted;
}

/* asyncio.runners._cancel_all_tasks (3.8 to 3.14, anyio has a copy); aiohttp.web.run_app's own is
 * _cancel_tasks. */
bool leak_is_shutdown(const struct stack *s)
{
	for (uint32_t i = 0; s && i < s->count; i++) {
		const struct frame *f = s->at[i].frame;
		const char *name = last_part(f->function);

		if (frame_is_user(f))
			return false;
		if (!strcmp(name, "_cancel_all_tasks") || !strcmp(name, "_cancel_tasks"))
			return true;
	}
	return false;
}

/* Created by run_until_complete() or asyncio.run() itself: the innermost frames, all asyncio's, say
 * so. */
bool leak_is_main(const struct stack *s)
{
	for (uint32_t i = 0; s && i < s->count; i++) {
		const struct frame *f = s->at[i].frame;
		const char *name = last_part(f->function);

		if (!strcmp(name, "run_until_complete") ||
			(!strcmp(name, "run") && !strcmp(f->module, "asyncio.runners")))
			return true;
		if (strncmp(f->module, "asyncio", 7) && strncmp(f->module, "uvloop", 6) &&
			strcmp(f->module, "nest_asyncio"))
			return false;
	}
	return false;
}

/*
 * Did the task that created this one only run a cell? From outside it is not known which tasks do:
 * one of no cell, in whose step a cell's code created it.
 */
static bool cell_created(const struct task *t)
{
	const struct task *parent = t->parent;

	if (!parent || !t->cell)
		return false;
	return parent->runs_cell || (t->process->outside && !parent->user && !parent->cell);
}

/* Has what created this task ended? A parent that is still pending may await it, and so may an open
 * cell. */
static bool creator_ended(const struct task *t)
{
	if (t->parent_id && !cell_created(t))
		return !t->parent || t->parent->ended;
	if (t->cell)
		return t->cell->ended;
	return t->loop && t->loop->stopped;
}

const char *leak_reason(const struct task *t)
{
	if (t->destroyed)
		return t->quiet ? NULL : "destroyed";
	if (t->runs_cell || t->main)
		return NULL;
	if (t->ended)
		return t->cancels == CANCEL_SHUTDOWN ? "cancelled_at_shutdown" : NULL;
	if (t->late)
		return NULL; /* nobody saw who created it */
	return creator_ended(t) ? "pending" : NULL;
}
