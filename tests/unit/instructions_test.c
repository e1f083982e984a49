/* What is read before an await and written after it: found in the code of every CPython, and
 * nothing else. */
#include "tests/unit/unit.h"

#include "collector/instructions.h"

#include <stdio.h>
#include <string.h>

struct sample {
	const char *function, *expected; /* "" : nothing is to be found */
	const char *names;
	size_t names_size;
	const char *locals;
	size_t locals_size;
	uint32_t cells, free;
	const unsigned char *code;
	size_t size;
};

#define NAMES(text) text, sizeof(text) - 1
#define CODE(...) (const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__})
#include "tests/unit/instructions_cases.h"

static const struct version {
	const char *names;
	size_t names_size;
	const unsigned char *numbers;
	size_t count;
	const struct sample *sample;
	size_t samples;
} versions[] = {
#define VERSION(v)                                                                                 \
	{names_##v, sizeof(names_##v) - 1, numbers_##v, sizeof(numbers_##v), samples_##v,          \
		sizeof(samples_##v) / sizeof(*samples_##v)},
	VERSIONS
#undef VERSION
};

#define COUNT (sizeof(versions) / sizeof(*versions))

static size_t find(const struct version *v, const struct sample *s, const unsigned char *code,
	size_t size, struct stale_write *ret, size_t max)
{
	struct opcodes opcodes;
	struct body body = {.at = code,
		.size = size,
		.names = {s->names, s->names_size},
		.locals = {s->locals, s->locals_size},
		.cells = s->cells,
		.free = s->free};

	opcodes_read(&opcodes, v->names, v->names_size, v->numbers, v->count);
	return stale_writes_find(&opcodes, &body, ret, max);
}

TEST(stale_writes_are_found_in_every_version)
{
	for (size_t i = 0; i < COUNT; i++) {
		for (size_t k = 0; k < versions[i].samples; k++) {
			const struct sample *s = &versions[i].sample[k];
			struct stale_write found[4];
			char got[SHARED_NAME_BYTES + 16] = "";
			size_t n = find(&versions[i], s, s->code, s->size, found, 4);

			if (n)
				snprintf(got, sizeof(got), "%s%s", found[0].name,
					found[0].guarded ? " guarded" : "");
			if (strcmp(got, s->expected))
				fail_msg("version %zu, %s: '%s', not '%s'", i, s->function, got,
					s->expected);
			assert_true(!n || (found[0].read_at < found[0].await_at &&
						  found[0].await_at < found[0].write_at));
		}
	}
}

TEST(stale_writes_survive_any_bytes)
{
	uint64_t random = unit_seed() | 1;

	for (int n = 0; n < 5000; n++) {
		const struct version *v = &versions[unit_random(&random) % COUNT];
		const struct sample *s = &v->sample[unit_random(&random) % v->samples];
		unsigned char code[96];
		size_t size = unit_random(&random) % sizeof(code);
		struct stale_write found[2];

		for (size_t i = 0; i < size; i++)
			code[i] = i < s->size && unit_random(&random) % 4
					  ? s->code[i]
					  : (unsigned char)unit_random(&random);
		find(v, s, code, size, found, 2);
	}
}

TEST(without_opcodes_nothing_is_found)
{
	struct opcodes none = {0};
	struct stale_write found;

	assert_int_equal(
		stale_writes_find(&none,
			&(struct body){.at = (const unsigned char *)"ab", .size = 2}, &found, 1),
		0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(stale_writes_are_found_in_every_version),
		RUN(stale_writes_survive_any_bytes),
		RUN(without_opcodes_nothing_is_found),
	};

	return RUN_TESTS(tests);
}
