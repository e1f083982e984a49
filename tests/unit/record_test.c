/* record.c: what it takes for a record, and that it never reads past what it was given. */
#include "tests/unit/unit.h"

#include <errno.h>

static _Alignas(8) unsigned char buf[EV_SIZE_MAX + 64];

/* A task_name with a name of len bytes. */
static struct ev_task_name *task_name(uint32_t len)
{
	struct ev_task_name *r = (struct ev_task_name *)(void *)buf;

	memset(buf, 'x', sizeof(*r) + len + 8);
	*r = (struct ev_task_name){.name_len = len};
	r->head.kind = EV_task_name;
	r->head.size_words = (uint16_t)((sizeof(*r) + len + 7) / 8);
	return r;
}

TEST(record_fields_stand_where_the_struct_has_them)
{
	const struct kind *k = record_kind(EV_step);

	assert_string_equal(k->name, "step");
	assert_int_equal(k->size, sizeof(struct ev_step));
	assert_int_equal(k->fields, 7);
	assert_int_equal(k->tails, 0);
	assert_string_equal(k->field[2].name, "waits_on");
	assert_int_equal(k->field[2].off, offsetof(struct ev_step, waits_on));
	assert_int_equal(k->field[2].type, FIELD_u64);
	k = record_kind(EV_stack);
	assert_int_equal(k->tails, 1);
	assert_int_equal(k->field[2].type, FIELD_PAIRS);
	assert_int_equal(k->field[2].off, offsetof(struct ev_stack, frames_len));
}

TEST(record_kinds_are_found_by_name_and_id)
{
	for (unsigned int id = 0; id < EV_KINDS; id++) {
		const struct kind *k = record_kind(id);

		if (k)
			assert_int_equal(record_kind_id(k->name), (int)id);
	}
	assert_null(record_kind(EV_KINDS));
	assert_null(record_kind(~0u));
	assert_int_equal(record_kind_id("no_such_kind"), -1);
	assert_int_equal(record_kind_id(""), -1);
}

TEST(record_of_every_kind_is_taken)
{
	for (unsigned int id = 1; id < EV_KINDS; id++) {
		const struct kind *k = record_kind(id);
		struct ev_head *h = (struct ev_head *)(void *)buf;

		if (!k)
			continue;
		memset(buf, 0, k->size);
		h->kind = (uint16_t)id;
		h->size_words = (uint16_t)(k->size / 8);
		assert_int_equal(record_check(buf, k->size), 0);
		assert_int_equal(record_check(buf, k->size - 1), -EPROTO);
		h->size_words++;
		assert_int_equal(record_check(buf, k->size + 8), -EPROTO);
		h->size_words -= 2;
		assert_int_equal(record_check(buf, k->size), -EPROTO);
	}
}

TEST(record_of_no_kind_is_refused)
{
	struct ev_head *h = (struct ev_head *)(void *)buf;

	*h = (struct ev_head){.kind = EV_pad, .size_words = 2};
	assert_int_equal(record_check(buf, 64), -EPROTO);
	h->kind = EV_KINDS;
	assert_int_equal(record_check(buf, 64), -EPROTO);
	h->kind = 0xffff;
	assert_int_equal(record_check(buf, 64), -EPROTO);
	assert_int_equal(record_check(buf, 15), -EPROTO);
	assert_int_equal(record_check(buf, 0), -EPROTO);
}

TEST(record_lengths_must_add_up_to_the_size)
{
	struct ev_task_name *r = task_name(5);
	size_t size = (size_t)r->head.size_words * 8;

	assert_int_equal(record_check(r, size), 0);
	r->name_len = 8 - sizeof(*r) % 8;
	assert_int_equal(record_check(r, size), 0);
	r->name_len = 9;
	assert_int_equal(record_check(r, size), -EPROTO);
	r->name_len = 0;
	assert_int_equal(record_check(r, size), -EPROTO);
	r->name_len = UINT32_MAX;
	assert_int_equal(record_check(r, size), -EPROTO);
}

