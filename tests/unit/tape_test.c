/*
 * tape.c: a record is the same after a trip through text, and a line that is no record is refused
 * with its reason.
 */
#include "tests/unit/unit.h"

#include <errno.h>

#include "collector/tape.h"

static _Alignas(8) unsigned char buf[EV_SIZE_MAX + 64];

struct taken { /* what came out of a tape */
	unsigned int records;
	uint32_t pid;
	size_t size;
	_Alignas(8) unsigned char last[EV_SIZE_MAX];
	int rc; /* to answer with */
};
static struct taken taken;

static int take(void *ctx, uint32_t pid, const struct ev_head *record)
{
	struct taken *t = ctx;

	t->size = (size_t)record->size_words * 8;
	assert_int_equal(record_check(record, t->size), 0);
	memcpy(t->last, record, t->size);
	t->pid = pid;
	t->records++;
	return t->rc;
}

/* Returns tape_read()'s result; the outputs as it left them. */
static int read_bytes(const void *tape, size_t n, unsigned long *ret_line, const char **ret_why)
{
	FILE *file = n ? fmemopen((void *)(uintptr_t)tape, n, "r") : fopen("/dev/null", "r");
	int rc;

	assert_non_null(file);
	taken.records = 0;
	rc = tape_read(file, take, &taken, ret_line, ret_why);
	fclose(file);
	return rc;
}

static int read_tape(const char *tape, unsigned long *ret_line, const char **ret_why)
{
	return read_bytes(tape, strlen(tape), ret_line, ret_why);
}

static void expect_refused(const char *tape, unsigned long line, const char *why)
{
	unsigned long got_line = 0;
	const char *got_why = "";

	assert_int_equal(read_tape(tape, &got_line, &got_why), -EINVAL);
	assert_int_equal(got_line, line);
	assert_string_equal(got_why, why);
}

static void expect_taken(const char *tape, unsigned int records)
{
	unsigned long line = 0;
	const char *why = "";
	int rc = read_tape(tape, &line, &why);

	if (rc)
		print_error("line %lu: %s\n", line, why);
	assert_int_equal(rc, 0);
	assert_int_equal(taken.records, records);
}

/* The text of one record; the caller frees it. */
static char *write_record(const void *record, uint32_t pid)
{
	char *text = NULL;
	size_t size = 0;
	struct tape_writer w = {.file = open_memstream(&text, &size)};

	assert_non_null(w.file);
	assert_int_equal(tape_write(&w, pid, record), 0);
	fclose(w.file);
	return text;
}

TEST(tape_line_becomes_the_record)
{
	const struct ev_step *s = (const void *)taken.last;

	expect_taken("# a comment\n\n  @4711\n 120 7 step begin_ns=100 task=0xff  state=2 "
		     "exception=4294967295\n",
		1);
	assert_int_equal(taken.pid, 4711);
	assert_int_equal(s->head.time_ns, 120);
	assert_int_equal(s->head.tid, 7);
	assert_int_equal(s->head.kind, EV_step);
	assert_int_equal(s->task, 255);
	assert_int_equal(s->begin_ns, 100);
	assert_int_equal(s->state, 2);
	assert_int_equal(s->exception, UINT32_MAX);
	assert_int_equal(s->waits_on, 0);
}

TEST(tape_takes_the_ends_of_each_number)
{
	const struct ev_iteration *i = (const void *)taken.last;

	expect_taken("@1\n1 1 iteration loop=18446744073709551615 cpu_ns=-9223372036854775808 "
		     "ready=-2147483648\n",
		1);
	assert_true(i->loop == UINT64_MAX && i->cpu_ns == INT64_MIN && i->ready == INT32_MIN);
	expect_taken("@1\n1 1 iteration loop=0xffffffffffffffff cpu_ns=9223372036854775807 "
		     "ready=0x7fffffff\n",
		1);
	assert_true(i->loop == UINT64_MAX && i->cpu_ns == INT64_MAX && i->ready == INT32_MAX);
}

TEST(tape_text_is_json)
{
	const struct ev_name *r = (const void *)taken.last;

	expect_taken("@1\n1 1 name id=1 text=\"a \\\"b\\\" \\u00e9\\ud83d\\ude00\\u0000\\n\\udcff "
		     "é #\"\r\n",
		1);
	assert_int_equal(r->text_len, 20);
	assert_memory_equal(r + 1, "a \"b\" \xc3\xa9\xf0\x9f\x98\x80\0\n\xff \xc3\xa9 #", 20);
}

