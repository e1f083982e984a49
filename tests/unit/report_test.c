/* Promises of viewer/report.h: rows in, facts and a verdict out. */
#include "viewer/report.h"

#include <errno.h>

#include "tests/unit/trace_file.h"
#include "viewer/names.h"
#include "viewer/output.h"
#include "viewer/rule.h"

#define MS 1000000ull

static struct trace_file file;
static struct trace *trace;
static struct report *report;
static const struct report_options as_recorded;

/* A kernel with a user's loop (1, thread 1) and IOPub's (2, thread 2); cells are In [1] to In [3],
 * one second each. */
static const char kernel_sql[] =
	"INSERT INTO process(id, pid, ppid, argv, executable, python, stdlib, began_ns, is_kernel)"
	" VALUES (1, 4711, 1, '[\"python3\", \"-m\", \"ipykernel_launcher\"]', '/usr/bin/python3', "
	"'3.11.2', '/usr/lib/python3.11', 0, 1);"
	"INSERT INTO thread VALUES (1, 1, 100, 'MainThread', 0), (2, 1, 101, 'IOPub', 0);"
	"INSERT INTO loop(id, process, thread, kind, type, began_ns, iterations, select_ns)"
	" VALUES (1, 1, 1, 'asyncio', 'x', 0, 100, 1000000000), (2, 1, 2, 'asyncio', 'x', 0, 10, "
	"1000000000);"
	"INSERT INTO cell(id, process, thread, loop, idx, execution_count, source, filename, "
	"began_ns, ended_ns, status) VALUES"
	" (1, 1, 1, 1, 0, 1, 'def helper(): ...', '/tmp/ipykernel_1/1.py', 1000000000, 2000000000, "
	"'ok'),"
	" (2, 1, 1, 1, 1, 2, 'await main()', '/tmp/ipykernel_1/2.py', 3000000000, 4000000000, "
	"'ok'),"
	" (3, 1, 1, 1, 2, 3, 'await main()', '/tmp/ipykernel_1/2.py', 5000000000, 6000000000, "
	"'error');"
	"INSERT INTO coverage(process, what, sensor) VALUES (1, 'tasks', 'agent'), (1, 'syscalls', "
	"'agent'), (1, 'causes', 'coarse'),"
	" (1, 'cells', 'ipython')";

/* loop, cell, begin, busy, of it asleep; in ms. The rest is CPU. */
static void iteration(int loop, const char *cell, uint64_t begin, uint64_t busy, uint64_t sleep)
{
	char *sql = sqlite3_mprintf(
		"INSERT INTO iteration(loop, cell, begin_ns, busy_ns, select_ns, ready, cpu_ns, "
		"gc_ns, gil_ns, runq_ns, blocked_sleep_ns,"
		" blocked_network_ns, blocked_file_ns, blocked_subprocess_ns, blocked_dns_ns, "
		"blocked_database_ns, blocked_lock_ns,"
		" blocked_fault_ns, blocked_other_ns, unknown_ns, file, line, function)"
		" VALUES (%d, %s, %lld, %lld, 0, 1, %lld, 0, 0, 0, %lld, 0, 0, 0, 0, 0, 0, 0, 0, "
		"0, '/tmp/ipykernel_1/2.py', 7, 'crunch')",
		loop, cell, begin * MS, busy * MS, (busy - sleep) * MS, sleep * MS);

	trace_file_sql(&file, sql);
	sqlite3_free(sql);
}

static void blocking(
	const char *cell, uint64_t begin, uint64_t length, const char *call, const char *class)
{
	char *sql = sqlite3_mprintf("INSERT INTO blocking_call(process, thread, loop, cell, "
				    "begin_ns, duration_ns, cpu_ns, call, syscall,"
				    " class, target, file, line, function) VALUES (1, 1, 1, %s, "
				    "%lld, %lld, 0, %Q, 'x', %Q, '',"
				    " '/tmp/ipykernel_1/2.py', 3, 'fetch')",
		cell, begin * MS, length * MS, call, class);

	trace_file_sql(&file, sql);
	sqlite3_free(sql);
}

