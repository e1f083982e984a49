/* The partition of a thread's time (probe/bpf/partition.h), replayed: the sum is exact whatever
 * comes. */
#include "probe/bpf/partition.h"

#include "tests/unit/unit.h"

#define MS 1000000u

static uint64_t sum(const struct partition *p)
{
	uint64_t sum = 0;

	for (int i = 0; i < PART_CLASSES; i++)
		sum += p->sum_ns[i];
	return sum;
}

#define ARRIVED_BEFORE (3 * MS) /* what the scheduler's own clock is behind ours */

struct thread { /* with the scheduler's true account */
	struct partition part;
	struct part_account account;
	uint64_t now;
};

static void begin(struct thread *t)
{
	*t = (struct thread){.now = 5 * MS};
	t->account.arrived = t->now - ARRIVED_BEFORE;
	part_begin(&t->part, t->now, &t->account);
}

static void run(struct thread *t, uint64_t ns)
{
	t->now += ns;
	t->account.ran_ns += ns;
}

/* On a CPU again. The kernel adds to its account after it has told of the switch. */
static void arrive(struct thread *t, uint64_t runq)
{
	t->account.delayed_ns += runq;
	t->account.arrived = t->now - ARRIVED_BEFORE;
}

/* Out for that long, of it `runq` runnable at the end. */
static void away(struct thread *t, uint64_t off, uint64_t runq)
{
	part_out(&t->part, t->now, 0, &t->account);
	t->now += off + runq;
	part_in(&t->part, t->now, &t->account);
	arrive(t, runq);
}

TEST(partition_gives_each_wait_to_its_class)
{
	struct thread t;

	begin(&t);
	run(&t, 3 * MS);
	part_enter(&t.part, t.now, PART_SLEEP, &t.account);
	run(&t, 1000);
	away(&t, 50 * MS, 2 * MS);
	run(&t, 2000);
	part_exit(&t.part, t.now, &t.account);
	run(&t, 1 * MS);
	away(&t, 4 * MS, 0); /* in no system call: a page */
	part_collect(&t.part, t.now, 1, &t.account);
	run(&t, 7 * MS);
	part_enter(&t.part, t.now, PART_GIL, &t.account);
	run(&t, 500);
	away(&t, 10 * MS, 1 * MS);
	part_exit(&t.part, t.now, &t.account);
	part_collect(&t.part, t.now, 0, &t.account);
	assert_int_equal(t.part.sum_ns[PART_USER], 4 * MS);
	assert_int_equal(t.part.sum_ns[PART_SLEEP], 50 * MS);
	assert_int_equal(t.part.sum_ns[PART_KERNEL], 3000);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 3 * MS);
	assert_int_equal(t.part.sum_ns[PART_FAULT], 4 * MS);
	assert_int_equal(t.part.sum_ns[PART_GC], 7 * MS);
	assert_int_equal(t.part.sum_ns[PART_GIL], 10 * MS + 500);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 0);
	assert_int_equal(t.part.discrepancy_ns, 0);
	assert_int_equal(t.part.healed, 0);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

TEST(partition_calls_being_preempted_the_run_queue)
{
	struct thread t;

	begin(&t);
	run(&t, 1 * MS);
	part_out(&t.part, t.now, 1, &t.account);
	t.now += 16 * MS;
	part_in(&t.part, t.now, &t.account);
	arrive(&t, 15 * MS); /* the scheduler's clock began late */
	run(&t, 1 * MS);
	part_enter(&t.part, t.now, PART_FILE, &t.account);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 16 * MS);
	assert_int_equal(t.part.sum_ns[PART_USER], 2 * MS);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN a switch in that was never told WHEN the thread makes a system call THEN the scheduler's
 * account says when it came and how long it had waited for a CPU */
TEST(partition_heals_a_lost_switch_in)
{
	struct thread t;

	begin(&t);
	part_enter(&t.part, t.now, PART_SLEEP, &t.account);
	away(&t, 1 * MS, 0); /* from which the scheduler's clock is known */
	run(&t, 1000);
	part_out(&t.part, t.now, 0, &t.account);
	t.now += 20 * MS;
	arrive(&t, 3 * MS);
	t.now += 5 * MS; /* it runs, and its account is not brought up to date meanwhile */
	part_exit(&t.part, t.now, &t.account);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 3 * MS);
	assert_int_equal(t.part.sum_ns[PART_SLEEP], 18 * MS);
	assert_int_equal(t.part.sum_ns[PART_KERNEL], 5 * MS + 1000);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 0);
	assert_int_equal(t.part.healed, 1);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN a thread's very first switch in was never told THEN when it came is not known, but what it
 * waited for is */
