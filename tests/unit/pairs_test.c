/* What the kernel and an agent say of the same iterations and calls is matched, each thing once. */
#include "collector/pairs.h"

#include "tests/unit/unit.h"

#define PID 40u
#define TID 41u
#define US 1000ull
#define MS 1000000ull
#define HANDED_MAX 16

struct handed { /* what came out */
	struct {
		unsigned int kind;
		uint64_t time_ns, begin_ns;
		uint32_t inside;
	} at[HANDED_MAX];
	unsigned int count;
};

static int take(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct handed *h = ctx;

	assert_int_equal(pid, PID);
	assert_int_equal(record->tid, TID);
	assert_in_range(h->count, 0, HANDED_MAX - 1);
	h->at[h->count].kind = record->kind;
	h->at[h->count].time_ns = record->time_ns;
	if (record->kind == EV_causes)
		h->at[h->count].begin_ns = ((const struct ev_causes *)record)->begin_ns;
	if (record->kind == EV_call_wait) {
		h->at[h->count].begin_ns = ((const struct ev_call_wait *)record)->begin_ns;
		h->at[h->count].inside = ((const struct ev_call_wait *)record)->inside;
	}
	if (record->kind != EV_watched)
		h->count++;
	return 0;
}

static struct pairs *pairs_of_a_thread(void)
{
	struct pairs *p;

	assert_int_equal(pairs_new(&p), 0);
	assert_int_equal(pairs_thread(p, PID, TID), 0);
	return p;
}

#define HEAD(name, end_ns)                                                                         \
	{                                                                                          \
		.time_ns = (end_ns), .tid = TID, .kind = EV_##name,                                \
		.size_words = sizeof(struct ev_##name) / 8                                         \
	}

static void turn(struct pairs *p, uint64_t begin_ns, uint64_t end_ns)
{
	const struct ev_causes c = {
		.head = HEAD(causes, end_ns), .begin_ns = begin_ns, .user_ns = end_ns - begin_ns};

	assert_int_equal(pairs_turn(p, PID, &c), 0);
}

static void wait_in(struct pairs *p, uint64_t begin_ns, uint64_t end_ns)
{
	const struct ev_call_wait w = {
		.head = HEAD(call_wait, end_ns), .begin_ns = begin_ns, .off_ns = end_ns - begin_ns};

	assert_int_equal(pairs_wait(p, PID, &w), 0);
}

static struct ev_iteration iteration(uint64_t begin_ns, uint64_t end_ns)
{
	return (struct ev_iteration){
		.head = HEAD(iteration, end_ns), .loop = 7, .begin_ns = begin_ns};
}

static struct handed before_iteration(struct pairs *p, uint64_t begin_ns, uint64_t end_ns)
{
	struct ev_iteration r = iteration(begin_ns, end_ns);
	struct handed h = {0};

	assert_int_equal(pairs_hand_out(p, PID, &r.head, take, &h), 0);
	return h;
}

static struct handed before_block(struct pairs *p, uint64_t begin_ns, uint64_t end_ns)
{
	const struct ev_block r = {.head = HEAD(block, end_ns), .begin_ns = begin_ns};
	struct handed h = {0};

	assert_int_equal(pairs_hand_out(p, PID, &r.head, take, &h), 0);
	return h;
}

TEST(causes_come_before_the_iteration_they_are_of)
{
	struct pairs *p = pairs_of_a_thread();
	struct handed h;

	turn(p, 10 * MS, 20 * MS);
	turn(p, 20 * MS + 2 * US, 30 * MS);
	h = before_iteration(p, 10 * MS + 300, 20 * MS - 900);
	assert_int_equal(h.count, 1);
	assert_int_equal(h.at[0].kind, EV_causes);
	assert_int_equal(h.at[0].begin_ns, 10 * MS);
	assert_int_equal(h.at[0].time_ns, 20 * MS - 900); /* in the agent's order of time */
	h = before_iteration(p, 20 * MS + 3 * US, 30 * MS - 900);
	assert_int_equal(h.count, 1);
	assert_int_equal(h.at[0].begin_ns, 20 * MS + 2 * US);
	pairs_free(p);
}

TEST(who_had_the_cpu_comes_before_the_causes_of_the_same_iteration)
{
	struct pairs *p = pairs_of_a_thread();
	struct {
		struct ev_cpu_taken taken;
		char name[8];
	} by = {.taken = {.head = HEAD(cpu_taken, 20 * MS), .ns = 5 * MS, .name_len = 4},
		.name = "make"};
	struct handed h;

	by.taken.head.size_words = sizeof(by) / 8;
	assert_int_equal(pairs_taken(p, PID, &by.taken), 0);
	turn(p, 10 * MS, 20 * MS);
	turn(p, 20 * MS + 2 * US, 30 * MS);
	h = before_iteration(p, 10 * MS + 300, 20 * MS - 900);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.at[0].kind, EV_cpu_taken);
	assert_int_equal(h.at[0].time_ns, 20 * MS - 900);
	assert_int_equal(h.at[1].kind, EV_causes);
	assert_int_equal(before_iteration(p, 20 * MS + 3 * US, 30 * MS - 900).count, 1);
	pairs_free(p);
}

TEST(an_iteration_the_kernel_did_not_tell_of_has_no_causes)
{
	struct pairs *p = pairs_of_a_thread();

	turn(p, 10 * MS, 20 * MS);
	turn(p, 40 * MS, 50 * MS);
	assert_int_equal(before_iteration(p, 25 * MS, 35 * MS).count, 0);
	assert_int_equal(before_iteration(p, 40 * MS, 50 * MS).count, 1); /* the next one has */
	pairs_free(p);
}