static void begin(const char *sql)
{
	trace_file_make(&file);
	trace_file_sql(&file, sql);
}

static void read_with(const struct report_options *options)
{
	char why[256];

	trace_file_close(&file);
	assert_int_equal(trace_open(file.path, why, sizeof(why), &trace), 0);
	assert_int_equal(report_read(trace, options, &report), 0);
}

static void end(void)
{
	report_free(report);
	trace_free(trace);
	trace_file_remove(&file);
}

static void says(const char *verdict)
{
	assert_string_equal(report->verdict, verdict);
}

TEST(an_empty_trace_says_that_nothing_was_recorded)
{
	begin("SELECT 1");
	read_with(&as_recorded);
	says("Nothing was recorded: no Python process that uses asyncio was seen.");
	end();
}

TEST(a_clean_trace_says_what_was_not_looked_at)
{
	begin(kernel_sql);
	trace_file_sql(&file,
		"INSERT INTO lost VALUES (1, 'ring full', 3), (NULL, 'bad record', 4);"
		"UPDATE coverage SET sensor = 'none' WHERE what = 'syscalls'");
	iteration(1, "1", 1100, 40, 0);
	read_with(&as_recorded);
	says("No stall of 100 ms or more in 10.0 s; the loop was held for 40.0 ms at the longest, "
	     "in In [1]; blocking calls were not "
	     "recorded; 7 events were lost; not checked: AS101, AS102, AS103, "
	     "AS104, AS105, AS106, AS107, AS112.");
	assert_int_equal(report->lost_events, 7);
	end();
}

TEST(the_verdict_names_cell_call_line_and_what_to_do)
{
	begin(kernel_sql);
	iteration(1, "2", 3100, 602, 600);
	for (uint64_t i = 0; i < 3; i++)
		blocking("2", 3101 + i * 200, 200, "time.sleep(0.2)", "sleep");
	iteration(1, "1", 1100, 101, 0);
	read_with(&as_recorded);
	says("In [2] held the loop for 602 ms: time.sleep(0.2) in fetch, line 3, three times. Use "
	     "await asyncio.sleep(0.2).");
	assert_int_equal(report->sites.n, 1);
	assert_int_equal(report->sites.at[0].count, 3);
	assert_int_equal(report->sites.at[0].total_ns, 600 * MS);
	assert_int_equal(report->sites.at[0].max_ns, 200 * MS);
	assert_int_equal(report->cells.at[1].blocking_ns, 600 * MS);
	assert_int_equal(report->cells.at[1].stalls, 1);
	assert_int_equal(report->cells.at[2].stalls, 0);
	end();
}

TEST(a_synchronous_cell_that_delayed_nobody_is_no_stall)
{
	begin(kernel_sql);
	trace_file_sql(&file, "UPDATE cell SET synchronous = 1 WHERE id = 1");
	iteration(1, "1", 1000, 900, 0);
	read_with(&as_recorded);
	says("Nothing was kept waiting: In [1] held the loop for 900 ms, as a synchronous cell "
	     "does, while no task was due; every rule was checked.");
	assert_int_equal(report->stalls.n, 1); /* by definition it is one; the number stays */
	assert_true(report->stalls.at[0].quiet);
	end();
}

/* Waits in ms of task 1, which is of user code: (begin, length). */
static void waits(uint64_t begin, uint64_t length)
{
	char *sql = sqlite3_mprintf("INSERT OR IGNORE INTO task(id, process, loop, thread, name, "
				    "coro, user, created_ns, state)"
				    " VALUES (1, 1, 1, 1, 'Task-1', 'poll', 1, 0, 'done'), (2, 1, "
				    "1, 1, 'Task-2', 'kernel', 0, 0, 'done');"
				    "INSERT INTO \"await\"(task, begin_ns, duration_ns, what) "
				    "VALUES (1, %lld, %lld, 'asyncio.sleep'),"
				    " (2, %lld, %lld, 'Future')",
		begin * MS, length * MS, begin * MS, length * MS);

	trace_file_sql(&file, sql);
	sqlite3_free(sql);
}

