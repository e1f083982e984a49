/* The agent's clock (probe/agent/clock.c, compiled in): CLOCK_MONOTONIC by other means. */
#include "probe/agent/clock.c"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define TURNS 3000000
#define THREADS 4
#define AWAY_NS 20000u /* from the kernel's clock; measured 200 ns on a quiet machine */
#define CLOSE_NS 300u  /* two readings of the kernel's clock with nothing between them but ours */

/* GIVEN a thread that reads both clocks THEN ours never runs back and stays with the kernel's */
static void *clocks_compare(void *unused)
{
	uint64_t last = 0, away = 0;

	for (unsigned int i = 0; i < TURNS; i++) {
		uint64_t before = kernel_ns(CLOCK_MONOTONIC), ours = clock_here_ns();
		uint64_t after = kernel_ns(CLOCK_MONOTONIC);

		if (ours < last)
			return "ran backwards";
		last = ours;
		if (after - before > CLOSE_NS)
			continue;
		away = ours > after ? ours - after : ours < before ? before - ours : 0;
		if (away > AWAY_NS)
			return "left the kernel's clock";
	}
	return NULL;
}

static void clock_stays_with_the_kernels(void **state)
{
	void *wrong;

	clock_open();
	wrong = clocks_compare(NULL);
	if (wrong)
		fail_msg("%s", (char *)wrong);
}

/* GIVEN a child of fork() whose parent had a thread in the middle of the next anchor */
static void clock_goes_on_in_a_child(void **state)
{
#ifdef __x86_64__
	clocks.moving = 1;
	clock_open();
	assert_int_equal(clocks.moving, 0);
#endif
}

static void clock_serves_threads_at_once(void **state)
{
	pthread_t threads[THREADS];
	void *wrong = NULL, *each;

	clock_open();
	for (unsigned int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, clocks_compare, NULL), 0);
	for (unsigned int i = 0; i < THREADS; i++) {
		pthread_join(threads[i], &each);
		wrong = each ? each : wrong;
	}
	if (wrong)
		fail_msg("%s", (char *)wrong);
}

static void clock_without_the_tsc_is_the_kernels(void **state)
{
	uint64_t before, ours;

#ifdef __x86_64__
	memset(&clocks, 0, sizeof(clocks)); /* as clock_open() leaves it there */
	memset(&clock_anchors, 0, sizeof(clock_anchors));
#endif
	before = kernel_ns(CLOCK_MONOTONIC);
	ours = clock_here_ns();
	assert_in_range(ours, before, kernel_ns(CLOCK_MONOTONIC));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clock_stays_with_the_kernels),
		cmocka_unit_test(clock_goes_on_in_a_child),
		cmocka_unit_test(clock_serves_threads_at_once),
		cmocka_unit_test(clock_without_the_tsc_is_the_kernels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