TEST(partition_knows_a_wait_whose_end_was_the_first_it_missed)
{
	struct thread t;

	begin(&t);
	run(&t, 1 * MS);
	part_enter(&t.part, t.now, PART_SLEEP, &t.account);
	part_out(&t.part, t.now, 0, &t.account);
	t.now += 80 * MS;
	arrive(&t, 2 * MS);
	run(&t, 1000);
	part_exit(&t.part, t.now, &t.account);
	assert_int_equal(t.part.sum_ns[PART_SLEEP], 78 * MS);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 2 * MS);
	assert_int_equal(t.part.sum_ns[PART_KERNEL], 1000);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 0);
	assert_int_equal(t.part.discrepancy_ns, 0);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN it came and went and came, and only the first of these was told THEN the scheduler knows
 * what it ran in between */
TEST(partition_heals_three_lost_switches)
{
	struct thread t;

	begin(&t);
	away(&t, 1 * MS, 0);
	part_out(&t.part, t.now, 0, &t.account);
	t.now += 20 * MS;
	arrive(&t, 3 * MS);
	run(&t, 30 * MS);
	t.now += 10 * MS;
	arrive(&t, 0);
	run(&t, 1 * MS);
	part_enter(&t.part, t.now, PART_FILE, &t.account);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 3 * MS);
	assert_int_equal(t.part.sum_ns[PART_USER], 31 * MS);
	assert_int_equal(t.part.sum_ns[PART_FAULT], 1 * MS + 27 * MS);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 0);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN neither its going nor its coming was told THEN the scheduler knows of both */
TEST(partition_heals_an_absence_that_nobody_told)
{
	struct thread t;

	begin(&t);
	away(&t, 1 * MS, 0);
	part_enter(&t.part, t.now, PART_SLEEP, &t.account);
	run(&t, 2 * MS);
	t.now += 30 * MS; /* away */
	arrive(&t, 4 * MS);
	part_exit(&t.part, t.now, &t.account);
	run(&t, 1 * MS);
	part_out(&t.part, t.now, 0, &t.account);
	assert_int_equal(t.part.sum_ns[PART_KERNEL], 2 * MS);
	assert_int_equal(t.part.sum_ns[PART_SLEEP], 26 * MS);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 4 * MS);
	assert_int_equal(t.part.sum_ns[PART_USER], 1 * MS);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 0);
	assert_int_equal(t.part.healed, 1);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN the scheduler takes the time of a switch before it tells of it THEN its times are believed
 */
