/*
 * What the unit tests share: cmocka with the headers it wants before it, a random generator whose
 * seed can be told again, and records made up for a kind.
 */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "collector/record.h"

/*
 * A test is named for what it promises: TEST(store_keeps_negative_ready) { ... }, listed as
 * RUN(store_keeps_negative_ready).
 */
#define TEST(name) static void name(void **state __attribute__((unused)))
#define RUN(name) cmocka_unit_test(name)
#define RUN_TESTS(tests) cmocka_run_group_tests(tests, NULL, NULL)

#define FUZZ_SEED 20240607u /* any; the run with it is the same every time */

/* The seed of a run that differs each time; printed, and taken from UNIT_SEED to run it again. */
static inline uint64_t unit_seed(void)
{
	const char *given = getenv("UNIT_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

	print_message("UNIT_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* xorshift64* (Vigna, 2016); the state must not be 0. */
static inline uint64_t unit_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1dull;
}

/*
 * A well-formed record of this kind, its tails up to max_tail bytes each, in buf (EV_SIZE_MAX,
 * 8-aligned); returns its size.
 */
static inline size_t unit_random_record(
	uint64_t *state, unsigned int id, size_t max_tail, void *buf)
{
	const struct kind *k = record_kind(id);
	unsigned char *bytes = buf;
	size_t size = k->size;
	struct ev_head head;

	for (size_t i = 0; i < k->size; i++)
		bytes[i] = unit_random(state) & 3 ? (unsigned char)unit_random(state) : 0;
	if (k->fields) { /* the struct may end in padding, which writers zero */
		const struct field *last = &k->field[k->fields - 1];
		size_t end =
			last->off + (last->type == FIELD_u64 || last->type == FIELD_s64 ? 8 : 4);

		memset(bytes + end, 0, k->size - end);
	}
	for (size_t i = k->fields - k->tails; i < k->fields; i++) {
		uint32_t len = (uint32_t)(unit_random(state) % (max_tail + 1));

		if (k->field[i].type == FIELD_PAIRS)
			len &= ~7u;
		for (uint32_t n = 0; n < len; n++)
			bytes[size + n] = (unsigned char)unit_random(state);
		memcpy(bytes + k->field[i].off, &len, sizeof(len));
		size += len;
	}
	while (size % 8)
		bytes[size++] = 0;
	head = (struct ev_head){unit_random(state), (uint32_t)unit_random(state), (uint16_t)id,
		(uint16_t)(size / 8)};
	memcpy(bytes, &head, sizeof(head));
	return size;
}

#endif
