/*
 * rings.c and ring_reader.c: which files are taken for rings, when they are removed, and that
 * nothing that stands in one or is done to it hurts.
 */
#include "tests/unit/rings_folder.h"

/* ---- spoilt rings ---------------------------------------------------------------------------- */

/* Two rings; the first is spoilt by `spoil`, the second must go on, and the loss is told once. */
static void spoil_ring(void (*spoil)(const struct ring_writer *w))
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 2);
	put(&w, 0, 10, 1);
	drain(NOW, 0);
	EXPECT(1);
	put(&w, 0, 20, 2), put(&w, 0, 30, 3);
	spoil(&w);
	put(&w, 1, 40, 4);
	drain(NOW, 0);
	assert_int_equal(taken.mark[taken.records - 1], 4);
	drain(SETTLED, 0);
	drain(SETTLED + 5000000, 0);
	assert_string_equal(taken.lost[0], "ring given up: bad record");
	assert_int_equal(taken.mark[taken.records - 1], 1);
	put(&w, 1, 60, 6);
	/* good again: too late */
	ring_writer_control(&w, 0)->head = 4 * sizeof(struct ev_loop_stop);
	drain(NOW, 0);
	EXPECT(6);
	ring_writer_close(&w);
}

static struct ev_head *second(const struct ring_writer *w)
{
	return (struct ev_head *)(void *)((char *)ring_writer_control(w, 0) + RING_PAGE +
					  sizeof(struct ev_loop_stop));
}

static void unknown_kind(const struct ring_writer *w)
{
	second(w)->kind = 999;
}

static void size_of_none(const struct ring_writer *w)
{
	second(w)->size_words = 0;
}

static void size_beyond_the_head(const struct ring_writer *w)
{
	second(w)->size_words = 100;
}

static void size_beyond_the_ring(const struct ring_writer *w)
{
	second(w)->size_words = 0xffff;
}

static void pad_in_the_middle(const struct ring_writer *w)
{
	second(w)->kind = EV_pad;
}

static void time_to_come(const struct ring_writer *w)
{
	second(w)->time_ns = NOW + 2000000000;
}

static void head_goes_back(const struct ring_writer *w)
{
	ring_writer_control(w, 0)->head = 8;
}

static void head_runs_away(const struct ring_writer *w)
{
	ring_writer_control(w, 0)->head = sizeof(struct ev_loop_stop) + SMALL + 8;
}

static void head_at_the_end_of_time(const struct ring_writer *w)
{
	ring_writer_control(w, 0)->head = UINT64_MAX & ~7ull;
}

static void head_between_words(const struct ring_writer *w)
{
	ring_writer_control(w, 0)->head += 4;
}

static void head_inside_a_record(const struct ring_writer *w)
{
	ring_writer_control(w, 0)->head -= 8;
}

#define SPOILS(name)                                                                               \
	TEST(rings_give_up_a_ring_with_##name)                                                     \
	{                                                                                          \
		spoil_ring(name);                                                                  \
	}
SPOILS(unknown_kind)
SPOILS(size_of_none)
SPOILS(size_beyond_the_head)
SPOILS(size_beyond_the_ring)
SPOILS(pad_in_the_middle)
SPOILS(time_to_come)
SPOILS(head_goes_back)
SPOILS(head_runs_away)
SPOILS(head_at_the_end_of_time)
SPOILS(head_between_words)
SPOILS(head_inside_a_record)

/* ---- files ----------------------------------------------------------------------------------- */

TEST(rings_survive_truncation_at_every_page)
{
	for (off_t pages = 0; pages < 5; pages++) {
		struct ring_writer w;
		char name[16];

		snprintf(name, sizeof(name), "ring-%d", 100 + (int)pages);
		ring_writer_open(&w, folder, name, 100 + (uint32_t)pages, SMALL, 2);
		put(&w, 0, 10, 1);
		drain(NOW, 0);
		EXPECT(1);
		put(&w, 0, 20, 2), put(&w, 1, 30, 3);
		assert_int_equal(ftruncate(w.fd, pages * (off_t)RING_PAGE), 0);
		drain(NOW, 1);
		assert_string_equal(taken.lost[0], "ring given up: bad record");
		assert_int_equal(drain(NOW, 1), 0);
		ring_writer_close(&w);
	}
}

TEST(rings_wait_for_a_file_in_the_making)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 1);
	w.file->magic = 0;
	put(&w, 0, 1, 1);
	assert_int_equal(drain(NOW, 0), 0);
	assert_int_equal(rings_processes(rings), 0);
	w.file->magic = RING_MAGIC;
	drain(NOW, 0);
	EXPECT(1);
	ring_writer_close(&w);
}