TEST(record_with_two_tails_that_wrap_around_is_refused)
{
	struct ev_cell_begin *r = (struct ev_cell_begin *)(void *)buf;

	memset(buf, 0, sizeof(*r) + 16);
	r->head.kind = EV_cell_begin;
	r->head.size_words = (sizeof(*r) + 8) / 8;
	r->source_len = 4;
	r->cell_id_len = UINT32_MAX - 3; /* the sum is 0 in 32 bits */
	assert_int_equal(record_check(r, sizeof(*r) + 8), -EPROTO);
	r->cell_id_len = 4;
	assert_int_equal(record_check(r, sizeof(*r) + 8), 0);
}

TEST(record_pairs_are_whole)
{
	struct ev_stack *r = (struct ev_stack *)(void *)buf;

	memset(buf, 0, sizeof(*r) + 16);
	r->head.kind = EV_stack;
	r->head.size_words = (sizeof(*r) + 8) / 8;
	r->frames_len = 8;
	assert_int_equal(record_check(r, sizeof(*r) + 8), 0);
	r->frames_len = 4;
	assert_int_equal(record_check(r, sizeof(*r) + 8), -EPROTO);
}

TEST(record_tails_follow_in_their_order)
{
	struct ev_cell_begin *r = (struct ev_cell_begin *)(void *)buf;
	const char *tail;
	size_t len;

	memset(buf, 0, sizeof(*r) + 16);
	r->head.kind = EV_cell_begin;
	r->head.size_words = (sizeof(*r) + 8) / 8;
	r->source_len = 5;
	r->cell_id_len = 2;
	memcpy(r + 1, "x = 1ab", 7);
	assert_int_equal(record_check(r, sizeof(*r) + 8), 0);
	tail = record_tail(&r->head, 0, &len);
	assert_int_equal(len, 5);
	assert_memory_equal(tail, "x = 1", 5);
	tail = record_tail(&r->head, 1, &len);
	assert_int_equal(len, 2);
	assert_memory_equal(tail, "ab", 2);
}

/*
 * Check these n bytes in a block of exactly that size, and read all of what passes: the sanitizer
 * sees a byte too many.
 */
static int check_exactly(const void *bytes, size_t n)
{
	unsigned char *p = malloc(n ? n : 1);
	unsigned int sum = 0;
	int rc;

	assert_non_null(p);
	memcpy(p, bytes, n);
	rc = record_check(p, n);
	if (!rc) {
		const struct ev_head *h = (const struct ev_head *)(const void *)p;

		for (unsigned int i = 0; i < record_kind(h->kind)->tails; i++) {
			size_t len;
			const unsigned char *tail = record_tail(h, i, &len);

			while (len--)
				sum += *tail++;
		}
	}
	free(p);
	return sum == ~0u ? 1 : rc;
}

static void fuzz(uint64_t seed)
{
	uint64_t rng = seed | 1;
	unsigned int taken = 0;

	for (int i = 0; i < 200000; i++) {
		unsigned int id = 1 + (unsigned int)(unit_random(&rng) % (EV_KINDS - 1));
		size_t n = record_kind(id) ? unit_random_record(&rng, id, 40, buf) : 16;

		if (i % 4 == 0)
			for (size_t b = 0; b < n; b++)
				buf[b] = (unsigned char)unit_random(&rng);
		for (unsigned int m = unit_random(&rng) % 3; m; m--)
			buf[unit_random(&rng) % n] ^= (unsigned char)(1u << unit_random(&rng) % 8);
		if (unit_random(&rng) % 8 == 0)
			n = unit_random(&rng) % (n + 1);
		taken += check_exactly(buf, n) == 0;
	}
	assert_true(taken > 1000); /* it did not only refuse */
}

TEST(record_check_survives_mutated_bytes)
{
	fuzz(FUZZ_SEED);
	fuzz(unit_seed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(record_fields_stand_where_the_struct_has_them),
		RUN(record_kinds_are_found_by_name_and_id),
		RUN(record_of_every_kind_is_taken),
		RUN(record_of_no_kind_is_refused),
		RUN(record_lengths_must_add_up_to_the_size),
		RUN(record_with_two_tails_that_wrap_around_is_refused),
		RUN(record_pairs_are_whole),
		RUN(record_tails_follow_in_their_order),
		RUN(record_check_survives_mutated_bytes),
	};

	return RUN_TESTS(tests);
}