TEST(a_synchronous_cell_that_delayed_a_task_is_a_stall)
{
	begin(kernel_sql);
	trace_file_sql(&file, "UPDATE cell SET synchronous = 1 WHERE id = 1");
	iteration(1, "1", 1000, 900, 0);
	iteration(1, "NULL", 1900, 20, 0); /* at once, and in it the task runs */
	waits(800, 1115);
	read_with(&as_recorded);
	assert_int_equal(report->stalls.at[0].tasks_delayed, 1);
	assert_false(report->stalls.at[0].quiet);
	says("In [1] held the loop for 900 ms while up to 1 task waited: computing in crunch, In "
	     "[2]:7, with no await. Move it to another "
	     "process (ProcessPoolExecutor), or give the loop back now and then: await "
	     "asyncio.sleep(0).");
	end();
}

/* One stall, 1000 to 1900 ms, with an iteration after it; waits of task 1 and who ended them. */
static void woken(const char *how, uint64_t begin, uint64_t length, uint64_t set)
{
	char *sql = sqlite3_mprintf("UPDATE \"await\" SET woken_how = %Q, set_ns = %lld WHERE task "
				    "= 1 AND begin_ns = %lld",
		how, set * MS, begin * MS);

	waits(begin, length);
	trace_file_sql(&file, sql);
	sqlite3_free(sql);
}

static void delays(uint32_t count, bool most)
{
	iteration(1, "1", 1000, 900, 0);
	iteration(1, "NULL", 1900, 20, 0);
	read_with(&as_recorded);
	assert_int_equal(report->stalls.at[0].tasks_delayed, count);
	assert_int_equal(report->stalls.at[0].delayed_most, most);
	end();
}

TEST(a_task_that_was_due_after_the_stall_is_not_delayed)
{
	begin(kernel_sql);
	woken("timer", 800, 1115, 1914); /* its timer has no row: it was on time */
	woken("result", 810, 1105, 1895);
	woken("thread", 820, 1095, 1914);
	delays(0, false);
}

TEST(a_late_timer_says_exactly_that_its_task_was_delayed)
{
	begin(kernel_sql);
	waits(800, 1115);
	trace_file_sql(&file, "INSERT INTO late_timer(loop, due_ns, late_ns, task) VALUES"
			      " (1, 1500000000, 401000000, 1), (1, 700000000, 20000000, 1)");
	delays(1, false);
}

TEST(a_task_woken_early_in_the_stall_was_delayed_exactly)
{
	begin(kernel_sql);
	woken("result", 800, 1115, 1100);
	delays(1, false);
}

TEST(a_wait_whose_due_time_nobody_saw_counts_at_most)
{
	begin(kernel_sql);
	woken("result", 800, 1115, 1100);
	woken("result", 810, 1105, 1914); /* by the loop, which may have been late itself */
	delays(2, true);
}

TEST(timers_are_late_by_their_rows_and_else_by_their_buckets)
{
	begin(kernel_sql);
	/* 98 that were 1 ms late in all, and two with rows, in two cells. */
	trace_file_sql(&file,
		"INSERT INTO timer_total VALUES (1, 0, 0, 13, 98, 980000, 12000),"
		" (1, 0, 1, 28, 1, 300000000, 300000000), (1, 1, 1, 28, 1, 500000000, 500000000);"
		"INSERT INTO late_timer(loop, due_ns, late_ns) VALUES (1, 1000000000, 300000000),"
		" (1, 1000000000, 500000000)");
	read_with(&as_recorded);
	assert_true(report->loops.at[0].timer_late.known);
	assert_int_equal(report->loops.at[0].timer_late.p50_ns, 10000);
	assert_int_equal(report->loops.at[0].timer_late.p90_ns, 10000);
	assert_int_equal(report->loops.at[0].timer_late.p99_ns, 300 * MS);
	assert_int_equal(report->loops.at[0].timer_late.max_ns, 500 * MS);
	assert_false(report->loops.at[1].timer_late.known);
	end();
}