static void refused(const char *name, void (*spoil)(struct ring_file *file))
{
	struct ring_writer w;

	ring_writer_open(&w, folder, name, 5, SMALL, 1);
	put(&w, 0, 1, 99);
	spoil(w.file);
	drain(NOW, 0);
	EXPECT(1);
	assert_string_equal(taken.lost[0], "ring file refused");
	assert_int_equal(rings_processes(rings), 0);
	assert_int_equal(drain(NOW, 1), 0);
	unlink(w.path);
	ring_writer_close(&w);
}

static void other_magic(struct ring_file *f)
{
	f->magic ^= 1;
}

static void other_abi(struct ring_file *f)
{
	f->abi++;
}

static void other_pid(struct ring_file *f)
{
	f->pid++;
}

static void odd_ring_bytes(struct ring_file *f)
{
	f->ring_bytes = SMALL + 8;
}

static void no_ring_bytes(struct ring_file *f)
{
	f->ring_bytes = 0;
}

static void huge_ring_bytes(struct ring_file *f)
{
	f->ring_bytes = 1ull << 63;
}

static void no_slots(struct ring_file *f)
{
	f->slots = 0;
}

static void many_slots(struct ring_file *f)
{
	f->slots = RING_SLOTS + 1;
}

TEST(rings_refuse_a_file_of_another_kind)
{
	static void (*const spoil[])(struct ring_file *) = {other_magic, other_abi, other_pid,
		odd_ring_bytes, no_ring_bytes, huge_ring_bytes, no_slots, many_slots};

	for (unsigned int i = 0; i < sizeof(spoil) / sizeof(spoil[0]); i++) {
		char name[16];

		snprintf(name, sizeof(name), i ? "ring-5.%u" : "ring-5", i);
		refused(name, spoil[i]);
	}
}

TEST(rings_refuse_what_is_no_regular_file)
{
	struct ring_writer w;
	char path[128];

	ring_writer_open(&w, folder, "elsewhere", 5, SMALL, 1);
	put(&w, 0, 1, 99);
	snprintf(path, sizeof(path), "%s/ring-5", folder);
	assert_int_equal(symlink("elsewhere", path), 0);
	snprintf(path, sizeof(path), "%s/ring-6", folder);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/ring-7", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	drain(NOW, 1);
	EXPECT(1, 1, 1);
	assert_string_equal(taken.lost[2], "ring file refused");
	assert_int_equal(rings_processes(rings), 0);
	ring_writer_close(&w);
}

TEST(rings_take_only_names_that_agents_give)
{
	static const char *const names[] = {"ring-", "ring-0", "ring-05", "ring-5x", "ring-5.",
		"ring-5.0", "ring-5.1.1", "ring--5", "ring-4294967301", "ring-99999999999999999999",
		"xring-5", "ring-5 "};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct ring_writer w;

		ring_writer_open(&w, folder, names[i], 5, SMALL, 1);
		put(&w, 0, 1, 99);
		ring_writer_close(&w);
	}
	assert_int_equal(drain(NOW, 1), 0);
}

TEST(rings_remove_a_file_that_was_closed)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 1);
	put(&w, 0, NOW, 1); /* nothing more will come: no holding back */
	w.file->closed = 1;
	drain(NOW, 0);
	EXPECT(1);
	assert_false(exists("ring-5"));
	assert_int_equal(rings_processes(rings), 1);
	ring_writer_close(&w);
	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 1); /* the pid came again */
	put(&w, 0, 5, 2);
	drain(NOW, 0);
	EXPECT(2);
	ring_writer_close(&w);
}

TEST(rings_remove_the_files_of_a_process_that_ended)
{
	struct ring_writer a, b;

	ring_writer_open(&a, folder, "ring-5", 5, SMALL, 1);
	ring_writer_open(&b, folder, "ring-5.1", 5, SMALL, 1);
	put(&a, 0, 1, 1);
	drain(NOW, 0);
	put(&b, 0, NOW, 2);
	rings_release(rings, 6);
	drain(NOW, 0);
	assert_int_equal(taken.records, 0);
	rings_release(rings, 5);
	drain(NOW, 0);
	EXPECT(2);
	assert_false(exists("ring-5") || exists("ring-5.1"));
	ring_writer_close(&a);
	ring_writer_close(&b);
}

TEST(rings_peek_leaves_everything_as_it_is)
{
	struct ring_writer w;

	rings_free(rings);
	assert_int_equal(rings_peek(folder, &rings), 0);
	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 1);
	put(&w, 0, 1, 1);
	w.file->closed = 1;
	drain(NOW, 1);
	EXPECT(1);
	assert_int_equal(ring_writer_control(&w, 0)->tail, 0);
	assert_true(exists("ring-5"));
	assert_int_equal(drain(NOW, 1), 0);
	ring_writer_close(&w);
}

