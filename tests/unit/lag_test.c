/* Promises of viewer/lag.h and viewer/causes.h. */
#include "viewer/lag.h"

#include "tests/unit/unit.h"
#include "viewer/causes.h"

#define MS 1000000ull

static struct lag lag(uint64_t observed_ns, size_t n, const struct busy *busy)
{
	struct busy_set set = {0};
	struct lag result;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(busy_add(&set, busy[i].ns, busy[i].count), 0);
	result = lag_of(&set, observed_ns);
	busy_free(&set);
	return result;
}

/* P(lag > x), straight from its definition. */
static double tail(const struct busy *busy, size_t n, double x, double observed)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		if ((double)busy[i].ns > x)
			sum += ((double)busy[i].ns - x) * (double)busy[i].count;
	return sum / observed;
}

TEST(no_iteration_has_no_lag)
{
	assert_false(lag(1000 * MS, 0, NULL).known);
}

TEST(an_idle_loop_has_p50_0)
{
	struct lag l = lag(1000 * MS, 1, (struct busy[]){{100 * MS, 1}});

	assert_true(l.known);
	assert_int_equal(l.p50_ns, 0);
	assert_int_equal(l.p90_ns, 0);
	assert_int_equal(l.p99_ns, 90 * MS); /* (100 − x) / 1000 = 0.01 */
	assert_int_equal(l.max_ns, 100 * MS);
}

TEST(a_loop_that_is_always_busy_lags_by_its_interval)
{
	struct lag l = lag(1000 * MS, 1, (struct busy[]){{100 * MS, 10}});

	assert_int_equal(l.p50_ns, 50 * MS);
	assert_int_equal(l.p90_ns, 90 * MS);
	assert_int_equal(l.p99_ns, 99 * MS);
}

TEST(observed_time_is_at_least_the_busy_time)
{
	assert_int_equal(lag(1, 1, (struct busy[]){{100 * MS, 1}}).p50_ns, 50 * MS);
}

TEST(sums_beyond_64_bits_do_not_wrap)
{
	struct lag l = lag(0, 1, (struct busy[]){{INT64_MAX, 1000}});

	assert_true(l.p50_ns > INT64_MAX / 2 - 2 && l.p50_ns < INT64_MAX / 2 + 2);
}

/* The smallest x whose tail is small enough, for sets of any shape. */
TEST(percentiles_are_the_smallest_that_hold)
{
	uint64_t seed = FUZZ_SEED;

	for (int round = 0; round < 3000; round++) {
		size_t n = unit_random(&seed) % 20 + 1;
		struct busy busy[20];
		uint64_t sum = 0, observed;
		double at;
		struct lag l;

		for (size_t i = 0; i < n; i++) {
			busy[i] = (struct busy){
				unit_random(&seed) % (1000 * MS) + 1, unit_random(&seed) % 5 + 1};
			sum += busy[i].ns * busy[i].count;
		}
		observed = sum + unit_random(&seed) % (sum * 3);
		at = (double)observed;
		l = lag(observed, n, busy);
		assert_true(tail(busy, n, (double)l.p50_ns, at) <= 0.5 + 1e-8);
		assert_true(tail(busy, n, (double)l.p90_ns, at) <= 0.1 + 1e-8);
		assert_true(tail(busy, n, (double)l.p99_ns, at) <= 0.01 + 1e-8);
		assert_true(!l.p50_ns || tail(busy, n, (double)l.p50_ns - 2, at) >= 0.5 - 1e-8);
		assert_true(!l.p90_ns || tail(busy, n, (double)l.p90_ns - 2, at) >= 0.1 - 1e-8);
		assert_true(!l.p99_ns || tail(busy, n, (double)l.p99_ns - 2, at) >= 0.01 - 1e-8);
	}
}

static struct causes of(uint64_t cpu, uint64_t sleep, uint64_t gc)
{
	struct causes c = {0};

	c.ns[CAUSE_cpu] = cpu;
	c.ns[CAUSE_sleep] = sleep;
	c.ns[CAUSE_gc] = gc;
	return c;
}

TEST(a_part_keeps_what_was_timed_on_its_side)
{
	struct causes whole = of(100, 300, 0), none = {0}, calls = of(0, 300, 0), part;

	causes_part(&whole, &calls, &none, 320, &part); /* the sleep lies inside */
	assert_int_equal(part.ns[CAUSE_sleep], 300);
	assert_int_equal(part.ns[CAUSE_cpu], 20);
	causes_part(&whole, &none, &calls, 80, &part); /* the sleep lies outside */
	assert_int_equal(part.ns[CAUSE_sleep], 0);
	assert_int_equal(part.ns[CAUSE_cpu], 80);
	causes_part(&whole, &none, &none, 200, &part); /* nobody knows: in proportion */
	assert_int_equal(part.ns[CAUSE_sleep], 150);
	assert_int_equal(part.ns[CAUSE_cpu], 50);
}

TEST(parts_always_sum_to_their_length)
{
	uint64_t seed = FUZZ_SEED;

	for (int round = 0; round < 20000; round++) {
		struct causes whole = {0}, inside = {0}, outside = {0}, part;
		uint64_t total, length, us[CAUSE_COUNT], sum = 0;

		for (int i = 0; i < CAUSE_COUNT; i++) {
			whole.ns[i] = unit_random(&seed) % 5 ? 0 : unit_random(&seed) % 1000000;
			inside.ns[i] = unit_random(&seed) % 3 ? 0 : unit_random(&seed) % 1000000;
			outside.ns[i] = unit_random(&seed) % 3 ? 0 : unit_random(&seed) % 1000000;
		}
		total = causes_total(&whole);
		length = total ? unit_random(&seed) % total : 0;
		causes_part(&whole, &inside, &outside, length, &part);
		assert_int_equal(causes_total(&part), length);
		causes_us(&whole, total, us);
		for (int i = 0; i < CAUSE_COUNT; i++)
			sum += us[i];
		assert_int_equal(sum, (total + 500) / 1000);
	}
}

TEST(classes_are_causes_by_name)
{
	assert_int_equal(cause_of_class("sleep"), CAUSE_sleep);
	assert_int_equal(cause_of_class("database"), CAUSE_database);
	assert_int_equal(cause_of_class("news"), CAUSE_other);
	assert_string_equal(cause_name(CAUSE_dns), "dns");
	assert_string_equal(cause_name(CAUSE_gil), "gil");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(no_iteration_has_no_lag),
		RUN(an_idle_loop_has_p50_0),
		RUN(a_loop_that_is_always_busy_lags_by_its_interval),
		RUN(observed_time_is_at_least_the_busy_time),
		RUN(sums_beyond_64_bits_do_not_wrap),
		RUN(percentiles_are_the_smallest_that_hold),
		RUN(a_part_keeps_what_was_timed_on_its_side),
		RUN(parts_always_sum_to_their_length),
		RUN(classes_are_causes_by_name),
	};

	return RUN_TESTS(tests);
}
