/*
 * The frames of a thread that may be running, read twice and compared. Frame structures are read
 * through page snapshots, so one reading takes microseconds. See target.h.
 */
#include <errno.h>
#include <string.h>

#include "probe/target/state.h"

#define FOLLOWED_MAX 1024u /* frames, also of those only counted; a torn list may be a ring */
#define READINGS_MAX 6u    /* until two agree in all but a few inner frames */
#define INNER_FRAMES 4u
#define MOVE_LOOKS 8u /* at the innermost instruction, about 1 us apart, before it stands */

/* ---- one reading ------------------------------------------------------------------------- */

int target_pointer_read(struct target *t, uint64_t address, uint64_t *ret)
{
	return address % 8 ? -EFAULT : snapshot_read(&t->snapshot, address, ret, sizeof(*ret));
}

static int innermost(struct target *t, uint64_t thread, uint64_t *ret)
{
	const struct layout *lay = &t->layout;
	uint64_t cframe;
	int rc;

	if (lay->thread_cframe == OFF_ABSENT)
		return target_pointer_read(t, thread + lay->thread_frame, ret);
	rc = target_pointer_read(t, thread + lay->thread_cframe, &cframe);
	if (rc || !cframe)
		return rc ? rc : -EAGAIN;
	return target_pointer_read(t, cframe + lay->cframe_current_frame, ret);
}

static int instr_read(struct target *t, uint64_t frame, uint64_t *ret)
{
	const struct layout *lay = &t->layout;
	int32_t lasti;
	int rc;

	if (lay->code_instructions != OFF_ABSENT)
		return target_pointer_read(t, frame + lay->frame_instr, ret);
	rc = snapshot_read(&t->snapshot, frame + lay->frame_instr, &lasti, sizeof(lasti));
	if (!rc)
		*ret = (uint64_t)(int64_t)lasti;
	return rc;
}

int target_frame_read(struct target *t, uint64_t frame, struct target_frame *ret)
{
	const struct layout *lay = &t->layout;
	uint64_t code, instr;
	signed char owner = 0;
	int rc = 0;

	if (lay->frame_owner != OFF_ABSENT)
		rc = snapshot_read(&t->snapshot, frame + lay->frame_owner, &owner, 1);
	if (rc || owner >= LAYOUT_OWNER_C)
		return rc;
	rc = target_pointer_read(t, frame + lay->frame_code, &code);
	if (!rc)
		rc = instr_read(t, frame, &instr);
	if (rc)
		return rc;
	code &= ~(uint64_t)LAYOUT_CODE_MASK;
	*ret = (struct target_frame){frame, code, layout_position(lay, code, instr)};
	return 1;
}

/* Code of generators and coroutines: CO_GENERATOR, CO_COROUTINE, CO_ASYNC_GENERATOR of
 * Include/cpython/code.h. */
#define SUSPENDABLE (0x20 | 0x80 | 0x200)

/*
 * Whether a list of frames that ends with this code's is torn: a generator's frame lets go of its
 * caller's where it yields, so one that has done so meanwhile looks like a thread's outermost.
 */
static bool is_torn(struct target *t, uint64_t code)
{
	int32_t flags;

	return snapshot_read(&t->snapshot, code + t->layout.code_flags, &flags, sizeof(flags)) ||
	       flags & SUSPENDABLE;
}

static int walk(struct target *t, uint64_t thread, struct target_stack *ret)
{
	struct target_frame frame = {0};
	uint64_t at;
	int rc;

	ret->count = ret->cut = 0;
	snapshot_begin(&t->snapshot, &t->memory);
	rc = innermost(t, thread, &at);
	for (unsigned int i = 0; !rc && at && i < FOLLOWED_MAX; i++) {
		int python = target_frame_read(t, at, &frame);

		if (python < 0)
			return python;
		if (python && ret->count < TARGET_FRAMES_MAX)
			ret->frame[ret->count++] = frame;
		else
			ret->cut += (uint32_t)python;
		rc = target_pointer_read(t, at + t->layout.frame_previous, &at);
	}
	return !rc && !at && frame.code && is_torn(t, frame.code) ? -EAGAIN : rc;
}

/* ---- two readings ------------------------------------------------------------------------ */

static bool same_frame(const struct target_frame *a, const struct target_frame *b)
{
	return a->frame == b->frame && a->code == b->code;
}

/*
 * How many outer frames both have. Where frames were cut at the outer end, the ends may be some
 * frames apart: b's outermost is looked for in a.
 */
static uint32_t common(const struct target_stack *a, const struct target_stack *b)
{
	uint32_t i = a->count, k = b->count, n = 0;

	if (!k)
		return 0;
	while (i && !same_frame(&a->frame[i - 1], &b->frame[k - 1]))
		i--;
	if (i != a->count && !a->cut && !b->cut)
		return 0; /* without a cut both end where the thread began */
	while (n < i && n < k && same_frame(&a->frame[i - 1 - n], &b->frame[k - 1 - n]))
		n++;
	return n;
}

/* Whether the innermost instruction goes on while we look. */
static bool moves(struct target *t, uint64_t thread, const struct target_stack *stack)
{
	const struct target_frame *top = &stack->frame[0];
	struct target_frame now;
	uint64_t at;

	for (unsigned int i = 0; i < MOVE_LOOKS; i++) {
		snapshot_begin(&t->snapshot, &t->memory);
		if (innermost(t, thread, &at))
			return false;
		if (at != top->frame || target_frame_read(t, at, &now) != 1 ||
			!same_frame(&now, top) || now.position != top->position)
			return true;
	}
	return false;
}

static void keep_outer(struct target_stack *stack, uint32_t frames)
{
	memmove(stack->frame, stack->frame + (stack->count - frames),
		frames * sizeof(stack->frame[0]));
	stack->count = frames;
}

int target_stack_read(struct target *t, uint64_t thread, struct target_stack *ret)
{
	struct target_stack other;
	uint32_t same = 0;
	bool whole = false;
	int rc = walk(t, thread, &other);

	for (unsigned int i = 1; i < READINGS_MAX; i++) {
		int before = rc;

		rc = walk(t, thread, ret);
		if (rc == -ESRCH || rc == -EPERM)
			return rc;
		same = before || rc ? 0 : common(&other, ret);
		whole = same == ret->count && same == other.count;
		if (same && same + INNER_FRAMES >= ret->count)
			break;
		other = *ret;
	}
	if (!same)
		return -EAGAIN;
	ret->moved = !whole || ret->frame[0].position != other.frame[0].position ||
		     moves(t, thread, ret);
	keep_outer(ret, same);
	return 0;
}
