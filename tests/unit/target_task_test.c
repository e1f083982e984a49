/*
 * Tasks and threads of a target whose memory is a labyrinth: every word is a small number, the
 * address of another object, or a type's. Reading it must end, and hand out nothing that is no
 * text.
 */
#include "tests/unit/unit.h"

#include <errno.h>

#include "probe/target/bonds.h"
#include "probe/target/layout.h"
#include "probe/target/target.h"
#include "probe/target/task.h"

#define BASE 0x7f0000000000ull
#define SPACE (128u << 10)
#define TYPE_BYTES 1024u
#define OBJECTS (32u << 10) /* where the labyrinth begins */
#define ROUNDS 60u
#define TASKS 16u

static const char *const types[] = {"code", "str", "bytes", "dict", "set", "weakref", "coroutine",
	"async_generator_asend", "int", "_RunningLoopHolder", "_asyncio.Task", "Task",
	"_UnixSelectorEventLoop", "NoneType", "method", "function", "list", "cell", "Timeout",
	"_GatheringFuture", "_AsyncGeneratorContextManager"};
#define TYPES (sizeof(types) / sizeof(*types))

struct space {
	unsigned char bytes[SPACE];
	struct layout lay;
	unsigned long reads;
};

static int space_read(const struct memory *m, uint64_t address, void *buf, size_t n)
{
	struct space *s = (struct space *)(uintptr_t)m->image;

	s->reads++;
	if (address < BASE || n > SPACE || address - BASE > SPACE - n)
		return -EFAULT;
	memcpy(buf, s->bytes + (address - BASE), n);
	return 0;
}

static void put(struct space *s, uint64_t at, uint64_t value)
{
	memcpy(s->bytes + (at - BASE), &value, sizeof(value));
}

static uint64_t type_at(size_t i)
{
	return BASE + 8192 + i * TYPE_BYTES;
}

static uint64_t word(uint64_t *random)
{
	uint64_t r = unit_random(random);

	switch (r >> 60) {
	case 0:
	case 1:
		return r % 40;
	case 2:
		return r; /* anything */
	case 3:
	case 4:
	case 5:
	case 6:
		return type_at(r % TYPES);
	default:
		return BASE + OBJECTS + r % ((SPACE - OBJECTS) / 8) * 8;
	}
}