TEST(an_iteration_with_another_loops_turns_in_it_is_none_of_them)
{
	struct pairs *p = pairs_of_a_thread();

	turn(p, 14 * MS, 16 * MS);
	assert_int_equal(before_iteration(p, 10 * MS, 20 * MS).count, 0);
	pairs_free(p);
}

TEST(waits_belong_to_the_call_around_them)
{
	struct pairs *p = pairs_of_a_thread();
	struct handed h;

	wait_in(p, 10 * MS + 50, 12 * MS - 50);
	wait_in(p, 13 * MS, 14 * MS);
	h = before_block(p, 10 * MS, 15 * MS);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.at[0].begin_ns, 10 * MS + 50);
	assert_int_equal(h.at[1].begin_ns, 13 * MS);
	assert_int_equal(h.at[0].inside & h.at[1].inside, 1);
	assert_int_equal(before_block(p, 10 * MS, 15 * MS).count, 0); /* each once */
	pairs_free(p);
}

TEST(a_wait_that_no_agent_saw_comes_with_its_iteration)
{
	struct pairs *p = pairs_of_a_thread();
	struct handed h;

	wait_in(p, 5 * MS, 6 * MS); /* while no loop ran */
	wait_in(p, 11 * MS, 12 * MS);
	wait_in(p, 13 * MS, 14 * MS);
	assert_int_equal(before_block(p, 13 * MS - 100, 14 * MS + 100).count, 1);
	turn(p, 10 * MS, 20 * MS);
	h = before_iteration(p, 10 * MS, 20 * MS);
	assert_int_equal(h.count, 2);
	assert_int_equal(h.at[0].kind, EV_call_wait);
	assert_int_equal(h.at[0].begin_ns, 11 * MS);
	assert_int_equal(h.at[0].inside, 0);
	assert_int_equal(h.at[1].kind, EV_causes);
	pairs_free(p);
}

TEST(the_end_of_a_turn_is_awaited_where_it_must_come)
{
	struct pairs *p = pairs_of_a_thread();
	struct ev_iteration r = iteration(10 * MS, 20 * MS);
	struct ev_iteration brief = iteration(30 * MS, 30 * MS + 50 * US);

	assert_true(pairs_awaits(p, PID, &r.head, 100 * US));
	assert_false(pairs_awaits(p, PID, &brief.head, 100 * US));
	assert_false(pairs_awaits(p, PID + 1, &r.head, 100 * US)); /* not watched */
	turn(p, 10 * MS, 25 * MS);
	assert_false(pairs_awaits(p, PID, &r.head, 100 * US));
	pairs_free(p);
}

TEST(what_nobody_takes_is_bounded)
{
	struct pairs *p = pairs_of_a_thread();
	const uint64_t n = PAIRS_TURNS_MAX + 10;

	for (uint64_t i = 1; i <= n; i++) {
		turn(p, i * MS, i * MS + 500 * US);
		wait_in(p, i * MS, i * MS + 400 * US);
	}
	assert_int_equal(before_iteration(p, 5 * MS, 5 * MS + 500 * US).count, 0);
	assert_int_equal(before_iteration(p, n * MS, n * MS + 500 * US).count, 2);
	pairs_free(p);
}

TEST(what_an_agent_left_unfinished_ends_with_its_thread)
{
	struct ev_unfinished r = {.head = HEAD(unfinished, 900 * MS),
		.begin_ns = 100 * MS,
		.call = 9,
		.call_begin_ns = 150 * MS};
	struct pairs *p = pairs_of_a_thread();
	struct handed h = {0};

	turn(p, 10 * MS, 90 * MS);
	turn(p, 100 * MS - 900, 800 * MS);
	wait_in(p, 20 * MS, 80 * MS);
	wait_in(p, 110 * MS, 140 * MS);
	wait_in(p, 150 * MS + 2 * US, 800 * MS - 3 * US);
	assert_int_equal(pairs_hand_out(p, PID, &r.head, take, &h), 0);
	assert_int_equal(h.count, 3);
	assert_int_equal(h.at[0].kind, EV_call_wait);
	assert_int_equal(h.at[0].begin_ns, 150 * MS + 2 * US);
	assert_int_equal(h.at[0].inside, 1);
	assert_int_equal(h.at[1].begin_ns, 110 * MS);
	assert_int_equal(h.at[1].inside, 0);
	assert_int_equal(h.at[2].kind, EV_causes);
	assert_int_equal(h.at[2].begin_ns, 100 * MS - 900);
	assert_int_equal(h.at[2].time_ns, 900 * MS);
	pairs_free(p);
}

TEST(what_goes_on_has_no_causes_of_the_kernels_yet)
{
	const struct ev_unfinished r = {.head = HEAD(unfinished, 900 * MS), .begin_ns = 100 * MS};
	struct pairs *p = pairs_of_a_thread();
	struct handed h = {0};

	turn(p, 10 * MS, 90 * MS);
	assert_int_equal(pairs_hand_out(p, PID, &r.head, take, &h), 0);
	assert_int_equal(h.count, 0);
	pairs_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(causes_come_before_the_iteration_they_are_of),
		RUN(who_had_the_cpu_comes_before_the_causes_of_the_same_iteration),
		RUN(an_iteration_the_kernel_did_not_tell_of_has_no_causes),
		RUN(an_iteration_with_another_loops_turns_in_it_is_none_of_them),
		RUN(waits_belong_to_the_call_around_them),
		RUN(a_wait_that_no_agent_saw_comes_with_its_iteration),
		RUN(the_end_of_a_turn_is_awaited_where_it_must_come),
		RUN(what_nobody_takes_is_bounded),
		RUN(what_an_agent_left_unfinished_ends_with_its_thread),
		RUN(what_goes_on_has_no_causes_of_the_kernels_yet),
	};

	return RUN_TESTS(tests);
}