TEST(a_wait_that_a_stall_did_not_lengthen_is_not_delayed)
{
	begin(kernel_sql);
	trace_file_sql(&file, "UPDATE cell SET synchronous = 1 WHERE id = 1");
	iteration(1, "1", 1000, 900, 0);
	iteration(1, "NULL", 1950, 20, 0); /* the loop waited before it: nothing was due */
	waits(800, 1155);
	waits(1895, 6); /* began as the stall ended */
	read_with(&as_recorded);
	assert_int_equal(report->stalls.at[0].tasks_delayed, 0);
	assert_true(report->stalls.at[0].quiet);
	end();
}

TEST(a_cell_is_charged_the_part_inside_its_window)
{
	begin(kernel_sql);
	iteration(1, "1", 900, 300, 100); /* 100 ms before the cell; the sleep is inside */
	blocking("1", 1050, 100, "time.sleep", "sleep");
	trace_file_sql(&file, "INSERT INTO iteration_total VALUES (1, 1, 1, 16, 10, 700000, 0)");
	read_with(&as_recorded);
	assert_int_equal(report->cells.at[0].busy_ns, 200 * MS + 700000);
	assert_int_equal(report->cells.at[0].longest_ns, 200 * MS);
	assert_int_equal(report->cells.at[0].causes.ns[CAUSE_sleep], 100 * MS);
	assert_int_equal(report->cells.at[0].causes.ns[CAUSE_cpu], 100 * MS);
	assert_int_equal(report->cells.at[0].causes.ns[CAUSE_short], 700000);
	assert_int_equal(report->loops.at[0].busy_ns, 300 * MS + 700000);
	assert_int_equal(causes_total(&report->loops.at[0].causes), report->loops.at[0].busy_ns);
	assert_int_equal(report->cells.at[0].lag.max_ns, 200 * MS);
	/* Of one second 200 ms busy: (200 − x) / 1000 = 0.1, the short ones apart. */
	assert_int_equal(report->cells.at[0].lag.p90_ns, 100 * MS);
	assert_false(report->cells.at[1].lag.known);
	end();
}

TEST(thresholds_can_only_be_raised)
{
	const struct report_options lower = {.stall_ns = 99 * MS},
				    higher = {.stall_ns = 500 * MS, .min_block_ns = 150 * MS};
	char why[256];

	begin(kernel_sql);
	iteration(1, "2", 3100, 300, 250);
	blocking("2", 3101, 100, "time.sleep(0.1)", "sleep");
	blocking("2", 3201, 150, "time.sleep(0.15)", "sleep");
	trace_file_close(&file);
	assert_int_equal(trace_open(file.path, why, sizeof(why), &trace), 0);
	assert_int_equal(report_read(trace, &lower, &report), -ERANGE);
	assert_int_equal(report_read(trace, &higher, &report), 0);
	assert_int_equal(report->stalls.n, 0);
	assert_int_equal(report->sites.n, 1);
	end();
}

TEST(kernel_threads_are_machinery_and_blame_nobody)
{
	begin(kernel_sql);
	iteration(2, "NULL", 100, 400, 0);
	read_with(&as_recorded);
	assert_false(report->loops.at[0].machinery);
	assert_true(report->loops.at[1].machinery);
	assert_int_equal(report->loops.at[1].stalls, 1);
	assert_non_null(strstr(report->verdict, "No stall of 100 ms or more"));
	end();
}

