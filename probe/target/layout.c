/*
 * The shipped offsets as a table, and the interpreter's own debug offsets over them. Called once
 * per target. Must not trust the bytes it is given.
 */
#include "probe/target/layout.h"

#include <errno.h>
#include <string.h>

#define NONE OFF_ABSENT
#define VERSIONS (LAYOUT_MINOR_MAX - LAYOUT_MINOR_MIN + 1)

struct member {
	uint16_t place; /* in struct layout */
	uint16_t shipped[VERSIONS];
	uint16_t word[2]; /* in _Py_DebugOffsets of 3.13, 3.14 */
};

static const struct member members[] = {
#define MEMBER(structure, member, v8, v9, v10, v11, v12, v13, v14, w13, w14, doc)                  \
	{offsetof(struct layout, structure##_##member), {v8, v9, v10, v11, v12, v13, v14},         \
		{w13, w14}},
#include "probe/target/layout.def"
#undef MEMBER
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

enum { /* words of _Py_DebugOffsets that stay */
	WORD_COOKIE = 0,
	WORD_VERSION = 1,
	WORD_FREE_THREADED = 2,
};

static uint16_t *member_of(struct layout *layout, const struct member *m)
{
	return (uint16_t *)((char *)layout + m->place);
}

const char *layout_source_name(enum layout_source source)
{
	static const char *const names[] = {
		[LAYOUT_SHIPPED] = "the shipped list",
		[LAYOUT_PUBLISHED] = "offsets that the interpreter publishes",
		[LAYOUT_DWARF] = "debug information",
		[LAYOUT_ANY] = "any",
	};

	return names[source];
}

int layout_shipped(int minor, struct layout *ret)
{
	if (minor < LAYOUT_MINOR_MIN || minor > LAYOUT_MINOR_MAX)
		return -ENOTSUP;
	memset(ret, 0, sizeof(*ret));
	ret->minor = minor;
	for (size_t i = 0; i < MEMBERS; i++)
		*member_of(ret, &members[i]) = members[i].shipped[minor - LAYOUT_MINOR_MIN];
	return 0;
}

int layout_refine(struct layout *layout, const void *runtime, size_t n)
{
	uint64_t words[LAYOUT_DEBUG_BYTES / 8];
	struct layout refined = *layout;
	size_t column;

	if (layout->minor < 13)
		return 0;
	if (n < sizeof(words))
		return -EPROTO;
	memcpy(words, runtime, sizeof(words));
	if (memcmp(&words[WORD_COOKIE], "xdebugpy", 8))
		return -EPROTO;
	/* PY_VERSION_HEX: 0x030d00f0 is 3.13.0 final */
	if (words[WORD_VERSION] >> 16 != (0x0300u | (unsigned int)layout->minor))
		return -EPROTO;
	if (words[WORD_FREE_THREADED])
		return -ENOTSUP;
	column = (size_t)layout->minor - 13;
	for (size_t i = 0; i < MEMBERS; i++) {
		uint16_t word = members[i].word[column];

		if (word == NONE)
			continue;
		if (words[word] >= OFF_ABSENT)
			return -EPROTO;
		*member_of(&refined, &members[i]) = (uint16_t)words[word];
	}
	refined.source = LAYOUT_PUBLISHED;
	*layout = refined;
	return 0;
}

/* Words of Py_AsyncioModuleDebugOffsets, Modules/_asynciomodule.c@3.14. */
int layout_refine_asyncio(struct layout *layout, const void *section, size_t n)
{
	enum {
		NAME = 1,
		IS_TASK = 3,
		CORO = 5,
		NODE = 6,
		INTERP_TASKS = 8,
		LOOP = 10,
		TASK = 11,
		THREAD_TASKS = 12,
		WORDS = 13
	};
	uint64_t words[WORDS];

	if (layout->minor < 14)
		return 0;
	if (n < sizeof(words))
		return -EPROTO;
	memcpy(words, section, sizeof(words));
	for (unsigned int i = 0; i < WORDS; i++)
		if (words[i] >= OFF_ABSENT)
			return -EPROTO;
	if (words[CORO] < 8 || words[IS_TASK] < 4)
		return -EPROTO;
	layout->task_name = (uint16_t)words[NAME];
	layout->task_coro = (uint16_t)words[CORO];
	layout->task_node = (uint16_t)words[NODE];
	layout->interp_tasks_head = (uint16_t)words[INTERP_TASKS];
	layout->thread_running_loop = (uint16_t)words[LOOP];
	layout->thread_running_task = (uint16_t)words[TASK];
	layout->thread_tasks_head = (uint16_t)words[THREAD_TASKS];
	/* not published; they stand right before what is (TaskObj, FutureObj_HEAD) */
	layout->task_fut_waiter = (uint16_t)(words[CORO] - 8);
	layout->future_state = (uint16_t)(words[IS_TASK] - 4);
	return 0;
}

uint32_t layout_position(const struct layout *layout, uint64_t code, uint64_t instr)
{
	uint64_t begin = code + layout->code_instructions;

	if (layout->code_instructions == OFF_ABSENT) {
		int64_t lasti = (int64_t)instr;

		if (lasti < 0 || lasti > INT32_MAX)
			return 0;
		return layout->minor < 10 ? (uint32_t)lasti : (uint32_t)lasti * LAYOUT_CODE_UNIT;
	}
	/* a torn reading may pair a frame's instruction with another's code */
	return instr < begin || instr - begin > INT32_MAX ? 0 : (uint32_t)(instr - begin);
}