TEST(tape_tails_come_in_any_order)
{
	const struct ev_code *r = (const void *)taken.last;

	expect_taken("@1\n1 1 code linetable=00FfA0 function=\"f\" id=3 file=\"x.py\"\n", 1);
	assert_int_equal(r->file_len, 4);
	assert_int_equal(r->function_len, 1);
	assert_int_equal(r->linetable_len, 3);
	assert_memory_equal(r + 1, "x.pyf\x00\xff\xa0", 8);
}

TEST(tape_pairs_are_numbers)
{
	const struct ev_stack *r = (const void *)taken.last;
	static const uint32_t want[] = {1, 2, 3, UINT32_MAX};

	expect_taken("@1\n1 1 stack id=3 frames=1:2,3:4294967295\n2 1 stack frames= id=4\n", 2);
	assert_int_equal(r->frames_len, 0);
	expect_taken("@1\n1 1 stack id=3 frames=1:2,3:4294967295", 1);
	assert_int_equal(r->frames_len, 16);
	assert_memory_equal(r + 1, want, sizeof(want));
}

TEST(tape_of_nothing_is_no_error)
{
	expect_taken("", 0);
	expect_taken("\n# only a comment", 0);
}

TEST(tape_refuses_a_line_that_is_no_record)
{
	static const char time_tid[] = "a record begins with its time and its thread's id";
	static const char number[] = "not a number, or one that does not fit its field";
	static const char shape[] = "pairs must be a:b,a:b with numbers of 32 bits";

	expect_refused("1 1 step\n", 1, "no @PID line says whose record this is");
	expect_refused("@x\n", 1, "@ wants a process id");
	expect_refused("@0\n", 1, "@ wants a process id");
	expect_refused("@4294967296\n", 1, "@ wants a process id");
	expect_refused("@1 2\n", 1, "@ wants a process id");
	expect_refused("@1\nstep\n", 2, time_tid);
	expect_refused("@1\n\n1 -1 step\n", 3, time_tid);
	expect_refused("@1\n1 1\n", 2, "no such kind of event");
	expect_refused("@1\n1 1 pad\n", 2, "no such kind of event");
	expect_refused("@1\n1 1 steps\n", 2, "no such kind of event");
	expect_refused("@1\n1 1 step colour=3\n", 2, "the kind has no such field");
	expect_refused("@1\n1 1 step task\n", 2, "a field is name=value");
	expect_refused("@1\n1 1 step task=1 task=1\n", 2, "a field is given twice");
	expect_refused("@1\n1 1 step state=4294967296\n", 2, number);
	expect_refused("@1\n1 1 step state=-1\n", 2, number);
	expect_refused("@1\n1 1 step task=18446744073709551616\n", 2, number);
	expect_refused("@1\n1 1 step task=0x\n", 2, number);
	expect_refused("@1\n1 1 step task=\n", 2, number);
	expect_refused("@1\n1 1 iteration ready=2147483648\n", 2, number);
	expect_refused("@1\n1 1 iteration ready=--1\n", 2, number);
	expect_refused("@1\n1 1 name text=x\n", 2, "text must be a JSON string");
	expect_refused("@1\n1 1 name text=\"x\n", 2, "text without a closing quote");
	expect_refused("@1\n1 1 name text=\"x\\", 2, "text without a closing quote");
	expect_refused("@1\n1 1 name text=\"x\\q\"\n", 2, "an escape that JSON does not know");
	expect_refused("@1\n1 1 name text=\"x\ty\"\n", 2, "a control character in a text");
	expect_refused("@1\n1 1 name text=\"\\u12\"\n", 2, "\\u wants four hex digits");
	expect_refused("@1\n1 1 name text=\"\\ud83d\"\n", 2, "half a surrogate pair");
	expect_refused("@1\n1 1 name text=\"\\ude00\"\n", 2, "half a surrogate pair");
	expect_refused("@1\n1 1 name text=\"x\"y\n", 2, "something follows a text's closing quote");
	expect_refused("@1\n1 1 code linetable=abc\n", 2, "bytes must be pairs of hex digits");
	expect_refused("@1\n1 1 code linetable=xy\n", 2, "bytes must be pairs of hex digits");
	expect_refused("@1\n1 1 stack frames=1\n", 2, shape);
	expect_refused("@1\n1 1 stack frames=1:\n", 2, shape);
	expect_refused("@1\n1 1 stack frames=1:2,\n", 2, shape);
	expect_refused("@1\n1 1 stack frames=1:2;3:4\n", 2, shape);
	expect_refused("@1\n1 1 stack frames=1:4294967296\n", 2, shape);
}

