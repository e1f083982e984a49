/* Promises of the live view's model: what is new is read once, what has not ended again, and a loop
 * is held for as long as its iteration has no row. */
#include <errno.h>
#include <sys/wait.h>
#include <time.h>

#include "probe/base/cleanup.h"
#include "tests/unit/trace_file.h"
#include "viewer/live_page.h"

#define S 1000000000ull

#define ITERATION                                                                                  \
	"INSERT INTO iteration(loop,cell,begin_ns,busy_ns,select_ns,ready,cpu_ns,gc_ns,gil_ns,"    \
	"runq_ns,blocked_sleep_ns,blocked_network_ns,blocked_file_ns,blocked_subprocess_ns,"       \
	"blocked_dns_ns,blocked_database_ns,blocked_lock_ns,blocked_fault_ns,blocked_other_ns,"    \
	"unknown_ns,file,line,function) VALUES "

static struct trace_file file;
static struct trace *trace;
static struct live_model *model;

static const char program[] =
	"PRAGMA journal_mode = WAL;"
	"UPDATE meta SET value = 0 WHERE key = 'complete';"
	"INSERT INTO process VALUES(1, 4711, 1, '[\"python3\", \"app.py\"]', '/usr/bin/python3', "
	"'3.11.2', '/usr/lib/python3.11', 0, NULL, 0);"
	"INSERT INTO thread VALUES(1, 1, 4711, 'MainThread', 0), (2, 1, 4712, 'Thread-4', 0);"
	"INSERT INTO loop VALUES(1, 1, 1, 'asyncio', 'x', 0, 0, NULL, NULL, NULL, 100, 2000000000, "
	"8000000000, 2000000000);"
	"INSERT INTO frame VALUES(1, '/home/u/app.py', 7, NULL, NULL, NULL, 'score', 1, 0),"
	" (2, '/usr/lib/python3.11/asyncio/runners.py', 9, NULL, NULL, NULL, 'run', 0, 0);"
	"INSERT INTO stack VALUES(1, NULL, 2), (2, 1, 1);"
	"INSERT INTO task(id, process, loop, thread, name, coro, user, created_ns, state, steps, "
	"busy_ns, last_ns, awaiting) VALUES (1, 1, 1, 1, 'Task-1', 'main', 1, 0, 'pending', 3, "
	"1000, 4000000000, NULL), (2, 1, 1, 1, 'bad\x1b[31m', 'poll', 1, 1000000000, 'pending', 9, "
	"1000, 6000000000, 'asyncio.sleep'), (3, 1, 1, 1, 'own', 'library', 0, 0, 'pending', 0, 0, "
	"NULL, NULL);";

static int make(void **state)
{
	char why[256];

	trace_file_make(&file);
	trace_file_sql(&file, program);
	assert_int_equal(trace_open(file.path, why, sizeof(why), &trace), 0);
	assert_int_equal(live_model_new(trace, &model), 0);
	return 0;
}

static int drop(void **state)
{
	live_model_free(model);
	trace_free(trace);
	trace_file_remove(&file);
	return 0;
}

static void reads(unsigned int seconds)
{
	assert_int_equal(live_model_read(model), 0);
	assert_int_equal(live_figures_read(model, seconds), 0);
}

/* Another process that has the trace open, as its recorder has: at most one; false: it lets go. */
static void recorder(bool holds)
{
	static pid_t child;
	static int to[2];
	int from[2], status;
	char c = 0;

	if (!holds) {
		close(to[1]);
		assert_int_equal(waitpid(child, &status, 0), child);
		return;
	}
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	child = fork();
	if (!child) { /* SQLite does not live through a fork */
		dup2(to[0], 0);
		dup2(from[1], 1);
		close(to[1]);
		execl("/proc/self/exe", "live_test", file.path, NULL);
		_exit(1);
	}
	close(to[0]);
	assert_int_equal(read(from[0], &c, 1), 1);
	close(from[0]);
	close(from[1]);
}

