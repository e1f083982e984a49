/*
 * Streams of real loop threads, as the kernel told them (partition_streams.py), replayed: whole,
 * the partition leaves nothing unknown; with pieces missing its sums stay exact, and only turns
 * that miss something change, not by a ns.
 */
#include <stdbool.h>

#include "probe/bpf/partition.h"

#include "tests/unit/unit.h"

struct event {
	uint8_t told, argument;
	uint64_t after_ns;
	uint64_t ran_ns, delayed_ns, arrived; /* how much the account had grown */
	int64_t clock, stolen_ns;             /* the CPU's, which need not be the same one */
};

#include "tests/unit/partition_streams.h"

#define EVENTS_MAX 4096
#define TURNS_MAX 512
#define TRIALS 300
#define MISSING_MAX 8u
#define LEARNED_NS 5000u /* 1.1 us at most with these streams and a hundred seeds (2026-11) */

struct turn {
	size_t first, last; /* events; that of its end */
	uint64_t begin_ns, busy_ns;
	struct partition at_begin;
	__u64 sum_ns[PART_ROOM];
};

/*
 * Our clock less the scheduler's, as known before an event. It is learned from all switches before,
 * so it depends on which are missing, and a turn's switches are placed by it: for what the others'
 * absence does besides, it is given.
 */
struct offset {
	__u64 clock, clock_ns;
};

struct replay {
	struct partition part;
	struct part_account account;
	uint64_t now;
	struct turn turn[TURNS_MAX];
	size_t turns;
	bool open;
};

static uint64_t sum(const __u64 sum_ns[PART_ROOM])
{
	uint64_t sum = 0;

	for (int i = 0; i < PART_CLASSES; i++)
		sum += sum_ns[i];
	return sum;
}

static void turn_begin(struct replay *r, size_t at)
{
	assert_true(r->turns < TURNS_MAX);
	r->turn[r->turns] =
		(struct turn){.first = at, .begin_ns = r->part.last_ns, .at_begin = r->part};
	r->open = true;
}

static void turn_end(struct replay *r, size_t at)
{
	struct turn *t = &r->turn[r->turns];

	if (!r->open)
		return;
	t->last = at;
	t->busy_ns = r->now - t->begin_ns;
	for (int i = 0; i < PART_CLASSES; i++)
		t->sum_ns[i] = r->part.sum_ns[i] - t->at_begin.sum_ns[i];
	r->turns++;
	r->open = false;
}

/* What of the turn's time was not as it seemed is known by now; its length stays. */
static void turn_settle(struct replay *r, size_t at)
{
	struct turn *t = &r->turn[r->turns - 1];

	if (r->open || !r->turns)
		return;
	t->last = at + 1;
	for (int i = 0; i < PART_CLASSES; i++)
		if (i != PART_SELECT)
			t->sum_ns[i] = r->part.sum_ns[i] - t->at_begin.sum_ns[i];
}

static void tell(struct replay *r, const struct event *e)
{
	switch (e->told) {
	case PART_TOLD_ENTER:
		part_enter(&r->part, r->now, e->argument, &r->account);
		break;
	case PART_TOLD_EXIT:
		part_exit(&r->part, r->now, &r->account);
		break;
	case PART_TOLD_COLLECT:
		part_collect(&r->part, r->now, e->argument, &r->account);
		break;
	case PART_TOLD_OUT:
		part_out(&r->part, r->now, e->argument, &r->account);
		break;
	case PART_TOLD_IN:
		part_in(&r->part, r->now, &r->account);
		break;
	case PART_TOLD_SETTLE:
		part_settle(&r->part, &r->account);
		break;
	default:
		part_turn(&r->part);
	}
}

static void offset_pass(struct partition *p, struct offset *known, bool given)
{
	if (!given) {
		*known = (struct offset){.clock = p->clock, .clock_ns = p->clock_ns};
		return;
	}
	p->clock = known->clock;
	p->clock_ns = known->clock_ns;
}

/* A turn begins and ends with these: what it is without them is another question. */
static bool is_bound(const struct event *e, size_t i, size_t count)
{
	return e[i].told == PART_TOLD_TURN ||
	       (e[i].told == PART_TOLD_ENTER && e[i].argument == PART_SELECT) ||
	       (i + 1 < count && e[i + 1].told == PART_TOLD_TURN);
}

/*
 * known: NULL, so that the offset is learned; else what is known of it is left there where nothing
 * is missing, and given from there where something is.
 */