TEST(leaks_leave_out_library_tasks_unless_asked)
{
	static const char sql[] = "INSERT INTO task(id, process, loop, thread, cell, name, coro, "
				  "user, created_ns, file, line, function, state, leaked, awaiting)"
				  " VALUES (1, 1, 1, 1, 2, 'Task-5', 'poll', 1, 3500000000, "
				  "'/tmp/ipykernel_1/2.py', 9, '<module>', 'pending', 'pending',"
				  " 'asyncio.sleep'), (2, 1, 1, 1, NULL, 'Task-6', 'lib', 0, "
				  "3500000000, NULL, NULL, NULL, 'pending', 'pending', NULL)";
	const struct report_options all = {.all = true};

	begin(kernel_sql);
	iteration(1, "1", 1100, 40, 0);
	trace_file_sql(&file, sql);
	read_with(&as_recorded);
	assert_int_equal(report->leaks.n, 1);
	assert_int_equal(report->cells.at[1].leaked, 1);
	assert_int_equal(report->leaks.at[0].age_ns, 6500 * MS);
	says("No stall of 100 ms or more, but 1 task leaked: poll, created at In [2]:9, still "
	     "waits for asyncio.sleep. Keep the task, and "
	     "cancel or await it when its work is done.");
	report_free(report);
	assert_int_equal(report_read(trace, &all, &report), 0);
	assert_int_equal(report->leaks.n, 2);
	end();
}

TEST(a_file_of_a_cell_run_twice_is_the_nearer_execution)
{
	begin(kernel_sql);
	read_with(&as_recorded);
	assert_int_equal(cell_of_file(report, "/tmp/ipykernel_1/2.py", 1), 1);
	assert_int_equal(cell_of_file(report, "/tmp/ipykernel_1/2.py", 2), 2);
	assert_int_equal(cell_of_file(report, "/tmp/ipykernel_1/1.py", 2), 0);
	assert_int_equal(cell_of_file(report, "/home/u/app.py", 2), NONE);
	end();
}

TEST(a_stack_that_is_a_ring_ends)
{
	frame_list frames = {0};

	begin(kernel_sql);
	trace_file_sql(&file,
		"INSERT INTO frame(id, file, line, function, user) VALUES (1, 'a', 1, 'f', 1);"
		"INSERT INTO stack VALUES (1, 2, 1), (2, 1, 1)");
	read_with(&as_recorded);
	assert_int_equal(report_stack(report, 1, &frames), 0);
	assert_true(frames.n > 1 && frames.n < 10000);
	free(frames.at);
	end();
}

/* A trace is a file that anybody may have made. */
TEST(rows_that_break_the_promises_do_no_harm)
{
	begin(kernel_sql);
	iteration(77, "99", 1000, 100, 0); /* no such loop or cell */
	iteration(1, "99", 9000000000000, 100, 0);
	trace_file_sql(&file,
		"UPDATE iteration SET cpu_ns = 9223372036854775807, gc_ns = 9223372036854775807, "
		"busy_ns = -5 WHERE loop = 1;"
		"INSERT INTO iteration_total VALUES (1, 2, -1, 0, 0, 9223372036854775807, 0);"
		"UPDATE cell SET ended_ns = -1, execution_count = -7, source = x'ff' || 'a' WHERE "
		"id = 1;"
		"UPDATE process SET argv = 'not json'; UPDATE thread SET name = char(27) || '[2J'");
	read_with(&as_recorded);
	assert_non_null(report->verdict);
	end();
}

static char *json_text(void)
{
	const struct output_options options = {0};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(report_json(report, &options, out), 0);
	fclose(out);
	return text;
}