TEST(partition_believes_the_scheduler_at_the_edges)
{
	struct thread t;

	begin(&t);
	away(&t, 1 * MS, 0);
	part_enter(&t.part, t.now, PART_SLEEP, &t.account);
	run(&t, 1 * MS);
	t.now += 4000; /* switched out, and not told yet */
	part_out(&t.part, t.now, 0, &t.account);
	t.now += 20 * MS;
	t.account.ran_ns += 9000; /* it is back, and not told yet */
	part_in(&t.part, t.now, &t.account);
	arrive(&t, 0);
	run(&t, 2 * MS);
	part_exit(&t.part, t.now, &t.account);
	run(&t, 3 * MS);
	part_out(&t.part, t.now, 0, &t.account);
	assert_int_equal(t.part.sum_ns[PART_SLEEP], 20 * MS + 4000 - 9000);
	assert_int_equal(t.part.sum_ns[PART_KERNEL], 3 * MS);
	assert_int_equal(t.part.sum_ns[PART_USER], 3 * MS + 9000);
	assert_int_equal(t.part.discrepancy_ns, 9000);
	assert_int_equal(t.part.healed, 0);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN the scheduler's own time of a switch is known THEN it counts, however late the switch is
 * told
 */
TEST(partition_has_switches_when_the_scheduler_had_them)
{
	struct thread t;

	begin(&t);
	part_enter(&t.part, t.now, PART_SLEEP, &t.account);
	for (int i = 0; i < 3; i++) {
		uint64_t late = i == 1 ? 600000 : 2000;

		run(&t, 1 * MS);
		t.account.clock = t.now - ARRIVED_BEFORE;
		part_out(&t.part, t.now + late, 0, &t.account);
		t.now += 20 * MS;
		t.account.clock = t.now - ARRIVED_BEFORE;
		part_in(&t.part, t.now + late, &t.account);
		arrive(&t, 0);
		run(&t, 1 * MS);
		part_exit(&t.part, t.now, &t.account);
		part_enter(&t.part, t.now, PART_SLEEP, &t.account);
	}
	assert_in_range(t.part.sum_ns[PART_SLEEP], 60 * MS - 60000, 60 * MS + 60000);
	assert_in_range(t.part.discrepancy_ns, 0, 60000); /* by what clocks can drift in 20 ms */
	t.account.clock -=
		50 * MS; /* it stood still in a suspend: this switch is when it is told */
	run(&t, 1 * MS);
	part_out(&t.part, t.now, 0, &t.account);
	assert_int_equal(t.part.out_ns, t.now);
	assert_int_equal(t.part.healed, 0);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN a hypervisor had the CPU that the thread was on THEN the thread waited for a CPU, and the
 * longest span of its turn is when */
TEST(partition_calls_stolen_time_the_run_queue)
{
	struct thread t;

	begin(&t);
	t.account.clock = t.now - ARRIVED_BEFORE;
	t.account.stolen_ns = 70 * MS; /* before its time */
	part_out(&t.part, t.now, 0, &t.account);
	t.now += 1 * MS;
	t.account.clock = t.now - ARRIVED_BEFORE;
	part_in(&t.part, t.now, &t.account);
	arrive(&t, 0);
	part_exit(&t.part, t.now, &t.account);
	part_turn(&t.part);
	run(&t, 2 * MS);
	t.now += 4 * MS; /* stolen */
	run(&t, 1 * MS);
	part_enter(&t.part, t.now, PART_FILE, &t.account);
	run(&t, 1 * MS);
	part_exit(&t.part, t.now, &t.account);
	part_enter(&t.part, t.now, PART_SELECT, &t.account);
	t.account.stolen_ns += 4 * MS;
	part_settle(&t.part, &t.account);
	assert_int_equal(t.part.sum_ns[PART_USER], 3 * MS);
	assert_int_equal(t.part.sum_ns[PART_KERNEL], 1 * MS);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 4 * MS);
	assert_int_equal(t.part.stolen_ns, 4 * MS);
	assert_int_equal(part_queued(&t.part), 0);
	assert_int_equal(t.part.discrepancy_ns, 0);
	run(&t, 1000);
	t.account.clock = t.now - ARRIVED_BEFORE;
	part_out(&t.part, t.now, 0, &t.account); /* with the scheduler's account it agrees */
	assert_int_equal(t.part.discrepancy_ns, 0);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 0);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* Out of the selector. */
static void turn(struct thread *t)
{
	part_exit(&t->part, t->now, &t->account);
	part_turn(&t->part);
	memset(t->part.sum_ns, 0, sizeof(t->part.sum_ns));
}

static void out(struct thread *t)
{
	t->account.clock = t->now - ARRIVED_BEFORE;
	part_out(&t->part, t->now, 0, &t->account);
}

/* A ms later, on a CPU of which a hypervisor has had so much in its time. */
static void in(struct thread *t, uint64_t stolen_ns)
{
	t->now += 1 * MS;
	t->account.clock = t->now - ARRIVED_BEFORE;
	t->account.stolen_ns = stolen_ns;
	part_in(&t->part, t->now, &t->account);
	arrive(t, 0);
}

/* After a wait of its selector's. */
static void begin_turn(struct thread *t)
{
	begin(t);
	part_enter(&t->part, t->now, PART_SELECT, &t->account);
	out(t);
	in(t, 70 * MS);
	turn(t);
}

/* GIVEN what is found out only in the next turn, of a wait that was over sooner or of stolen time
 * THEN that turn's sums are changed only by what they have */
TEST(partition_sets_right_only_the_open_turn)
{
	struct thread t;

	begin_turn(&t);
	run(&t, 1 * MS);
	t.account.ran_ns += 300000; /* it was back before */
	out(&t);
	assert_int_equal(t.part.sum_ns[PART_USER], 1 * MS);
	assert_int_equal(sum(&t.part), 1 * MS);
	in(&t, 70 * MS);
	run(&t, 5 * MS);
	part_enter(&t.part, t.now, PART_SELECT, &t.account);
	turn(&t);
	run(&t, 1 * MS);
	t.account.stolen_ns += 3 * MS; /* most of it in the turn before */
	part_settle(&t.part, &t.account);
	part_enter(&t.part, t.now, PART_FILE, &t.account);
	assert_int_equal(sum(&t.part), 1 * MS);
	for (int i = 0; i < PART_CLASSES; i++)
		assert_in_range(t.part.sum_ns[i], 0, 1 * MS);
}

/* GIVEN it moved to a CPU of which a hypervisor has had more THEN only what is taken while it is
 * there was taken from it, and from what it did there */
TEST(partition_knows_each_cpu_by_its_own_account)
{
	struct thread t;

	begin_turn(&t);
	part_enter(&t.part, t.now, PART_FILE, &t.account);
	run(&t, 5 * MS);
	out(&t);
	in(&t, 900 * MS);
	part_exit(&t.part, t.now, &t.account);
	run(&t, 2 * MS);
	t.now += 1 * MS;
	t.account.stolen_ns += 1 * MS;
	out(&t);
	assert_int_equal(t.part.sum_ns[PART_KERNEL], 5 * MS);
	assert_int_equal(t.part.sum_ns[PART_FILE], 1 * MS);
	assert_int_equal(t.part.sum_ns[PART_USER], 2 * MS);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 1 * MS);
	assert_int_equal(t.part.discrepancy_ns, 0);
}

