/* Line tables: read as CPython reads its own, for every format; cut and broken ones are survived.
 */
#include "tests/unit/unit.h"

#include "collector/linetable.h"
#include "probe/event.h"

struct run {
	uint32_t from, to; /* offsets in bytes */
	struct position at;
};

struct sample {
	const char *version, *function;
	uint32_t format, firstlineno;
	const unsigned char *table;
	size_t size;
	const struct run *run;
	size_t runs;
};

#define BYTES(...)                                                                                 \
	(const unsigned char[]){__VA_ARGS__}, sizeof((const unsigned char[]){__VA_ARGS__})
#define RUNS(...)                                                                                  \
	(const struct run[]){__VA_ARGS__},                                                         \
		sizeof((const struct run[]){__VA_ARGS__}) / sizeof(struct run)
#define LINETABLE(version, function, format, first, ...)                                           \
	{version, function, format, first, __VA_ARGS__},
static const struct sample samples[] = {
#include "tests/unit/linetable_cases.h"
};

#define SAMPLES (sizeof(samples) / sizeof(*samples))

static void check(const struct sample *s, uint32_t at, const struct position *want)
{
	struct position got = linetable_find(s->format, s->firstlineno, s->table, s->size, at);

	if (got.line == want->line && got.end_line == want->end_line && got.col == want->col &&
		got.end_col == want->end_col)
		return;
	fail_msg("%s %s at %u: %u-%u:%d-%d, CPython says %u-%u:%d-%d", s->version, s->function, at,
		got.line, got.end_line, got.col, got.end_col, want->line, want->end_line, want->col,
		want->end_col);
}

TEST(linetable_reads_what_cpython_reads)
{
	for (size_t i = 0; i < SAMPLES; i++)
		for (size_t n = 0; n < samples[i].runs; n++)
			for (uint32_t at = samples[i].run[n].from; at < samples[i].run[n].to;
				at += 2)
				check(&samples[i], at, &samples[i].run[n].at);
	assert_true(SAMPLES > 30);
}

TEST(linetable_direct_is_the_line)
{
	assert_int_equal(linetable_find(LINE_DIRECT, 1, NULL, 0, 42).line, 42);
}

TEST(linetable_survives_any_cut)
{
	for (size_t i = 0; i < SAMPLES; i++) {
		for (size_t size = 0; size < samples[i].size; size++) {
			unsigned char *copy =
				malloc(size + !size); /* so that a sanitizer sees a byte too far */

			assert_non_null(copy);
			memcpy(copy, samples[i].table, size);
			for (uint32_t at = 0; at < 200; at += 2)
				linetable_find(
					samples[i].format, samples[i].firstlineno, copy, size, at);
			free(copy);
		}
	}
}

TEST(linetable_survives_any_bytes)
{
	uint64_t random = unit_seed() | 1;

	for (int n = 0; n < 20000; n++) {
		unsigned char table[64];
		uint32_t format = (uint32_t)(unit_random(&random) % 6);
		size_t size = unit_random(&random) % sizeof(table);

		for (size_t i = 0; i < size; i++)
			table[i] = (unsigned char)unit_random(&random);
		linetable_find(format, (uint32_t)unit_random(&random), table, size,
			(uint32_t)(unit_random(&random) % 300));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(linetable_reads_what_cpython_reads),
		RUN(linetable_direct_is_the_line),
		RUN(linetable_survives_any_cut),
		RUN(linetable_survives_any_bytes),
	};

	return RUN_TESTS(tests);
}