TEST(json_has_every_key_and_every_rule_that_was_not_checked)
{
	static const char *const keys[] = {
		"awaitscope",
		"schema",
		"trace",
		"coverage",
		"verdict",
		"loops",
		"stalls",
		"cells",
		"leaked_tasks",
		"blocking_sites",
		"findings",
		"not_checked",
		"lost_events",
		"accounted_share",
		"discrepancy_ms",
		"timer_late_ms",
		"stall_share",
		"causes_ms",
		"cpu_split",
		"hot_lines",
		"blocked:sleep",
		"unknown",
		"short",
		"gil_holder",
		"samples",
		"longest_busy_ms",
		"tasks_created",
		"tasks_leaked",
		"blocking_ms",
		"tasks_delayed",
		"tasks_delayed_exact",
		"stack",
		"target",
		"execution_count",
	};
	char *text, key[64];

	begin(kernel_sql);
	iteration(1, "2", 3100, 602, 600);
	blocking("2", 3101, 600, "time.sleep(0.6)", "sleep");
	read_with(&as_recorded);
	text = json_text();
	for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		snprintf(key, sizeof(key), "\"%s\":", keys[i]);
		if (!strstr(text, key))
			fail_msg("no key %s", key);
	}
	for (size_t i = 0; i < rules_count; i++) {
		char named[32];

		snprintf(named, sizeof(named), "\"%s\",\n    \"needs\"", rules[i].id);
		assert_int_equal(!strstr(text, named), rule_checked(report, &rules[i]));
	}
	assert_non_null(strstr(text, "\"rule\": \"AS101\",\n   \"name\": \"blocking-sleep\""));
	assert_non_null(strstr(text, "\"longest_busy_ms\": 602.0"));
	assert_non_null(strstr(text, "\"discrepancy_ms\": 0.0"));
	free(text);
	end();
}

TEST(text_never_shows_the_path_of_a_cell_or_raw_control_bytes)
{
	const struct output_options options = {.verbose = true};
	char *text = NULL;
	size_t size;
	FILE *out;

	begin(kernel_sql);
	iteration(1, "2", 3100, 602, 600);
	blocking("2", 3101, 600, "time.sleep\033[2J", "sleep");
	trace_file_sql(&file, "UPDATE cell SET source = char(27) || ']0;title' || char(7); UPDATE "
			      "process SET python = char(27) || 'c'");
	read_with(&as_recorded);
	out = open_memstream(&text, &size);
	assert_int_equal(report_text(report, &options, out), 0);
	fclose(out);
	assert_null(strstr(text, "ipykernel_1/"));
	assert_null(strchr(text, '\033'));
	assert_null(strchr(text, '\007'));
	assert_non_null(strstr(text, "In [2]:3"));
	free(text);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RUN(an_empty_trace_says_that_nothing_was_recorded),
		RUN(a_clean_trace_says_what_was_not_looked_at),
		RUN(the_verdict_names_cell_call_line_and_what_to_do),
		RUN(a_synchronous_cell_that_delayed_nobody_is_no_stall),
		RUN(a_synchronous_cell_that_delayed_a_task_is_a_stall),
		RUN(a_wait_that_a_stall_did_not_lengthen_is_not_delayed),
		RUN(a_task_that_was_due_after_the_stall_is_not_delayed),
		RUN(a_late_timer_says_exactly_that_its_task_was_delayed),
		RUN(a_task_woken_early_in_the_stall_was_delayed_exactly),
		RUN(a_wait_whose_due_time_nobody_saw_counts_at_most),
		RUN(timers_are_late_by_their_rows_and_else_by_their_buckets),
		RUN(a_cell_is_charged_the_part_inside_its_window),
		RUN(thresholds_can_only_be_raised),
		RUN(kernel_threads_are_machinery_and_blame_nobody),
		RUN(leaks_leave_out_library_tasks_unless_asked),
		RUN(a_file_of_a_cell_run_twice_is_the_nearer_execution),
		RUN(a_stack_that_is_a_ring_ends),
		RUN(rows_that_break_the_promises_do_no_harm),
		RUN(json_has_every_key_and_every_rule_that_was_not_checked),
		RUN(text_never_shows_the_path_of_a_cell_or_raw_control_bytes),
	};

	return RUN_TESTS(tests);
}
