/*
 * rings.c and ring_reader.c: what targets write comes out whole and in order, and what was lost is
 * told.
 */
#include "tests/unit/rings_folder.h"

#include <pthread.h>

/* ---- order ----------------------------------------------------------------------------------- */

TEST(rings_of_an_empty_folder_give_nothing)
{
	struct rings *none = NULL;

	assert_int_equal(drain(NOW, 0), 0);
	assert_int_equal(rings_processes(rings), 0);
	assert_int_equal(rings_processes(rings), 0);
	assert_int_equal(rings_open("/nonexistent/folder", &none), -ENOENT);
	assert_null(none);
}

TEST(rings_merge_threads_by_time)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 3);
	put(&w, 0, 10, 1), put(&w, 0, 40, 4), put(&w, 0, 60, 6);
	put(&w, 1, 20, 2), put(&w, 1, 50, 5);
	put(&w, 2, 30, 3), put(&w, 2, 70, 7);
	assert_int_equal(drain(NOW, 0), 7);
	EXPECT(1, 2, 3, 4, 5, 6, 7);
	assert_int_equal(taken.pid[0], 5);
	assert_int_equal(rings_late(rings), 0);
	assert_int_equal(rings_processes(rings), 1);
	assert_int_equal(rings_processes(rings), 1);
	ring_writer_close(&w);
}

TEST(rings_keep_the_order_within_a_ring)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 2);
	put(&w, 0, 50, 1), put(&w, 0, 20, 2), put(&w, 0, 60, 4); /* 2: a task_new after its stack */
	put(&w, 1, 55, 3), put(&w, 1, 60, 5); /* 60 twice: the lower slot comes first */
	drain(NOW, 0);
	EXPECT(1, 2, 3, 4, 5);
	assert_int_equal(rings_late(rings), 0);
	ring_writer_close(&w);
}

TEST(rings_hold_young_records_back)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 2);
	put(&w, 0, NOW - 20000000, 1), put(&w, 0, NOW - 1000, 3);
	drain(NOW, 0);
	EXPECT(1);
	put(&w, 1, NOW - 2000, 2); /* published after a younger one of another thread */
	drain(NOW + 20000000, 0);
	EXPECT(2, 3);
	assert_int_equal(rings_late(rings), 0);
	put(&w, 0, NOW + 20000000, 4);
	drain(NOW + 20000000, 1);
	EXPECT(4);
	ring_writer_close(&w);
}

TEST(rings_count_what_comes_too_late)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 2);
	put(&w, 0, 100, 1);
	drain(NOW, 0);
	put(&w, 1, 50, 2), put(&w, 1, 150, 3);
	drain(NOW, 0);
	EXPECT(2, 3);
	assert_int_equal(rings_late(rings), 1);
	assert_int_equal(taken.losts, 0);
	ring_writer_close(&w);
}

TEST(rings_grow_while_they_are_read)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 3);
	w.file->rings = 1;
	put(&w, 0, 1, 1), put(&w, 1, 2, 99);
	drain(NOW, 0);
	EXPECT(1);
	w.file->rings = 3;
	put(&w, 2, 3, 3);
	drain(NOW, 0);
	EXPECT(99, 3);
	ring_writer_close(&w);
}

TEST(rings_of_two_processes_are_two_streams)
{
	struct ring_writer a, b;

	ring_writer_open(&a, folder, "ring-70", 70, SMALL, 1);
	ring_writer_open(&b, folder, "ring-5", 5, SMALL, 1);
	put(&a, 0, 10, 1), put(&b, 0, 20, 2);
	drain(NOW, 0);
	EXPECT(2, 1);
	assert_int_equal(taken.pid[0], 5);
	assert_int_equal(taken.pid[1], 70);
	assert_int_equal(rings_processes(rings), 2);
	ring_writer_close(&a);
	ring_writer_close(&b);
}

TEST(rings_of_a_process_that_execs_are_one_stream)
{
	struct ring_writer a, b;

	ring_writer_open(&b, folder, "ring-5.1", 5, SMALL, 1);
	ring_writer_open(&a, folder, "ring-5", 5, SMALL, 1);
	put(&b, 0, 20, 2), put(&a, 0, 10, 1);
	drain(NOW, 0);
	EXPECT(1, 2);
	assert_int_equal(taken.pid[1], 5);
	assert_int_equal(rings_processes(rings), 1);
	ring_writer_close(&a);
	ring_writer_close(&b);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static struct {
	_Alignas(8) unsigned char record[64][EV_SIZE_MAX];
	unsigned int written, read;
} sent;

static int compare(void *ctx, uint32_t pid, const struct ev_head *record)
{
	if (record->kind != EV_lost) {
		assert_true(sent.read < sent.written);
		assert_memory_equal(record, sent.record[sent.read++], record->size_words * 8ull);
	}
	return 0;
}

/*
 * Records of every size, which leave every remainder at the end of the ring: pads, and words too
 * few for a pad.
 */
static void wrap_around(uint64_t ring_bytes, size_t max_tail, unsigned int turns)
{
	uint64_t rng = FUZZ_SEED;
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, ring_bytes, 1);
	for (unsigned int turn = 0; turn < turns; turn++) {
		sent.read = 0;
		for (sent.written = 0; sent.written < 64; sent.written++) {
			void *record = sent.record[sent.written];

			unit_random_record(&rng, unit_random(&rng) & 1 ? EV_name : EV_loop_stop,
				max_tail, record);
			((struct ev_head *)record)->time_ns = turn;
			if (ring_writer_put(&w, 0, record))
				break;
		}
		assert_true(rings_drain_at(rings, NOW, 0, compare, NULL) >= 0);
		assert_true(sent.written > 0);
		assert_int_equal(sent.read, sent.written);
		assert_int_equal(
			ring_writer_control(&w, 0)->tail, ring_writer_control(&w, 0)->head);
	}
	assert_true(ring_writer_control(&w, 0)->head > 4 * ring_bytes);
	ring_writer_close(&w);
}