static void replay(struct replay *r, const struct event *e, size_t count, const bool *missing,
	struct offset *known)
{
	*r = (struct replay){.now = 1000000000,
		.account = {.arrived = 500000000, .clock = 500000000, .stolen_ns = 1000000000}};
	part_begin(&r->part, r->now, &r->account);
	for (size_t i = 0; i < count; i++) {
		r->now += e[i].after_ns;
		r->account.ran_ns += e[i].ran_ns;
		r->account.delayed_ns += e[i].delayed_ns;
		r->account.arrived += e[i].arrived;
		r->account.clock += (uint64_t)e[i].clock;
		r->account.stolen_ns += (uint64_t)e[i].stolen_ns;
		if (known)
			offset_pass(&r->part, &known[i], missing);
		if (missing && missing[i])
			continue;
		tell(r, &e[i]);
		if (e[i].told == PART_TOLD_TURN)
			turn_begin(r, i);
		else if (e[i].told == PART_TOLD_ENTER && e[i].argument == PART_SELECT)
			turn_end(r, i);
		else if (e[i].told == PART_TOLD_SETTLE)
			turn_settle(r, i);
	}
}

static void check_sums(const struct replay *r)
{
	assert_int_equal(sum(r->part.sum_ns), r->part.last_ns - 1000000000);
	for (size_t i = 0; i < r->turns; i++)
		assert_int_equal(sum(r->turn[i].sum_ns), r->turn[i].busy_ns);
}

static void replay_whole(const char *name, const struct event *e, size_t count)
{
	static struct replay r;

	replay(&r, e, count, NULL, NULL);
	check_sums(&r);
	for (size_t i = 0; i < r.turns; i++)
		if (r.turn[i].sum_ns[PART_UNKNOWN])
			fail_msg("%s: turn %zu has %llu ns unknown", name, i,
				(unsigned long long)r.turn[i].sum_ns[PART_UNKNOWN]);
	assert_true(r.turns > 2);
}

/* A turn is measured from the thread's last switch before it on: it is touched where any of that is
 * missing. */
static bool is_touched(
	const struct replay *r, const struct event *e, size_t turn, const bool *missing)
{
	size_t first = r->turn[turn].first;

	while (first && e[first].told != PART_TOLD_OUT)
		first--;
	for (size_t i = first; i < r->turn[turn].last; i++)
		if (missing[i])
			return true;
	return false;
}

static bool is_same(const struct turn *a, const struct turn *b, uint64_t most_ns)
{
	for (int i = 0; i < PART_CLASSES; i++) {
		uint64_t x = a->sum_ns[i], y = b->sum_ns[i];

		if ((x > y ? x - y : y - x) > most_ns)
			return false;
	}
	return true;
}

static void choose_missing(const struct event *e, size_t count, bool *missing)
{
	unsigned int k = 1 + (unsigned int)rand() % MISSING_MAX;

	memset(missing, 0, count);
	while (k--) {
		size_t i = (size_t)rand() % count;

		missing[i] = !is_bound(e, i, count);
	}
}

/* Of the turns that miss nothing none has changed by more. How many of the others have. */
static size_t check_turns(const char *name, const struct event *e, const struct replay *whole,
	const struct replay *holed, const bool *missing, uint64_t most_ns)
{
	size_t changed = 0;

	check_sums(holed);
	assert_int_equal(holed->turns, whole->turns);
	for (size_t i = 0; i < whole->turns; i++) {
		bool same = is_same(&whole->turn[i], &holed->turn[i], most_ns);

		if (!same && !is_touched(whole, e, i, missing))
			fail_msg("%s: turn %zu misses nothing and has changed", name, i);
		changed += !same;
	}
	return changed;
}

static void replay_with_pieces_missing(const char *name, const struct event *e, size_t count)
{
	static struct replay whole, holed;
	static struct offset known[EVENTS_MAX];
	static bool missing[EVENTS_MAX];
	size_t changed = 0;

	assert_true(count <= EVENTS_MAX);
	replay(&whole, e, count, NULL, known);
	for (int trial = 0; trial < TRIALS; trial++) {
		choose_missing(e, count, missing);
		replay(&holed, e, count, missing, known);
		changed += check_turns(name, e, &whole, &holed, missing, 0);
		replay(&holed, e, count, missing, NULL);
		check_turns(name, e, &whole, &holed, missing, LEARNED_NS);
	}
	assert_true(changed >= TRIALS / 2); /* else nothing was looked at */
}

TEST(partition_knows_all_of_a_real_stream)
{
#define REPLAY(stream) replay_whole(#stream, stream, sizeof(stream) / sizeof(*stream));
	STREAMS(REPLAY)
#undef REPLAY
}

TEST(partition_changes_no_turn_that_misses_nothing)
{
	srand(FUZZ_SEED);
#define REPLAY(stream)                                                                             \
	replay_with_pieces_missing(#stream, stream, sizeof(stream) / sizeof(*stream));
	STREAMS(REPLAY)
#undef REPLAY
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(partition_knows_all_of_a_real_stream),
		RUN(partition_changes_no_turn_that_misses_nothing),
	};

	return RUN_TESTS(tests);
}
