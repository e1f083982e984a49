/*
 * What a pending task waits for, in the words of the asyncio documentation: the callee of the
 * innermost user await, else the object it waits on.
 */
#include "collector/model_state.h"

#include <string.h>

#include "collector/shorten.h"

#define NAME_MAX_BYTES 120

static const char *last_part(const char *dotted)
{
	const char *dot = strrchr(dotted, '.');

	return dot ? dot + 1 : dotted;
}

static bool is_dunder(const char *function)
{
	return !strncmp(last_part(function), "__", 2);
}

/* "Queue.get", "asyncio.sleep", "asyncio.locks.acquire" (before 3.11 a code object does not know
 * its class). */
static const char *asyncio_name(struct model *model, const struct frame *f)
{
	static const char *const top[] = {
		"tasks", "timeouts", "taskgroups", "threads", "streams", "runners", "subprocess"};
	const char *module = last_part(f->module);
	const char *prefix = f->module;
	char buf[NAME_MAX_BYTES];

	if (strchr(f->function, '.'))
		prefix = "";
	for (size_t i = 0; i < sizeof(top) / sizeof(*top) && *prefix; i++)
		if (!strcmp(module, top[i]))
			prefix = "asyncio";
	shorten(buf, sizeof(buf), "%s%s%s", prefix, *prefix ? "." : "", f->function);
	return pool_text(&model->pool, buf, strlen(buf));
}

/* Index of the frame whose await counts: the innermost of user code, else the innermost outside
 * asyncio, else what would stand around the outermost, as for create_task(asyncio.sleep(1)). */
static uint32_t border(const struct stack *s)
{
	for (uint32_t i = 0; i < s->count; i++)
		if (s->user ? s->at[i].frame == s->user
			    : strncmp(s->at[i].frame->module, "asyncio", 7))
			return i;
	return s->count;
}

/*
 * The library coroutine that it awaits; inside asyncio past the context managers' own methods, so
 * that `async with lock` is Lock.acquire. NULL where it awaits the future itself.
 */
static const char *awaited_by_frames(struct model *model, const struct stack *s)
{
	uint32_t at = border(s);
	const struct frame *f;
	char buf[NAME_MAX_BYTES];

	if (!at)
		return NULL;
	f = s->at[--at].frame;
	if (strncmp(f->module, "asyncio", 7)) {
		place_public_name(f->module, f->owner, f->function, buf, sizeof(buf));
		return pool_text(&model->pool, buf, strlen(buf));
	}
	while (at && is_dunder(f->function) && !strncmp(s->at[at - 1].frame->module, "asyncio", 7))
		f = s->at[--at].frame;
	return asyncio_name(model, f);
}

static const char *object_name(const char *type)
{
	const char *name = type ? last_part(type) : "";

	if (!strcmp(name, "_GatheringFuture"))
		return "asyncio.gather";
	return *name ? name : "Future";
}

void await_describe(struct model *model, const struct task *t, char *buf, size_t size)
{
	struct stack *s = t->await_stack;

	if (s && !s->awaited_known) {
		s->awaited = awaited_by_frames(model, s);
		s->awaited_known = true;
	}
	if (s && s->awaited)
		shorten(buf, size, "%s", s->awaited);
	else if (t->await_task && t->await_task->name)
		shorten(buf, size, "Task '%s'", t->await_task->name);
	else
		shorten(buf, size, "%s", object_name(t->await_type));
}

struct site await_site(const struct task *t)
{
	const struct stack *s = t->await_stack;

	if (!s || !s->user)
		return (struct site){0};
	return (struct site){s->user->file, s->user->function, s->user->line};
}
