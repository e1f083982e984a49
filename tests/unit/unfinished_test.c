/* What a ring's control says of a process that has ended is told, and nothing that cannot be. */
#include "collector/unfinished.h"

#include "tests/unit/rings_folder.h"

#define PID 5u
#define TID 6u
#define MS 1000000ull
#define END_NS (1000 * MS)
#define BEGIN_NS (500 * MS)
#define CALL_RECV 9u

struct told {
	struct ev_unfinished last;
	unsigned int count;
};

static int keep(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct told *t = ctx;

	assert_int_equal(pid, PID);
	assert_int_equal(record->kind, EV_unfinished);
	assert_int_equal(record_check(record, record->size_words * 8ull), 0);
	t->last = *(const struct ev_unfinished *)record;
	t->count++;
	return 0;
}

static int drop(void *ctx, uint32_t pid, const struct ev_head *record)
{
	(void)ctx, (void)pid, (void)record;
	return 0;
}

/* Of a process whose second ring has this control. */
static struct told told_of(const struct ring_control *control)
{
	struct ring_control *c;
	struct sampler *sampler;
	struct told t = {0};
	struct ring_writer w;
	struct feed *feed;

	ring_writer_open(&w, folder, "ring-5", PID, SMALL, 2);
	c = ring_writer_control(&w, 1);
	*c = *control;
	assert_int_equal(sampler_new(&sampler), 0);
	assert_int_equal(rings_feed_open(folder, &feed), 0);
	feed->ops->drain(feed, 0, drop, NULL);
	assert_int_equal(unfinished_tell(feed, sampler, PID, END_NS, keep, &t), 0);
	assert_int_equal(unfinished_tell(feed, sampler, PID + 1, END_NS, keep, &t), 0);
	feed->ops->release(feed, PID);
	feed->ops->drain(feed, 0, drop, NULL);
	assert_int_equal(unfinished_tell(feed, sampler, PID, END_NS, keep, &t), 0);
	feed->ops->free(feed);
	sampler_free(sampler);
	ring_writer_close(&w);
	unlink(w.path);
	return t;
}

TEST(unfinished_call_is_told_once)
{
	const struct told t = told_of(&(struct ring_control){.tid = TID,
		.busy_since_ns = BEGIN_NS,
		.call = CALL_RECV,
		.call_since_ns = 600 * MS});

	assert_int_equal(t.count, 1);
	assert_int_equal(t.last.head.tid, TID);
	assert_int_equal(t.last.head.time_ns, END_NS);
	assert_int_equal(t.last.begin_ns, BEGIN_NS);
	assert_int_equal(t.last.call, CALL_RECV);
	assert_int_equal(t.last.call_begin_ns, 600 * MS);
	assert_int_equal(t.last.cpu_ns, -1);
}

TEST(unfinished_wait_for_the_gil_counts_those_before_it_in_the_same_turn)
{
	struct ring_control c = {.tid = TID,
		.busy_since_ns = BEGIN_NS,
		.gil_turn_ns = BEGIN_NS,
		.gil_ns = 40 * MS,
		.gil_since_ns = 990 * MS};

	assert_int_equal(told_of(&c).last.gil_ns, 50 * MS);
	c.gil_turn_ns--;
	assert_int_equal(told_of(&c).last.gil_ns, 10 * MS);
	c.gil_turn_ns++;
	c.gil_ns = UINT64_MAX;
	assert_int_equal(told_of(&c).last.gil_ns, END_NS - BEGIN_NS);
}

TEST(unfinished_is_nothing_in_the_selector_or_for_a_moment)
{
	assert_int_equal(told_of(&(struct ring_control){.tid = TID, .call = CALL_RECV}).count, 0);
	assert_int_equal(
		told_of(&(struct ring_control){.tid = TID, .busy_since_ns = END_NS - MS}).count, 0);
	assert_int_equal(told_of(&(struct ring_control){.busy_since_ns = BEGIN_NS}).count, 0);
	assert_int_equal(
		told_of(&(struct ring_control){.tid = TID, .busy_since_ns = END_NS + 1}).count, 0);
}

TEST(unfinished_believes_no_time_outside_of_the_iteration_and_no_unknown_call)
{
	struct ring_control c = {.tid = TID,
		.busy_since_ns = BEGIN_NS,
		.call = CALL_RECV,
		.call_since_ns = BEGIN_NS - 1,
		.gc_since_ns = END_NS + 1,
		.gil_since_ns = BEGIN_NS - 1};
	struct told t = told_of(&c);

	assert_int_equal(t.count, 1);
	assert_int_equal(t.last.call, 0);
	assert_int_equal(t.last.gc_begin_ns, 0);
	assert_int_equal(t.last.gil_ns, 0);
	c.call_since_ns = UINT64_MAX;
	assert_int_equal(told_of(&c).last.call, 0);
	c.call_since_ns = 600 * MS;
	c.call = UINT32_MAX;
	assert_int_equal(told_of(&c).last.call, 0);
}

TEST(unfinished_of_a_process_that_has_exec_ed_is_its_newest_files)
{
	struct ring_writer old, new;
	struct sampler *sampler;
	struct told t = {0};
	struct feed *feed;

	ring_writer_open(&old, folder, "ring-5", PID, SMALL, 2);
	ring_writer_open(&new, folder, "ring-5.1", PID, SMALL, 2);
	*ring_writer_control(&old, 1) =
		(struct ring_control){.tid = TID, .busy_since_ns = BEGIN_NS};
	assert_int_equal(sampler_new(&sampler), 0);
	assert_int_equal(rings_feed_open(folder, &feed), 0);
	feed->ops->drain(feed, 0, drop, NULL);
	assert_int_equal(unfinished_tell(feed, sampler, PID, END_NS, keep, &t), 0);
	assert_int_equal(t.count, 0);
	feed->ops->free(feed);
	sampler_free(sampler);
	ring_writer_close(&old);
	ring_writer_close(&new);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FOLDER(unfinished_call_is_told_once),
		IN_FOLDER(unfinished_wait_for_the_gil_counts_those_before_it_in_the_same_turn),
		IN_FOLDER(unfinished_is_nothing_in_the_selector_or_for_a_moment),
		IN_FOLDER(unfinished_believes_no_time_outside_of_the_iteration_and_no_unknown_call),
		IN_FOLDER(unfinished_of_a_process_that_has_exec_ed_is_its_newest_files),
	};

	return RUN_TESTS(tests);
}