static void runtime_put(struct space *s, uint64_t interp, uint64_t thread)
{
	put(s, BASE + s->lay.runtime_interpreters_head, interp);
	put(s, interp + s->lay.interp_threads_head, thread);
	put(s, thread + s->lay.thread_interp, interp);
	if (s->lay.minor < 13)
		return;
	memcpy(s->bytes, "xdebugpy", 8);
	put(s, BASE + 8, s->lay.minor == 13 ? 0x030d00f0 : 0x030e00f0);
	put(s, BASE + 16, 0);
#define NONE 0
#define MEMBER(structure, member, v8, v9, v10, v11, v12, v13, v14, w13, w14, doc)                  \
	if ((s->lay.minor == 13 ? w13 : w14) != 0)                                                 \
		put(s, BASE + 8 * (s->lay.minor == 13 ? w13 : w14), s->lay.structure##_##member);
#include "probe/target/layout.def"
#undef MEMBER
#undef NONE
}

/* ---- a way into it ----------------------------------------------------------------------- */

static uint64_t str_put(struct space *s, uint64_t *at, const char *text)
{
	uint64_t str = *at;

	*at += 128;
	put(s, str + s->lay.object_type, type_at(1));
	put(s, str + s->lay.str_length, strlen(text));
	put(s, str + s->lay.str_state, 0x64); /* one byte a character, compact, ASCII */
	strcpy((char *)s->bytes + (str + s->lay.str_ascii_data - BASE), text);
	return str;
}

/* A dict of two keys. */
static uint64_t dict_put(struct space *s, uint64_t *at, const char *first, uint64_t first_value,
	const char *second, uint64_t second_value)
{
	uint64_t values[] = {
		0, str_put(s, at, first), first_value, 0, str_put(s, at, second), second_value};
	uint64_t dict = *at, keys = dict + 64, entries = keys + s->lay.keys_index + 8;

	*at += 256;
	put(s, dict + s->lay.dict_keys, keys);
	put(s, dict + s->lay.dict_values, 0);
	if (s->lay.keys_size != OFF_ABSENT)
		put(s, keys + s->lay.keys_size, 8);
	else
		put(s, keys + 8, 3ull << 8); /* log2 of 8 index bytes, general keys */
	put(s, keys + s->lay.keys_count, 2);
	for (unsigned int i = 0; i < 6; i++)
		put(s, entries + 8 * i, values[i]);
	return dict;
}

/* Pending tasks whose coroutines are suspended anywhere. */
static uint64_t task_put(struct space *s, uint64_t at, uint64_t name, uint64_t *random)
{
	uint64_t coro = at + 512;
	signed char suspended = -1;

	put(s, at + s->lay.object_type, type_at(10));
	put(s, at + s->lay.future_state, 0);
	put(s, at + s->lay.task_name, name);
	put(s, at + s->lay.task_coro, coro);
	put(s, at + s->lay.task_fut_waiter, word(random) & ~7ull);
	put(s, at + s->lay.future_loop, 0);
	put(s, coro + s->lay.object_type, type_at(6));
	put(s, coro + s->lay.generator_qualname, name);
	if (s->lay.generator_frame_state != OFF_ABSENT)
		memcpy(s->bytes + (coro + s->lay.generator_frame_state - BASE), &suspended, 1);
	return at;
}

/* asyncio.tasks with a weak set that may be anything, and a set of anything. */
static void asyncio_put(struct space *s, uint64_t interp, uint64_t *random)
{
	uint64_t at = BASE + SPACE - 8192, set = at, module = at + 64, names, name;
	uint64_t table = BASE + OBJECTS + unit_random(random) % 4096 * 8;

	at += 128;
	name = str_put(s, &at, "a name");
	for (unsigned int i = 0; i < TASKS; i++) {
		put(s, table + 32 * i, task_put(s, BASE + SPACE - 65536 + 1024 * i, name, random));
		put(s, table + 32 * i + 8, 1);
	}
	put(s, set + s->lay.object_type, type_at(4));
	put(s, set + s->lay.set_mask, 255);
	put(s, set + s->lay.set_table, table);
	names = dict_put(s, &at, "_eager_tasks", set, "_all_tasks", word(random));
	put(s, module + s->lay.module_dict, names);
	put(s, interp + s->lay.interp_modules,
		dict_put(s, &at, "asyncio.tasks", module, "sys", word(random)));
}

static void space_fill(struct space *s, int minor, uint64_t *random)
{
	uint64_t interp = BASE + OBJECTS + unit_random(random) % 1024 * 8;
	uint64_t thread = BASE + SPACE / 2 + unit_random(random) % 1024 * 8;

	assert_int_equal(layout_shipped(minor, &s->lay), 0);
	for (uint64_t at = BASE; at < BASE + SPACE; at += 8)
		put(s, at, at < BASE + OBJECTS ? 0 : word(random));
	for (size_t i = 0; i < TYPES; i++) {
		uint64_t name = type_at(i) + TYPE_BYTES - 64;

		put(s, type_at(i) + s->lay.type_name, name);
		put(s, type_at(i) + s->lay.type_basicsize, 16);
		put(s, type_at(i) + s->lay.type_dictoffset, 16);
		put(s, type_at(i) + s->lay.type_flags, unit_random(random) & 20);
		put(s, type_at(i) + s->lay.type_cached_keys, word(random));
		strcpy((char *)s->bytes + (name - BASE), types[i]);
	}
	asyncio_put(s, interp, random);
	runtime_put(s, interp, thread);
}

struct check {
	struct target *target;
	unsigned long tasks;
};

static int task_check(void *ctx, const struct target_task *task)
{
	struct check *check = ctx;
	struct target_bonds bonds;

	check->tasks++;
	if (!target_bonds_read(check->target, task, &bonds)) {
		assert_true(bonds.held_count <= BONDS_LOCKS_MAX);
		assert_true(bonds.member_count <= BONDS_MEMBERS_MAX);
	}
	assert_non_null(task->name);
	assert_non_null(task->coro_name);
	assert_true(strlen(task->waits_type) < 256);
	assert_true(task->frames <= TARGET_CHAIN_MAX);
	return check->tasks > 1000 ? -ECANCELED : 0;
}

/* Returns how many tasks were told. */
static unsigned long ask(struct space *s)
{
	const uint64_t symbols[4] = {BASE, type_at(0), type_at(1), type_at(2)};
	struct memory memory = {.read = space_read, .image = s};
	struct target_thread thread[8];
	struct target_constants told;
	struct target_tasks tasks;
	struct check check = {0};
	size_t threads;
	const char *why = "";

	assert_int_equal(target_open_at(&memory, s->lay.minor, symbols, &check.target, &why), 0);
	assert_int_not_equal(
		target_tasks_read(check.target, task_check, &check, &tasks, &why), -ENOENT);
	target_threads_read(check.target, thread, 8, &threads);
	target_constants(check.target, &told);
	target_free(check.target);
	return check.tasks;
}

TEST(tasks_of_any_bytes_come_to_an_end)
{
	struct space *s = malloc(sizeof(*s));
	uint64_t random = unit_seed() | 1;
	unsigned long told = 0;

	for (unsigned int round = 0; round < ROUNDS; round++)
		for (int minor = LAYOUT_MINOR_MIN; minor <= LAYOUT_MINOR_MAX; minor++) {
			space_fill(s, minor, &random);
			s->reads = 0;
			told += ask(s);
			assert_true(s->reads < 50000000);
		}
	assert_true(told > 0); /* else the labyrinth is too dark */
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(tasks_of_any_bytes_come_to_an_end),
	};

	return RUN_TESTS(tests);
}