TEST(rings_wrap_at_any_place)
{
	wrap_around(SMALL, 200, 5000);
}

TEST(rings_carry_the_largest_record)
{
	wrap_around(1 << 20, EV_SIZE_MAX - sizeof(struct ev_name) - 8, 60);
}

TEST(rings_survive_a_sink_that_stops)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 2);
	put(&w, 0, 10, 1), put(&w, 1, 20, 2), put(&w, 0, 30, 3);
	ring_writer_control(&w, 0)->dropped = 7;
	memset(&taken, 0, sizeof(taken));
	taken.refuse_from = 1;
	assert_int_equal(rings_drain_at(rings, NOW, 0, take, &taken), -ENOSPC);
	EXPECT(1);
	drain(NOW, 0);
	EXPECT(2, 3);
	drain(SETTLED, 0);
	EXPECT(7);
	ring_writer_close(&w);
}

TEST(rings_tell_losses_once)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 2);
	ring_writer_control(&w, 0)->dropped = 3;
	ring_writer_control(&w, 1)->dropped = 4;
	w.file->no_ring = 5;
	w.file->in_signal = 6;
	drain(NOW, 0);
	drain(SETTLED, 0);
	EXPECT(7, 5, 6);
	assert_string_equal(taken.lost[0], "ring full");
	assert_string_equal(taken.lost[1], "no ring");
	assert_string_equal(taken.lost[2], "in a signal handler");
	ring_writer_control(&w, 1)->dropped = 6;
	w.file->no_ring = 1; /* counts that go back are not believed */
	assert_int_equal(drain(SETTLED + 5000000, 0), 0);
	drain(SETTLED + 10000000, 0);
	EXPECT(2);
	assert_int_equal(drain(SETTLED + 15000000, 0), 0);
	ring_writer_close(&w);
}

TEST(rings_tell_a_loss_between_what_was_written_before_and_after_it)
{
	struct ring_writer w;

	ring_writer_open(&w, folder, "ring-5", 5, SMALL, 1);
	put(&w, 0, NOW - 1, 1);
	ring_writer_control(&w, 0)->dropped = 3;
	assert_int_equal(drain(NOW, 0), 0);
	put(&w, 0, NOW + 1, 2), put(&w, 0, SETTLED, 4);
	drain(SETTLED + 1, 0);
	EXPECT(1, 3, 2);
	ring_writer_control(&w, 0)->dropped = 8;
	drain(SETTLED + 1, 1); /* the end: nothing is held back any more */
	EXPECT(4, 5);
	ring_writer_close(&w);
}

/* ---- a target that writes at the same time --------------------------------------------------- */

#define PRODUCED 400000u

static void *produce(void *arg)
{
	const struct ring_writer *w = arg;

	for (uint64_t i = 1; i <= PRODUCED; i++)
		put(w, 0, i, i);
	__atomic_store_n(&w->file->closed, 1, __ATOMIC_RELEASE);
	return NULL;
}

struct count {
	uint64_t records, lost, last;
};

static int count(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct count *c = ctx;

	(void)pid;
	if (record->kind == EV_lost) {
		c->lost += ((const struct ev_lost *)record)->count;
		return 0;
	}
	assert_true(record->time_ns > c->last &&
		    ((const struct ev_loop_stop *)record)->loop == record->time_ns);
	c->last = record->time_ns;
	c->records++;
	return 0;
}

TEST(rings_read_while_the_target_writes)
{
	struct ring_writer w;
	struct count c = {0};
	pthread_t thread;

	ring_writer_open(&w, folder, "ring-5", 5, 1 << 16, 1);
	assert_int_equal(pthread_create(&thread, NULL, produce, &w), 0);
	while (!rings_processes(rings) || exists("ring-5"))
		assert_true(rings_drain_at(rings, NOW, 0, count, &c) >= 0);
	pthread_join(thread, NULL);
	assert_int_equal(c.records + c.lost, PRODUCED);
	assert_true(c.records > 0);
	ring_writer_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(rings_of_an_empty_folder_give_nothing),
		IN_FOLDER(rings_merge_threads_by_time),
		IN_FOLDER(rings_keep_the_order_within_a_ring),
		IN_FOLDER(rings_hold_young_records_back),
		IN_FOLDER(rings_count_what_comes_too_late),
		IN_FOLDER(rings_grow_while_they_are_read),
		IN_FOLDER(rings_of_two_processes_are_two_streams),
		IN_FOLDER(rings_of_a_process_that_execs_are_one_stream),
		IN_FOLDER(rings_wrap_at_any_place),
		IN_FOLDER(rings_carry_the_largest_record),
		IN_FOLDER(rings_survive_a_sink_that_stops),
		IN_FOLDER(rings_tell_losses_once),
		IN_FOLDER(rings_tell_a_loss_between_what_was_written_before_and_after_it),
		IN_FOLDER(rings_read_while_the_target_writes),
	};

	return RUN_TESTS(tests);
}