TEST(tape_refuses_a_record_longer_than_a_ring_can_carry)
{
	size_t n = EV_SIZE_MAX;
	char *tape = malloc(n + 64);
	unsigned long line = 0;
	const char *why = "";
	int at = sprintf(tape, "@1\n1 1 name text=\"");

	memset(tape + at, 'x', n);
	strcpy(tape + at + n, "\"\n");
	assert_int_equal(read_tape(tape, &line, &why), -EINVAL);
	assert_string_equal(why, "longer than a record can be");
	strcpy(tape + at + n - sizeof(struct ev_name), "\"\n");
	assert_int_equal(read_tape(tape, &line, &why), 0);
	assert_int_equal(taken.size, EV_SIZE_MAX);
	free(tape);
}

TEST(tape_stops_where_the_sink_says_so)
{
	unsigned long line = 99;
	const char *why = "untouched";

	taken.rc = -ENOSPC;
	assert_int_equal(read_tape("@1\n1 1 step\n1 1 step\n", &line, &why), -ENOSPC);
	taken.rc = 0;
	assert_int_equal(taken.records, 1);
	assert_int_equal(line, 99);
	assert_string_equal(why, "untouched");
}

TEST(tape_names_a_process_only_when_it_changes)
{
	char *text = NULL;
	size_t size = 0;
	struct tape_writer w = {.file = open_memstream(&text, &size)};
	struct ev_loop_stop r = {{5, 6, EV_loop_stop, sizeof(r) / 8}, 9};

	tape_write(&w, 10, &r.head);
	tape_write(&w, 10, &r.head);
	tape_write(&w, 11, &r.head);
	fclose(w.file);
	assert_string_equal(text,
		"@10\n5 6 loop_stop loop=9\n5 6 loop_stop loop=9\n@11\n5 6 loop_stop loop=9\n");
	free(text);
}

TEST(tape_shows_no_control_bytes)
{
	char *text;

	expect_taken("@1\n1 1 name text=\"\\u001b[31m\\u009b\\u007f\\n\\udc80é\"\n", 1);
	text = write_record(taken.last, 1);
	assert_string_equal(text, "@1\n1 1 name text=\"\\u001b[31m\\u009b\\u007f\\n\\udc80é\"\n");
	free(text);
}

static void round_trip(uint64_t seed)
{
	uint64_t rng = seed | 1;

	for (int i = 0; i < 20000; i++) {
		unsigned int id = 1 + (unsigned int)(unit_random(&rng) % (EV_KINDS - 1));
		size_t n;
		char *text;

		if (!record_kind(id))
			continue;
		n = unit_random_record(&rng, id, i % 1000 ? 40 : 60000, buf);
		text = write_record(buf, 1 + (uint32_t)(i & 7));
		expect_taken(text, 1);
		free(text);
		assert_int_equal(taken.pid, 1 + (i & 7));
		assert_int_equal(taken.size, n);
		assert_memory_equal(taken.last, buf, n);
	}
}

TEST(tape_round_trip_keeps_every_bit)
{
	round_trip(FUZZ_SEED);
	round_trip(unit_seed());
}

static void fuzz(uint64_t seed)
{
	static const char spice[] = " \t\n\"\\u@#=:,-0x9af\x80\xff";
	uint64_t rng = seed | 1;
	unsigned int whole = 0;

	for (int i = 0; i < 30000; i++) {
		unsigned int id = 1 + (unsigned int)(unit_random(&rng) % (EV_KINDS - 1));
		unsigned long line;
		const char *why;
		char *text;
		size_t n;

		if (!record_kind(id))
			continue;
		unit_random_record(&rng, id, 20, buf);
		text = write_record(buf, 1);
		n = strlen(text);
		for (unsigned int m = unit_random(&rng) % 4; m; m--)
			text[unit_random(&rng) % n] =
				spice[unit_random(&rng) % (sizeof(spice) - 1)];
		if (unit_random(&rng) % 8 == 0)
			n = unit_random(&rng) % (n + 1);
		whole += read_bytes(text, n, &line, &why) == 0;
		free(text);
	}
	assert_true(whole > 1000);
}

TEST(tape_read_survives_mutated_lines)
{
	fuzz(FUZZ_SEED);
	fuzz(unit_seed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(tape_line_becomes_the_record),
		RUN(tape_takes_the_ends_of_each_number),
		RUN(tape_text_is_json),
		RUN(tape_tails_come_in_any_order),
		RUN(tape_pairs_are_numbers),
		RUN(tape_of_nothing_is_no_error),
		RUN(tape_refuses_a_line_that_is_no_record),
		RUN(tape_refuses_a_record_longer_than_a_ring_can_carry),
		RUN(tape_stops_where_the_sink_says_so),
		RUN(tape_names_a_process_only_when_it_changes),
		RUN(tape_shows_no_control_bytes),
		RUN(tape_round_trip_keeps_every_bit),
		RUN(tape_read_survives_mutated_lines),
	};

	return RUN_TESTS(tests);
}