/* GIVEN it was preempted, and we were told late THEN it is the run queue's all the same */
TEST(partition_believes_the_run_queue)
{
	struct thread t;

	begin(&t);
	away(&t, 1 * MS, 0);
	run(&t, 5 * MS);
	t.now += 3 * MS;
	part_out(&t.part, t.now, 1, &t.account);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 3 * MS);
	t.now += 7 * MS;
	part_in(&t.part, t.now, &t.account);
	arrive(&t, 10 * MS);
	part_enter(&t.part, t.now, PART_FILE, &t.account);
	assert_int_equal(t.part.sum_ns[PART_USER], 5 * MS);
	assert_int_equal(t.part.sum_ns[PART_RUNQ], 10 * MS);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 0);
	assert_int_equal(t.part.discrepancy_ns, 3 * MS);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN both switches were never told THEN what the scheduler did not run is not called CPU time */
TEST(partition_gives_up_what_the_scheduler_denies)
{
	struct thread t;

	begin(&t);
	away(&t, 1 * MS, 0);
	run(&t, 2 * MS);
	t.now += 30 * MS; /* away, unseen */
	away(&t, 1 * MS, 0);
	part_enter(&t.part, t.now, PART_FILE, &t.account);
	assert_int_equal(t.part.sum_ns[PART_USER], 2 * MS);
	assert_int_equal(t.part.sum_ns[PART_UNKNOWN], 30 * MS);
	assert_int_equal(t.part.sum_ns[PART_FAULT], 2 * MS);
	assert_int_equal(t.part.discrepancy_ns, 30 * MS);
	assert_int_equal(sum(&t.part), t.now - 5 * MS);
}

/* GIVEN anything in any order, clocks that stand still or go back among it THEN nothing is lost and
 * nothing counts twice */
TEST(partition_sums_exactly_whatever_comes)
{
	struct thread t;

	srand(FUZZ_SEED);
	begin(&t);
	for (int i = 0; i < 200000; i++) {
		uint64_t now = t.now += (uint64_t)(rand() % 3 ? rand() % 100000 : 0);

		now -= (uint64_t)(rand() % 20 ? 0 : rand() % 1000);
		t.account.ran_ns += (uint64_t)(rand() % 60000);
		t.account.delayed_ns += (uint64_t)(rand() % 60000);
		t.account.arrived += (uint64_t)(rand() % 100000);
		t.account.clock = rand() % 4 ? now - (uint64_t)(rand() % 50000) : 0;
		t.account.stolen_ns += (uint64_t)(rand() % 9 ? 0 : rand() % 90000);
		switch (rand() % 7) {
		case 0:
			part_enter(&t.part, now, (uint32_t)(rand() % PART_CLASSES), &t.account);
			break;
		case 1:
			part_exit(&t.part, now, &t.account);
			break;
		case 2:
			part_out(&t.part, now, (uint32_t)(rand() % 2), &t.account);
			break;
		case 3:
			part_turn(&t.part);
			break;
		case 4:
			part_in(&t.part, now, &t.account);
			break;
		case 5:
			part_settle(&t.part, &t.account);
			break;
		default:
			part_collect(&t.part, now, (uint32_t)(rand() % 2), &t.account);
		}
		assert_int_equal(sum(&t.part), t.part.last_ns - 5 * MS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(partition_gives_each_wait_to_its_class),
		RUN(partition_calls_being_preempted_the_run_queue),
		RUN(partition_heals_a_lost_switch_in),
		RUN(partition_knows_a_wait_whose_end_was_the_first_it_missed),
		RUN(partition_heals_three_lost_switches),
		RUN(partition_heals_an_absence_that_nobody_told),
		RUN(partition_believes_the_scheduler_at_the_edges),
		RUN(partition_has_switches_when_the_scheduler_had_them),
		RUN(partition_calls_stolen_time_the_run_queue),
		RUN(partition_sets_right_only_the_open_turn),
		RUN(partition_knows_each_cpu_by_its_own_account),
		RUN(partition_believes_the_run_queue),
		RUN(partition_gives_up_what_the_scheduler_denies),
		RUN(partition_sums_exactly_whatever_comes),
	};

	return RUN_TESTS(tests);
}