TEST(rings_go_on_where_another_recorder_ended)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 1);
	put(&w, 0, 1, 1);
	drain(NOW, 0);
	put(&w, 0, 2, 2);
	rings_free(rings);
	assert_int_equal(rings_open(folder, &rings), 0);
	drain(NOW, 0);
	EXPECT(2);
	ring_writer_close(&w);
}

/* ---- anything -------------------------------------------------------------------------------- */

/* Do one thing to a file that no agent does. */
static void spoil_anything(struct ring_writer *w, uint64_t *rng)
{
	uint64_t *word = (uint64_t *)(void *)w->map;
	size_t size = RING_OFFSET(w->rings, w->ring_bytes);
	unsigned int slot = (unsigned int)(unit_random(rng) % w->rings);
	size_t base = unit_random(rng) & 1 ? 0 : RING_OFFSET(slot, w->ring_bytes);

	switch (unit_random(rng) % 6) {
	case 0: /* a bit of the file's or a ring's own page */
		w->map[base + unit_random(rng) % 128] ^= (char)(1u << unit_random(rng) % 8);
		break;
	case 1: /* a small or a wild value there */
		word[base / 8 + unit_random(rng) % 16] = unit_random(rng) >> unit_random(rng) % 64;
		break;
	case 2: /* bits of the data */
		for (int i = 0; i < 8; i++)
			w->map[unit_random(rng) % size] ^= (char)(1u << unit_random(rng) % 8);
		break;
	case 3:
		ring_writer_control(w, slot)->head += 8 * (unit_random(rng) % 64);
		break;
	default: /* leave it for a while */
		break;
	}
}

static void cut(const struct ring_writer *w, off_t size)
{
	assert_int_equal(ftruncate(w->fd, size), 0);
}

static void fuzz(uint64_t seed)
{
	uint64_t rng = seed | 1;
	static _Alignas(8) unsigned char buf[EV_SIZE_MAX + 64];

	for (int round = 0; round < 400; round++) {
		struct ring_writer w;

		ring_writer_open(&w, folder, "ring-5", 5, SMALL, 3);
		for (int step = 0; step < 20; step++) {
			for (unsigned int n = unit_random(&rng) % 8; n; n--) {
				unsigned int id =
					1 + (unsigned int)(unit_random(&rng) % (EV_KINDS - 1));
				struct ev_head *h = (struct ev_head *)(void *)buf;

				unit_random_record(&rng, id, 60, buf);
				h->time_ns %= NOW;
				ring_writer_put(&w, (unsigned int)(unit_random(&rng) % 3), buf);
			}
			spoil_anything(&w, &rng);
			assert_true(drain(NOW, unit_random(&rng) % 8 == 0) >= 0);
		}
		if (unit_random(&rng) % 2)
			cut(&w, (off_t)(unit_random(&rng) % RING_OFFSET(3, SMALL)));
		drain(NOW, 0);
		rings_release(rings, 5);
		drain(NOW, 1);
		unlink(w.path);
		ring_writer_close(&w);
		if (round % 50 == 0) {
			rings_free(rings);
			assert_int_equal(rings_open(folder, &rings), 0);
		}
	}
}

TEST(rings_survive_anything_in_a_file)
{
	fuzz(FUZZ_SEED);
	fuzz(unit_seed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(rings_give_up_a_ring_with_unknown_kind),
		IN_FOLDER(rings_give_up_a_ring_with_size_of_none),
		IN_FOLDER(rings_give_up_a_ring_with_size_beyond_the_head),
		IN_FOLDER(rings_give_up_a_ring_with_size_beyond_the_ring),
		IN_FOLDER(rings_give_up_a_ring_with_pad_in_the_middle),
		IN_FOLDER(rings_give_up_a_ring_with_time_to_come),
		IN_FOLDER(rings_give_up_a_ring_with_head_goes_back),
		IN_FOLDER(rings_give_up_a_ring_with_head_runs_away),
		IN_FOLDER(rings_give_up_a_ring_with_head_at_the_end_of_time),
		IN_FOLDER(rings_give_up_a_ring_with_head_between_words),
		IN_FOLDER(rings_give_up_a_ring_with_head_inside_a_record),
		IN_FOLDER(rings_survive_truncation_at_every_page),
		IN_FOLDER(rings_wait_for_a_file_in_the_making),
		IN_FOLDER(rings_refuse_a_file_of_another_kind),
		IN_FOLDER(rings_refuse_what_is_no_regular_file),
		IN_FOLDER(rings_take_only_names_that_agents_give),
		IN_FOLDER(rings_remove_a_file_that_was_closed),
		IN_FOLDER(rings_remove_the_files_of_a_process_that_ended),
		IN_FOLDER(rings_peek_leaves_everything_as_it_is),
		IN_FOLDER(rings_go_on_where_another_recorder_ended),
		IN_FOLDER(rings_survive_anything_in_a_file),
	};

	return RUN_TESTS(tests);
}