/* The trace's zero so that 10 s have been recorded by now. */
static void begins_ten_seconds_ago(void)
{
	struct timespec t;
	char sql[96];

	clock_gettime(CLOCK_MONOTONIC, &t);
	snprintf(sql, sizeof(sql), "INSERT INTO meta VALUES ('t0_ns', %lld)",
		(long long)((uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec - 10 * S));
	trace_file_sql(&file, sql);
}

/* All of the paper's lines with this in them. */
static size_t lines_with(const struct live_paper *paper, const char *part)
{
	size_t n = 0;

	for (size_t i = 0; i < paper->lines.n; i++)
		n += strstr(paper->lines.at[i].text, part) != NULL;
	return n;
}

static void shows(enum live_view view, const char *part, size_t times)
{
	struct live_paper paper = {.model = model, .screen.width = 120};
	struct live_look look = {.view = view};
	struct live_order order;

	assert_int_equal(live_head(model, &paper), 0);
	assert_int_equal(live_sorted(model, &look, &order), 0);
	assert_int_equal(live_table(model, &look, &paper, order.at, order.n), 0);
	if (lines_with(&paper, part) != times)
		for (size_t i = 0; i < paper.lines.n; i++)
			print_message("%s\n", paper.lines.at[i].text);
	assert_int_equal(lines_with(&paper, part), times);
	free(order.at);
	live_lines_free(&paper.lines);
}

TEST(rows_are_counted_once_however_often_they_are_read)
{
	trace_file_sql(&file, ITERATION
		"(1,NULL,1000000000,500000000,0,1,500000000,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,"
		"NULL)");
	trace_file_sql(&file, "INSERT INTO blocking_call(process, thread, loop, begin_ns, "
			      "duration_ns, cpu_ns, call, syscall, class, target, file, line, "
			      "function) VALUES (1, 1, 1, 0, 2000000, 0, 'time.sleep(1)', 'x', "
			      "'sleep', '', '/home/u/app.py', 3, 'f')");
	reads(LIVE_WHOLE);
	reads(LIVE_WHOLE);
	assert_int_equal(model->loops.at[0].causes.ns[CAUSE_cpu], 500000000);
	assert_int_equal(model->sites.n, 1);
	assert_int_equal(model->sites.at[0].count, 1);
	trace_file_sql(&file, ITERATION
		"(1,NULL,2000000000,500000000,0,1,500000000,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,"
		"NULL)");
	reads(LIVE_WHOLE);
	assert_int_equal(model->loops.at[0].causes.ns[CAUSE_cpu], 1000000000);
}

TEST(figures_of_the_window_leave_out_what_ended_before_it)
{
	trace_file_sql(&file, ITERATION
		"(1,NULL,1000000000,500000000,0,1,500000000,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,"
		"NULL), (1,NULL,8000000000,1000000000,0,1,0,0,0,0,1000000000,0,0,0,0,0,0,0,0,0,"
		"NULL,NULL,NULL)");
	trace_file_sql(&file, "INSERT INTO iteration_total VALUES(1, 0, 1, 10, 500, 500000, 0),"
			      " (1, 0, 6, 10, 200, 300000, 0)");
	reads(5); /* of 10 s */
	assert_int_equal(model->loops.at[0].figures.window_ns, 5 * S);
	assert_int_equal(model->loops.at[0].figures.iterations, 201);
	assert_int_equal(model->loops.at[0].figures.busy_ns, 1000300000);
	assert_int_equal(model->loops.at[0].figures.causes.ns[CAUSE_cpu], 0);
	assert_int_equal(model->loops.at[0].figures.causes.ns[CAUSE_sleep], 1000000000);
	assert_int_equal(model->loops.at[0].figures.lag.max_ns, 1000000000);
	/* (B - x) / T = 1 % at x = B - T / 100 */
	assert_int_equal(model->loops.at[0].figures.lag.p99_ns, 950000000);
	shows(LIVE_LOOPS, "<100 µs", 1); /* p50: totals tell no more */
}

TEST(lag_of_everything_is_exact_to_three_percent)
{
	uint64_t exact_ns;

	for (int i = 1; i <= 40; i++) {
		char sql[600];

		snprintf(sql, sizeof(sql),
			ITERATION
			"(1,NULL,%lld,%d,0,1,%d,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,NULL)",
			i * 200000000ll, i * 3000000, i * 3000000);
		trace_file_sql(&file, sql);
	}
	reads(LIVE_SECONDS_MOST);
	exact_ns = model->loops.at[0].figures.lag.p99_ns;
	reads(LIVE_WHOLE);
	assert_in_range(
		model->loops.at[0].figures.lag.p99_ns, exact_ns * 97 / 100, exact_ns * 103 / 100);
}

TEST(tasks_stay_until_they_have_ended)
{
	reads(LIVE_WHOLE);
	assert_int_equal(model->tasks.n, 3);
	shows(LIVE_TASKS, "asyncio.sleep", 1);
	shows(LIVE_TASKS, "4.00 s", 1); /* since its last step */
	trace_file_sql(&file, "UPDATE task SET state = 'done', ended_ns = 2000000000, awaiting = "
			      "NULL WHERE id = 2");
	reads(LIVE_WHOLE);
	assert_int_equal(model->tasks.n, 2);
	trace_file_sql(&file,
		"INSERT INTO task(id, process, thread, name, coro, user, created_ns, "
		"state) VALUES (4, 1, 1, 'Task-4', 'late', 1, 9000000000, 'pending')");
	reads(LIVE_WHOLE);
	assert_int_equal(model->tasks.n, 3);
	shows(LIVE_TASKS, "late", 1);
}

TEST(a_task_of_a_library_is_shown_when_asked_for)
{
	struct live_look look = {.view = LIVE_TASKS};
	struct live_order order;

	reads(LIVE_WHOLE);
	shows(LIVE_TASKS, "library", 0);
	look.all = true;
	assert_int_equal(live_sorted(model, &look, &order), 0);
	assert_int_equal(order.n, 3);
	free(order.at);
}

TEST(text_of_a_target_is_escaped)
{
	reads(LIVE_WHOLE);
	shows(LIVE_TASKS, "\x1b", 0);
	shows(LIVE_TASKS, "bad\\x1b[31m", 1);
}

TEST(a_loop_is_held_until_its_iteration_has_a_row)
{
	begins_ten_seconds_ago();
	trace_file_sql(&file,
		"INSERT INTO sample(process, thread, task, begin_ns, time_ns, duration_ns, kind, "
		"state, stack, file, line, function) VALUES (1, 1, 1, 8000000000, 9900000000, 1, "
		"'unknown', 'S', 2, '/home/u/app.py', 7, 'score')");
	trace_file_sql(&file, "INSERT INTO gil_sample(process, thread, holder, begin_ns, time_ns, "
			      "duration_ns, file, line, function) VALUES (1, 1, 2, 8000000000, "
			      "9900000000, 1, '/home/u/hog.py', 3, 'spin')");
	reads(10);
	assert_null(live_held_longest(model)); /* nobody records: this is how it ended */
	recorder(true);
	/* what was read is gone by now: as a view does that is opened anew */
	live_model_free(model);
	assert_int_equal(live_model_new(trace, &model), 0);
	reads(10);
	assert_non_null(live_held_longest(model));
	shows(LIVE_TASKS, "MainThread has been held for 2.", 1);
	shows(LIVE_TASKS, "in score() at /home/u/app.py:7, waiting", 1);
	shows(LIVE_TASKS, "it waits for the GIL, which Thread-4 has, in spin() at /home/u/hog.py:3",
		1);
	shows(LIVE_TASKS, "1 library frame hidden", 1);
	shows(LIVE_TASKS, "running", 1); /* Task-1 */
	assert_in_range(model->loops.at[0].figures.lag.max_ns, 2 * S, 4 * S);
	trace_file_sql(&file,
		ITERATION "(1,NULL,8000000000,1950000000,0,1,0,0,0,0,1950000000,0,0,0,0,0,0,0,0,0,"
			  "'/home/u/app.py',7,'score')");
	reads(10);
	assert_null(live_held_longest(model));
	shows(LIVE_TASKS, "no loop is held now", 1);
	shows(LIVE_TASKS, "ago MainThread was held for 1.95 s, in score() at /home/u/app.py:7", 1);
	recorder(false);
}

TEST(it_is_said_when_the_recorder_has_gone)
{
	begins_ten_seconds_ago();
	recorder(true);
	reads(10);
	shows(LIVE_LOOPS, "recording for 1", 1);
	recorder(false);
	reads(10);
	shows(LIVE_LOOPS, "the recorder is gone", 1);
	trace_file_sql(&file, "UPDATE meta SET value = 1 WHERE key = 'complete'");
	reads(10);
	shows(LIVE_LOOPS, "recorded for 10.0 s, ended", 1);
}

TEST(cells_are_known_by_their_number)
{
	trace_file_sql(&file,
		"INSERT INTO cell(id, process, thread, loop, idx, execution_count, source, "
		"filename, began_ns, ended_ns, status, tasks) VALUES (1, 1, 1, 1, 0, 7, 'import x"
		"\nrun()', '/tmp/ipykernel_4711/1.py', 0, 5000000000, 'ok', 3), (2, 1, 1, 1, 1, "
		"NULL, 'y', '/tmp/ipykernel_4711/2.py', 6000000000, NULL, 'running', 0);"
		"UPDATE task SET cell = 1, file = '/tmp/ipykernel_4711/1.py', line = 2, function = "
		"'<module>' WHERE id = 1");
	trace_file_sql(&file, ITERATION
		"(1,1,1000000000,500000000,0,1,500000000,0,0,0,0,0,0,0,0,0,0,0,0,0,NULL,NULL,"
		"NULL)");
	reads(LIVE_WHOLE);
	shows(LIVE_CELLS, "In [7]", 1);
	shows(LIVE_CELLS, "In [*]", 1);
	shows(LIVE_CELLS, "run()", 0); /* the first line only */
	shows(LIVE_CELLS, "500 ms", 1);
	shows(LIVE_TASKS, "In [7]:2", 1);
}

TEST(details_name_the_stack_and_say_what_has_gone)
{
	struct live_paper paper = {.model = model, .screen.width = 80};

	trace_file_sql(&file, "UPDATE task SET await_stack = 2 WHERE id = 2");
	reads(LIVE_WHOLE);
	assert_int_equal(live_detail(model, LIVE_TASKS, 2, &paper), 0);
	assert_int_equal(lines_with(&paper, "Waits for asyncio.sleep, since 4.00 s"), 1);
	assert_int_equal(lines_with(&paper, "app.py:7  score"), 1);
	live_lines_free(&paper.lines);
	assert_int_equal(live_detail(model, LIVE_TASKS, 99, &paper), -ENOENT);
	assert_int_equal(live_detail(model, LIVE_LOOPS, 1, &paper), 0);
	live_lines_free(&paper.lines);
}

/* As that other process: until its input ends. */
static int hold(const char *path)
{
	sqlite3 *sql;
	char c = 0;

	if (sqlite3_open(path, &sql) || sqlite3_exec(sql, "SELECT * FROM meta", NULL, NULL, NULL) ||
		write(1, &c, 1) != 1)
		return 1;
	return read(0, &c, 1) != 0;
}

int main(int argc, char **argv)
{
#define EACH(name) cmocka_unit_test_setup_teardown(name, make, drop)
	const struct CMUnitTest tests[] = {
		EACH(rows_are_counted_once_however_often_they_are_read),
		EACH(figures_of_the_window_leave_out_what_ended_before_it),
		EACH(lag_of_everything_is_exact_to_three_percent),
		EACH(tasks_stay_until_they_have_ended),
		EACH(a_task_of_a_library_is_shown_when_asked_for),
		EACH(text_of_a_target_is_escaped),
		EACH(a_loop_is_held_until_its_iteration_has_a_row),
		EACH(it_is_said_when_the_recorder_has_gone),
		EACH(cells_are_known_by_their_number),
		EACH(details_name_the_stack_and_say_what_has_gone),
	};

	return argc == 2 ? hold(argv[1]) : RUN_TESTS(tests);
}
