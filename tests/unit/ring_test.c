/* The agent's side of a ring (probe/agent/ring.c, compiled in) against the recorder's: what is left
 * at the ring's end is padded or skipped, and a full ring drops and counts. */
#include "probe/agent/ring.c"

#include "tests/unit/unit.h"

#include <dirent.h>

#include "collector/rings.h"

#define PID 4711u
#define NOW 1000000000000ull
#define FIXED sizeof(struct ev_name)

struct agent_state agent = {.pid = PID};

static uint64_t clock_ns;
static char folder[64];
static struct rings *recorder;
static struct {
	unsigned int records;
	uint32_t id;   /* of the newest */
	size_t length; /* of its text */
	uint64_t lost;
} taken;

uint64_t clock_now_ns(void)
{
	return ++clock_ns;
}

void thread_announce(void)
{
	agent_thread.known = 1;
}

static char letter(uint32_t id)
{
	return (char)('a' + id % 26);
}

static int take(void *ctx, uint32_t pid, const struct ev_head *record)
{
	const struct ev_name *name = (const void *)record;
	const char *text;

	(void)ctx;
	assert_int_equal(pid, PID);
	if (record->kind == EV_lost) {
		taken.lost += ((const struct ev_lost *)record)->count;
		return 0;
	}
	assert_int_equal(record->kind, EV_name);
	assert_int_equal(record_check(record, record->size_words * 8ull), 0);
	text = record_tail(record, 0, &taken.length);
	for (size_t i = 0; i < taken.length; i++)
		assert_int_equal(text[i], letter(name->id));
	taken.id = name->id;
	taken.records++;
	return 0;
}

static void drain(void)
{
	memset(&taken, 0, sizeof(taken));
	assert_true(rings_drain_at(recorder, NOW, 0, take, NULL) >= 0);
}

static bool put(uint32_t id, size_t length)
{
	struct ev_name *e = ring_new(name, length, 0);

	if (!e)
		return false;
	e->id = id;
	e->text_len = (uint32_t)length;
	memset(e + 1, letter(id), length);
	ring_end(e);
	return true;
}

static uint64_t room_at_end(void)
{
	return RING_BYTES - (rings.ring[0].head & (RING_BYTES - 1));
}

/* Records up to where just `bytes` are left before the ring's end. */
static void fill_up_to(uint64_t bytes)
{
	uint64_t left = room_at_end() - bytes;
	const uint64_t most = 32768; /* of one record */

	while (left) {
		uint64_t size = left > 2 * most ? most : left > most ? left / 2 & ~7ull : left;

		assert_true(put(1, size - FIXED));
		drain();
		assert_int_equal(taken.records, 1);
		left -= size;
	}
	assert_int_equal(room_at_end(), bytes);
}

static int open_ring(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/ring-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(setenv(ENV_SESSION, folder, 1), 0);
	assert_int_equal(ring_open(), 0);
	return rings_open(folder, &recorder);
}

static int close_ring(void **state)
{
	DIR *dir = opendir(folder);
	const struct dirent *entry;

	(void)state;
	ring_close();
	rings_free(recorder);
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(folder);
}

TEST(ring_goes_round_whatever_is_left_at_its_end)
{
	/* the 8 bytes of the second are too few for a pad's head */
	static const uint64_t left[] = {0, 8, 16, 24, 32, 4096, 8, 8};

	for (uint32_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
		uint64_t before;

		fill_up_to(left[i] ? left[i] : RING_BYTES);
		before = rings.ring[0].head;
		assert_true(put(100 + i, 5000));
		assert_int_equal(
			rings.ring[0].head - before, left[i] + ((FIXED + 5000 + 7) & ~7ull));
		drain();
		assert_int_equal(taken.records, 1);
		assert_int_equal(taken.id, 100 + i);
		assert_int_equal(taken.length, 5000);
		assert_int_equal(taken.lost, 0);
	}
}

TEST(ring_that_is_full_drops_what_comes_and_counts_it)
{
	unsigned int kept = 0, dropped = 0;

	fill_up_to(8);
	while (put(kept, 2900))
		kept++;
	for (dropped = 1; dropped < 10; dropped++)
		assert_false(put(0, 2900));
	assert_true(put(kept, 0)); /* a small one still fits */
	drain();
	assert_int_equal(taken.records, kept + 1);
	assert_int_equal(taken.id, kept);
	drain();
	drain();
	assert_int_equal(rings.ring[0].control->dropped, dropped);
	assert_true(put(7, 3000));
	drain();
	assert_int_equal(taken.records, 1);
	assert_int_equal(taken.id, 7);
}

TEST(ring_takes_no_record_from_a_handler_that_interrupted_one)
{
	struct ev_name *e = ring_new(name, 8, 0);

	assert_non_null(e);
	assert_false(put(2, 8)); /* the handler's */
	e->id = 3;
	e->text_len = 8;
	memset(e + 1, letter(3), 8);
	ring_end(e);
	drain();
	assert_int_equal(taken.records, 1);
	assert_int_equal(taken.id, 3);
	assert_int_equal(ring_mapped->in_signal, 1);
}

TEST(ring_of_a_child_gets_no_record_that_its_parent_began)
{
	struct ev_name *e = ring_new(name, 8, 0);

	assert_non_null(e);
	ring_forked(); /* by a signal handler, which then goes back into the child */
	agent.pid = PID + 1;
	assert_int_equal(ring_open(), 0);
	e->id = 3;
	e->text_len = 8;
	memset(e + 1, letter(3), 8);
	ring_end(e);
	assert_int_equal(rings.ring[0].head, 0);
	assert_int_equal(rings.ring[0].control->head, 0);
	agent.pid = PID;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			ring_goes_round_whatever_is_left_at_its_end, open_ring, close_ring),
		cmocka_unit_test_setup_teardown(
			ring_that_is_full_drops_what_comes_and_counts_it, open_ring, close_ring),
		cmocka_unit_test_setup_teardown(
			ring_takes_no_record_from_a_handler_that_interrupted_one, open_ring,
			close_ring),
		cmocka_unit_test_setup_teardown(
			ring_of_a_child_gets_no_record_that_its_parent_began, open_ring,
			close_ring),
	};

	return RUN_TESTS(tests);
}
